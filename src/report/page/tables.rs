//! Tables of steps, layers and ranges; none of what is not known.

use maud::{Markup, html};

use super::super::{LayerReport, RangeReport, Step};
use super::figures::{bar, histogram};
use super::words::{decibel, value};

/// Signal to noise that fills a bar, in dB.
const FULL: f64 = 60.0;

/// In a frame that scrolls where it is too wide for the screen. `name` is for those who do not see it.
pub fn table(name: &str, content: Markup) -> Markup {
    html! {
        div.scroll role="region" aria-label=(name) tabindex="0" {
            table { caption { (name) } (content) }
        }
    }
}

fn measured(signal_to_noise: Option<f64>) -> Markup {
    html! {
        @match signal_to_noise {
            Some(measured) => { (decibel(measured)) (bar(measured / FULL)) }
            None => span.none { "not measured" }
        }
    }
}

pub fn steps(steps: &[Step]) -> Option<Markup> {
    let mut before: Option<f64> = None;
    let mut changes = Vec::new();
    for step in steps {
        let after = step.signal_to_noise;
        changes.push(before.zip(after).map(|(before, after)| after - before));
        before = after.or(before);
    }
    (!steps.is_empty()).then(|| {
        html! {
            p.lead {
                "What was done, in order, and the signal to quantization noise in the logits after it, on the pictures \
                 calibrated with: more is better."
            }
            (table("Steps of quantization", html! {
                thead {
                    tr {
                        th scope="col" { "Step" }
                        th scope="col" { "Taken" }
                        th.number scope="col" { "Signal to noise" }
                        th.number scope="col" { "Change" }
                    }
                }
                tbody {
                    @for (step, change) in steps.iter().zip(changes) {
                        tr {
                            th scope="row" { (step.name) }
                            td { @if step.taken { "yes" } @else { span.none { "no" } } }
                            td.number { (measured(step.signal_to_noise)) }
                            td.number { @if let Some(change) = change { (format!("{change:+.1} dB")) } }
                        }
                    }
                }
            }))
        }
    })
}

pub fn layers(layers: &[LayerReport]) -> Option<Markup> {
    let any = |is: fn(&LayerReport) -> bool| layers.iter().any(is);
    let sensitivity = any(|layer| layer.sensitivity.is_some());
    let reasons = any(|layer| layer.reason.is_some());
    (!layers.is_empty()).then(|| {
        html! {
            p.lead {
                "In the order in which they run, with the signal to quantization noise in what each gives"
                @if sensitivity { ", and the sensitivity: that in the logits where this layer alone is in int8" }
                "."
            }
            (table("Layers", html! {
                thead {
                    tr {
                        th.number scope="col" { "No." }
                        th scope="col" { "Layer" }
                        th scope="col" { "In" }
                        th.number scope="col" { "Signal to noise" }
                        @if sensitivity { th.number scope="col" { "Sensitivity" } }
                        @if reasons { th scope="col" { "Why not int8" } }
                    }
                }
                tbody {
                    @for (number, layer) in layers.iter().enumerate() {
                        tr class=[(!layer.in_levels).then_some("float")] {
                            td.number { (number) }
                            th.name scope="row" { (layer.name) }
                            td { span.type { @if layer.in_levels { "int8" } @else { "float" } } }
                            td.number { (measured(layer.signal_to_noise)) }
                            @if sensitivity { td.number { (measured(layer.sensitivity)) } }
                            @if reasons { td { (layer.reason.as_deref().unwrap_or_default()) } }
                        }
                    }
                }
            }))
        }
    })
}

pub fn ranges(ranges: &[RangeReport]) -> Option<Markup> {
    (!ranges.is_empty()).then(|| {
        html! {
            p.lead {
                "Values between layers that are kept in levels: by which method their range was chosen, and how often \
                 values were seen (by logarithms). What is shaded, the levels reach; what is not, they cut off."
            }
            (table("Ranges", html! {
                thead {
                    tr {
                        th scope="col" { "Written by" }
                        th scope="col" { "Range" }
                        th scope="col" { "Values" }
                        th scope="col" { "Method" }
                    }
                }
                tbody { @for range in ranges { (row(range)) } }
            }))
        }
    })
}

fn row(range: &RangeReport) -> Markup {
    let [low, high] = range.reach();
    let [least, largest] = range.seen.map(f64::from);
    html! {
        tr {
            th.name scope="row" { (range.layer) }
            td {
                span.bounds { (value(low)) " to " (value(high)) }
                br;
                small { "step " (value(f64::from(range.scale))) ", zero at " (range.zero_point) }
            }
            td {
                @if let Some(histogram) = histogram(range) { (histogram) }
                @if least < largest { small { "seen " (value(least)) " to " (value(largest)) } }
            }
            td {
                (range.method)
                @if !range.tried.is_empty() {
                    details {
                        summary { (range.tried.len()) " tried" }
                        ul {
                            @for (method, signal_to_noise) in &range.tried {
                                li { (method) ": " (decibel(*signal_to_noise)) }
                            }
                        }
                    }
                }
            }
        }
    }
}
