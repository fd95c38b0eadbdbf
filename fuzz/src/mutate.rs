//! Changes of a plan after which its checksums are right again: without these, next to nothing would come past them.

use serde_json::{Map, Value, json};
use xxhash_rust::xxh3::xxh3_64;

/// The entry of the metadata.
const ENTRY: &str = "edge-classify";

/// Of a cache line, to which tensors are filled up.
const LINE: usize = 64;

/// Values that a tensor is made longer for, at most.
const MOST: usize = 4096;

/// A plan taken apart.
struct Parts {
    version: Value,
    contents: Value,
    /// Type and bytes, in their order.
    tensors: Vec<(String, Vec<u8>)>,
}

/// A plan that differs in some places; nothing if this is none.
pub fn mutated(bytes: &[u8], seed: u32) -> Option<Vec<u8>> {
    let mut random = Random(u64::from(seed) << 1 | 1);
    // Some changes are as they come, to the checksums as well.
    if random.below(16) == 0 {
        return None;
    }
    let mut parts = Parts::of(bytes)?;
    for _ in 0..1 + random.below(4) {
        match random.below(8) {
            0 => parts.change_bytes(&mut random),
            1 => parts.copy_layer(&mut random),
            _ => change(&mut parts.contents, &mut random),
        }
    }
    if random.below(64) == 0 {
        parts.version = json!(random.number());
    }
    if random.below(4) > 0 {
        parts.fit();
    }
    Some(parts.bytes(random.below(8) > 0))
}

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    /// Small ones above all.
    fn number(&mut self) -> u64 {
        match self.below(8) {
            0 => 1 << self.below(64),
            1 => (1 << self.below(64)) - 1,
            2 => self.next(),
            _ => self.below(18) as u64,
        }
    }
}

impl Parts {
    fn of(bytes: &[u8]) -> Option<Parts> {
        let len = u64::from_le_bytes(bytes.get(..8)?.try_into().ok()?);
        let rest = &bytes[8..];
        let header = rest.get(..usize::try_from(len).ok()?)?;
        let data = &rest[header.len()..];
        let header: Map<String, Value> = serde_json::from_slice(header).ok()?;
        let envelope = header.get("__metadata__")?.get(ENTRY)?.as_str()?;
        let envelope: Value = serde_json::from_str(envelope).ok()?;
        let contents = serde_json::from_str(envelope.get("contents")?.as_str()?).ok()?;
        let mut tensors = Vec::new();
        while let Some(entry) = header.get(&format!("{:06}", tensors.len())) {
            let offsets = entry.get("data_offsets")?;
            let at = |index| usize::try_from(offsets.get(index)?.as_u64()?).ok();
            let dtype = entry.get("dtype")?.as_str()?.to_owned();
            tensors.push((dtype, data.get(at(0)?..at(1)?)?.to_vec()));
        }
        Some(Parts {
            version: envelope.get("version")?.clone(),
            contents,
            tensors,
        })
    }

    fn change_bytes(&mut self, random: &mut Random) {
        let count = self.tensors.len();
        let Some((dtype, bytes)) = self.tensors.get_mut(random.below(count)) else {
            return;
        };
        match random.below(8) {
            0 => bytes.truncate(random.below(bytes.len())),
            1 => bytes.resize(
                (bytes.len() + random.below(64)).min(MOST),
                random.next() as u8,
            ),
            2 => *dtype = ["F32", "F16", "I8", "U8"][random.below(4)].to_owned(),
            3 => {
                let len = bytes.len();
                if let Some(value) = bytes.chunks_exact_mut(4).nth(random.below(len / 4)) {
                    let values = [
                        f32::NAN,
                        f32::INFINITY,
                        0.0,
                        -0.0,
                        1e38,
                        -1e38,
                        1e-40,
                        65504.0,
                    ];
                    value.copy_from_slice(&values[random.below(values.len())].to_le_bytes());
                }
            }
            _ => {
                let len = bytes.len();
                if let Some(byte) = bytes.get_mut(random.below(len)) {
                    *byte = random.next() as u8;
                }
            }
        }
    }

    fn layers(&mut self) -> Option<&mut Vec<Value>> {
        let layers = self.contents.pointer_mut("/network/layers");
        layers.and_then(Value::as_array_mut)
    }

    fn copy_layer(&mut self, random: &mut Random) {
        let Some(layers) = self.layers() else {
            return;
        };
        if layers.is_empty() || layers.len() > 64 {
            return;
        }
        let layer = layers[random.below(layers.len())].clone();
        layers.insert(random.below(layers.len() + 1), layer);
    }

    /// Makes windows those of their values, and tensors as long as layers need them.
    fn fit(&mut self) {
        let shapes: Vec<[usize; 3]> =
            match serde_json::from_value(self.contents["network"]["values"].clone()) {
                Ok(shapes) => shapes,
                Err(_) => return,
            };
        let Some(layers) = self
            .contents
            .pointer_mut("/network/layers")
            .and_then(Value::as_array_mut)
        else {
            return;
        };
        for layer in layers {
            let span = |name: &str| -> Option<([usize; 3], usize)> {
                let [value, _, channels]: [usize; 3] =
                    serde_json::from_value(layer.get(name)?.clone()).ok()?;
                Some((*shapes.get(value)?, channels))
            };
            let (Some((from, inputs)), Some((to, outputs))) = (span("input"), span("output"))
            else {
                continue;
            };
            let Some(kinds) = layer.get_mut("kind").and_then(Value::as_object_mut) else {
                continue;
            };
            for (name, kind) in kinds.iter_mut() {
                let mut taps = 1_usize;
                if let Some(window) = kind.get_mut("window").and_then(Value::as_object_mut) {
                    let sizes = [
                        ("height", from[0]),
                        ("width", from[1]),
                        ("out_height", to[0]),
                        ("out_width", to[1]),
                    ];
                    for (name, size) in sizes {
                        window.insert(name.to_owned(), json!(size));
                    }
                    for side in ["kernel_h", "kernel_w"] {
                        let size = window.get(side).and_then(Value::as_u64).unwrap_or(1);
                        taps = taps.saturating_mul(size as usize);
                    }
                }
                let hidden = self.tensors.len() % 7 + 1;
                let row = |len: usize| len.saturating_mul(taps);
                let lens: &[(&str, usize)] = match name.as_str() {
                    "pointwise" | "convolution" => &[
                        ("weights", row(inputs.saturating_mul(outputs))),
                        ("bias", outputs),
                    ],
                    "depthwise" => &[("weights", row(inputs)), ("bias", outputs)],
                    "affine" => &[("scale", inputs), ("shift", inputs)],
                    "excite" => &[
                        ("squeeze", hidden.saturating_mul(inputs)),
                        ("squeeze_bias", hidden),
                        ("excite", hidden.saturating_mul(inputs)),
                        ("excite_bias", inputs),
                    ],
                    _ => &[],
                };
                for (field, len) in lens {
                    let form = &kind[*field];
                    let index = |form: &Value| form.as_u64().map(|index| index as usize);
                    let lens = match (index(form), index(&form["levels"]), index(&form["scales"])) {
                        (Some(values), ..) => [Some((values, *len)), None],
                        (_, Some(levels), Some(scales)) => {
                            [Some((levels, *len)), Some((scales, outputs))]
                        }
                        _ => [None, None],
                    };
                    for (index, len) in lens.into_iter().flatten() {
                        lengthen(self.tensors.get_mut(index), len);
                    }
                }
            }
        }
    }

    /// `fill`: whether tensors are filled up to lines.
    fn bytes(mut self, fill: bool) -> Vec<u8> {
        let (mut header, mut data, mut checksums) = (Map::new(), Vec::new(), Vec::new());
        let entry = |dtype: &str, begin: usize, end: usize| {
            let size = match dtype {
                "F32" => 4,
                "F16" => 2,
                _ => 1,
            };
            json!({"dtype": dtype, "shape": [(end - begin) / size], "data_offsets": [begin, end]})
        };
        for (index, (dtype, bytes)) in self.tensors.iter().enumerate() {
            let begin = data.len();
            data.extend(bytes);
            let end = data.len();
            header.insert(format!("{index:06}"), entry(dtype, begin, end));
            if fill && end % LINE > 0 {
                data.resize(end.next_multiple_of(LINE), 0);
                let filling = entry("U8", end, data.len());
                header.insert(format!("{index:06}.filling"), filling);
            }
            checksums.push(Value::from(checksum(&data[begin..])));
        }
        if let Some(contents) = self.contents.as_object_mut() {
            contents.insert("checksums".to_owned(), checksums.into());
        }
        let contents = self.contents.to_string();
        let envelope = json!({
            "version": self.version,
            "checksum": checksum(contents.as_bytes()),
            "contents": contents,
        });
        header.insert(
            "__metadata__".to_owned(),
            json!({ENTRY: envelope.to_string()}),
        );
        let mut header = Value::Object(header).to_string().into_bytes();
        if fill {
            let begin = 8 + header.len();
            header.resize(header.len() + begin.next_multiple_of(LINE) - begin, b' ');
        }
        [&(header.len() as u64).to_le_bytes()[..], &header, &data].concat()
    }
}

fn checksum(bytes: &[u8]) -> String {
    format!("{:016x}", xxh3_64(bytes))
}

/// By what it has already, again and again.
fn lengthen(tensor: Option<&mut (String, Vec<u8>)>, len: usize) {
    let Some((dtype, bytes)) = tensor else { return };
    let size = match dtype.as_str() {
        "F32" => 4,
        "F16" => 2,
        _ => 1,
    };
    if len > MOST {
        return;
    }
    let len = len * size;
    if bytes.is_empty() {
        bytes.resize(len, 1);
    }
    let old = bytes.clone();
    bytes.truncate(len);
    while bytes.len() < len {
        let rest = len - bytes.len();
        bytes.extend(&old[..rest.min(old.len())]);
    }
}

/// Changes one place of the JSON.
fn change(value: &mut Value, random: &mut Random) {
    // Deeper places are more interesting.
    let stop = random.below(12) == 0;
    match value {
        Value::Object(items) if !items.is_empty() && !stop => {
            let at = random.below(items.len());
            if let Some((_, item)) = items.iter_mut().nth(at) {
                change(item, random);
            }
        }
        Value::Array(items) if !items.is_empty() && !stop => {
            let at = random.below(items.len());
            change(&mut items[at], random);
        }
        Value::Array(items) => {
            let at = random.below(items.len() + 1);
            match (random.below(3), items.get(at).cloned()) {
                (0, Some(_)) => drop(items.remove(at)),
                (1, Some(_)) => {
                    let other = random.below(items.len());
                    items.swap(at, other);
                }
                (_, Some(item)) => items.insert(at, item),
                (_, None) => items.push(json!(random.number())),
            }
        }
        Value::Number(number) => {
            *value = match (number.as_u64(), random.below(4)) {
                (Some(number), 0) => json!(number.wrapping_add(1)),
                (Some(number), 1) => json!(number.saturating_sub(1)),
                (Some(_), _) => json!(random.number()),
                (None, 0) => json!(-number.as_f64().unwrap_or(0.0)),
                (None, 1) => json!(number.as_f64().unwrap_or(0.0) * 10.0),
                (None, _) => {
                    json!([0.0, 1e-30, 1e30, -1.0, 127.0, 0.5, -128.0][random.below(7)])
                }
            };
        }
        Value::String(text) => {
            let words = [
                "mean",
                "activate",
                "identity",
                "sigmoid",
                "swish",
                "hardswish",
                "max",
                "inf",
                "NaN",
                "-inf",
                "",
            ];
            match random.below(3) {
                0 => text.push_str(words[random.below(words.len())]),
                _ => words[random.below(words.len())].clone_into(text),
            }
        }
        Value::Object(items) => {
            let at = random.below(items.len());
            let name = items.keys().nth(at).cloned().unwrap_or_default();
            items.remove(&name);
        }
        Value::Null => *value = [json!([0, 0, 1]), json!([0.05, 3])][random.below(2)].clone(),
        Value::Bool(flag) => *flag = !*flag,
    }
}
