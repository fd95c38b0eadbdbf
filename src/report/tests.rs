//! The page and the summary say what is known, and names in them stay names.

use super::*;

const HOSTILE: &str = "<script>alert(\"x\")</script> & 'y'\u{1b}[31m";

fn report() -> Report {
    let layer = |name: &str, reason: Option<&str>, signal_to_noise| LayerReport {
        name: name.to_owned(),
        in_levels: reason.is_none(),
        reason: reason.map(str::to_owned),
        signal_to_noise: Some(signal_to_noise),
        sensitivity: Some(44.4),
    };
    Report {
        calibration: Calibration {
            pictures: 96,
            held_back: 12,
            synthetic: false,
            seed: 7,
        },
        steps: vec![
            Step {
                name: "ranges".to_owned(),
                taken: true,
                signal_to_noise: Some(12.5),
            },
            Step {
                name: "rounding".to_owned(),
                taken: true,
                signal_to_noise: Some(21.0),
            },
        ],
        layers: vec![
            layer("stem", None, 33.3),
            layer(HOSTILE, Some("squeeze-and-excitation is small"), 9.75),
            layer("head", Some("squeeze-and-excitation is small"), 3080.0),
        ],
        ranges: vec![RangeReport {
            layer: HOSTILE.to_owned(),
            method: "mean square".to_owned(),
            scale: 0.1,
            zero_point: -128,
            seen: [0.0, 30.0],
            histogram: vec![1000, 10, 1, 1],
            tried: vec![("entropy".to_owned(), 30.25)],
        }],
        size: Sizes {
            before: 18_000_000,
            after: 4_500_000,
        },
        agreement: Agreement {
            pictures: 12,
            same_class: 11,
            top5_overlap: 0.9333,
            cosine: [0.9987, 0.9801],
        },
        worst: vec![
            Difference {
                file: HOSTILE.to_owned(),
                thumbnail: "\"><b>".to_owned(),
                float: (0, 0.75),
                int8: (99, 0.5),
                cosine: 0.9801,
            },
            Difference {
                thumbnail: String::new(),
                ..Difference::default()
            },
        ],
    }
}

fn page(report: &Report) -> String {
    let page = Page {
        name: HOSTILE,
        facts: &[("Licence", HOSTILE.to_owned())],
        labels: &[HOSTILE.to_owned()],
        report,
        same_class: (0.64, 0.985),
    };
    page.to_html()
}

/// What is between the tags; that they are closed, in their order, is checked.
fn text(html: &str) -> String {
    const VOID: [&str; 4] = ["!DOCTYPE", "meta", "img", "br"];
    let mut open = Vec::new();
    let mut text = String::new();
    for part in html.split('<').skip(1) {
        let (tag, after) = part.split_once('>').unwrap();
        let name = tag.split_whitespace().next().unwrap();
        match name.strip_prefix('/') {
            Some(name) => assert_eq!(open.pop(), Some(name)),
            None if VOID.contains(&name) => {}
            None => open.push(name),
        }
        text += after;
    }
    assert!(open.is_empty(), "{open:?}");
    text
}

#[test]
fn the_page_has_what_is_known() {
    let html = page(&report());
    let text = text(&html);
    for part in [
        "11 of 12",
        "93.3 %",
        "91.7 %",
        "between 64.0 % and 98.5 %",
        "0.9987",
        "0.9801",
        "4.50 MB",
        "18.00 MB",
        "1 of 3",
        "seed 7",
        "+8.5 dB",
        "33.3 dB",
        "9.8 dB",
        "exact",
        "44.4 dB",
        "squeeze-and-excitation is small",
        "mean square",
        "1 tried",
        "entropy: 30.2 dB",
        "0 to 25.5",
        "different class",
        "75.0 %",
        "class 99",
        "no picture",
    ] {
        assert!(text.contains(part), "{part}");
    }
    assert!(!text.contains("Synthetic"));
    assert!(html.contains("role=\"img\""));
}

#[test]
fn names_stay_names() {
    let html = page(&report());
    text(&html);
    assert!(!html.contains("<script"), "{html}");
    assert!(
        html.contains("&lt;script&gt;alert(&quot;x&quot;)"),
        "{html}"
    );
    assert!(html.contains("base64,&quot;&gt;&lt;b&gt;\""), "{html}");
    // Nothing comes from elsewhere.
    for part in ["http:", "https:", "url(", "@import", "<link"] {
        assert!(!html.contains(part), "{part}");
    }
    assert!(!report().to_string().contains('\u{1b}'));
}

#[test]
fn what_is_not_known_is_left_out_or_said() {
    let empty = page(&Report::default());
    let said = text(&empty);
    assert!(said.contains("Not measured: no photographs"));
    for id in ["steps", "differences", "layers", "ranges"] {
        assert!(!empty.contains(&format!("id=\"{id}\"")), "{id}");
    }
    let mut synthetic = Report::default();
    synthetic.calibration.synthetic = true;
    assert!(text(&page(&synthetic)).contains("Synthetic."));
    assert!(synthetic.to_string().contains("random pictures"));
    assert!(page(&Report::default()).len() < 20_000);
}

#[test]
fn the_summary_is_short() {
    let text = report().to_string();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        lines[..5],
        [
            "calibrated with 96 photographs",
            "of 12 photographs held back, 11 get the same class as in float; 93.3 % of the five likeliest in common; cosine \
             of logits 0.9987, 0.9801 at least",
            "weights and biases: 18.00 MB in float, 4.50 MB now (25 %)",
            "1 layers in int8, 2 in float",
            "  squeeze-and-excitation is small: <script>alert(\"x\")</script> & 'y' [31m, head",
        ]
    );
    assert!(lines[5].starts_with("least signal to quantization noise: 9.8 dB in <script>"));
    assert_eq!(lines.len(), 6);
}

/// What another version wrote has other fields, and what is missing is not known.
#[test]
fn reports_of_other_versions_are_read() {
    let found: Report = serde_json::from_str(r#"{"size": {"before": 3}, "more": 1}"#).unwrap();
    assert_eq!((found.size.before, found.size.after), (3, 0));
    let mut report = report();
    report.layers[2].signal_to_noise = Some(f64::INFINITY);
    report.layers[1].sensitivity = Some(f64::NAN);
    let json = report.to_json().unwrap();
    report.layers[2].signal_to_noise = Some(NOISELESS);
    report.layers[1].sensitivity = None;
    assert_eq!(serde_json::from_str::<Report>(&json).unwrap(), report);
}
