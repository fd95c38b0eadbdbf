//! What each layer by itself does to the logits.

use edge_classify_int8::Quantization;

use super::QuantizeError;
use super::machine::Machine;
use super::placement::Placed;
use super::reference::Reference;
use super::weight_choice::Chosen;

/// Packing a network anew takes about so many runs.
pub const PACKING: u64 = 2;

/// Signal to noise in the logits where the weights of one layer, and what it reads and writes, are levels and all else is
/// in float, in dB: by the layer's index in the network that was placed, of which `origins` has one for each layer.
pub fn sensitivities(
    placed: &Placed,
    origins: &[Option<usize>],
    quantizations: &[Option<Quantization>],
    chosen: &Chosen,
    reference: &Reference,
    machine: &mut Machine,
) -> Result<Vec<Option<f64>>, QuantizeError> {
    let len = origins.iter().flatten().max().map_or(0, |last| last + 1);
    let mut found = vec![None; len];
    let layers = placed.net.layers().iter().zip(origins).enumerate();
    for (index, (layer, origin)) in layers {
        let Some(origin) = origin.filter(|_| placed.computes_in_levels(index)) else {
            continue;
        };
        let mut own = vec![None; quantizations.len()];
        for span in layer.reads().chain([layer.output]) {
            own[span.value] = quantizations[span.value];
        }
        let net = chosen.simulated_in(placed, index)?;
        found[origin] = Some(reference.signal_to_noise_of(&net, &own, machine)?);
        machine.work.advance(reference.pictures() as u64 + PACKING);
    }
    Ok(found)
}
