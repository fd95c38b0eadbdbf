//! Files of predictions: where they may be, and how shards become a whole.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::process::Command;

use serde_json::Value;

use super::support::{program, run, stderr, stdout, with_file_limit};
use super::{COUNT, MODEL, copy, folders, report, synset, validate};

#[test]
fn shards_merge_to_the_whole_run_byte_for_byte() {
    let root = tempfile::tempdir().unwrap();
    let data = folders(root.path());
    let at = |name: &str| root.path().join(name).to_str().unwrap().to_owned();
    let whole = validate(&data, &["--predictions", &at("whole.csv")]);
    assert_eq!(whole.status.code(), Some(0), "{}", stderr(&whole));
    let shards: Vec<_> = (1..=3).map(|index| at(&format!("{index}.csv"))).collect();
    for (index, file) in shards.iter().enumerate() {
        let shard = format!("{}/3", index + 1);
        let output = validate(&data, &["--shard", &shard, "--predictions", file]);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        assert!(stdout(&output).contains(&format!("shard     {shard}")));
    }
    let merge = |more: &[&str]| run(&[&["validate", "merge"], more].concat());
    let [a, b, c] = [&shards[0], &shards[1], &shards[2]].map(String::as_str);
    let merged = merge(&[c, a, b, "--predictions", &at("merged.csv")]);
    assert_eq!(merged.status.code(), Some(0), "{}", stderr(&merged));
    assert_eq!(stdout(&merged), stdout(&whole));
    let read = |name: &str| std::fs::read_to_string(at(name)).unwrap();
    assert_eq!(read("merged.csv"), read("whole.csv"));
    assert_eq!(read("whole.csv").lines().count(), COUNT + 2);
    // Two ways to change a file that the number of its lines does not show.
    let third = std::fs::read_to_string(c).unwrap();
    let last = third.lines().last().unwrap();
    let (path, rest) = last.split_once(',').unwrap();
    let (class, rest) = rest.split_once(',').unwrap();
    let change = |name: &str, line: String| {
        std::fs::write(at(name), third.replace(last, &line)).unwrap();
    };
    let other_class = class.parse::<usize>().unwrap() + 1;
    change("other-class.csv", format!("{path},{other_class},{rest}"));
    change("moved.csv", format!("0/{path},{class},{rest}"));
    for (files, says) in [
        (&[a, b][..], "shard 3/3"),
        (&[a, b, b, c], "both shard 2 of 3"),
        (&[&at("whole.csv")], "not a shard"),
        (&["README.md"], "README.md: not a file of predictions"),
        (&["none.csv"], "none.csv"),
        (&[a, b, &at("other-class.csv")], "a file was changed"),
        (&[a, b, &at("moved.csv")], "does not belong to shard 3 of 3"),
    ] {
        let refused = merge(files);
        assert_eq!(refused.status.code(), Some(1));
        assert!(
            stderr(&refused).contains(says),
            "{says}: {}",
            stderr(&refused)
        );
    }
}

#[test]
fn a_shard_of_unreadable_pictures_is_a_part_of_the_whole() {
    let root = tempfile::tempdir().unwrap();
    let data = root.path().join("data");
    let class = data.join(synset(388));
    copy("panda.jpg", &class.join("a.jpg"));
    std::fs::write(class.join("b.jpg"), "no picture").unwrap();
    let at = |name: &str| root.path().join(name).to_str().unwrap().to_owned();
    for (index, status) in [(1, 0), (2, 1)] {
        let (shard, file) = (format!("{index}/2"), at(&format!("{index}.csv")));
        let output = validate(&data, &["--shard", &shard, "--predictions", &file]);
        assert_eq!(output.status.code(), Some(status), "{}", stderr(&output));
        let none = "none of the 1 pictures could be classified";
        assert_eq!(stderr(&output).contains(none), status == 1);
    }
    let merged = report(&run(&[
        "validate",
        "merge",
        &at("2.csv"),
        &at("1.csv"),
        "--json",
    ]));
    assert_eq!(
        (&merged["pictures"], &merged["unreadable"]),
        (&1.into(), &1.into())
    );
}

#[test]
fn a_place_that_cannot_have_the_predictions_is_refused_at_once() {
    let root = tempfile::tempdir().unwrap();
    let data = folders(root.path());
    let at = |name: &str| root.path().join(name).to_str().unwrap().to_owned();
    let fifo = at("fifo");
    let made = Command::new("mkfifo").arg(&fifo).status();
    assert!(made.unwrap().success());
    // One that is classified before the file is looked at would be reported.
    let class = data.join(synset(0));
    std::fs::create_dir_all(&class).unwrap();
    std::fs::write(class.join("text.jpg"), "no picture").unwrap();
    for (file, says) in [
        (at("folders"), "not a regular file"),
        (at("folders/.."), "not a regular file"),
        (fifo, "not a regular file"),
        ("/dev/stdout".to_owned(), "not a regular file"),
        (at("none/p.csv"), "cannot be written"),
    ] {
        let output = validate(&data, &["--predictions", &file]);
        let errors = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{file}: {errors}");
        assert!(errors.contains(&file) && errors.contains(says), "{errors}");
        assert!(!errors.contains("text.jpg"), "{errors}");
        assert!(output.stdout.is_empty());
    }
    // Where standard output goes to a file, that must not be replaced.
    let out = at("out.txt");
    let mut command = program();
    command.args(["validate", MODEL, "--data"]).arg(&data);
    command.args(["--predictions", "/dev/stdout"]);
    command.stdout(std::fs::File::create(&out).unwrap());
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("where the report goes"));
}

#[test]
fn the_report_is_printed_even_if_the_predictions_cannot_be_kept() {
    let root = tempfile::tempdir().unwrap();
    let data = folders(root.path());
    let csv = root.path().join("p.csv");
    std::fs::write(&csv, "old").unwrap();
    let mut command = program();
    command
        .args(["validate", MODEL, "--json", "--data"])
        .arg(&data)
        .arg("--predictions")
        .arg(&csv);
    let output = with_file_limit(&command, 1024).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("p.csv: cannot be written"),
        "{}",
        stderr(&output)
    );
    let report: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(report["pictures"], COUNT);
    assert_eq!(std::fs::read_to_string(&csv).unwrap(), "old");

    let link = root.path().join("link.csv");
    std::os::unix::fs::symlink("p.csv", &link).unwrap();
    let output = validate(&data, &["--predictions", link.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(link.is_symlink());
    assert!(std::fs::read_to_string(&csv).unwrap().starts_with("# {"));
}

#[test]
fn odd_names_are_opened_and_hidden_ones_passed_over() {
    let root = tempfile::tempdir().unwrap();
    let data = root.path().join("data");
    let class = data.join(synset(388));
    for name in [&b"a\xff.jpg"[..], b"a\xfe.jpg", b"b\n.jpg"] {
        copy("panda.jpg", &class.join(OsStr::from_bytes(name)));
    }
    for hidden in [".thumbs/a.jpg", ".a.jpg"] {
        copy("panda.jpg", &data.join(hidden));
    }
    let at = |name: &str| root.path().join(name).to_str().unwrap().to_owned();
    for shard in ["1", "2"] {
        let (of, file) = (format!("{shard}/2"), at(shard));
        let output = validate(&data, &["--shard", &of, "--predictions", &file]);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    }
    let (one, two, all) = (at("1"), at("2"), at("all.csv"));
    let merged = run(&[
        "validate",
        "merge",
        &one,
        &two,
        "--json",
        "--predictions",
        &all,
    ]);
    let merged = report(&merged);
    assert_eq!(
        (&merged["pictures"], &merged["unreadable"]),
        (&3.into(), &0.into())
    );
    let rows = std::fs::read_to_string(all).unwrap();
    for path in [r"a\xfe.jpg,388,", r"a\xff.jpg,388,", r"b\n.jpg,388,"] {
        assert!(rows.contains(path), "{rows}");
    }
}
