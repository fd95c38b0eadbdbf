//! Plans that say something else, with the checksums that belong to it.

use serde_json::{Value, json};

use super::*;

/// The header, and the data behind it.
fn parts(bytes: &[u8]) -> (Value, &[u8]) {
    let len = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header = serde_json::from_slice(&bytes[8..8 + len]).unwrap();
    (header, &bytes[8 + len..])
}

pub fn contents(bytes: &[u8]) -> Value {
    let (header, _) = parts(bytes);
    let envelope = header["__metadata__"][ENTRY].as_str().unwrap();
    let envelope: Value = serde_json::from_str(envelope).unwrap();
    serde_json::from_str(envelope["contents"].as_str().unwrap()).unwrap()
}

/// The same plan after its contents have been changed.
pub fn edited(bytes: &[u8], edit: impl FnOnce(&mut Value)) -> Vec<u8> {
    let (mut header, data) = parts(bytes);
    let mut contents = contents(bytes);
    edit(&mut contents);
    put(&mut header, &contents);
    let header = header.to_string();
    [
        &(header.len() as u64).to_le_bytes()[..],
        header.as_bytes(),
        data,
    ]
    .concat()
}

fn put(header: &mut Value, contents: &Value) {
    let envelope = header["__metadata__"][ENTRY].as_str().unwrap();
    let mut envelope: Value = serde_json::from_str(envelope).unwrap();
    let contents = contents.to_string();
    envelope["checksum"] = checksum(contents.as_bytes()).into();
    envelope["contents"] = contents.into();
    header["__metadata__"][ENTRY] = envelope.to_string().into();
}

/// The same plan in the form of before: no self-test, and tensors one right after the other.
pub fn of_before(bytes: &[u8]) -> Vec<u8> {
    let (mut header, data) = parts(bytes);
    let mut contents = contents(bytes);
    contents.as_object_mut().unwrap().remove("self_test");
    let (mut dense, mut checksums) = (Vec::new(), Vec::<String>::new());
    while let Some(entry) = header.get_mut(format!("{:06}", checksums.len())) {
        let offsets = &entry["data_offsets"];
        let [begin, end] = [0, 1].map(|i| offsets[i].as_u64().unwrap() as usize);
        let start = dense.len();
        dense.extend(&data[begin..end]);
        entry["data_offsets"] = json!([start, dense.len()]);
        checksums.push(checksum(&data[begin..end]));
    }
    let entries = header.as_object_mut().unwrap();
    entries.retain(|name, _| !name.ends_with("filling"));
    contents["checksums"] = json!(checksums);
    put(&mut header, &contents);
    let header = header.to_string();
    [
        &(header.len() as u64).to_le_bytes()[..],
        header.as_bytes(),
        &dense,
    ]
    .concat()
}
