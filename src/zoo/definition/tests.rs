use super::*;
use proptest::prelude::*;

#[test]
fn reads_every_field() {
    let block: BlockDef = "ir_r3_k3.5_a1.1_p1.1_s2_e2.5_c40_se0.5_nsw_noskip"
        .parse()
        .unwrap();
    assert_eq!(
        block,
        BlockDef {
            kind: BlockKind::InvertedResidual,
            repeats: 3,
            kernels: vec![3, 5],
            expand_kernels: Some(vec![1, 1]),
            project_kernels: Some(vec![1, 1]),
            stride: 2,
            expansion: Some(2.5),
            channels: 40,
            expand_from: None,
            squeeze: Some(0.5),
            activation: Some(Activation::Swish),
            noskip: true,
        }
    );
    let edge: BlockDef = "er_r1_k3_s1_e4_c24_fc24_noskip".parse().unwrap();
    assert_eq!((edge.expand_from, edge.noskip), (Some(24), true));
    let universal: BlockDef = "uir_r1_a0_k5_s2_e4_c80".parse().unwrap();
    assert_eq!(
        (universal.expand_kernels, universal.kernels),
        (Some(vec![0]), vec![5])
    );
}

#[test]
fn errors_name_the_field() {
    struct Case {
        text: &'static str,
        says: &'static str,
    }
    let cases = [
        Case {
            text: "",
            says: "block type ''",
        },
        Case {
            text: "xx_r1_k3_s1_c16",
            says: "block type 'xx'",
        },
        Case {
            text: "ir_r1_k3_s1_e6_c16_q3",
            says: "field 'q3' is not one of",
        },
        Case {
            text: "ir_r1__k3_s1_e6_c16",
            says: "field '' is not one of",
        },
        Case {
            text: "ir_r1_k3_s1_e6_c16_c17",
            says: "field 'c17' comes a second time",
        },
        Case {
            text: "ir_r1_s1_e6_c16",
            says: "field 'k' is missing",
        },
        Case {
            text: "ir_r1_k3_s1_c16",
            says: "field 'e' is missing",
        },
        Case {
            text: "ds_r1_k3_s1_e2_c16",
            says: "field 'e2': expected 1",
        },
        Case {
            text: "cn_r1_k3_s1_c16_se0.25",
            says: "field 'se0.25' has no meaning in a cn block",
        },
        Case {
            text: "ir_r1_k3_s1_e6_c16_fc24",
            says: "field 'fc24' has no meaning",
        },
        Case {
            text: "ir_r0_k3_s1_e6_c16",
            says: "field 'r0'",
        },
        Case {
            text: "ir_r1_k4_s1_e6_c16",
            says: "field 'k4': expected odd",
        },
        Case {
            text: "ir_r1_k3.x_s1_e6_c16",
            says: "field 'k3.x'",
        },
        Case {
            text: "ir_r1_k3_s3_e6_c16",
            says: "field 's3'",
        },
        Case {
            text: "ir_r1_k3_s1_e0_c16",
            says: "field 'e0'",
        },
        Case {
            text: "ir_r1_k3_s1_einf_c16",
            says: "field 'einf'",
        },
        Case {
            text: "ir_r1_k3_s1_e1e3_c16",
            says: "field 'e1e3'",
        },
        Case {
            text: "ir_r1_k3_s1_e6_c99999999999",
            says: "field 'c99999999999'",
        },
        Case {
            text: "ir_r1_k3_s1_e6_c+8",
            says: "field 'c+8'",
        },
        Case {
            text: "ir_r1_k3_s1_e6_c16_se1.5",
            says: "field 'se1.5'",
        },
        Case {
            text: "ir_r1_k3_s1_e6_c16_nxx",
            says: "field 'nxx'",
        },
        Case {
            text: "er_r1_k3.5_s1_e6_c16",
            says: "field 'k3.5'",
        },
        Case {
            text: "uir_r1_a3_k3.5_s1_e6_c16",
            says: "field 'k3.5'",
        },
        Case {
            text: "uir_r1_a0_k0_s2_e2_c16",
            says: "field 's2'",
        },
        Case {
            text: "ir_r1_k0_s1_e6_c16",
            says: "field 'k0'",
        },
        Case {
            text: "IR_r1_k3_s1_e6_c16",
            says: "block type 'IR'",
        },
        Case {
            text: "ir_k3_s1_e6_c16",
            says: "field 'r' is missing",
        },
        Case {
            text: "ir_r1_k3_e6_c16",
            says: "field 's' is missing",
        },
        Case {
            text: "ir_r1_k3_s1_e6",
            says: "field 'c' is missing",
        },
        Case {
            text: "cn_r1_k3_s1_c16_noskip",
            says: "field 'noskip' has no meaning in a cn block",
        },
        Case {
            text: "dsa_r1_k3_s1_c16_noskip",
            says: "field 'noskip' has no meaning in a dsa block",
        },
        Case {
            text: "ds_r1_k3_a1_s1_c16",
            says: "field 'a1' has no meaning in a ds block",
        },
        Case {
            text: "ir_r1_k3_s1_e6_c16_noskip_noskip",
            says: "field 'noskip' comes a second time",
        },
        Case {
            text: "ir_r1_k3_s1_e6_c16_noskip2",
            says: "field 'noskip2'",
        },
        Case {
            text: "ir_r1_k3_a2_s1_e6_c16",
            says: "field 'a2': expected odd",
        },
        Case {
            text: "ir_r1_k3_p1.2_s1_e6_c16",
            says: "field 'p1.2': expected odd",
        },
        Case {
            text: "ir_r1_k33_s1_e6_c16",
            says: "field 'k33': expected odd",
        },
        Case {
            text: "ir_r1_k3_s1_e65_c16",
            says: "field 'e65': expected an expansion",
        },
        Case {
            text: "ir_r1_k3_s1_e-6_c16",
            says: "field 'e-6'",
        },
        Case {
            text: "ir_r1_k3_s1_e6_c0",
            says: "field 'c0': expected a whole number",
        },
        Case {
            text: "er_r1_k3_s1_e6_c16_fc0",
            says: "field 'fc0': expected a whole number",
        },
        Case {
            text: "ir_r1_k3_s1_e6_c16_se0",
            says: "field 'se0': expected a ratio",
        },
        Case {
            text: "ir_r1_k3_s1_e6_c16_n",
            says: "field 'n'",
        },
        Case {
            text: "uir_r1_a0_k5.7_s1_e4_c16",
            says: "field 'k5.7': expected one odd",
        },
        Case {
            text: " ir_r1_k3_s1_e6_c16",
            says: "block type ' ir'",
        },
    ];
    let mut seen = [false; 6];
    for case in cases {
        let error = case.text.parse::<BlockDef>().unwrap_err();
        seen[match error.problem {
            Problem::UnknownBlock(_) => 0,
            Problem::UnknownField(_) => 1,
            Problem::Repeated(_) => 2,
            Problem::NotInThisBlock { .. } => 3,
            Problem::Missing { .. } => 4,
            Problem::Value { .. } => 5,
        }] = true;
        let error = error.to_string();
        assert!(error.contains(case.says), "{}: {error}", case.text);
        assert!(error.contains(case.text), "{error}");
    }
    assert_eq!(seen, [true; 6], "every kind of error");
}

fn blocks() -> impl Strategy<Value = BlockDef> {
    let odd = || (0u32..=15).prop_map(|n| 2 * n + 1);
    let sides = move |most: usize| prop::collection::vec(odd(), 1..=most);
    let ratio = || (1u32..=64).prop_map(|n| f64::from(n) / 64.0);
    (
        0usize..6,
        (1u32..100, 1u32..=2, 1u32..=65536, 1u32..=65536),
        (
            sides(5),
            prop::option::of(sides(3)),
            prop::option::of(sides(3)),
        ),
        (1u32..640).prop_map(|n| f64::from(n) / 10.0),
        (
            prop::option::of(ratio()),
            prop::option::of(0usize..Activation::ALL.len()),
            any::<bool>(),
            any::<bool>(),
        ),
    )
        .prop_map(
            |(
                kind,
                (repeats, stride, channels, from),
                (k, a, p),
                expansion,
                (se, n, noskip, has_from),
            )| {
                let kind = BlockKind::ALL[kind];
                let single = !matches!(
                    kind,
                    BlockKind::InvertedResidual
                        | BlockKind::DepthwiseSeparable
                        | BlockKind::DepthwiseSeparableAct
                );
                let cut = |mut sides: Vec<u32>| {
                    sides.truncate(if single { 1 } else { 5 });
                    sides
                };
                BlockDef {
                    kind,
                    repeats,
                    kernels: cut(k),
                    expand_kernels: a.map(cut).filter(|_| kind.takes("a")),
                    project_kernels: p.map(cut).filter(|_| kind.takes("p")),
                    stride,
                    expansion: kind.expands().then_some(expansion),
                    channels,
                    expand_from: Some(from).filter(|_| has_from && kind.takes("fc")),
                    squeeze: se.filter(|_| kind.takes("se")),
                    activation: n.map(|n| Activation::ALL[n]),
                    noskip: noskip && kind.takes("noskip"),
                }
            },
        )
}

proptest! {
    #[test]
    fn printing_and_parsing_are_inverse(block in blocks()) {
        prop_assert_eq!(block.to_string().parse::<BlockDef>().unwrap(), block);
    }

    #[test]
    fn no_text_panics(text in "(ir|ds|er|uir|cn)?[_a-z0-9.]{0,40}") {
        let _ = text.parse::<BlockDef>();
    }
}
