use super::*;

#[test]
fn every_file_is_sound() {
    for board in Board::all() {
        let file = board.file;
        assert!(Threads::new(board.threads).is_some(), "{file}: threads");
        assert!(
            !board.models.is_empty() && !board.cores.is_empty(),
            "{file}"
        );
        assert_eq!(Board::named(file).unwrap().name, board.name);
        for model in &board.models {
            assert_eq!(Board::of_model(model).unwrap().file, file, "{model}");
        }
        for cores in &board.cores {
            let Cache { kb, shared_by } = cores.level_2;
            assert!(
                kb >= 128 && (1..=cores.count).contains(&shared_by),
                "{file}: cache"
            );
            let known = ["neon", "dotprod", "i8mm", "fp16"];
            assert!(
                cores.features.iter().all(|name| known.contains(&&name[..])),
                "{file}"
            );
        }
    }
    // A file that is not compiled in would be of no use.
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/boards");
    let files = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    let files = files.filter_map(|name| Some(name.to_str()?.strip_suffix(".toml")?.to_owned()));
    let mut files: Vec<String> = files.collect();
    files.sort();
    assert_eq!(files, BUNDLED.map(|(file, _)| file));
}

#[test]
fn boards_are_recognised() {
    let recognised = |model| Board::of_model(model).map(|board| board.file);
    for (model, file) in [
        ("Raspberry Pi 3 Model B Plus Rev 1.3", "raspberry_pi_3"),
        ("Raspberry Pi 4 Model B Rev 1.4", "raspberry_pi_4"),
        ("Raspberry Pi 400 Rev 1.0", "raspberry_pi_4"),
        ("Raspberry Pi 5 Model B Rev 1.0", "raspberry_pi_5"),
        ("Raspberry Pi Compute Module 5 Rev 1.0", "raspberry_pi_5"),
        ("Raspberry Pi Zero 2 W Rev 1.0", "raspberry_pi_zero_2_w"),
        ("NVIDIA Jetson Nano Developer Kit", "jetson_nano"),
        ("NVIDIA Jetson Xavier NX Developer Kit", "jetson_xavier_nx"),
        ("NVIDIA Orin Nano Developer Kit", "jetson_orin_nano"),
    ] {
        assert_eq!(recognised(model), Some(file), "{model}");
    }
    for model in ["Raspberry Pi Zero W Rev 1.1", "Pine64 RockPro64 v2.1", ""] {
        assert_eq!(recognised(model), None, "{model}");
    }
}

#[test]
fn caches_are_divided_among_the_threads_that_share_them() {
    let kb = |name, threads| {
        let board = Board::named(name).unwrap();
        board.level_2(Threads::new(threads).unwrap()) >> 10
    };
    assert_eq!(kb("raspberry_pi_4", 1), 1024);
    assert_eq!(kb("raspberry_pi_4", 4), 256);
    assert_eq!(kb("raspberry_pi_5", 4), 512);
    assert_eq!(kb("jetson_xavier_nx", 6), 1024);
}

#[test]
fn fp16_is_best_where_it_is_native() {
    let precision = |name| Board::named(name).unwrap().precision();
    assert_eq!(precision("raspberry_pi_4"), Precision::F32);
    assert_eq!(precision("raspberry_pi_5"), Precision::Fp16);
}

#[test]
fn an_unknown_name_is_told_which_there_are() {
    let error = Board::named("raspberry_pi_6").unwrap_err().to_string();
    for said in ["'raspberry_pi_6'", "jetson_nano", "raspberry_pi_5"] {
        assert!(error.contains(said), "{error}");
    }
}
