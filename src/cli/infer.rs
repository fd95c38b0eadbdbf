//! `infer`: a raw tensor through a model, for comparison with other runtimes.

use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::path::Path;

use anyhow::{Context, Result, bail};
use npyz::{NpyFile, Order, WriterBuilder};

use super::args::InferArgs;
use crate::daemon;

pub fn infer(args: &InferArgs) -> Result<()> {
    let installed = args.trust.find_model(&args.model)?;
    let options = args.engine.options()?;
    let mut session = daemon::load_session(&installed, &options)?;
    let (height, width) = session.input_size();
    let tensor = read(&args.tensor, [1, 3, height as u64, width as u64])
        .with_context(|| args.tensor.display().to_string())?;
    let logits = session.run(&tensor)?;
    write(&args.output, &logits).with_context(|| args.output.display().to_string())
}

/// Reads a float32 array of the given shape; a missing batch axis is accepted.
fn read(path: &Path, shape: [u64; 4]) -> Result<Vec<f32>> {
    let file = BufReader::new(File::open(path)?);
    let npy = NpyFile::new(file).context("not a .npy file")?;
    let found = npy.shape().to_vec();
    if found != shape && found != shape[1..] {
        bail!("the tensor is {found:?}, but the model's input is {shape:?}");
    }
    if npy.order() != Order::C {
        bail!("the tensor is in Fortran order; save numpy.ascontiguousarray(tensor)");
    }
    let Ok(values) = npy.data::<f32>() else {
        bail!("the tensor is not float32; save tensor.astype(numpy.float32)");
    };
    let mut tensor = Vec::with_capacity(shape.iter().product::<u64>() as usize);
    for value in values {
        tensor.push(value?);
    }
    Ok(tensor)
}

fn write(path: &Path, logits: &[f32]) -> Result<()> {
    let mut out = BufWriter::new(File::create(path)?);
    let mut writer = npyz::WriteOptions::new()
        .default_dtype()
        .shape(&[1, logits.len() as u64])
        .writer(&mut out)
        .begin_nd()?;
    writer.extend(logits.iter().copied())?;
    writer.finish()?;
    out.flush()?;
    Ok(())
}
