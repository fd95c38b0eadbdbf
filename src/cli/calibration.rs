//! Pictures to calibrate a network with.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use image::RgbImage;
use indicatif::{ProgressBar, ProgressStyle};

use super::synthetic_pictures::{self, Random};
use crate::camera::pictures_below;
use crate::preprocess::{Spec, Transform, decode_file};

/// So few tell too little of what a network will see.
const FEWEST: usize = 16;
/// More tell nothing new, and are held in memory together.
const MOST: usize = 500;

/// Of so many, one is held back, to see what has come of the others.
const HELD_BACK: usize = 8;

/// Synthetic ones.
const SYNTHETIC: u64 = 128;

/// What stands for synthetic pictures in place of a directory.
const BY_NAME: &str = "synthetic";

/// As a network reads them: f32, in planes.
#[derive(Debug, Default)]
pub struct Pictures {
    /// To quantize with.
    pub calibrating: Vec<Vec<f32>>,
    /// To see what has come of that.
    pub held_back: Vec<Vec<f32>>,
    /// Names of those held back, without directories.
    pub files: Vec<String>,
    pub synthetic: bool,
}

impl Pictures {
    /// Those below a directory, or synthetic ones, if that is what it says.
    pub fn find(calibration: &Path, spec: &Spec, seed: u64) -> Result<Pictures> {
        match calibration.as_os_str() == BY_NAME {
            true => synthetic(spec, seed),
            false => photographs(calibration, spec, seed),
        }
    }

    /// Some are held back.
    fn of(pictures: impl IntoIterator<Item = (String, Vec<f32>)>, synthetic: bool) -> Pictures {
        let mut all = Pictures {
            synthetic,
            ..Pictures::default()
        };
        for (number, (file, picture)) in pictures.into_iter().enumerate() {
            match number % HELD_BACK == HELD_BACK / 2 {
                true => {
                    all.held_back.push(picture);
                    all.files.push(file);
                }
                false => all.calibrating.push(picture),
            }
        }
        all
    }
}

/// Those that cannot be read are left out, and said to be.
fn photographs(directory: &Path, spec: &Spec, seed: u64) -> Result<Pictures> {
    let shown = directory.display();
    if !directory.is_dir() {
        bail!("{shown}: expected a directory of photographs to calibrate with");
    }
    let paths: Vec<PathBuf> = pictures_below(directory).collect();
    let taken = some(paths.len(), seed);
    let mut transform = Transform::new(spec.clone());
    let bar = progress(taken.len());
    let mut pictures = Vec::new();
    for path in taken.into_iter().map(|at| &paths[at]) {
        let picture = decode_file(path).map_err(anyhow::Error::from);
        let planes = picture.and_then(|picture| planes(&mut transform, &picture));
        match planes.with_context(|| path.display().to_string()) {
            Ok(planes) => pictures.push((file_name(path), planes)),
            Err(error) => log::warn!("{error:#}; left out"),
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    if pictures.len() < FEWEST {
        bail!(
            "{shown}: {} photographs that can be read; int8 takes at least {FEWEST} to calibrate with, better a hundred, \
             like those that the camera will see",
            pictures.len()
        );
    }
    Ok(Pictures::of(pictures, false))
}

/// Of so many, by their index, [`MOST`] at most: from all over, as neighbours in a directory may be alike.
fn some(found: usize, seed: u64) -> Vec<usize> {
    let count = found.min(MOST);
    let mut random = Random(seed);
    let bound = |part: usize| part * found / count;
    let any = |part: usize| {
        let (first, end) = (bound(part), bound(part + 1));
        first + (random.next() % (end - first) as u64) as usize
    };
    (0..count).map(any).collect()
}

fn synthetic(spec: &Spec, seed: u64) -> Result<Pictures> {
    log::warn!(
        "calibrating with random pictures: nothing tells how the network will classify photographs; use it to try things \
         out, and calibrate with photographs for anything else"
    );
    let mut transform = Transform::new(spec.clone());
    let side = spec.resize.width.max(spec.resize.height);
    let pictures = (0..SYNTHETIC).map(|number| {
        let picture = synthetic_pictures::picture(seed, number, side);
        Ok((
            format!("{BY_NAME} {number}"),
            planes(&mut transform, &picture)?,
        ))
    });
    let pictures = pictures.collect::<Result<Vec<_>>>()?;
    Ok(Pictures::of(pictures, true))
}

fn planes(transform: &mut Transform, picture: &RgbImage) -> Result<Vec<f32>> {
    let mut planes = vec![0.0; transform.tensor_len()];
    transform.run(picture, &mut planes)?;
    Ok(planes)
}

fn file_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

fn progress(pictures: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} photographs, {eta} left");
    ProgressBar::new(pictures as u64).with_style(style.expect("the template is sound"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_are_thinned_out_by_seed() {
        assert!(some(0, 1).is_empty());
        assert_eq!(some(40, 1), (0..40).collect::<Vec<_>>());
        let few = some(3001, 1);
        assert_eq!(few.len(), MOST);
        assert!(few.windows(2).all(|pair| pair[0] < pair[1]) && few[MOST - 1] < 3001);
        assert!(few[0] < 7 && few[MOST - 1] > 2990);
        assert_eq!(few, some(3001, 1));
        assert_ne!(few, some(3001, 2));
    }

    #[test]
    fn some_are_held_back() {
        let pictures = (0..20).map(|number| (number.to_string(), vec![number as f32]));
        let all = Pictures::of(pictures, false);
        assert_eq!(all.files, ["4", "12"]);
        assert_eq!(all.held_back, [[4.0], [12.0]]);
        assert_eq!(all.calibrating.len(), 18);
    }
}
