//! Figures as the page writes them.

use super::super::EXACT;

pub fn percent(part: f64) -> String {
    format!("{:.1} %", 100.0 * part)
}

/// Small ones with the digits that they have.
pub fn probability(part: f64) -> String {
    match part {
        part if part >= 0.001 => percent(part),
        _ => "below 0.1 %".to_owned(),
    }
}

/// Signal to noise, in dB.
pub fn decibel(value: f64) -> String {
    match value {
        value if value >= EXACT => "exact".to_owned(),
        value => format!("{value:.1} dB"),
    }
}

/// A value with three digits that count.
pub fn value(value: f64) -> String {
    let size = value.abs();
    let text = match size {
        0.0 => return "0".to_owned(),
        size if !(1e-3..1e5).contains(&size) => return format!("{value:.2e}"),
        size => {
            let before = size.log10().floor() as i32;
            format!("{value:.0$}", (2 - before).max(0) as usize)
        }
    };
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_three_digits() {
        for (given, text) in [
            (0.0, "0"),
            (6.0, "6"),
            (-0.5, "-0.5"),
            (0.023_529, "0.0235"),
            (123.456, "123"),
            (-12_345.0, "-12345"),
            (1e-7, "1.00e-7"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(value(given), text);
        }
        assert_eq!(
            (percent(0.9876), probability(0.0)),
            ("98.8 %".to_owned(), "below 0.1 %".to_owned())
        );
        assert_eq!(
            (decibel(3080.0), decibel(-1.25)),
            ("exact".to_owned(), "-1.2 dB".to_owned())
        );
    }
}
