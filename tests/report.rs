//! `inspect` tells how a plan in int8 was quantized, in a few lines and as a page.

mod support;

use std::path::Path;

use support::{MODEL, run, some_photographs, stderr, stdout};

/// A plan calibrated with 16 photographs, of which two are held back.
fn compile(directory: &Path) -> String {
    let photographs = some_photographs(directory, 16);
    let plan = directory.join("lite0.plan").to_str().unwrap().to_owned();
    let output = run(&[
        "compile",
        MODEL,
        "--int8",
        "--calibration",
        &photographs,
        "-o",
        &plan,
    ]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(
        stderr(&output).contains("of 2 photographs held back"),
        "{}",
        stderr(&output)
    );
    plan
}

#[test]
fn a_plan_in_int8_tells_what_it_cost() {
    let directory = tempfile::tempdir().unwrap();
    let plan = compile(directory.path());
    let output = run(&["inspect", &plan]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let text = stdout(&output);
    for part in [
        "calibrated with 14 photographs",
        "of 2 photographs held back, ",
        "weights and biases: 18.5",
        "layers in int8, ",
        "least signal to quantization noise: ",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }

    let page = directory.path().join("report.html");
    let output = run(&["inspect", &plan, "--report", page.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(stdout(&output), "");
    let html = std::fs::read_to_string(&page).unwrap();
    for part in [
        "<h1>tf_efficientnet_lite0</h1>",
        "Apache-2.0",
        "224",
        " of 2</b>",
        "<figcaption>",
        "Layers",
        "Ranges",
    ] {
        assert!(html.contains(part), "{part}");
    }
    // JPEGs begin so.
    assert_eq!(html.matches("src=\"data:image/jpeg;base64,/9j/").count(), 2);
    let labels = std::fs::read_to_string("models/imagenet_labels.txt").unwrap();
    let named = |label: &str| html.contains(&format!("<dd>{label} <span"));
    assert!(labels.lines().any(named), "no label is on the page");

    // The report is the last of the file.
    let mut bytes = std::fs::read(&plan).unwrap();
    let last = bytes.len() - 100;
    bytes[last] ^= 4;
    std::fs::write(&plan, &bytes).unwrap();
    std::fs::remove_file(&page).unwrap();
    for more in [&[][..], &["--report", page.to_str().unwrap()]] {
        let output = run(&[&["inspect", &plan], more].concat());
        assert_eq!(output.status.code(), Some(1));
        let text = stderr(&output);
        assert!(
            text.contains("lite0.plan: damaged") && text.contains("report"),
            "{text}"
        );
        assert_eq!(stdout(&output), "");
    }
    assert!(!page.exists());
}

#[test]
fn without_a_report_there_is_no_page() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let (plan, page) = (path("lite0.plan"), path("report.html"));
    let output = run(&["compile", MODEL, "-o", &plan]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    for (model, says) in [
        (MODEL, "not a plan"),
        (&plan, "it is in f32, not quantized"),
    ] {
        let output = run(&["inspect", model, "--report", &page]);
        assert_eq!(output.status.code(), Some(1));
        let text = stderr(&output);
        assert!(text.contains(says) && text.contains("--int8"), "{text}");
        assert!(!Path::new(&page).exists());
    }
}
