use proptest::prelude::*;

use super::*;

fn quantizations() -> impl Strategy<Value = Quantization> {
    (1e-4f32..10.0, any::<i8>()).prop_map(|(scale, zero_point)| Quantization { scale, zero_point })
}

/// Values that become any level, or are beyond.
fn values(len: impl Into<prop::collection::SizeRange>) -> impl Strategy<Value = Vec<f32>> {
    let value = prop_oneof![
        8 => -300.0f32..300.0,
        1 => any::<f32>(),
        1 => prop::sample::select(vec![
            f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 0.5, 1.5, -0.5, 0.0, -0.0,
        ]),
    ];
    prop::collection::vec(value, len)
}

#[test]
fn a_level_is_the_nearest_or_a_bound() {
    let q = Quantization {
        scale: 0.5,
        zero_point: -3,
    };
    let cases = [
        (0.0, -3),
        (0.5, -2),
        // Ties to even.
        (0.25, -3),
        (0.75, -1),
        (-0.25, -3),
        (65.0, 127),
        (1e30, 127),
        (f32::INFINITY, 127),
        (-1e30, -128),
        (f32::NEG_INFINITY, -128),
        (f32::NAN, -128),
    ];
    for (value, level) in cases {
        assert_eq!(q.level(value), level, "{value}");
    }
}

#[test]
fn levels_are_the_levels_of_their_values() {
    for scale in [1e-3, 0.0123, 1.0 / 3.0, 7.7] {
        for zero_point in [i8::MIN, -7, 0, 99, i8::MAX] {
            let q = Quantization { scale, zero_point };
            for level in i8::MIN..=i8::MAX {
                assert_eq!(q.level(q.value(level)), level);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn values_become_their_levels(q in quantizations(), x in values(0..200)) {
        let x: Vec<f32> = x.iter().map(|value| value * q.scale).collect();
        for isa in Isa::available() {
            let mut out = vec![0; x.len()];
            quantize(isa, &x, q, &mut out);
            for (value, byte) in x.iter().zip(&out) {
                prop_assert_eq!((byte ^ flip(isa)) as i8, q.level(*value), "{} of {}", value, isa.name());
            }
            let mut back = vec![0.0; x.len()];
            dequantize(isa, &out, q, &mut back);
            for (value, byte) in back.iter().zip(&out) {
                prop_assert_eq!(value.to_bits(), q.value((byte ^ flip(isa)) as i8).to_bits());
            }
        }
    }

    #[test]
    fn planes_become_pixels_of_levels(
        q in quantizations(), channels in 1usize..6, (first, pixels, after) in (0usize..5, 0usize..150, 0usize..5),
        all in values(6 * 160),
    ) {
        let area = first + pixels + after;
        let planes = &all[..channels * area];
        for isa in Isa::available() {
            let mut out = vec![0; channels * pixels];
            interleave_quantize(isa, planes, channels, first, q, &mut out);
            for (i, byte) in out.iter().enumerate() {
                let (pixel, channel) = (i / channels, i % channels);
                let value = planes[channel * area + first + pixel];
                prop_assert_eq!((byte ^ flip(isa)) as i8, q.level(value), "{}", isa.name());
            }
        }
    }

    #[test]
    fn pictures_become_levels_of_normalised_pixels(
        scale in 0.005f32..0.1, zero_point in any::<i8>(), reversed in any::<bool>(),
        pixels in prop::collection::vec(any::<[u8; 3]>(), 0..100),
    ) {
        let q = Quantization { scale, zero_point };
        let how = Normalization::new([123.675, 116.28, 103.53], [58.395, 57.12, 57.375], reversed);
        let pixels = pixels.as_flattened();
        for isa in Isa::available() {
            let mut values = vec![0.0_f32; pixels.len()];
            normalize(isa, pixels, &how, &mut values);
            let mut out = vec![0; pixels.len()];
            quantize_picture(pixels, &PictureLevels::new(isa, &how, q), &mut out);
            for (value, byte) in values.iter().zip(&out) {
                prop_assert_eq!((byte ^ flip(isa)) as i8, q.level(*value), "{}", isa.name());
            }
        }
    }
}

const PLAIN: Quantization = Quantization {
    scale: 1.0,
    zero_point: 0,
};

#[test]
#[should_panic(expected = "as many values as levels")]
fn lengths_that_differ_are_refused() {
    quantize(Isa::available()[0], &[0.0; 3], PLAIN, &mut [0; 2]);
}

#[test]
#[should_panic(expected = "6 bytes to 3 levels")]
fn pictures_of_another_size_are_refused() {
    let how = Normalization::new([0.0; 3], [1.0; 3], false);
    let levels = PictureLevels::new(Isa::available()[0], &how, PLAIN);
    quantize_picture(&[0; 6], &levels, &mut [0; 3]);
}

#[test]
fn planes_that_are_not_there_are_refused() {
    let run = |planes: usize, channels: usize, first: usize, out: usize| {
        let (planes, mut out) = (vec![0.0; planes], vec![0; out]);
        let isa = Isa::available()[0];
        let run = move || interleave_quantize(isa, &planes, channels, first, PLAIN, &mut out);
        std::panic::catch_unwind(run).is_ok()
    };
    assert!(run(9, 3, 1, 6));
    assert!(!run(9, 3, 2, 6), "a pixel too many");
    assert!(!run(9, 3, 0, 7), "no whole pixel");
    assert!(!run(8, 3, 0, 6), "a plane that is short");
    assert!(!run(9, 3, usize::MAX, 3), "no such pixel");
    assert!(!run(9, 0, 0, 0), "no channels");
}
