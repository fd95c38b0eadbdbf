//! A network that our layers do not cover runs in tract, with the same results.

use edge_classify::compile;
use edge_classify::engine::{Program, Session, Threads};
use edge_classify::zoo::{self, Export, Registry, Weights, synthetic_tensor};
use prost::Message;
use tract_onnx::pb::NodeProto;

const SIDE: usize = 64;

fn onnx() -> Vec<u8> {
    let registry = Registry::bundled();
    let graph = zoo::graph(registry.get("mnasnet_small").unwrap(), SIDE, 1000).unwrap();
    let mut onnx = Vec::new();
    let export = Export {
        graph: &graph,
        weights: &Weights::Synthetic { seed: 1 },
        opset: 17,
        fold_bn: false,
        name: "mnasnet_small",
        metadata: Vec::new(),
    };
    export.write(&mut onnx).unwrap();
    onnx
}

/// With the hyperbolic tangent of the logits for an output.
fn with_tanh(onnx: &[u8]) -> Vec<u8> {
    let mut model = compile::parse(onnx).unwrap();
    let graph = model.graph.as_mut().unwrap();
    let output = &mut graph.output[0];
    let logits = std::mem::replace(&mut output.name, "tanh".to_owned());
    graph.node.push(NodeProto {
        name: "tanh".to_owned(),
        op_type: "Tanh".to_owned(),
        input: vec![logits],
        output: vec!["tanh".to_owned()],
        ..NodeProto::default()
    });
    model.encode_to_vec()
}

#[test]
fn the_same_network_gives_the_same_in_tract() {
    let plain = onnx();
    let covered = compile::load(&plain, None).unwrap();
    assert!(matches!(covered, Program::Net(_)));
    let not_covered = compile::load(&with_tanh(&plain), None).unwrap();
    assert!(matches!(not_covered, Program::Graph(_)));
    for threads in [1, 2] {
        let threads = Threads::new(threads).unwrap();
        let mut ours = Session::new(compile::load(&plain, None).unwrap(), threads).unwrap();
        let graph = compile::load(&with_tanh(&plain), None).unwrap();
        let mut theirs = Session::new(graph, threads).unwrap();
        let input = synthetic_tensor("input", &[1, 3, SIDE, SIDE], 1);
        let (logits, tanh) = (ours.run(&input).unwrap(), theirs.run(&input).unwrap());
        for (a, b) in logits.iter().zip(&tanh) {
            assert!((a.tanh() - b).abs() < 1e-4, "tanh of {a}, not {b}");
        }
        // Sessions that share weights share nothing else.
        for session in [&mut ours, &mut theirs] {
            let first = session.run(&input).unwrap();
            let mut another = session.another().unwrap();
            assert_eq!(another.run(&input).unwrap(), first);
            assert!(session.run(&input[1..]).is_err());
            assert!(session.run_into(&input, &mut [0.0; 3]).is_err());
        }
    }
}

/// Its weights are computed from levels.
#[test]
fn the_bundled_network_gives_the_same_in_tract() {
    let onnx = std::fs::read("models/tf_efficientnet_lite0.onnx").unwrap();
    let graph = compile::load_graph(&onnx, None).unwrap();
    let net = compile::lower(&graph).unwrap();
    let one = Threads::new(1).unwrap();
    let mut ours = Session::new(Program::Net(net), one).unwrap();
    let mut theirs = Session::new(Program::Graph(Box::new(graph)), one).unwrap();
    let input = synthetic_tensor("input", &[1, 3, 224, 224], 1);
    let (ours, theirs) = (ours.run(&input).unwrap(), theirs.run(&input).unwrap());
    let range = theirs
        .iter()
        .copied()
        .fold(0.0f32, |max, v| max.max(v.abs()));
    for (a, b) in ours.iter().zip(&theirs) {
        assert!((a - b).abs() < 1e-5 * range, "{a}, not {b}");
    }
}
