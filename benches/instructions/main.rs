//! Infers a few times with a plan, asking for the parent's process id before each inference and after the last: marks
//! between which `count.c` counts instructions. `run.sh` runs both.
//!
//!     instructions FILE.plan [f32|fp16|int8] [KB]
//!
//! Computes in f32 unless told otherwise, a plan of int8 in that alone, with a level 2 cache of so many kB, of 512 as Cortex-A76 has: QEMU would tell of
//! this machine's.

use std::os::unix::process::parent_id;
use std::path::Path;

use edge_classify::engine::{LayerReport, Options, Precision, Threads};
use edge_classify::plan::Plan;
use edge_classify::session::{Program, Session};

/// The first touches memory for the first time.
const RUNS: usize = 3;

fn main() {
    // Cargo itself adds `--bench`.
    let mut arguments = std::env::args().skip(1).filter(|arg| arg != "--bench");
    let Some(file) = arguments.next() else {
        eprintln!("benches/instructions/run.sh runs this");
        return;
    };
    let precision = match arguments.next().as_deref() {
        None | Some("f32") => Some(Precision::F32),
        Some("fp16") => Some(Precision::Fp16),
        Some("int8") => None,
        Some(other) => panic!("{other} is neither f32 nor fp16 nor int8"),
    };
    let cache = arguments.next().map_or(Ok(512), |kb| kb.parse::<usize>());
    let cache = cache.expect("the cache is a number");
    let net = Plan::open(Path::new(&file)).expect("it can be read").net();
    let net = net.expect("it holds a network");
    let layers = LayerReport::all(&net, precision.unwrap_or(Precision::F32));
    let multiply_adds: u64 = layers.iter().map(|layer| layer.multiply_adds).sum();
    println!("{multiply_adds}");
    let threads = Threads::new(1).expect("one thread");
    let options = Options::new(threads).expect("the processor is known");
    let options = options.in_precision(precision);
    let options = options.expect("the processor has the precision");
    let options = Options {
        cache: Some(cache << 10),
        ..options
    };
    let mut session = Session::with(Program::Net(net), &options).expect("it can be prepared");
    let values = (0..session.input_len()).map(|at| (at * 7 % 251) as f32 / 62.5 - 2.0);
    let input: Vec<f32> = values.collect();
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
