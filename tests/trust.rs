//! Plans are run only if they give what they gave where they were compiled, and if who had to sign them has.

mod support;

use std::path::Path;
use std::process::Command;

use serde_json::Value;
use support::{MODEL, run, stderr, stdout};

const PICTURE: &str = "tests/photos/labelled/panda.jpg";

fn path(directory: &Path, name: &str) -> String {
    directory.join(name).to_str().unwrap().to_owned()
}

/// The bundled model as a plan.
fn compile(directory: &Path, name: &str, options: &[&str]) -> String {
    let plan = path(directory, name);
    let output = run(&[&["compile", MODEL, "-o", &plan], options].concat());
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    plan
}

fn succeeds(arguments: &[&str]) -> String {
    let output = run(arguments);
    assert_eq!(
        output.status.code(),
        Some(0),
        "{arguments:?}: {}",
        stderr(&output)
    );
    stdout(&output)
}

fn refused(arguments: &[&str], parts: &[&str]) -> String {
    let output = run(arguments);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}");
    let text = stderr(&output);
    for part in parts {
        assert!(text.contains(part), "{arguments:?}: {part}: {text}");
    }
    stdout(&output)
}

#[test]
fn compiling_twice_gives_the_same_bytes() {
    let directory = tempfile::tempdir().unwrap();
    // As few photographs as will do.
    let photographs = path(directory.path(), "photographs");
    std::fs::create_dir(&photographs).unwrap();
    let entries = std::fs::read_dir("tests/photos/calibration").unwrap();
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    for file in files.iter().take(20) {
        let name = file.file_name().unwrap();
        std::fs::copy(file, Path::new(&photographs).join(name)).unwrap();
    }
    let int8 = ["--int8", "--calibration", &photographs];
    for (name, options) in [("f32", &[][..]), ("int8", &int8[..])] {
        let [first, second] = ["a", "b"].map(|at| {
            let directory = directory.path().join(at);
            std::fs::create_dir_all(&directory).unwrap();
            std::fs::read(compile(&directory, &format!("{name}.plan"), options)).unwrap()
        });
        assert!(first == second, "{name}");
    }
}

/// Changes the JSON of a plan's contents, with the checksum that belongs to it.
fn edit(plan: &str, edit: impl FnOnce(&mut Value)) {
    let bytes = std::fs::read(plan).unwrap();
    let len = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let mut header: Value = serde_json::from_slice(&bytes[8..8 + len]).unwrap();
    let entry = &mut header["__metadata__"]["edge-classify"];
    let mut envelope: Value = serde_json::from_str(entry.as_str().unwrap()).unwrap();
    let mut contents = serde_json::from_str(envelope["contents"].as_str().unwrap()).unwrap();
    edit(&mut contents);
    let contents = contents.to_string();
    let checksum = xxhash_rust::xxh3::xxh3_64(contents.as_bytes());
    envelope["checksum"] = format!("{checksum:016x}").into();
    envelope["contents"] = contents.into();
    *entry = envelope.to_string().into();
    let header = header.to_string();
    let new = (header.len() as u64).to_le_bytes();
    std::fs::write(plan, [&new, header.as_bytes(), &bytes[8 + len..]].concat()).unwrap();
}

#[test]
fn a_plan_that_says_something_else_is_not_run() {
    let directory = tempfile::tempdir().unwrap();
    let plan = compile(directory.path(), "x.plan", &[]);
    let classify = ["--model", &plan, "--source", PICTURE, "--output", "jsonl"];
    succeeds(&classify);
    let text = succeeds(&["doctor", "--model", &plan]);
    assert!(
        text.contains("self-test: the logits") && text.contains("2 pictures"),
        "{text}"
    );
    edit(&plan, |contents| {
        contents["self_test"]["pictures"][0]["seed"] = 77.into()
    });
    let says = [
        "x.plan: the self-test fails",
        "picture 77",
        "was expected",
        "Compile it again",
        "--no-self-test",
    ];
    assert_eq!(refused(&classify, &says), "");
    succeeds(&[&classify[..], &["--no-self-test"]].concat());
    succeeds(&["bench", &plan, "--runs", "1"]);
    let text = refused(&["doctor", "--model", &plan], &["cannot be used"]);
    assert!(text.contains("! ") && text.contains("picture 77"), "{text}");
    edit(&plan, |contents| {
        drop(contents.as_object_mut().unwrap().remove("self_test"))
    });
    succeeds(&classify);
    let text = succeeds(&["doctor", "--model", &plan]);
    assert!(text.contains("no self-test in this plan"), "{text}");
    let text = succeeds(&["doctor", "--model", MODEL]);
    assert!(text.contains("which only plans have"), "{text}");
}

/// Of RFC 8032, 7.1, as OpenSSL writes them: the first test's, and the second test's public key.
const PRIVATE: &str = include_str!("data/keys/private.pem");
const PUBLIC: &str = include_str!("data/keys/public.pem");
const OTHER: &str = include_str!("data/keys/other.pem");

#[test]
fn only_what_the_key_signed_is_run() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = path(directory.path(), name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let [private, public, other] = [
        ("key.pem", PRIVATE),
        ("pub.pem", PUBLIC),
        ("other.pem", OTHER),
    ]
    .map(|(name, text)| write(name, text));
    let plan = compile(directory.path(), "x.plan", &["--sign", &private]);
    let signature = format!("{plan}.sig");
    assert_eq!(std::fs::metadata(&signature).unwrap().len(), 64);
    let tensor = path(directory.path(), "in.npy");
    let logits = path(directory.path(), "out.npy");
    write_zeros(&tensor);
    let labelled = "tests/photos/labelled";
    let commands: [&[&str]; 6] = [
        &["--model", &plan, "--source", PICTURE],
        &["infer", &plan, "--tensor", &tensor, "--output", &logits],
        &["bench", &plan, "--runs", "1"],
        &["inspect", &plan],
        &["validate", &plan, "--data", labelled, "--compare", &plan],
        &["doctor", "--model", &plan],
    ];
    let with = |command: &[&str], key: &str| -> Vec<String> {
        let words = [command, &["--require-signature", key]].concat();
        words.into_iter().map(str::to_owned).collect()
    };
    let all_refused = |key: &str, parts: &[&str]| {
        for command in commands {
            let words = with(command, key);
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            match command[0] {
                "doctor" => {
                    let text = refused(&words, &["cannot be used"]);
                    assert!(parts.iter().all(|part| text.contains(part)), "{text}");
                }
                _ => assert_eq!(refused(&words, parts), "", "{words:?}"),
            }
        }
    };
    for command in commands {
        let words = with(command, &public);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        succeeds(&words);
    }
    all_refused(
        &other,
        &["x.plan.sig is no signature of this file", "other.pem"],
    );
    all_refused(&private, &["key.pem: not an Ed25519 public key"]);
    // A plan that is whole, with another label.
    let original = std::fs::read(&plan).unwrap();
    edit(&plan, |contents| {
        let labels = contents["labels"]
            .as_str()
            .unwrap()
            .replacen("tench", "trout", 1);
        contents["labels"] = labels.into();
    });
    succeeds(commands[0]);
    all_refused(
        &public,
        &["x.plan.sig is no signature of this file", "do not use it"],
    );
    std::fs::write(&plan, &original).unwrap();
    std::fs::rename(&signature, path(directory.path(), "away")).unwrap();
    all_refused(
        &public,
        &["x.plan: not signed", "x.plan.sig", "--sign KEY.pem"],
    );
    let onnx = ["inspect", MODEL, "--require-signature", &public];
    refused(&onnx, &[MODEL, "only plans can be signed"]);
    let unsigned = path(directory.path(), "y.plan");
    refused(
        &["compile", MODEL, "-o", &unsigned, "--sign", &public],
        &["pub.pem: not an Ed25519 private key"],
    );
    assert!(!Path::new(&unsigned).exists());
}

fn write_zeros(path: &str) {
    use npyz::WriterBuilder;
    let file = std::fs::File::create(path).unwrap();
    let writer = npyz::WriteOptions::new()
        .default_dtype()
        .shape(&[1, 3, 224, 224]);
    let mut writer = writer.writer(file).begin_nd().unwrap();
    writer
        .extend(std::iter::repeat_n(0.0_f32, 3 * 224 * 224))
        .unwrap();
    writer.finish().unwrap();
}

/// Where it is on the machine.
#[test]
fn openssl_makes_and_verifies_the_same_signatures() {
    let directory = tempfile::tempdir().unwrap();
    let openssl = |arguments: &[&str]| {
        let mut command = Command::new("openssl");
        command
            .args(arguments)
            .current_dir(directory.path())
            .output()
    };
    match openssl(&["version"]) {
        Ok(output) if output.status.success() => {}
        _ => {
            eprintln!("no openssl here: not compared");
            return;
        }
    }
    let done = |arguments: &[&str]| {
        let output = openssl(arguments).unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
    };
    done(&["genpkey", "-algorithm", "ed25519", "-out", "key.pem"]);
    done(&["pkey", "-in", "key.pem", "-pubout", "-out", "pub.pem"]);
    let at = |name: &str| path(directory.path(), name);
    let plan = compile(directory.path(), "x.plan", &["--sign", &at("key.pem")]);
    let verify = [
        "pkeyutl", "-verify", "-rawin", "-pubin", "-inkey", "pub.pem", "-in", "x.plan",
    ];
    done(&[&verify[..], &["-sigfile", "x.plan.sig"]].concat());
    // Theirs for ours.
    std::fs::remove_file(format!("{plan}.sig")).unwrap();
    done(&[
        "pkeyutl",
        "-sign",
        "-rawin",
        "-inkey",
        "key.pem",
        "-in",
        "x.plan",
        "-out",
        "x.plan.sig",
    ]);
    succeeds(&["inspect", &plan, "--require-signature", &at("pub.pem")]);
}
