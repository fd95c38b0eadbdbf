//! Weights files made byte by byte: pickles as PyTorch writes them, and others.

use std::io::{Cursor, Write};

use edge_classify::zoo::{TensorSpec, synthetic_tensor};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// A tensor as a pickle describes it.
#[derive(Clone)]
pub struct Described {
    pub name: String,
    pub class: &'static str,
    pub key: String,
    pub elements: i64,
    pub offset: i64,
    pub shape: Vec<i64>,
    pub strides: Vec<i64>,
}

impl Described {
    /// A contiguous tensor that has the storage `key` for itself.
    pub fn whole(name: &str, shape: &[usize], key: usize) -> Self {
        let shape: Vec<i64> = shape.iter().map(|n| *n as i64).collect();
        let strides = (0..shape.len()).map(|axis| shape[axis + 1..].iter().product());
        Described {
            name: name.to_owned(),
            class: "FloatStorage",
            key: key.to_string(),
            elements: shape.iter().product(),
            offset: 0,
            strides: strides.collect(),
            shape,
        }
    }

    /// Opcodes that leave the tensor on the stack.
    pub fn pickled(&self) -> Vec<u8> {
        let dims = |dims: &[i64]| {
            let items: Vec<u8> = dims.iter().flat_map(|n| int(*n)).collect();
            [b"(", &items[..], b"t"].concat()
        };
        [
            b"ctorch._utils\n_rebuild_tensor_v2\n((",
            &text("storage")[..],
            format!("ctorch\n{}\n", self.class).as_bytes(),
            &text(&self.key),
            &text("cpu"),
            &int(self.elements),
            b"tQ",
            &int(self.offset),
            &dims(&self.shape),
            &dims(&self.strides),
            b"\x89ccollections\nOrderedDict\n)RtR",
        ]
        .concat()
    }
}

/// BINUNICODE.
pub fn text(text: &str) -> Vec<u8> {
    [
        b"X",
        &(text.len() as u32).to_le_bytes()[..],
        text.as_bytes(),
    ]
    .concat()
}

/// LONG1 of eight bytes.
pub fn int(value: i64) -> Vec<u8> {
    [b"\x8a\x08", &value.to_le_bytes()[..]].concat()
}

/// The pickle of a state dict; `more` are opcodes of further keys and values.
pub fn state_dict(tensors: &[Described], more: &[u8]) -> Vec<u8> {
    let mut pickle = b"\x80\x02ccollections\nOrderedDict\n)R(".to_vec();
    for tensor in tensors {
        pickle.extend(text(&tensor.name));
        pickle.extend(tensor.pickled());
    }
    pickle.extend(more);
    pickle.extend(b"u.");
    pickle
}

/// A zip archive of stored entries.
pub fn archive<'a>(entries: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Vec<u8> {
    archive_with(CompressionMethod::Stored, entries)
}

pub fn archive_with<'a>(
    method: CompressionMethod,
    entries: impl IntoIterator<Item = (&'a str, &'a [u8])>,
) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, contents) in entries {
        let options = SimpleFileOptions::default().compression_method(method);
        writer.start_file(name, options).unwrap();
        writer.write_all(contents).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// Values of a weight, the same in every format.
pub fn values(tensor: &TensorSpec) -> Vec<u8> {
    let values = synthetic_tensor(&tensor.name, &tensor.shape, 1);
    values.into_iter().flat_map(f32::to_le_bytes).collect()
}

pub fn described(tensors: &[TensorSpec]) -> Vec<Described> {
    tensors
        .iter()
        .enumerate()
        .map(|(key, tensor)| Described::whole(&tensor.name, &tensor.shape, key))
        .collect()
}

/// A checkpoint with the pickle `pickle`, and a storage for each of `tensors` in turn.
pub fn with_pickle(pickle: &[u8], tensors: &[TensorSpec]) -> Vec<u8> {
    let storages: Vec<(String, Vec<u8>)> = tensors
        .iter()
        .enumerate()
        .map(|(key, tensor)| (format!("weights/data/{key}"), values(tensor)))
        .collect();
    let storages = storages
        .iter()
        .map(|(name, bytes)| (name.as_str(), bytes.as_slice()));
    let head: [(&str, &[u8]); 2] = [
        ("weights/data.pkl", pickle),
        ("weights/byteorder", b"little"),
    ];
    archive(
        head.into_iter()
            .chain(storages)
            .chain([("weights/version", &b"3\n"[..])]),
    )
}

/// A checkpoint as PyTorch writes it.
pub fn checkpoint(tensors: &[TensorSpec]) -> Vec<u8> {
    with_pickle(&state_dict(&described(tensors), b""), tensors)
}

/// A checkpoint as PyTorch wrote it before 1.6.
pub fn legacy(tensors: &[TensorSpec]) -> Vec<u8> {
    let keys: Vec<u8> = (0..tensors.len())
        .flat_map(|key| text(&key.to_string()))
        .collect();
    let mut bytes = [
        &b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."[..],
        b"\x80\x02M\xe9\x03.",
        b"\x80\x02}(",
        &text("little_endian"),
        b"\x88u.",
        &state_dict(&described(tensors), b""),
        b"\x80\x02](",
        &keys,
        b"e.",
    ]
    .concat();
    for tensor in tensors {
        let values = values(tensor);
        bytes.extend((values.len() as u64 / 4).to_le_bytes());
        bytes.extend(values);
    }
    bytes
}

pub fn safetensors(tensors: &[TensorSpec]) -> Vec<u8> {
    let values: Vec<Vec<u8>> = tensors.iter().map(values).collect();
    let views = tensors.iter().zip(&values).map(|(tensor, values)| {
        let view = safetensors::tensor::TensorView::new(
            safetensors::Dtype::F32,
            tensor.shape.clone(),
            values,
        );
        (tensor.name.as_str(), view.unwrap())
    });
    safetensors::serialize(views, None).unwrap()
}

/// A safetensors file with any header.
pub fn safetensors_with(header: &str, data: usize) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.resize(bytes.len() + data, 0);
    bytes
}
