//! What must hold of any bytes that are opened as a plan: no panic, and memory in proportion to them.
//!
//! The test of the corpus does the same.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use edge_classify::engine::net::Net;
use edge_classify::engine::{Executor, Packed, Team, Threads};
use edge_classify::plan::Plan;
use edge_classify_kernels::Isa;

/// Bytes that may be allocated for each of the file's, and besides.
const FOR_EACH: u64 = 64;
const BESIDES: u64 = 1 << 20;

/// Networks that need no more are run: bytes between layers, and multiply-adds or the like.
const MOST_BYTES: usize = 1 << 20;
const MOST_WORK: usize = 1 << 20;

/// Opens the plan, packs its network and runs it if it is small. How far it came.
///
/// # Panics
/// If something is wrong with that; what the file says may be anything.
pub fn check(bytes: &[u8]) -> Reached {
    let mut reached = Reached::Nothing;
    let counted = allocation_counter::measure(|| reached = open(bytes));
    let most = FOR_EACH * bytes.len() as u64 + BESIDES;
    assert!(
        counted.bytes_max <= most,
        "{} bytes allocated for a file of {}",
        counted.bytes_max,
        bytes.len()
    );
    reached
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reached {
    Nothing,
    Header,
    Network,
    Packed,
    Result,
}

fn open(bytes: &[u8]) -> Reached {
    let Ok(mut plan) = Plan::read(Path::new("fuzzed.plan"), bytes.into()) else {
        return Reached::Nothing;
    };
    // May be wrong, as everything.
    let _ = plan.self_test();
    plan.belongings();
    let Ok(net) = plan.net() else {
        return Reached::Header;
    };
    run(net, choice(bytes))
}

/// How the network is packed follows from the file, so that the same is done with it again.
fn choice(bytes: &[u8]) -> usize {
    let sum = |sum: usize, byte: &u8| sum.wrapping_mul(31).wrapping_add(usize::from(*byte));
    bytes.iter().rev().take(4096).fold(0, sum) >> 3
}

fn run(net: Net, choice: usize) -> Reached {
    let isas = Isa::available();
    let isa = isas[choice % isas.len()];
    let cache = [None, Some(2 << 10), Some(128 << 10)][choice / isas.len() % 3];
    let work = work(&net);
    let Ok(packed) = Packed::<f32>::new(net, isa, cache) else {
        return Reached::Network;
    };
    let bytes = packed.arena_bytes().saturating_add(packed.scratch_bytes());
    if bytes > MOST_BYTES || work > MOST_WORK {
        return Reached::Packed;
    }
    let picture: Vec<f32> = (0..packed.input_len())
        .map(|i| (i % 23) as f32 / 11.0 - 1.0)
        .collect();
    let mut executor = Executor::new(Arc::new(packed), team()).expect("a megabyte is there");
    executor
        .run(&picture)
        .expect("it has no parts that can fail");
    Reached::Result
}

fn team() -> Arc<Team> {
    static TEAM: OnceLock<Arc<Team>> = OnceLock::new();
    let team = || Arc::new(Team::new(Threads::new(1).expect("one thread")).expect("a thread"));
    TEAM.get_or_init(team).clone()
}

/// Steps of all layers, about.
fn work(net: &Net) -> usize {
    let layers = net.layers().iter().map(|layer| {
        let [input, output] = [layer.input, layer.output].map(|span| net.shape(span));
        let elements = |shape: edge_classify::engine::net::Shape| {
            shape.pixels().saturating_mul(shape.channels)
        };
        let taps = layer
            .kind
            .window()
            .map_or(1, |w| w.kernel_h.saturating_mul(w.kernel_w));
        let weights = layer.kind.multiply_adds(output.pixels()) as usize;
        elements(output)
            .saturating_mul(taps)
            .saturating_add(elements(input))
            .saturating_add(weights)
    });
    layers.fold(0, usize::saturating_add)
}
