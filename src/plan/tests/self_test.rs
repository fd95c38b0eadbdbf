//! What networks say again, wherever they run, and what is said of others.

use edge_classify_kernels::Isa;

use super::edited::{contents, edited, of_before};
use super::*;

fn tested(net: &Net) -> Vec<u8> {
    let test = SelfTest::record(net).unwrap().unwrap();
    write_tested(net, belongings(), &test).unwrap()
}

/// Replays a plan's self-test, with all instruction sets and fused or not.
fn replay(bytes: &[u8]) -> Result<(), Mismatch> {
    for isa in Isa::available() {
        for cache in [None, Some(128 << 10)] {
            let plan = Plan::read("x.plan".as_ref(), bytes.into()).unwrap();
            let test = plan.self_test().unwrap().unwrap();
            let net = plan.net().unwrap();
            let options = Options {
                isa,
                cache,
                precision: (!net.is_quantized()).then_some(Precision::F32),
                ..Options::new(Threads::new(2).unwrap()).unwrap()
            };
            let mut session = Session::with(Program::Net(net), &options).unwrap();
            test.replay(&mut session, usize::MAX)?;
        }
    }
    Ok(())
}

#[test]
fn every_plan_repeats_what_it_said_on_every_instruction_set() {
    for net in all() {
        let bytes = tested(&net);
        assert_eq!(bytes, tested(&net));
        replay(&bytes).unwrap();
        let exact = contents(&bytes)["self_test"]["pictures"][0]["logits"]["exactly"].is_string();
        assert_eq!(exact, net.is_quantized());
    }
}

#[test]
fn another_result_than_it_said_is_a_mismatch() {
    for net in all() {
        let bytes = tested(&net);
        let other = edited(&bytes, |contents| {
            contents["self_test"]["pictures"][1]["seed"] = 9.into();
        });
        let error = replay(&other).unwrap_err().to_string();
        assert!(
            error.contains("picture 9") && error.contains("expected"),
            "{error}"
        );
    }
    // What is no number is like no other.
    let bytes = tested(&small());
    let other = edited(&bytes, |contents| {
        contents["self_test"]["pictures"][0]["logits"]["about"]["f32"] = (-1.0).into();
    });
    assert!(matches!(
        replay(&other),
        Err(Mismatch::Value { class: 0, .. })
    ));
    // Of another network.
    let other = edited(&bytes, |contents| {
        contents["self_test"]["pictures"][0]["logits"]["about"]["tensor"] = 0.into()
    });
    assert!(matches!(
        replay(&other),
        Err(Mismatch::Classes { expected: 135, .. })
    ));
}

#[test]
fn a_self_test_that_is_none_is_damage() {
    let bytes = tested(&small());
    let says = |edit: fn(&mut serde_json::Value), part: &str| {
        let plan = Plan::read("x.plan".as_ref(), edited(&bytes, edit).into()).unwrap();
        let error = plan.self_test().unwrap_err().to_string();
        assert!(error.contains("x.plan") && error.contains(part), "{error}");
    };
    says(
        |contents| contents["self_test"]["pictures"] = serde_json::json!([]),
        "0 pictures",
    );
    says(
        |contents| contents["self_test"]["pictures"][0]["logits"]["about"]["tensor"] = 99.into(),
        "tensor 99",
    );
}

#[test]
fn plans_of_before_are_read_as_they_were() {
    for net in all() {
        let bytes = of_before(&tested(&net));
        assert!(bytes.len() < tested(&net).len());
        let plan = || Plan::read("x.plan".as_ref(), bytes.clone().into()).unwrap();
        assert_eq!(plan().self_test().unwrap(), None);
        let new = Plan::read("x.plan".as_ref(), tested(&net).into()).unwrap();
        assert_eq!(plan().net().unwrap(), new.net().unwrap());
    }
}

#[test]
fn what_gives_no_numbers_has_no_self_test() {
    let net = small();
    let (values, mut layers) = (net.values().to_vec(), net.layers().to_vec());
    if let Kind::Pointwise { bias, .. } = &mut layers[2].kind {
        *bias = vec![f32::NAN; 4].into();
    }
    layers[2].activation = Activation::Identity;
    let net = Net::new(values, layers, 0, net.output()).unwrap();
    assert_eq!(SelfTest::record(&net), Ok(None));
}
