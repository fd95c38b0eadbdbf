//! A picture of 8-bit levels gives what its normalised values give, to the bit.

use edge_classify_kernels::{Normalization, normalize};

use super::chains::{CACHES, team};
use super::*;

#[test]
fn levels_give_what_their_values_give() {
    let (mut nets, mut bands) = (0, 0);
    for seed in (1..600).step_by(HASTE) {
        let mut maker = Maker::new(seed);
        let shape = Shape {
            height: 2 + maker.below(64),
            width: 2 + maker.below(40),
            channels: 3,
        };
        let (net, _) = maker.rows_of(shape, 1 + seed as usize % 7);
        let row = 3 * shape.width;
        // The rows lie in a wider picture.
        let stride = row + maker.below(9);
        let pixels: Vec<u8> = (0..shape.height * stride)
            .map(|_| maker.below(256) as u8)
            .collect();
        let normalization =
            Normalization::new([120.0, 110.0, 100.0], [60.0, 50.0, 70.0], seed % 2 == 0);
        let picture = Picture {
            pixels: &pixels,
            stride,
            normalization: &normalization,
        };
        for isa in Isa::available() {
            let mut values = vec![0.0; shape.pixels() * 3];
            for (values, pixels) in values.chunks_mut(row).zip(pixels.chunks(stride)) {
                normalize(isa, &pixels[..row], &normalization, values);
            }
            let values = planes(&values, 3);
            for cache in CACHES.map(Some).into_iter().chain([None]) {
                let mut packed = Packed::<f32>::new(net.clone(), isa, cache).unwrap();
                packed.grain = 1;
                let grouped = packed.groups().next().is_some_and(|group| group.len() > 1);
                let mut executor =
                    Executor::new(Arc::new(packed), team(1 + seed as usize % 3)).unwrap();
                if !executor.takes_pictures() {
                    continue;
                }
                let expected = executor.run(&values).unwrap().to_vec();
                assert_eq!(
                    executor.run_picture(picture).unwrap(),
                    expected,
                    "seed {seed}"
                );
                nets += 1;
                bands += usize::from(grouped);
            }
        }
    }
    assert!(
        nets > 30 && bands * HASTE > 25 * Isa::available().len(),
        "{nets} networks, {bands} with more in bands"
    );
}

#[test]
fn a_picture_that_others_read_too_is_not_taken() {
    let mut maker = Maker::new(1);
    let shape = Shape {
        height: 8,
        width: 8,
        channels: 3,
    };
    let spans: Vec<Span> = (0..3).map(|_| maker.value(shape)).collect();
    let window = Window {
        height: 8,
        width: 8,
        kernel_h: 1,
        kernel_w: 1,
        stride_h: 1,
        stride_w: 1,
        dilation_h: 1,
        dilation_w: 1,
        pad_top: 0,
        pad_left: 0,
        out_height: 8,
        out_width: 8,
    };
    let kind = Kind::Convolution {
        weights: maker.floats(9, 0.3).into(),
        bias: maker.floats(3, 1.0).into(),
        window,
        residual: None,
    };
    let other = Kind::Add { other: spans[1] };
    maker.layer(kind, spans[0], spans[1], Activation::Identity);
    maker.layer(other, spans[0], spans[2], Activation::Identity);
    let mean = maker.vector_like(spans[2]);
    maker.layer(Kind::Mean, spans[2], mean, Activation::Identity);
    let net = Net::new(maker.values, maker.layers, 0, mean).unwrap();
    let packed = Packed::<f32>::new(net, Isa::best(), None).unwrap();
    assert!(
        !Executor::new(Arc::new(packed), team(1))
            .unwrap()
            .takes_pictures()
    );
}
