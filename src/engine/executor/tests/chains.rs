//! Layers that are computed together give what each gives by itself, to the bit if as many parts share the work.

use super::*;
use crate::executor::step::Run;

impl Maker {
    /// Layers that can be computed by rows, one after the other, and a mean.
    fn rows(&mut self, layers: usize) -> (Net, Vec<f32>) {
        let shape = Shape {
            height: 16 + self.below(64),
            width: 2 + self.below(40),
            channels: 1 + self.below(12),
        };
        self.rows_of(shape, layers)
    }

    /// The same of a picture of this shape.
    pub fn rows_of(&mut self, shape: Shape, layers: usize) -> (Net, Vec<f32>) {
        let picture = self.value(shape);
        let (mut input, mut before) = (picture, picture);
        for _ in 0..layers {
            let shape = self.values[input.value];
            let activation = self.activation();
            let kind = self.below(5);
            let output = if kind < 2 {
                let window = self.window(shape);
                let taps = window.kernel_h * window.kernel_w;
                let output = self.value(Shape {
                    height: window.out_height,
                    width: window.out_width,
                    ..shape
                });
                let kind = Kind::Depthwise {
                    weights: self.floats(shape.channels * taps, 0.3).into(),
                    bias: self.floats(shape.channels, 1.0).into(),
                    window,
                };
                self.layer(kind, input, output, activation);
                output
            } else if kind == 2 {
                let channels = 1 + self.below(12);
                let window = self.window(shape);
                let taps = window.kernel_h * window.kernel_w;
                let output = self.value(Shape {
                    height: window.out_height,
                    width: window.out_width,
                    channels,
                });
                let kind = Kind::Convolution {
                    weights: self.floats(channels * shape.channels * taps, 0.1).into(),
                    bias: self.floats(channels, 1.0).into(),
                    window,
                    residual: None,
                };
                self.layer(kind, input, output, activation);
                output
            } else {
                // A residual where something of its shape has come before.
                let older = self.values[before.value];
                let same_pixels = (older.height, older.width) == (shape.height, shape.width);
                let residual = Some(before).filter(|_| same_pixels && before.value != input.value);
                let channels = residual.map_or(1 + self.below(40), |_| older.channels);
                let output = self.value(Shape { channels, ..shape });
                let kind = Kind::Pointwise {
                    weights: self.floats(channels * shape.channels, 0.3).into(),
                    bias: self.floats(channels, 1.0).into(),
                    gate: None,
                    residual,
                };
                self.layer(kind, input, output, activation);
                output
            };
            if self.below(3) == 0 {
                before = input;
            }
            input = output;
        }
        let mean = self.vector_like(input);
        self.layer(Kind::Mean, input, mean, Activation::Identity);
        let len = shape.pixels() * shape.channels;
        let input = self.floats(len, 1.0);
        let maker = std::mem::replace(self, Maker::new(1));
        let net = Net::new(maker.values, maker.layers, 0, mean).unwrap();
        (net, input)
    }

    pub fn vector_like(&mut self, span: Span) -> Span {
        self.value(Shape {
            height: 1,
            width: 1,
            channels: span.channels,
        })
    }
}

/// Caches of which one or another lets layers be computed together.
pub const CACHES: [usize; 7] = [
    1 << 10,
    4 << 10,
    16 << 10,
    48 << 10,
    96 << 10,
    256 << 10,
    1 << 20,
];

pub fn team(threads: usize) -> Arc<Team> {
    Arc::new(Team::new(Threads::new(threads).unwrap()).unwrap())
}

fn longest(packed: &Packed) -> usize {
    packed.groups().map(<[usize]>::len).max().unwrap_or(0)
}

const CASES: u32 = 100 / HASTE as u32;

proptest! {
    #![proptest_config(ProptestConfig { cases: CASES, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn bands_change_nothing(seed: u64, layers in 2usize..9) {
        change_nothing(seed, layers)?;
    }
}

/// Few pixels, of which a thread could get one alone.
#[test]
fn a_small_picture_is_the_same_for_several_threads() {
    change_nothing(9842246258641097556, 8).unwrap();
}

fn change_nothing(seed: u64, layers: usize) -> Result<(), TestCaseError> {
    let (net, input) = Maker::new(seed).rows(layers);
    let input = planes(&input, net.input().channels);
    for isa in Isa::available() {
        for threads in 1..4 {
            let run = |cache| {
                let mut packed = Packed::<f32>::new(net.clone(), isa, cache).unwrap();
                packed.grain = 1;
                let packed = Arc::new(packed);
                let mut executor = Executor::new(packed.clone(), team(threads)).unwrap();
                let result = executor.run(&input).unwrap().to_vec();
                // Nothing of a picture is left for the next.
                prop_assert_eq!(executor.run(&input).unwrap(), &result[..]);
                Ok((longest(&packed), result))
            };
            let (_, alone) = run(None)?;
            for cache in CACHES {
                let (longest, together) = run(Some(cache))?;
                prop_assert_eq!(&together, &alone, "{} layers, {} threads", longest, threads);
            }
        }
    }
    Ok(())
}

/// The tests above would pass without chains.
#[test]
fn some_cache_lets_layers_be_computed_together() {
    let mut lengths = BTreeMap::<usize, usize>::new();
    for seed in 1..200 {
        let (net, _) = Maker::new(seed).rows(2 + seed as usize % 7);
        for cache in CACHES {
            let packed = Packed::<f32>::new(net.clone(), Isa::best(), Some(cache)).unwrap();
            *lengths.entry(longest(&packed)).or_default() += 1;
        }
    }
    assert!(
        (2..=4).all(|len| lengths.get(&len) > Some(&10)),
        "{lengths:?}"
    );
}

/// A layer of a group may read other channels of what the last one writes: `concat([x, depthwise(pointwise(x))])`.
#[test]
fn a_group_does_not_read_what_it_writes() {
    for input_first in [true, false] {
        let mut maker = Maker::new(1);
        let shape = |channels| Shape {
            height: 8,
            width: 8,
            channels,
        };
        let picture = maker.value(shape(16));
        let both = maker.value(shape(32));
        let (first, second) = (
            Span {
                channels: 16,
                ..both
            },
            Span {
                first: 16,
                channels: 16,
                ..both
            },
        );
        let (x, y) = if input_first {
            (first, second)
        } else {
            (second, first)
        };
        let between = maker.value(shape(16));
        maker.fill(x, picture);
        maker.fill(between, x);
        let kind = Kind::Depthwise {
            weights: maker.floats(16 * 9, 0.3).into(),
            bias: maker.floats(16, 1.0).into(),
            window: Window {
                height: 8,
                width: 8,
                kernel_h: 3,
                kernel_w: 3,
                stride_h: 1,
                stride_w: 1,
                dilation_h: 1,
                dilation_w: 1,
                pad_top: 1,
                pad_left: 1,
                out_height: 8,
                out_width: 8,
            },
        };
        maker.layer(kind, between, y, Activation::Identity);
        let mean = maker.vector_like(both);
        maker.layer(Kind::Mean, both, mean, Activation::Identity);
        let input = maker.floats(8 * 8 * 16, 1.0);
        let net = Net::new(maker.values, maker.layers, 0, mean).unwrap();
        let run = |cache| {
            let packed = Arc::new(Packed::<f32>::new(net.clone(), Isa::best(), cache).unwrap());
            Executor::new(packed, team(1))
                .unwrap()
                .run(&input)
                .unwrap()
                .to_vec()
        };
        let alone = run(None);
        for cache in CACHES {
            assert_eq!(run(Some(cache)), alone);
        }
    }
}

#[test]
fn some_cache_lets_layers_be_computed_by_channels() {
    let by_channels = (1..200).filter(|seed| {
        let (net, _) = Maker::new(*seed).rows(2 + *seed as usize % 7);
        CACHES.into_iter().any(|cache| {
            let packed = Packed::<f32>::new(net.clone(), Isa::best(), Some(cache)).unwrap();
            let mut steps = packed.steps.iter();
            steps.any(|step| matches!(step.run, Run::Expansion { .. }))
        })
    });
    assert!(by_channels.count() > 40);
}

#[test]
fn what_is_between_takes_no_place_in_the_arena() {
    let shape = |channels| Shape {
        height: 64,
        width: 64,
        channels,
    };
    let mut maker = Maker::new(1);
    let spans = [8, 48, 8].map(|channels| maker.value(shape(channels)));
    for pair in spans.windows(2) {
        maker.fill(pair[1], pair[0]);
    }
    let mean = maker.vector_like(spans[2]);
    maker.layer(Kind::Mean, spans[2], mean, Activation::Identity);
    let net = Net::new(maker.values, maker.layers, 0, mean).unwrap();
    let arena = |cache| {
        Packed::<f32>::new(net.clone(), Isa::best(), cache)
            .unwrap()
            .arena_bytes()
    };
    let each = 64 * 64 * 4;
    assert_eq!(arena(None), (8 + 48) * each);
    assert_eq!(arena(Some(256 << 10)), (8 + 8) * each);
}
