//! Infers a few times with a network of the zoo, asking for the parent's process id before each inference and after the
//! last: marks between which `count.c` counts instructions. `run.sh` runs both.
//!
//!     instructions NETWORK [f32|fp16|FILE.onnx]
//!
//! Computes in f32 unless told otherwise. With a file, only writes the network there, for others to run.

use std::os::unix::process::parent_id;

use edge_classify::compile;
use edge_classify::engine::{Options, Precision, Threads};
use edge_classify::session::{Program, Session};
use edge_classify::zoo::{self, Export, Registry, Weights, synthetic_tensor};

/// The first touches memory for the first time.
const RUNS: usize = 3;

fn main() {
    // Cargo itself adds `--bench`.
    let mut arguments = std::env::args().skip(1).filter(|arg| arg != "--bench");
    let Some(name) = arguments.next() else {
        eprintln!("benches/instructions/run.sh runs this");
        return;
    };
    let registry = Registry::bundled();
    let network = registry.get(&name).expect("the network is in the zoo");
    let size = network.size as usize;
    let graph = zoo::graph(network, size, 1000).expect("it can be built");
    let export = Export {
        graph: &graph,
        weights: &Weights::Synthetic { seed: 1 },
        opset: 17,
        fold_bn: false,
        name: &name,
        metadata: Vec::new(),
    };
    let mut onnx = Vec::new();
    export.write(&mut onnx).expect("it can be exported");
    let precision = match arguments.next().as_deref() {
        None | Some("f32") => Precision::F32,
        Some("fp16") => Precision::Fp16,
        Some(file) => {
            std::fs::write(file, onnx).expect("it can be written");
            return;
        }
    };
    println!("{}", graph.multiply_adds());
    let program = compile::load(&onnx, None).expect("it can be compiled");
    assert!(
        matches!(program, Program::Net(_)),
        "layers of ours are what is counted"
    );
    let threads = Threads::new(1).expect("one thread");
    let options = Options::new(threads).expect("the processor is known");
    let options = options.in_precision(Some(precision));
    let options = options.expect("the processor has the precision");
    let mut session = Session::with(program, &options).expect("it can be prepared");
    let input = synthetic_tensor("input", &[1, 3, size, size], 1);
    let mut logits = vec![0.0; session.classes()];
    for _ in 0..RUNS {
        let _ = parent_id();
        session
            .run_into(&input, &mut logits)
            .expect("the network runs");
    }
    let _ = parent_id();
    assert!(logits.iter().all(|logit| logit.is_finite()));
}
