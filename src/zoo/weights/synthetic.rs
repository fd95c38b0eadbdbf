//! Weights without training: a function of the tensor's name and a seed that any language can repeat.
//!
//! Value i (from 1, in row-major order) of a tensor is made from
//!
//! ```text
//! z = SplitMix64 finalizer of (FNV-1a(name) ^ seed * G) + i * G,   G = 0x9E3779B97F4A7C15, modulo 2^64
//! u = (z >> 11) / 2^53, in [0, 1)
//! ```
//!
//! and scaled so that activations keep their size from layer to layer. (FNV-1a: Fowler, Noll, Vo; SplitMix64: Steele,
//! Lea, Flood, 2014.)

const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

/// The values of a weight, or of the network's input (1x3xRxR) under the name `input`.
pub fn synthetic_tensor(name: &str, shape: &[usize], seed: u64) -> Vec<f32> {
    let base = fnv1a(name) ^ seed.wrapping_mul(GOLDEN);
    let uniform = |index: usize| {
        let mixed = split_mix(base.wrapping_add((index as u64 + 1).wrapping_mul(GOLDEN)));
        (mixed >> 11) as f64 / (1u64 << 53) as f64
    };
    let Spread {
        scale,
        offset,
        bound,
        gain,
    } = Spread::of(name, shape);
    let value = |index| ((scale * uniform(index) + offset) * bound * gain) as f32;
    (0..shape.iter().product()).map(value).collect()
}

/// The interval over which the values of a tensor are spread: (scale * [0, 1) + offset) * bound * gain, each step
/// rounded to f64.
struct Spread {
    scale: f64,
    offset: f64,
    bound: f64,
    gain: f64,
}

impl Spread {
    fn of(name: &str, shape: &[usize]) -> Self {
        let plain = |scale, offset| Spread {
            scale,
            offset,
            bound: 1.0,
            gain: 1.0,
        };
        let field = name.rsplit('.').next().unwrap_or(name);
        match field {
            _ if name == "input" => plain(4.0, -2.0),
            "running_var" => plain(1.0, 0.5),
            "running_mean" | "bias" => plain(0.4, -0.2),
            _ if shape.len() > 1 => {
                let fan_in: usize = shape[1..].iter().product();
                Spread {
                    scale: 2.0,
                    offset: -1.0,
                    bound: (6.0 / fan_in as f64).sqrt(),
                    // Projections end residual branches; smaller ones keep the sums from growing.
                    gain: if name.contains(".conv_pwl.") {
                        0.3
                    } else {
                        1.0
                    },
                }
            }
            _ => plain(1.0, 0.5),
        }
    }
}

fn fnv1a(text: &str) -> u64 {
    text.bytes().fold(0xCBF2_9CE4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
    })
}

fn split_mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hash_and_mixer_are_the_published_ones() {
        // From the FNV authors' test suite; first output of SplitMix64 seeded with 0.
        assert_eq!(fnv1a(""), 0xCBF2_9CE4_8422_2325);
        assert_eq!(fnv1a("foobar"), 0x8594_4171_F739_67E8);
        assert_eq!(split_mix(GOLDEN), 0xE220_A839_7B1D_CDAF);
    }

    #[test]
    fn values_are_in_range_and_differ_by_name_and_seed() {
        let weights = synthetic_tensor("conv_stem.weight", &[8, 3, 3, 3], 1);
        let bound = (6.0f32 / 27.0).sqrt();
        assert!(weights.iter().all(|w| w.abs() <= bound));
        assert!(weights.iter().any(|w| w.abs() > 0.9 * bound));
        assert_ne!(
            weights,
            synthetic_tensor("conv_stem.weight", &[8, 3, 3, 3], 2)
        );
        assert_ne!(
            weights,
            synthetic_tensor("conv_head.weight", &[8, 3, 3, 3], 1)
        );
        assert!(
            synthetic_tensor("bn1.running_var", &[64], 1)
                .iter()
                .all(|v| *v >= 0.5)
        );
    }
}
