//! Parameters and multiply-adds of every network: as we count them, as the reference implementation has them, and as
//! they were published. Fails where we differ from the reference.

use std::process::ExitCode;

use edge_classify::zoo::{self, Graph, NetworkDef, Registry};
use serde::Deserialize;

/// Of ImageNet, as for all published figures.
const CLASSES: usize = 1000;

/// A line of tests/reference/zoo.csv.
#[derive(Debug, Deserialize)]
struct Reference {
    name: String,
    origin: String,
    parameters: u64,
    multiply_adds: u64,
}

fn graph(network: &NetworkDef, size: usize) -> Graph {
    zoo::graph(network, size, CLASSES).expect("the bundled networks can be built")
}

/// The reference of a network, or of one with the same layers, and the input size that it was counted at: that of the
/// network it is named after.
fn reference_of<'a>(
    network: &NetworkDef,
    references: &'a [Reference],
    registry: &Registry,
) -> Option<(&'a Reference, usize)> {
    let named = |reference: &'a Reference| {
        let other = registry.get(&reference.name).ok()?;
        Some((reference, other.size as usize, other))
    };
    let all = || references.iter().filter_map(named);
    let own = all().find(|(_, _, other)| other.name == network.name);
    let twin = || all().find(|(_, size, other)| graph(other, *size) == graph(network, *size));
    let (reference, size, _) = own.or_else(twin)?;
    Some((reference, size))
}

fn main() -> ExitCode {
    let registry = Registry::bundled();
    let references: Vec<Reference> = csv::Reader::from_path("tests/reference/zoo.csv")
        .and_then(|mut file| file.deserialize().collect())
        .expect("the recorded references are there");
    println!(
        "{:36} {:>4}  {:>11} {:>11} {:>9}  {:>13} {:>13} {:>9}  reference",
        "network",
        "size",
        "parameters",
        "reference",
        "published",
        "multiply-adds",
        "reference",
        "published"
    );
    let mut differing = 0;
    for network in registry.networks() {
        let reference = reference_of(network, &references, &registry);
        let size = reference.map_or(network.size as usize, |(_, size)| size);
        let reference = reference.map(|(reference, _)| reference);
        let graph = graph(network, size);
        let (parameters, multiply_adds) = (graph.parameters(), graph.multiply_adds());
        let agree = reference.is_some_and(|reference| {
            (reference.parameters, reference.multiply_adds) == (parameters, multiply_adds)
        });
        differing += usize::from(!agree);
        let recorded = |count: fn(&Reference) -> u64| {
            reference.map_or("none".to_owned(), |reference| count(reference).to_string())
        };
        let published = |millions: Option<f64>| {
            millions.map_or("-".to_owned(), |millions| format!("{millions} M"))
        };
        println!(
            "{:36} {size:4}  {parameters:11} {:>11} {:>9}  {multiply_adds:13} {:>13} {:>9}  {}{}",
            network.name,
            recorded(|reference| reference.parameters),
            published(network.published_cost.map(|cost| cost.parameters)),
            recorded(|reference| reference.multiply_adds),
            published(network.published_cost.and_then(|cost| cost.multiply_adds)),
            reference.map_or(String::new(), |reference| format!(
                "{} {}",
                reference.origin, reference.name
            )),
            if agree { "" } else { "  DIFFERS" },
        );
    }
    let count = registry.networks().count();
    println!(
        "{} of {count} networks agree with the reference",
        count - differing
    );
    ExitCode::from(u8::from(differing > 0))
}
