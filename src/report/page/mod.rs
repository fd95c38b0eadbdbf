//! A report as one HTML file that needs nothing beside it.
//!
//! Names of layers, labels and files are others': [`maud`] escapes them.

mod figures;
mod tables;
mod words;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use self::words::{percent, probability};
use super::summary::megabytes;
use super::{Difference, Report};

/// What the page shows.
pub struct Page<'a> {
    /// Name of the model.
    pub name: &'a str,
    /// What else is known of it: what that is called, and what it is.
    pub facts: &'a [(&'a str, String)],
    /// Names of the classes; one that has none is shown by its number.
    pub labels: &'a [String],
    pub report: &'a Report,
    /// Between what the share of all photographs is that get the same class, with 95 % confidence.
    pub same_class: (f64, f64),
}

/// Fonts are the reader's own; light or dark is as the reader has it.
const SHEET: &str = include_str!("style.css");

/// Nothing is to be fetched or run, whatever the page holds.
const POLICY: &str = "default-src 'none'; img-src data:; style-src 'unsafe-inline'";

impl Page<'_> {
    pub fn to_html(&self) -> String {
        let report = self.report;
        let sections: [(&str, &str, Option<Markup>); 7] = [
            ("model", "Model", Some(self.model())),
            ("agreement", "Agreement", Some(self.agreement())),
            ("steps", "Steps", tables::steps(&report.steps)),
            ("differences", "Largest differences", self.differences()),
            ("layers", "Layers", tables::layers(&report.layers)),
            ("ranges", "Ranges", tables::ranges(&report.ranges)),
            ("figures", "What the figures mean", Some(glossary())),
        ];
        let present = || {
            let sections = sections.iter();
            sections.filter_map(|(id, title, section)| Some((id, title, section.as_ref()?)))
        };
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta http-equiv="Content-Security-Policy" content=(POLICY);
                    meta name="color-scheme" content="light dark";
                    title { (self.name) ": report of quantization" }
                    style { (PreEscaped(SHEET)) }
                }
                body {
                    header {
                        p.kind { "Report of quantization to int8" }
                        h1 { (self.name) }
                        (self.outcome())
                        nav aria-label="Sections" {
                            ul {
                                @for (id, title, _) in present() {
                                    li { a href={ "#" (id) } { (title) } }
                                }
                            }
                        }
                    }
                    main {
                        @for (id, title, section) in present() {
                            section id=(id) aria-labelledby={ (id) "-title" } {
                                h2 id={ (id) "-title" } { (title) }
                                (section)
                            }
                        }
                    }
                    footer { p { "Written by edge-classify " (env!("CARGO_PKG_VERSION")) "." } }
                }
            }
        };
        page.into_string()
    }

    /// What it all comes to, first.
    fn outcome(&self) -> Markup {
        let Report {
            calibration,
            agreement,
            size,
            layers,
            ..
        } = self.report;
        let in_levels = layers.iter().filter(|layer| layer.in_levels).count();
        html! {
            @if calibration.synthetic {
                p.synthetic role="note" {
                    strong { "Synthetic." }
                    " Calibrated with random pictures: nothing here says how the network does on photographs. Compile it \
                     again with photographs before it is relied on."
                }
            }
            ul.tiles {
                @if agreement.pictures > 0 {
                    li {
                        b { (agreement.same_class) " of " (agreement.pictures) }
                        span { "photographs held back get the same class as in float" }
                    }
                    li {
                        b { (percent(agreement.top5_overlap)) }
                        span { "of the five likeliest classes are the same" }
                    }
                    li {
                        b { (format!("{:.4}", agreement.cosine[0])) }
                        span { "cosine of the logits" }
                    }
                } @else {
                    li {
                        b { "unknown" }
                        span { "agreement with float: no photographs were held back" }
                    }
                }
                @if size.before > 0 {
                    li {
                        b { (megabytes(size.after)) }
                        span { "of weights and biases, from " (megabytes(size.before)) }
                    }
                }
                @if !layers.is_empty() {
                    li {
                        b { (in_levels) " of " (layers.len()) }
                        span { "layers compute in int8" }
                    }
                }
            }
        }
    }

    fn model(&self) -> Markup {
        let Report {
            calibration, size, ..
        } = self.report;
        let pictures = match calibration.synthetic {
            true => "random pictures, no photographs",
            false => "photographs",
        };
        html! {
            dl {
                @for (name, value) in self.facts {
                    div { dt { (name) } dd { (value) } }
                }
                div {
                    dt { "Calibrated with" }
                    dd {
                        (calibration.pictures) " " (pictures)
                        @if calibration.held_back > 0 && !calibration.synthetic { ", " (calibration.held_back) " others held back" }
                        @if calibration.seed != 0 { ", seed " (calibration.seed) }
                    }
                }
                @if size.before > 0 {
                    div {
                        dt { "Weights and biases" }
                        dd {
                            (megabytes(size.before)) " in float, " (megabytes(size.after)) " now"
                            (figures::bar(size.after as f64 / size.before as f64))
                        }
                    }
                }
            }
        }
    }

    fn agreement(&self) -> Markup {
        let agreement = &self.report.agreement;
        if agreement.pictures == 0 {
            return html! {
                p { "Not measured: no photographs were held back to compare the two networks on." }
            };
        }
        let [mean, least] = agreement.cosine;
        let same_class = agreement.same_class as f64 / agreement.pictures as f64;
        let (low, high) = self.same_class;
        html! {
            p.lead {
                "The network in int8 beside the one in float that it was made of, on " (agreement.pictures)
                " photographs that took no part in the calibration."
            }
            (tables::table("Agreement of int8 with float", html! {
                thead { tr { th scope="col" { "Figure" } th.number scope="col" { "Value" } th scope="col" { "What it says" } } }
                tbody {
                    tr {
                        th scope="row" { "Same class" }
                        td.number { (percent(same_class)) }
                        td {
                            "Photographs whose likeliest class is the same. Of all photographs like these, between "
                            (percent(low)) " and " (percent(high)) ", with 95 % confidence. Whether the class is right, "
                            code { "validate" } " measures."
                        }
                    }
                    tr {
                        th scope="row" { "Five likeliest" }
                        td.number { (percent(agreement.top5_overlap)) }
                        td { "Of the five likeliest classes in float, the share that is among the five in int8, too." }
                    }
                    tr {
                        th scope="row" { "Cosine of logits, mean" }
                        td.number { (format!("{mean:.4}")) }
                        td { "1 where both give the same, but for a factor." }
                    }
                    tr {
                        th scope="row" { "Cosine of logits, least" }
                        td.number { (format!("{least:.4}")) }
                        td { "That of the photograph they differ most on." }
                    }
                }
            }))
        }
    }

    fn differences(&self) -> Option<Markup> {
        let worst = &self.report.worst;
        let others = worst.iter().filter(|worst| worst.float.0 != worst.int8.0);
        (!worst.is_empty()).then(|| {
            html! {
                p.lead {
                    "The photographs held back that the two see most differently, as the network sees them: "
                    @match others.count() {
                        0 => "all of them with the same class, those with the least cosine of logits first.",
                        _ => "those with different classes first, then those with the least cosine of logits.",
                    }
                }
                ul.photographs {
                    @for difference in worst { li { (self.difference(difference)) } }
                }
            }
        })
    }

    fn difference(&self, difference: &Difference) -> Markup {
        let differ = difference.float.0 != difference.int8.0;
        html! {
            figure class=[differ.then_some("differs")] {
                @if difference.thumbnail.is_empty() {
                    div.missing { "no picture" }
                } @else {
                    img alt={ "Photograph " (difference.file) } loading="lazy"
                        src={ "data:image/jpeg;base64," (difference.thumbnail) };
                }
                figcaption {
                    p.file { (difference.file) }
                    @if differ { p.mark { "different class" } }
                    dl {
                        @for (network, (class, score)) in [("float", difference.float), ("int8", difference.int8)] {
                            div {
                                dt { (network) }
                                dd { (self.label(class)) " " span.score { (probability(score)) } }
                            }
                        }
                        div { dt { "cosine" } dd { (format!("{:.4}", difference.cosine)) } }
                    }
                }
            }
        }
    }

    fn label(&self, class: usize) -> String {
        match self.labels.get(class) {
            Some(label) => label.clone(),
            None => format!("class {class}"),
        }
    }
}

fn glossary() -> Markup {
    html! {
        dl.glossary {
            div {
                dt { "Signal to noise (SQNR)" }
                dd {
                    "How much larger a layer's output in float is than what int8 changes of it, in decibels: 20 dB is a \
                     tenth in size, 40 dB a hundredth. Below 10 dB little is left of the signal. What comes of that, the \
                     agreement says: it adds up from layer to layer, and much of it averages out."
                }
            }
            div {
                dt { "Sensitivity" }
                dd {
                    "The signal to noise in the logits where this layer alone computes in int8 and all else in float: the \
                     lower, the more it would help to keep the layer in float."
                }
            }
            div {
                dt { "Range" }
                dd {
                    "What the 256 levels of a value reach. Values beyond it become its ends. A narrower one loses these, a \
                     wider one makes the steps between levels larger."
                }
            }
            div {
                dt { "Step" }
                dd { "What one level more stands for; level " i { "q" } " stands for step × (" i { "q" } " − zero point)." }
            }
        }
    }
}
