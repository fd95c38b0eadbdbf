//! Drawings: bars, and histograms with the range that levels reach.

use std::fmt::Write;

use maud::{Markup, html};

use super::super::RangeReport;
use super::words::value;

/// A part of the whole as a bar; a figure stands beside it.
pub fn bar(part: f64) -> Markup {
    let part = match part.is_finite() {
        true => part.clamp(0.0, 1.0),
        false => 0.0,
    };
    html! {
        svg.bar viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true" {
            rect.rail width="100" height="6" rx="1.5" {}
            rect.fill width=(format!("{:.1}", 100.0 * part)) height="6" rx="1.5" {}
        }
    }
}

const WIDTH: f64 = 240.0;
const HEIGHT: f64 = 48.0;

/// How often values were seen, on a scale of logarithms, and the range that their levels reach. Nothing where
/// nothing was counted, or the bounds are no numbers.
pub fn histogram(range: &RangeReport) -> Option<Markup> {
    let seen = range.seen.map(f64::from);
    let reach = range.reach();
    let low = seen[0].min(reach[0]);
    let extent = seen[1].max(reach[1]) - low;
    let most = range.histogram.iter().max().copied().unwrap_or_default();
    if most == 0
        || !extent.is_finite()
        || extent <= 0.0
        || seen.iter().any(|bound| !bound.is_finite())
    {
        return None;
    }
    let at = |value: f64| (value - low) / extent * WIDTH;
    let [left, right] = reach.map(at);
    let words = format!(
        "Values from {} to {}; levels reach from {} to {}",
        value(seen[0]),
        value(seen[1]),
        value(reach[0]),
        value(reach[1])
    );
    Some(html! {
        svg.histogram viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) role="img" aria-label=(words) {
            title { (words) }
            rect.reach x=(format!("{left:.1}")) width=(format!("{:.1}", right - left)) height=(HEIGHT) {}
            path.counts d=(outline(&range.histogram, at(seen[0]), at(seen[1]))) {}
            path.bounds d=(format!("M{left:.1} 0V{HEIGHT}M{right:.1} 0V{HEIGHT}")) {}
        }
    })
}

/// The counts as one shape with steps, between `left` and `right`.
fn outline(counts: &[u64], left: f64, right: f64) -> String {
    let height = |count: u64| (1.0 + count as f64).ln();
    let most = counts.iter().copied().map(height).fold(0.0, f64::max);
    let width = (right - left) / counts.len() as f64;
    let mut path = format!("M{left:.1} {HEIGHT}");
    for (index, count) in counts.iter().enumerate() {
        let top = HEIGHT - 0.92 * HEIGHT * height(*count) / most;
        let end = left + width * (index + 1) as f64;
        // Writing to a string does not fail.
        let _ = write!(path, "V{top:.1}H{end:.1}");
    }
    path + &format!("V{HEIGHT}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range() -> RangeReport {
        RangeReport {
            scale: 0.1,
            zero_point: -128,
            seen: [0.0, 51.0],
            histogram: vec![100, 10, 0, 1],
            ..RangeReport::default()
        }
    }

    #[test]
    fn the_range_is_where_it_is_among_the_values() {
        // Levels reach 25.5, half of what was seen.
        let drawn = histogram(&range()).unwrap().into_string();
        assert!(drawn.contains("M0.0 0V48M120.0 0V48"), "{drawn}");
        assert!(drawn.contains("levels reach from 0 to 25.5"), "{drawn}");
        let path = outline(&[100, 10, 0, 1], 0.0, WIDTH);
        assert!(path.starts_with("M0.0 48V3.8H60.0V"), "{path}");
        assert!(path.contains("V48.0H180.0"), "{path}");
    }

    #[test]
    fn what_cannot_be_drawn_is_left_out() {
        let with = |change: fn(&mut RangeReport)| {
            let mut range = range();
            change(&mut range);
            histogram(&range)
        };
        assert!(with(|range| range.seen = [f32::NAN, 1.0]).is_none());
        assert!(with(|range| (range.seen, range.scale) = ([0.0; 2], 0.0)).is_none());
        assert!(with(|range| range.scale = f32::INFINITY).is_none());
        assert!(with(|range| range.histogram.clear()).is_none());
        assert!(with(|range| range.histogram.fill(0)).is_none());
        assert!(bar(f64::NAN).into_string().contains("width=\"0.0\""));
    }
}
