//! Files that were damaged, and files that claim what cannot be.

use serde_json::{Value, json};

use super::edited::edited;
use super::*;

/// Everything that a plan says, and the logits of a picture.
fn use_all(bytes: &[u8]) -> Result<(Belongings, Option<SelfTest>, Vec<f32>), String> {
    let plan = Plan::read("x.plan".as_ref(), bytes.into());
    let mut plan = plan.map_err(|e| e.to_string())?;
    let self_test = plan.self_test().map_err(|e| e.to_string())?;
    let report = plan.report().map_err(|e| e.to_string())?;
    let belongings = Belongings {
        report,
        ..plan.belongings()
    };
    let net = plan.net().map_err(|e| e.to_string())?;
    Ok((belongings, self_test, logits(net)?))
}

/// In the header, the contents, each tensor, and what fills lines.
#[test]
fn every_flipped_bit_is_noticed() {
    for net in all() {
        let test = SelfTest::record(&net).unwrap().unwrap();
        let bytes = write_tested(&net, with_report(), &test).unwrap();
        let original = use_all(&bytes).unwrap();
        let data = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        let mut damaged = bytes.clone();
        for place in 0..bytes.len() {
            for bit in 0..8 {
                damaged[place] ^= 1 << bit;
                // What is no part of it, as white space in the header, may change.
                match use_all(&damaged) {
                    Ok(found) => {
                        assert_eq!(found, original, "bit {bit} of byte {place}");
                        assert!(place < data, "bit {bit} of byte {place}");
                    }
                    Err(error) => assert!(error.contains("x.plan"), "{error}"),
                }
                damaged[place] ^= 1 << bit;
            }
        }
    }
}

#[test]
fn tensors_begin_with_a_cache_line_and_are_read_from_there() {
    for net in all() {
        let bytes = write(&net, belongings()).unwrap();
        let data = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        let header: Value = serde_json::from_slice(&bytes[8..data]).unwrap();
        let entries = header.as_object().unwrap().iter();
        let tensors = entries.filter(|(name, _)| name.parse::<usize>().is_ok());
        let offsets: Vec<_> = tensors
            .map(|(_, entry)| entry["data_offsets"][0].as_u64())
            .collect();
        assert!(offsets.len() >= 4);
        for offset in offsets {
            assert_eq!((data + offset.unwrap() as usize) % 64, 0);
        }
    }
}

#[test]
fn claims_that_cost_nothing_are_refused() {
    let bytes = write(&small(), belongings()).unwrap();
    let says = |part: &str, edit: &dyn Fn(&mut Value)| {
        let plan = Plan::read("x.plan".as_ref(), edited(&bytes, edit).into());
        let error = match plan.and_then(Plan::net) {
            Ok(net) => logits(net).unwrap_err(),
            Err(error) => error.to_string(),
        };
        assert!(error.contains(part), "{part}: {error}");
    };
    let value = |height: u64, width: u64, channels: u64| json!([height, width, channels]);
    says("1048576x1048576x1", &|contents| {
        contents["network"]["values"]
            .as_array_mut()
            .unwrap()
            .push(value(1 << 20, 1 << 20, 1));
    });
    says("9005 values", &|contents| {
        let values = contents["network"]["values"].as_array_mut().unwrap();
        values.extend(vec![value(1, 1, 1 << 24); 9000]);
    });
    // A layer that shuffles needs no weights.
    says("may have 1.1 GB", &|contents| {
        let network = &mut contents["network"];
        network["values"] = json!([[8192, 8192, 3], [8192, 8192, 3], [1, 1, 3]]);
        let layer = |kind: Value, from: usize| {
            json!({"name": "", "kind": kind, "activation": "identity", "input": [from, 0, 3],
                "output": [from + 1, 0, 3]})
        };
        let shuffle = json!({"shuffle": {"groups": 1}});
        network["layers"] = json!([layer(shuffle, 0), layer("mean".into(), 1)]);
        network["output"] = json!([2, 0, 3]);
        contents["checksums"] = json!([]);
    });
    says("tensor 1 twice", &|contents| {
        contents["network"]["layers"][0]["kind"]["convolution"]["weights"] = 1.into();
    });
}
