//! Weights files that are damaged, of another kind or of another network: each export fails with a clear error, and writes
//! nothing.

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use edge_classify::zoo::{FileWeights, Registry, TensorSpec, Weights};
use support::checkpoint;
use support::stderr;
use support::workshop::{Workshop, tensors_of, tiny};

/// Opens weights, and reads them all.
fn load(path: &Path, tensors: &[TensorSpec]) -> Result<(), String> {
    let weights = Weights::File(FileWeights::open(path, false).map_err(|e| e.to_string())?);
    weights.check(tensors).map_err(|e| e.to_string())?;
    for tensor in tensors {
        weights.read(tensor).map_err(|e| e.to_string())?;
    }
    Ok(())
}

#[test]
fn files_of_other_kinds_are_refused() {
    let workshop = Workshop::new();
    let tensors = tiny(&workshop);
    let mut tar = vec![0; 1024];
    tar[257..262].copy_from_slice(b"ustar");
    let pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n";
    let cases: [(&str, &[u8], &str); 10] = [
        ("empty.pth", b"", "is empty"),
        ("empty.safetensors", b"", "is empty"),
        ("plain.pth", b"\x80\x02}.", "neither"),
        ("text.pth", b"no weights\n", "neither"),
        ("old.pth", &tar, "tar archive"),
        ("other.pth", &checkpoint::safetensors(&tensors), "neither"),
        (
            "other.safetensors",
            &checkpoint::checkpoint(&tensors),
            "safetensors",
        ),
        ("pointer.safetensors", pointer, "header"),
        ("pk.pth", b"PK\x03\x04", "zip archive is damaged"),
        ("weights.h5", b"\x89HDF", "expected a .safetensors file"),
    ];
    for (name, contents, says) in cases {
        workshop.write(name, contents);
        workshop.refused(name, name, &[says]);
    }
    for name in ["absent.pth", "absent.safetensors"] {
        workshop.refused(name, name, &["No such file"]);
    }
    for name in ["directory.pth", "directory.safetensors"] {
        fs::create_dir(workshop.at(name)).unwrap();
        workshop.refused(name, name, &["not a regular file"]);
    }
    // Nobody ever writes to these.
    for name in ["fifo.pth", "fifo.safetensors"] {
        let made = Command::new("mkfifo").arg(workshop.at(name)).status();
        assert!(made.unwrap().success());
        workshop.refused(name, name, &["not a regular file"]);
    }
    // Root reads everything.
    if !nix::unistd::geteuid().is_root() {
        for (name, contents) in [
            ("secret.pth", checkpoint::checkpoint(&tensors)),
            ("secret.safetensors", checkpoint::safetensors(&tensors)),
        ] {
            workshop.write(name, &contents);
            fs::set_permissions(workshop.at(name), fs::Permissions::from_mode(0o000)).unwrap();
            workshop.refused(name, name, &["Permission denied"]);
        }
    }
}

#[test]
fn safetensors_that_contradict_themselves_are_refused() {
    let workshop = Workshop::new();
    let tensors = tiny(&workshop);
    let with = checkpoint::safetensors_with;
    let tensor = |dtype: &str, shape: &str, offsets: &str| {
        format!(
            r#"{{"{}":{{"dtype":"{dtype}","shape":{shape},"data_offsets":{offsets}}}}}"#,
            tensors[0].name
        )
    };
    let two = r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},
                  "b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}"#;
    let announced = |len: u64| [&len.to_le_bytes()[..], b"{}"].concat();
    // The right shapes, of another type.
    let whole_numbers = {
        let mut begin = 0;
        let mut infos = Vec::new();
        for spec in &tensors {
            let end = begin + 8 * spec.shape.iter().product::<usize>();
            let (name, shape) = (&spec.name, &spec.shape);
            infos.push(format!(
                r#""{name}":{{"dtype":"I64","shape":{shape:?},"data_offsets":[{begin},{end}]}}"#
            ));
            begin = end;
        }
        with(&format!("{{{}}}", infos.join(",")), begin)
    };
    let cases: [(&str, Vec<u8>, &[&str]); 14] = [
        (
            "a header of exabytes",
            announced(u64::MAX),
            &["header of 18446744073709551615"],
        ),
        ("a header of 1 GB", announced(1 << 30), &["header"]),
        (
            "a header longer than the file",
            announced(3),
            &["header of 3 bytes, and 2"],
        ),
        (
            "no JSON",
            with("no JSON", 8),
            &["not a whole safetensors file"],
        ),
        (
            "not UTF-8",
            [&announced(2)[..8], b"\xff\xfe"].concat(),
            &["not a whole"],
        ),
        ("a list", with("[1, 2]", 8), &["not a whole"]),
        ("nothing", with("{}", 8), &["0 bytes, and 8 follow"]),
        ("overlapping tensors", with(two, 12), &["not a whole", "b"]),
        (
            "past the end",
            with(&tensor("F32", "[2]", "[0,8]"), 4),
            &["8 bytes, and 4"],
        ),
        (
            "a gap before",
            with(&tensor("F32", "[2]", "[4,12]"), 12),
            &["not a whole"],
        ),
        (
            "backwards",
            with(&tensor("F32", "[2]", "[8,0]"), 8),
            &["not a whole"],
        ),
        (
            "another size than the shape",
            with(&tensor("F32", "[3]", "[0,8]"), 8),
            &["not a whole"],
        ),
        (
            "a shape that overflows",
            with(&tensor("F32", "[4294967296,4294967296,4]", "[0,8]"), 8),
            &["not a whole"],
        ),
        (
            "whole numbers",
            whole_numbers,
            &[&tensors[0].name, "is of type I64"],
        ),
    ];
    for (what, contents, says) in &cases {
        workshop.write("broken.safetensors", contents);
        workshop.refused("broken.safetensors", what, says);
    }
}

#[test]
fn files_cut_off_anywhere_are_refused_and_no_flipped_byte_crashes() {
    let workshop = Workshop::new();
    let tensors = tiny(&workshop);
    for (name, whole) in [
        ("cut.safetensors", checkpoint::safetensors(&tensors)),
        ("cut.pth", checkpoint::checkpoint(&tensors)),
        ("cut-legacy.pth", checkpoint::legacy(&tensors)),
    ] {
        let path = workshop.at(name);
        workshop.write(name, &whole);
        load(&path, &tensors).unwrap();
        for len in (0..whole.len()).step_by(17).chain([whole.len() - 1]) {
            workshop.write(name, &whole[..len]);
            let error = load(&path, &tensors).expect_err(&format!("{name}: {len}"));
            assert!(error.contains(name), "{error}");
        }
        for at in (0..whole.len()).step_by(5) {
            let mut flipped = whole.clone();
            flipped[at] ^= 1 << (at % 8);
            workshop.write(name, &flipped);
            // Weights in a file without checksums may come out changed.
            if let Err(error) = load(&path, &tensors) {
                assert!(error.contains(name), "{error}");
            }
        }
        for len in [0, whole.len() / 3, whole.len() - 9] {
            workshop.write(name, &whole[..len]);
            workshop.refused(name, &format!("{name} cut to {len}"), &[]);
        }
    }
}

#[test]
fn every_mismatch_is_listed_with_both_shapes() {
    let workshop = Workshop::new();
    let mut tensors = tensors_of(&Registry::bundled(), "mnasnet_small", 1000);
    let missing = tensors.remove(3);
    let wrong = tensors[10].clone();
    tensors[10].shape.insert(0, 2);
    tensors.push(TensorSpec {
        name: "fc.extra".to_owned(),
        shape: vec![3, 4],
    });
    for (name, contents) in [
        ("other.safetensors", checkpoint::safetensors(&tensors)),
        ("other.pth", checkpoint::checkpoint(&tensors)),
    ] {
        workshop.write(name, &contents);
        let output = workshop.export("mnasnet_small", name, &[]);
        let says = [
            format!("{}: missing, expected {:?}", missing.name, missing.shape),
            format!(
                "{}: expected {:?}, found {:?}",
                wrong.name, wrong.shape, tensors[10].shape
            ),
            "fc.extra: [3, 4] is in the file, but not in the network".to_owned(),
        ];
        let says: Vec<&str> = says.iter().map(String::as_str).collect();
        workshop.assert_refused(&output, name, name, &says);
        assert_eq!(stderr(&output).lines().count(), 4, "{}", stderr(&output));
    }
}

#[test]
fn weights_that_are_no_numbers_need_leave() {
    let workshop = Workshop::new();
    let tensors = tiny(&workshop);
    let mut contents = checkpoint::safetensors(&tensors);
    let at = contents.len() - 4;
    contents[at..].copy_from_slice(&f32::NAN.to_le_bytes());
    workshop.write("nan.safetensors", &contents);
    workshop.refused("nan.safetensors", "NaN", &["1 of ", "--allow-nan"]);
    let output = workshop.export("tiny", "nan.safetensors", &["--allow-nan"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(
        workshop.written().into_keys().collect::<Vec<_>>(),
        ["tiny.onnx", "tiny.toml"]
    );
}

#[test]
fn an_unknown_network_gets_the_nearest() {
    let workshop = Workshop::new();
    let output = workshop.export("mobilnetv3_100", "synthetic", &[]);
    let says = ["no network named 'mobilnetv3_100'; nearest: mobilenetv3_100"];
    workshop.assert_refused(&output, "mobilnetv3_100", "unknown", &says);
}
