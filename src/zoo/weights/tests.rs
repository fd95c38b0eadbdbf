//! Weights of both formats, good and bad.

use super::*;

fn spec(name: &str, shape: &[usize]) -> TensorSpec {
    TensorSpec {
        name: name.to_owned(),
        shape: shape.to_vec(),
    }
}

fn write(dir: &Path, tensors: &[(&str, &[usize], Vec<f32>)]) -> PathBuf {
    let bytes: Vec<(&str, &[usize], Vec<u8>)> = tensors
        .iter()
        .map(|(name, shape, values)| {
            (
                *name,
                *shape,
                values.iter().flat_map(|v| v.to_le_bytes()).collect(),
            )
        })
        .collect();
    let views = bytes.iter().map(|(name, shape, bytes)| {
        let view = ::safetensors::tensor::TensorView::new(
            ::safetensors::Dtype::F32,
            shape.to_vec(),
            bytes,
        );
        (*name, view.unwrap())
    });
    let path = dir.join("weights.safetensors");
    ::safetensors::serialize_to_file(views, None, &path).unwrap();
    path
}

#[test]
fn every_mismatch_is_listed() {
    let dir = tempfile::tempdir().unwrap();
    let path = write(
        dir.path(),
        &[
            ("a.weight", &[2], vec![1.0, 2.0]),
            ("b.weight", &[1, 2], vec![1.0, 2.0]),
            ("c.num_batches_tracked", &[1], vec![1.0]),
            ("d.weight", &[1], vec![1.0]),
        ],
    );
    let weights = Weights::File(FileWeights::open(&path, false).unwrap());
    weights
        .check(&[
            spec("a.weight", &[2]),
            spec("b.weight", &[1, 2]),
            spec("d.weight", &[1]),
        ])
        .unwrap();
    let error = weights
        .check(&[
            spec("a.weight", &[2]),
            spec("b.weight", &[2]),
            spec("e.weight", &[7]),
        ])
        .unwrap_err()
        .to_string();
    for part in [
        "weights.safetensors",
        "b.weight: expected [2], found [1, 2]",
        "e.weight: missing, expected [7]",
        "d.weight: [1] is in the file",
    ] {
        assert!(error.contains(part), "{error}");
    }
    assert!(!error.contains("num_batches_tracked"));
}

#[test]
fn values_that_are_not_numbers_are_refused_unless_allowed() {
    let dir = tempfile::tempdir().unwrap();
    let path = write(dir.path(), &[("a.weight", &[2], vec![1.0, f32::NAN])]);
    let tensor = spec("a.weight", &[2]);
    let error = FileWeights::open(&path, false)
        .unwrap()
        .read(&tensor)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("a.weight") && error.contains("--allow-nan") && error.contains("1 of 2"),
        "{error}"
    );
    assert!(
        FileWeights::open(&path, true)
            .unwrap()
            .read(&tensor)
            .unwrap()[1]
            .is_nan()
    );
}

#[test]
fn names_can_be_translated() {
    let dir = tempfile::tempdir().unwrap();
    let path = write(dir.path(), &[("features.0.weight", &[2], vec![1.0, 2.0])]);
    let table = dir.path().join("names.csv");
    std::fs::write(&table, "conv_stem.weight,features.0.weight\n\n").unwrap();
    let mut weights = FileWeights::open(&path, false).unwrap();
    weights.rename(&table).unwrap();
    let tensor = spec("conv_stem.weight", &[2]);
    weights.check(std::slice::from_ref(&tensor)).unwrap();
    assert_eq!(weights.read(&tensor).unwrap(), [1.0, 2.0]);
    std::fs::write(&table, "a,b\nonly one\n").unwrap();
    assert!(
        weights
            .rename(&table)
            .unwrap_err()
            .to_string()
            .contains("line: 2")
    );
}

#[test]
fn damaged_and_foreign_files_are_errors() {
    let dir = tempfile::tempdir().unwrap();
    let whole = std::fs::read(write(dir.path(), &[("a.weight", &[64], vec![1.0; 64])])).unwrap();
    let path = dir.path().join("damaged.safetensors");
    for bytes in [
        &whole[..whole.len() - 1],
        &whole[..20],
        &whole[..4],
        b"",
        &[0xff; 64][..],
    ] {
        std::fs::write(&path, bytes).unwrap();
        let error = FileWeights::open(&path, false)
            .map(|_| ())
            .unwrap_err()
            .to_string();
        assert!(error.contains("damaged.safetensors"), "{error}");
    }
    let other = dir.path().join("weights.ckpt");
    std::fs::write(&other, "x").unwrap();
    assert!(matches!(
        FileWeights::open(&other, false),
        Err(WeightsError::UnknownFormat { .. })
    ));
    let absent = dir.path().join("absent.safetensors");
    assert!(matches!(
        FileWeights::open(&absent, false),
        Err(WeightsError::Read { .. })
    ));
}

#[test]
fn checkpoints_as_pytorch_writes_them_are_read() {
    for name in [
        "checkpoint.pth",
        "checkpoint_before_1.6.pth",
        "an_archive_name_of_21.pth",
    ] {
        let path = Path::new("tests/data").join(name);
        let weights = FileWeights::open(&path, false).unwrap();
        let cases: [(_, &[usize], &[f32]); 3] = [
            ("conv.weight", &[2, 3], &[0.0, 2.0, 4.0, 1.0, 3.0, 5.0]),
            ("bn.running_var", &[3], &[2.0, 3.0, 4.0]),
            ("fc.bias", &[2], &[0.5, -1.5]),
        ];
        let specs = cases.map(|(name, shape, _)| spec(name, shape));
        weights.check(&specs).unwrap();
        for (spec, (_, _, values)) in specs.iter().zip(cases) {
            assert_eq!(weights.read(spec).unwrap(), values, "{name}");
        }
    }
    let error = FileWeights::open(Path::new("tests/data/hostile.pth"), false)
        .map(|_| ())
        .unwrap_err()
        .to_string();
    assert!(error.contains("names posix.system, which"), "{error}");
}

#[test]
fn names_cannot_command_a_terminal() {
    let dir = tempfile::tempdir().unwrap();
    let path = write(dir.path(), &[("\u{1b}[2J", &[1], vec![1.0])]);
    let weights = FileWeights::open(&path, false).unwrap();
    let error = weights.check(&[]).unwrap_err().to_string();
    assert!(
        !error.contains('\u{1b}') && error.contains("[2J"),
        "{error}"
    );
}
