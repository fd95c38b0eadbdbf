//! Networks of levels made at random: the same bits as their definition, on every processor and any number of threads.

use std::sync::Arc;

use edge_classify_int8::Quantization;
use edge_classify_kernels::{Activation, Isa, Normalization, Pool, Window, normalize};
use proptest::prelude::*;

use super::maker::{Maker, planes};
use crate::net::interpreter::interpret;
use crate::net::{Kind, Net, Shape, Span, Weights};
use crate::{Executor, Packed, Picture, Team, Threads};

/// A network as it is being made.
struct Levels {
    maker: Maker,
    quantizations: Vec<Option<Quantization>>,
}

impl Levels {
    fn quantization(&mut self) -> Quantization {
        Quantization {
            scale: (1 + self.maker.below(40)) as f32 / 320.0,
            zero_point: (self.maker.below(256) as i32 - 128) as i8,
        }
    }

    fn floats(&mut self, shape: Shape) -> Span {
        self.quantizations.push(None);
        self.maker.value(shape)
    }

    fn levels(&mut self, shape: Shape) -> Span {
        let quantization = self.quantization();
        self.quantizations.push(Some(quantization));
        self.maker.value(shape)
    }

    fn weights(&mut self, rows: usize, len: usize) -> Weights {
        let mut level = || (self.maker.below(255) as i32 - 127) as i8;
        let levels = (0..rows * len).map(|_| level()).collect();
        let mut scale = || (1 + self.maker.below(60)) as f32 / (3000.0 * (len as f32).sqrt());
        Weights::quantized(levels, (0..rows).map(|_| scale()).collect())
    }

    fn bias(&mut self, rows: usize) -> Weights {
        self.maker.floats(rows, 1.0).into()
    }

    fn layer(&mut self, kind: Kind, input: Span, output: Span) {
        let linear = matches!(
            kind,
            Kind::Pool { .. } | Kind::Mean | Kind::Shuffle { .. } | Kind::Multiply { .. }
        );
        let linear = linear || self.quantizations[output.value].is_none();
        let activation =
            match linear && !matches!(kind, Kind::Excite { .. } | Kind::Pointwise { .. }) {
                true => Activation::Identity,
                false => self.maker.activation(),
            };
        self.maker.layer(kind, input, output, activation);
    }

    fn shape(&self, span: Span) -> Shape {
        let channels = span.channels;
        Shape {
            channels,
            ..self.maker.values[span.value]
        }
    }

    /// To an output of levels, or of f32.
    fn pointwise(&mut self, input: Span, output: Span, residual: Option<Span>) {
        let kind = Kind::Pointwise {
            weights: self.weights(output.channels, input.channels),
            bias: self.bias(output.channels),
            gate: None,
            residual,
        };
        self.layer(kind, input, output);
    }

    fn depthwise(&mut self, input: Span) -> Span {
        let window = self.maker.window(self.shape(input));
        let output = self.levels(after(&window, input.channels));
        let kind = Kind::Depthwise {
            weights: self.weights(input.channels, window.kernel_h * window.kernel_w),
            bias: self.bias(input.channels),
            window,
        };
        self.layer(kind, input, output);
        output
    }

    fn convolution(&mut self, input: Span) -> Span {
        let window = self.maker.window(self.shape(input));
        let outputs = 1 + self.maker.below(40);
        let output = self.levels(after(&window, outputs));
        let row = input.channels * window.kernel_h * window.kernel_w;
        let kind = Kind::Convolution {
            weights: self.weights(outputs, row),
            bias: self.bias(outputs),
            window,
            residual: None,
        };
        self.layer(kind, input, output);
        output
    }

    /// Squeeze-and-excitation.
    fn excite(&mut self, input: Span) -> Span {
        let shape = self.shape(input);
        let channels = input.channels;
        let vector = Shape {
            height: 1,
            width: 1,
            channels,
        };
        let (mean, gate) = (self.floats(vector), self.floats(vector));
        self.layer(Kind::Mean, input, mean);
        let hidden = 1 + self.maker.below(20);
        let kind = Kind::Excite {
            squeeze: self.maker.floats(hidden * channels, 0.3).into(),
            squeeze_bias: self.bias(hidden),
            squeeze_activation: self.maker.activation(),
            excite: self.maker.floats(hidden * channels, 0.3).into(),
            excite_bias: self.bias(channels),
        };
        self.layer(kind, mean, gate);
        let output = self.levels(shape);
        self.layer(Kind::Multiply { gate }, input, output);
        output
    }

    fn pool(&mut self, input: Span) -> Span {
        let shape = self.shape(input);
        let side = |size: usize| size.div_ceil(2);
        let window = Window {
            height: shape.height,
            width: shape.width,
            kernel_h: 3,
            kernel_w: 3,
            stride_h: 2,
            stride_w: 2,
            dilation_h: 1,
            dilation_w: 1,
            pad_top: 1,
            pad_left: 1,
            out_height: side(shape.height),
            out_width: side(shape.width),
        };
        let output = self.levels(after(&window, input.channels));
        let pool = match self.maker.below(3) {
            0 => {
                self.quantizations[output.value] = self.quantizations[input.value];
                Pool::Max
            }
            kind => Pool::Average {
                count_padding: kind == 1,
            },
        };
        self.layer(Kind::Pool { pool, window }, input, output);
        output
    }

    /// A layer of some kind.
    fn any(&mut self, input: Span) -> Span {
        let shape = self.shape(input);
        let same = |levels: &mut Levels, kind| {
            let output = levels.levels(shape);
            levels.layer(kind, input, output);
            output
        };
        match self.maker.below(9) {
            0 => {
                let channels = 1 + self.maker.below(80);
                let output = self.levels(Shape { channels, ..shape });
                self.pointwise(input, output, None);
                output
            }
            1 => {
                let part = self.maker.part(input);
                let output = self.levels(shape);
                self.pointwise(part, output, Some(input));
                output
            }
            2 | 3 => self.depthwise(input),
            4 => self.excite(input),
            5 => self.pool(input),
            6 => same(self, Kind::Add { other: input }),
            7 => same(self, Kind::Activate),
            _ => {
                let output = self.levels(shape);
                self.quantizations[output.value] = self.quantizations[input.value];
                let divides = |groups: &usize| shape.channels.is_multiple_of(*groups);
                let groups = [4, 3, 2, 1].into_iter().find(divides).unwrap();
                self.layer(Kind::Shuffle { groups }, input, output);
                output
            }
        }
    }

    /// From a picture of f32 to logits of such.
    fn net(seed: u64, layers: usize) -> (Net, Vec<f32>) {
        let mut levels = Levels {
            maker: Maker::new(seed),
            quantizations: Vec::new(),
        };
        let picture = Shape {
            height: 1 + levels.maker.below(14),
            width: 1 + levels.maker.below(14),
            channels: 3,
        };
        let input = levels.floats(picture);
        let mut span = levels.levels(picture);
        levels.layer(Kind::Activate, input, span);
        levels.maker.layers[0].activation = Activation::Identity;
        span = levels.convolution(span);
        for _ in 0..layers {
            span = levels.any(span);
        }
        let vector = |channels| Shape {
            height: 1,
            width: 1,
            channels,
        };
        let mean = levels.levels(vector(span.channels));
        levels.layer(Kind::Mean, span, mean);
        let logits = levels.floats(vector(10));
        levels.pointwise(mean, logits, None);
        let Maker { values, layers, .. } = levels.maker;
        let net = Net::new(values, layers, 0, logits).unwrap();
        let net = net.with_quantizations(levels.quantizations).unwrap();
        let len = picture.pixels() * picture.channels;
        (net, Maker::new(seed ^ 0x5555).floats(len, 3.0))
    }
}

fn after(window: &Window, channels: usize) -> Shape {
    Shape {
        height: window.out_height,
        width: window.out_width,
        channels,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn networks_of_levels_compute_their_definition_bit_for_bit(seed: u64, layers in 0usize..7) {
        let (net, input) = Levels::net(seed, layers);
        let values = interpret(&net, &input);
        let expected = &values[net.output().value];
        let input = planes(&input, net.input().channels);
        for isa in Isa::available() {
            for (threads, cache) in [(1, None), (2, None), (3, None), (1, Some(8 << 10)), (2, Some(1 << 10))] {
                let mut packed = Packed::<f32>::new(net.clone(), isa, cache).unwrap();
                packed.grain = 1;
                let team = Team::new(Threads::new(threads).unwrap()).unwrap();
                let mut executor = Executor::new(Arc::new(packed), Arc::new(team)).unwrap();
                prop_assert_eq!(executor.run(&input).unwrap(), &expected[..], "{}", isa.name());
                prop_assert_eq!(executor.run(&input).unwrap(), &expected[..]);
            }
        }
    }
}

/// Layers are computed together where that saves traffic, by bands of rows, and nothing is changed by that.
#[test]
fn bands_change_nothing() {
    let (mut chains, mut reading) = (0, 0);
    for seed in (1..400).step_by(super::HASTE) {
        let (net, input) = Levels::net(seed, 1 + seed as usize % 5);
        let input = planes(&input, net.input().channels);
        let threads = Threads::new(1 + seed as usize % 3).unwrap();
        let team = Arc::new(Team::new(threads).unwrap());
        for isa in Isa::available() {
            let run = |packed: Packed| {
                let packed = Packed { grain: 1, ..packed };
                let mut executor = Executor::new(Arc::new(packed), team.clone()).unwrap();
                executor.run(&input).unwrap().to_vec()
            };
            let expected = run(Packed::new(net.clone(), isa, None).unwrap());
            for cache in [256, 1 << 10, 4 << 10, 32 << 10] {
                let packed = Packed::new(net.clone(), isa, Some(cache)).unwrap();
                let groups = || packed.groups().filter(|group| group.len() > 1);
                chains += groups().count();
                reading += groups().filter(|group| group[0] == 0).count();
                assert_eq!(run(packed), expected, "seed {seed}, {}", isa.name());
            }
        }
    }
    let enough = 20 * Isa::available().len() / super::HASTE;
    assert!(
        chains > enough && reading > enough / 4,
        "{chains} chains, {reading} from the input"
    );
}

#[test]
fn pictures_give_the_same_bits_as_their_values() {
    for seed in 1..40 {
        let (net, _) = Levels::net(seed, 3);
        let Shape { height, width, .. } = net.input();
        let mut maker = Maker::new(seed);
        // The rows lie in a wider picture.
        let (row, stride) = (3 * width, 3 * width + maker.below(9));
        let pixels: Vec<u8> = (0..height * stride)
            .map(|_| maker.below(256) as u8)
            .collect();
        let normalization =
            Normalization::new([120.0, 110.0, 100.0], [60.0, 50.0, 70.0], seed % 2 == 0);
        let picture = Picture {
            pixels: &pixels,
            stride,
            normalization: &normalization,
        };
        let mut expected = None;
        for isa in Isa::available() {
            let mut values = vec![0.0; row * height];
            for (values, pixels) in values.chunks_mut(row).zip(pixels.chunks(stride)) {
                normalize(isa, &pixels[..row], &normalization, values);
            }
            let mut packed = Packed::<f32>::new(net.clone(), isa, None).unwrap();
            packed.grain = 1;
            let team = Team::new(Threads::new(1 + seed as usize % 3).unwrap()).unwrap();
            let mut executor = Executor::new(Arc::new(packed), Arc::new(team)).unwrap();
            assert!(executor.takes_pictures());
            let found = executor.run_picture(picture).unwrap().to_vec();
            assert_eq!(
                &found,
                expected.get_or_insert(found.clone()),
                "{}",
                isa.name()
            );
            assert_eq!(
                executor.run(&planes(&values, 3)).unwrap(),
                found,
                "{}",
                isa.name()
            );
        }
    }
}
