//! Photographs to calibrate a network with.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};

use crate::camera::pictures_below;
use crate::preprocess::{Spec, Transform, decode_file};

/// So few tell too little of what a network will see.
const FEWEST: usize = 16;
/// More tell nothing new, and are held in memory together.
const MOST: usize = 500;

/// Of so many, one is held back, to see what has come of the others.
const HELD_BACK: usize = 8;

/// Photographs as a network reads them: f32, in planes.
type Photographs = Vec<Vec<f32>>;

/// Those below a directory, and some that are held back. Of more than [`MOST`], as many are taken from all over the list of
/// their names. Those that cannot be read are left out, and said to be.
pub fn photographs(directory: &Path, spec: &Spec) -> Result<(Photographs, Photographs)> {
    let shown = directory.display();
    if !directory.is_dir() {
        bail!("{shown}: expected a directory of photographs to calibrate with");
    }
    let paths: Vec<PathBuf> = pictures_below(directory).collect();
    let found = paths.len();
    let paths = (0..found.min(MOST)).map(|at| &paths[at * found / found.min(MOST)]);
    let mut transform = Transform::new(spec.clone());
    let bar = progress(paths.len());
    let mut read = |path: &PathBuf| -> Result<Vec<f32>> {
        let picture = decode_file(path).with_context(|| path.display().to_string())?;
        let mut planes = vec![0.0; transform.tensor_len()];
        transform
            .run(&picture, &mut planes)
            .with_context(|| path.display().to_string())?;
        Ok(planes)
    };
    let mut pictures = Vec::new();
    for path in paths {
        match read(path) {
            Ok(planes) => pictures.push(planes),
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
    let (mut calibrating, mut held_back) = (Vec::new(), Vec::new());
    for (number, picture) in pictures.into_iter().enumerate() {
        match number % HELD_BACK == HELD_BACK / 2 {
            true => held_back.push(picture),
            false => calibrating.push(picture),
        }
    }
    Ok((calibrating, held_back))
}

fn progress(pictures: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} photographs, {eta} left");
    ProgressBar::new(pictures as u64).with_style(style.expect("the template is sound"))
}
