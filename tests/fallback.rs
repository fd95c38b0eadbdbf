//! What our layers do not cover of a network runs in tract, with the same results.

mod support;

use edge_classify::compile;
use edge_classify::engine::Threads;
use edge_classify::engine::net::Net;
use edge_classify::session::{Graph, Program, Session};
use edge_classify::zoo::{self, Export, Registry, Weights, synthetic_tensor};
use prost::Message;
use support::exporters::correlations;
use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::{AttributeProto, NodeProto};

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

/// With other operators behind some of its activations: after how many, and which.
fn with(onnx: &[u8], inserted: &[(usize, &str)]) -> Vec<u8> {
    let mut model = compile::parse(onnx).unwrap();
    let graph = model.graph.as_mut().unwrap();
    let is_activation = |node: &&mut NodeProto| node.op_type == "Relu";
    let mut nodes = Vec::new();
    for (at, op_type) in inserted {
        let node = graph.node.iter_mut().filter(is_activation).nth(*at);
        let output = &mut node.unwrap().output[0];
        let after = output.clone();
        *output = format!("{after} before {op_type}");
        let size = AttributeProto {
            name: "size".to_owned(),
            r#type: AttributeType::Int as i32,
            i: 5,
            ..Default::default()
        };
        nodes.push(NodeProto {
            name: format!("{op_type} {}", nodes.len()),
            op_type: (*op_type).to_owned(),
            input: vec![output.clone()],
            output: vec![after],
            attribute: if *op_type == "LRN" {
                vec![size]
            } else {
                Vec::new()
            },
            ..NodeProto::default()
        });
    }
    graph.node.extend(nodes);
    model.encode_to_vec()
}

fn assert_near(ours: &[f32], theirs: &[f32]) {
    assert_eq!(ours.len(), theirs.len());
    let range = theirs.iter().fold(0.0f32, |max, v| max.max(v.abs()));
    for (a, b) in ours.iter().zip(theirs) {
        assert!((a - b).abs() <= 1e-5 * range, "{a}, not {b} of {range}");
    }
}

/// The same network in our layers as far as they go, and all of it in tract.
fn both(onnx: &[u8], threads: usize) -> (Net, Session, Session) {
    let threads = Threads::new(threads).unwrap();
    let graph = compile::load_graph(onnx, None).unwrap();
    let net = compile::lower(&graph).unwrap();
    let ours = Session::new(Program::Net(net.clone()), threads).unwrap();
    let theirs = Session::new(
        Program::Graph(Graph::new(graph, "of a comparison")),
        threads,
    )
    .unwrap();
    (net, ours, theirs)
}

#[test]
fn parts_that_our_layers_do_not_cover_give_the_same_in_tract() {
    let plain = onnx();
    let layers = both(&plain, 1).0.layers().len();
    let input = synthetic_tensor("input", &[1, 3, SIDE, SIDE], 1);
    let inserted: [&[(usize, &str)]; 5] = [
        &[(0, "Tanh")],
        &[(3, "LRN")],
        &[(2, "Erf"), (2, "Tanh")],
        &[(4, "Tanh"), (7, "LRN"), (10, "Tanh")],
        &[(12, "Tanh")],
    ];
    for inserted in inserted {
        let onnx = with(&plain, inserted);
        for threads in [1, 2] {
            let (net, mut ours, mut theirs) = both(&onnx, threads);
            let parts: Vec<_> = net
                .layers()
                .iter()
                .filter_map(|layer| layer.part())
                .collect();
            let mut places: Vec<usize> = inserted.iter().map(|(at, _)| *at).collect();
            places.dedup();
            assert_eq!(parts.len(), places.len(), "{inserted:?}");
            let nodes: usize = parts.iter().map(|part| part.nodes.len()).sum();
            assert_eq!(nodes, inserted.len(), "{parts:?}");
            assert!(net.layers().len() <= layers + 2 * parts.len());
            let first = ours.run(&input).unwrap();
            assert_near(&first, &theirs.run(&input).unwrap());
            // Sessions that share weights share nothing else.
            let mut another = ours.another().unwrap();
            assert_eq!(another.run(&input).unwrap(), first);
            assert_eq!(ours.run(&input).unwrap(), first);
        }
    }
}

#[test]
fn the_same_network_gives_the_same_in_tract() {
    let input = synthetic_tensor("input", &[1, 3, SIDE, SIDE], 1);
    for threads in [1, 2] {
        let (_, mut ours, mut theirs) = both(&onnx(), threads);
        let (logits, expected) = (ours.run(&input).unwrap(), theirs.run(&input).unwrap());
        assert_near(&logits, &expected);
        for session in [&mut ours, &mut theirs] {
            let first = session.run(&input).unwrap();
            let mut another = session.another().unwrap();
            assert_eq!(another.run(&input).unwrap(), first);
            assert!(session.run(&input[1..]).is_err());
            assert!(session.run_into(&input, &mut [0.0; 3]).is_err());
        }
    }
}

#[test]
fn a_network_of_which_tract_would_do_most_is_left_to_it() {
    let onnx = correlations().encode_to_vec();
    let program = compile::load(&onnx, None).unwrap();
    assert!(matches!(program, Program::Graph(_)));
    let mut session = Session::new(program, Threads::new(1).unwrap()).unwrap();
    let mut input = vec![0.0; session.input_len()];
    let plane = input.len() / 3;
    input[0] = 2.0;
    input[plane] = 3.0;
    let products = [4.0, 6.0, 0.0, 6.0, 9.0, 0.0, 0.0, 0.0, 0.0];
    assert_eq!(session.run(&input).unwrap(), products);
}

/// Its weights are computed from levels.
#[test]
fn the_bundled_network_gives_the_same_in_tract() {
    let onnx = std::fs::read("tests/models/tf_efficientnet_lite0.onnx").unwrap();
    let graph = compile::load_graph(&onnx, None).unwrap();
    let net = compile::lower(&graph).unwrap();
    let one = Threads::new(1).unwrap();
    let mut ours = Session::new(Program::Net(net), one).unwrap();
    let mut theirs =
        Session::new(Program::Graph(Graph::new(graph, "of a comparison")), one).unwrap();
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
