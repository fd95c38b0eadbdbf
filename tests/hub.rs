//! `models pull` against a hub on the loopback interface.

mod support;

use std::path::Path;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicUsize, Ordering};

use support::repository::{COMMIT, CONFIG, NETWORK, REPOSITORY, Repository, weights};
use support::server::{Request, Response, Server};
use support::{program, stderr, stdout};

fn pull(hub: &str, model: &str, into: &Path) -> Command {
    let mut command = program();
    command
        .args(["models", "pull", model, "--hub", hub, "--into"])
        .arg(into)
        .env_remove("HF_TOKEN");
    for proxy in ["http_proxy", "https_proxy", "all_proxy", "no_proxy"] {
        command.env_remove(proxy).env_remove(proxy.to_uppercase());
    }
    command
}

fn files_below(directory: &Path) -> Vec<String> {
    let files = walkdir::WalkDir::new(directory).sort_by_file_name();
    files
        .into_iter()
        .flatten()
        .filter(|entry| !entry.file_type().is_dir())
        .map(|entry| entry.path().display().to_string())
        .collect()
}

fn assert_refused(output: &Output, says: &[&str]) {
    let text = stderr(output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    for part in says {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(output.stdout.is_empty());
}

/// Whether the model is there and computes something.
fn assert_usable(directory: &Path, name: &str) {
    let output = program()
        .args([
            "--model",
            name,
            "--source",
            "tests/photos/labelled/panda.jpg",
        ])
        .env("EDGE_CLASSIFY_MODELS", directory)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(support::records(&output)[0]["model"], name);
}

#[test]
fn a_pulled_model_is_installed_with_its_card() {
    let repository = Repository::new(weights(1000));
    let hub = Server::start(move |request| repository.answer(request));
    let directory = tempfile::tempdir().unwrap();
    let output = pull(&hub.address, NETWORK, directory.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(
        stderr(&output).contains("apache-2.0"),
        "{}",
        stderr(&output)
    );
    assert_usable(directory.path(), NETWORK);
    assert_eq!(files_below(directory.path()).len(), 3);

    let shown = program()
        .args(["models", "show", NETWORK])
        .env("EDGE_CLASSIFY_MODELS", directory.path())
        .output()
        .unwrap();
    let text = stdout(&shown);
    for part in [
        COMMIT,
        REPOSITORY,
        "apache-2.0",
        "Bilinear",
        "127.5",
        "63.75",
        "2.03 M",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    // The same network as an export of the same weights.
    let logits = |model: &str| {
        let out = directory.path().join("logits.npy");
        let output = program()
            .args([
                "infer",
                model,
                "--tensor",
                "tests/reference/input.npy",
                "--output",
            ])
            .arg(&out)
            .env("EDGE_CLASSIFY_MODELS", directory.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        support::npy(&out)
    };
    let exported = directory.path().join("exported.onnx");
    let exported = exported.to_str().unwrap();
    let output = support::run(&["export", NETWORK, "--weights", "synthetic", "-o", exported]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(logits(NETWORK), logits(exported));
    for request in hub.requests() {
        assert_eq!(request.method, "GET");
        assert_eq!(request.header("authorization"), None);
    }
}

#[test]
fn a_fine_tuned_network_brings_its_own_labels_and_name() {
    let mut repository = Repository::new(weights(3));
    repository.name = "me/birds.v1";
    repository.config = CONFIG.replace(
        "\"num_classes\": 1000",
        "\"num_classes\": 3, \"label_names\": [\"jay\", \"rook\", \"wren\"]",
    );
    let hub = Server::start(move |request| repository.answer(request));
    let directory = tempfile::tempdir().unwrap();
    let mut command = pull(&hub.address, "me/birds.v1", directory.path());
    let output = command.args(["--name", "birds"]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_usable(directory.path(), "birds");
    let labels = files_below(directory.path());
    let labels = labels.iter().find(|file| file.ends_with(".labels.txt"));
    assert_eq!(
        std::fs::read_to_string(labels.unwrap()).unwrap(),
        "jay\nrook\nwren\n"
    );
}

#[test]
fn a_broken_transfer_goes_on_where_it_ended() {
    let repository = Repository::new(weights(1000));
    let half = repository.weights.len() / 2;
    let path = repository.weights_path();
    let first = AtomicUsize::new(0);
    let hub = Server::start({
        let path = path.clone();
        move |request| {
            let mut response = repository.answer(request);
            if request.target == path && first.fetch_add(1, Ordering::Relaxed) == 0 {
                response.cut = Some(half);
            }
            response
        }
    });
    let directory = tempfile::tempdir().unwrap();
    let output = pull(&hub.address, NETWORK, directory.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_usable(directory.path(), NETWORK);
    let starts: Vec<_> = hub
        .requests()
        .iter()
        .filter(|request| request.target == path)
        .map(Request::range_start)
        .collect();
    assert_eq!(starts, [None, Some(half)]);
}

/// The connection breaks for good, and a later run goes on; one server ignores that only the rest is asked for.
#[test]
fn an_interrupted_download_is_resumed_by_the_next_run() {
    for ignores_ranges in [false, true] {
        let repository = Repository::new(weights(1000));
        let (part, path) = (repository.weights.len() / 3, repository.weights_path());
        let requests = AtomicUsize::new(0);
        let hub = Server::start({
            let path = path.clone();
            move |request| {
                if request.target != path {
                    return repository.answer(request);
                }
                match requests.fetch_add(1, Ordering::Relaxed) {
                    0 => Response {
                        cut: Some(part),
                        ..repository.answer(request)
                    },
                    1 => Response::new(503, ""),
                    _ if ignores_ranges => Response::new(200, repository.weights.as_slice()),
                    _ => repository.answer(request),
                }
            }
        });
        let directory = tempfile::tempdir().unwrap();
        let output = pull(&hub.address, NETWORK, directory.path())
            .output()
            .unwrap();
        assert_refused(&output, &["model.safetensors", "503", "try again later"]);
        // Only what was received is there, hidden, and not a model.
        let files = files_below(directory.path());
        assert_eq!(files.len(), 1, "{files:?}");
        assert_eq!(std::fs::metadata(&files[0]).unwrap().len(), part as u64);

        let output = pull(&hub.address, NETWORK, directory.path())
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        assert_usable(directory.path(), NETWORK);
        let log = hub.requests();
        let mut last = log.iter().filter(|request| request.target == path);
        assert_eq!(last.next_back().unwrap().range_start(), Some(part));
    }
}

#[test]
fn a_transfer_that_never_gets_further_is_an_error() {
    let repository = Repository::new(weights(1000));
    let path = repository.weights_path();
    let hub = Server::start(move |request| {
        let mut response = repository.answer(request);
        if request.target == path {
            response = Response::new(200, repository.weights.as_slice());
            response.cut = Some(1000);
        }
        response
    });
    let directory = tempfile::tempdir().unwrap();
    let output = pull(&hub.address, NETWORK, directory.path())
        .output()
        .unwrap();
    assert_refused(&output, &["1000 of", "run the command again"]);
}

#[test]
fn a_wrong_checksum_is_refused_and_the_installed_model_kept() {
    let good = Repository::new(weights(1000));
    let hub = Server::start(move |request| good.answer(request));
    let directory = tempfile::tempdir().unwrap();
    let output = pull(&hub.address, NETWORK, directory.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let before = files_below(directory.path());

    let mut bad = Repository::new(weights(1000));
    *bad.weights.last_mut().unwrap() ^= 1;
    let hub = Server::start(move |request| bad.answer(request));
    let output = pull(&hub.address, NETWORK, directory.path())
        .output()
        .unwrap();
    assert_refused(
        &output,
        &["model.safetensors", "SHA-256", "has been removed"],
    );
    assert_eq!(files_below(directory.path()), before);
    assert_usable(directory.path(), NETWORK);
}

#[test]
fn what_is_not_there_is_named() {
    let repository = Repository::new(weights(1000));
    let hub = Server::start(move |request| repository.answer(request));
    let directory = tempfile::tempdir().unwrap();
    struct Case {
        model: &'static str,
        says: &'static [&'static str],
    }
    let cases = [
        Case {
            model: "me/none",
            says: &["/api/models/me/none/revision/main", "404", "HF_TOKEN"],
        },
        Case {
            model: "mnasnet_small@v9",
            says: &["revision/v9", "404"],
        },
        Case {
            model: "mnasnet_smal",
            says: &["no network named 'mnasnet_smal'", "mnasnet_small"],
        },
        Case {
            model: "me/../x",
            says: &["OWNER/NAME"],
        },
        Case {
            model: "../x",
            says: &["OWNER/NAME"],
        },
        Case {
            model: "me/x@..",
            says: &["'..' is not a revision"],
        },
        Case {
            model: "chamnetv1_100",
            says: &["export chamnetv1_100"],
        },
    ];
    for case in cases {
        let output = pull(&hub.address, case.model, directory.path())
            .output()
            .unwrap();
        assert_refused(&output, case.says);
    }
    let output = pull("ftp://x", NETWORK, directory.path()).output().unwrap();
    assert_refused(&output, &["ftp://x"]);
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", nobody.local_addr().unwrap());
    drop(nobody);
    let output = pull(&address, NETWORK, directory.path()).output().unwrap();
    assert_refused(&output, &[&address]);
    assert!(files_below(directory.path()).is_empty());
}

#[test]
fn weights_that_do_not_fit_leave_nothing() {
    let mut repository = Repository::new(weights(1000));
    repository.name = "me/other";
    repository.config = CONFIG.replace("mnasnet_small", "mobilenetv3_small_100");
    let hub = Server::start(move |request| repository.answer(request));
    let directory = tempfile::tempdir().unwrap();
    let output = pull(&hub.address, "me/other", directory.path())
        .output()
        .unwrap();
    assert_refused(&output, &["do not fit this network", "blocks.0.0"]);
    assert!(files_below(directory.path()).is_empty());
}

/// What a hub answers names files here, and must not name others'.
#[test]
fn a_hostile_answer_touches_nothing() {
    let elsewhere = tempfile::tempdir().unwrap();
    let victim = elsewhere.path().join("important.safetensors");
    std::fs::write(&victim, "precious").unwrap();
    let path = elsewhere.path().join("important");
    for checksum in [path.to_str().unwrap(), "../../important", "", "abc"] {
        let mut repository = Repository::new(weights(1000));
        repository.sha256 = checksum.to_owned();
        let hub = Server::start(move |request| repository.answer(request));
        let directory = tempfile::tempdir().unwrap();
        let output = pull(&hub.address, NETWORK, directory.path())
            .output()
            .unwrap();
        assert_refused(&output, &["cannot be read", "SHA-256"]);
        assert_eq!(std::fs::read_to_string(&victim).unwrap(), "precious");
        assert!(files_below(directory.path()).is_empty());
    }
    let directory = tempfile::tempdir().unwrap();
    let mut command = pull("https://me:secret@hub.invalid", NETWORK, directory.path());
    let output = command.output().unwrap();
    assert_refused(&output, &["HF_TOKEN"]);
    assert!(!stderr(&output).contains("secret"));
    let mut command = pull("https://hub.invalid", NETWORK, directory.path());
    let output = command.env("HF_TOKEN", "a\nb").output().unwrap();
    assert_refused(&output, &["HF_TOKEN holds"]);
}

#[test]
fn pulls_at_the_same_time_wait_for_each_other() {
    let repository = Repository::new(weights(1000));
    let hub = Server::start(move |request| repository.answer(request));
    let directory = tempfile::tempdir().unwrap();
    let mut children: Vec<_> = (0..3)
        .map(|_| {
            let mut command = pull(&hub.address, NETWORK, directory.path());
            command.stderr(std::process::Stdio::null()).spawn().unwrap()
        })
        .collect();
    for child in &mut children {
        assert!(child.wait().unwrap().success());
    }
    assert_usable(directory.path(), NETWORK);
    assert_eq!(files_below(directory.path()).len(), 3);
}

/// Hubs redirect to where the files are; the token is not for that server.
#[test]
fn the_token_stays_with_the_hub() {
    let repository = Repository::new(weights(1000));
    let path = repository.weights_path();
    let bytes = repository.weights.clone();
    let storage = Server::start(move |request| Response::file(request, &bytes));
    // Another host, as far as HTTP is concerned.
    let elsewhere = storage.address.replace("127.0.0.1", "localhost") + "/bucket/42";
    let hub = Server::start(move |request| {
        let mut response = repository.answer(request);
        if request.target == path {
            response = Response::new(302, "");
            response.headers.push(("Location", elsewhere.clone()));
        }
        response
    });
    let directory = tempfile::tempdir().unwrap();
    let mut command = pull(&hub.address, NETWORK, directory.path());
    let output = command.env("HF_TOKEN", "secret").output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_usable(directory.path(), NETWORK);
    for request in hub.requests() {
        assert_eq!(request.header("authorization"), Some("Bearer secret"));
    }
    let there = storage.requests();
    assert_eq!(there.len(), 1);
    assert_eq!(there[0].header("authorization"), None);
    let mut command = pull("http://hub.invalid", NETWORK, directory.path());
    let output = command.env("HF_TOKEN", "secret").output().unwrap();
    assert_refused(&output, &["HF_TOKEN is not sent unencrypted"]);
}

#[test]
fn a_proxy_of_the_environment_is_used() {
    let proxy = Server::start(|_| Response::new(502, ""));
    let directory = tempfile::tempdir().unwrap();
    let mut command = pull("https://hub.invalid", NETWORK, directory.path());
    let output = command.env("HTTPS_PROXY", &proxy.address).output().unwrap();
    assert_refused(&output, &["hub.invalid"]);
    let requests = proxy.requests();
    assert_eq!(requests[0].method, "CONNECT");
    assert_eq!(requests[0].target, "hub.invalid:443");
}

/// Writing fails midway, first of the weights, then of the model made of them.
#[test]
fn a_full_disk_leaves_nothing_half_written() {
    let repository = Repository::new(weights(1000));
    let size = repository.weights.len();
    let hub = Server::start(move |request| repository.answer(request));
    for limit in [size / 2, size + 1024] {
        let directory = tempfile::tempdir().unwrap();
        let pull = pull(&hub.address, NETWORK, directory.path());
        let output = support::with_file_limit(&pull, limit).output().unwrap();
        assert_refused(&output, &["File too large"]);
        let files = files_below(directory.path());
        if limit < size {
            assert!(files.is_empty(), "{files:?}");
        } else {
            // The weights are whole, and the next run need not fetch them again.
            assert_eq!(files.len(), 1, "{files:?}");
            assert_eq!(std::fs::metadata(&files[0]).unwrap().len(), size as u64);
        }
    }
}
