//! Values without order that are the same everywhere.

/// From -1 to 1, all of which f32 has exactly.
pub fn noise(seed: u32) -> impl Iterator<Item = f32> {
    let mut state = seed;
    std::iter::repeat_with(move || {
        // Numerical Recipes' linear congruential generator; its high bits are the better ones.
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_is_in_its_range_and_has_no_mean() {
        let noise: Vec<f32> = noise(1).take(100_000).collect();
        assert!(noise.iter().all(|value| (-1.0..=1.0).contains(value)));
        let mean = noise.iter().sum::<f32>() / noise.len() as f32;
        assert!(mean.abs() < 0.01, "{mean}");
    }

    /// Plans tell what networks say of it.
    #[test]
    fn noise_stays_what_it_is() {
        let first: Vec<f32> = noise(1).take(3).collect();
        let states = [1_015_568_748_u32, 1_586_005_467, 2_165_703_038];
        assert_eq!(first, states.map(|s| (s >> 8) as f32 / 8_388_608.0 - 1.0));
    }
}
