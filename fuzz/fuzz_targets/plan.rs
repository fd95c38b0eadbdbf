//! Opens whatever it is given as a plan.

#![no_main]

#[path = "../src/check.rs"]
mod check;
#[path = "../src/mutate.rs"]
mod mutate;

use libfuzzer_sys::{Corpus, fuzz_mutator, fuzz_target, fuzzer_mutate};

fuzz_target!(|bytes: &[u8]| -> Corpus {
    check::check(bytes);
    Corpus::Keep
});

fuzz_mutator!(|data: &mut [u8], size: usize, most: usize, seed: u32| {
    match mutate::mutated(&data[..size], seed) {
        Some(other) if other.len() <= most => {
            data[..other.len()].copy_from_slice(&other);
            other.len()
        }
        _ => fuzzer_mutate(data, size, most),
    }
});
