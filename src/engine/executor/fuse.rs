//! Which layers are computed together.
//!
//! An inverted residual expands its input several times over, and what the depthwise convolution reads and writes may not
//! fit in the cache. Computed by bands of rows (depth first, rather than a layer at a time), it never leaves it; but the
//! weights are read again for each band. Small pictures of many channels are better computed by channels: as far as the
//! depthwise convolution none of these needs another.

use crate::net::{Kind, Layer, Net, Span};

use super::chain::MOST;

/// Layers that are computed together, by their indices. A layer by itself is a group, too.
#[derive(Debug, PartialEq, Eq)]
pub struct Group {
    pub layers: Vec<usize>,
    pub by: By,
}

/// What is computed of all of a group's layers before the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    All,
    /// So many rows of the last one.
    Rows(usize),
    /// Some channels of a pointwise layer and a depthwise one.
    Channels,
}

/// Bands that are tried, the highest first: even ones, as a kernel takes two rows at a time, and adds up sums by such pairs.
const BANDS: [usize; 4] = [8, 6, 4, 2];

/// What the groups of a network's layers depend on.
pub struct Planner<'a> {
    pub net: &'a Net,
    /// The layers that are run, in their order.
    pub run: &'a [usize],
    /// Whether a layer adds up sums.
    pub has_mean: &'a dyn Fn(usize) -> bool,
    /// The layer that reads the network's input as it comes.
    pub reader: Option<usize>,
    /// Bytes of the cache that one thread may fill; without it, each layer is by itself.
    pub cache: Option<usize>,
    /// Bytes of a value's elements that are no levels.
    pub element: usize,
}

impl Group {
    fn single(layer: usize) -> Group {
        Group {
            layers: vec![layer],
            by: By::All,
        }
    }
}

impl Planner<'_> {
    /// Groups of all layers that are run.
    pub fn groups(&self) -> Vec<Group> {
        let mut groups: Vec<Group> = Vec::new();
        let mut at = 0;
        while at < self.run.len() {
            let chain = match self.cache {
                Some(cache) => self.longest(&self.run[at..], cache),
                None => Group::single(self.run[at]),
            };
            at += chain.layers.len();
            groups.push(chain);
        }
        groups
    }

    /// The group that begins with the first of `rest`: an expansion by channels, or else what saves most.
    fn longest(&self, rest: &[usize], cache: usize) -> Group {
        let layers = self.net.layers();
        let follows = |pair: &[usize]| self.follows(pair[0], pair[1]);
        // None of them reads other channels of the value that the last one writes.
        let apart = |group: &[usize]| {
            let written = layers[group[group.len() - 1]].output.value;
            let mut reads = group.iter().flat_map(|index| layers[*index].reads());
            reads.all(|span| span.value != written)
        };
        let expands = |pair: &[usize]| {
            let [layer, next] = [pair[0], pair[1]].map(|index| &layers[index]);
            follows(pair) && apart(pair) && self.expands(layer, next, cache)
        };
        if rest.len() > 1 && expands(&rest[..2]) {
            return Group {
                layers: rest[..2].to_vec(),
                by: By::Channels,
            };
        }
        let linked = |pair: &[usize]| !(self.has_mean)(pair[0]) && follows(pair) && !expands(pair);
        let links = rest.windows(2).take(MOST - 1);
        let most = 1 + links.take_while(|pair| linked(pair)).count();
        let mut best = (0, Group::single(rest[0]));
        for chain in (2..=most)
            .map(|len| &rest[..len])
            .filter(|chain| apart(chain))
        {
            let chain_layers: Vec<&Layer> = chain.iter().map(|index| &layers[*index]).collect();
            for band in BANDS {
                let saved = self.saved(&chain_layers, band, cache);
                if saved > best.0 {
                    let layers = chain.to_vec();
                    let by = By::Rows(band);
                    best = (saved, Group { layers, by });
                }
            }
        }
        best.1
    }

    fn is_of_levels(&self, span: Span) -> bool {
        self.net.quantization(span.value).is_some()
    }

    /// Whether a layer is computed by rows: of floats, or of levels.
    fn is_by_rows(&self, index: usize) -> bool {
        let layer = &self.net.layers()[index];
        let [input, output] = [layer.input, layer.output].map(|span| self.is_of_levels(span));
        let slides = match layer.kind {
            Kind::Pointwise { gate: None, .. }
            | Kind::Convolution { .. }
            | Kind::Depthwise { .. } => true,
            Kind::Multiply { .. } => input,
            _ => false,
        };
        (slides && input == output) || (self.reader == Some(index) && output)
    }

    /// Whether `next` reads what `layer` writes, all of it, and is alone in that; and both can be computed by rows.
    fn follows(&self, layer: usize, next: usize) -> bool {
        let net = self.net;
        let by_rows = self.is_by_rows(layer) && self.is_by_rows(next);
        let [layer, next] = [layer, next].map(|index| &net.layers()[index]);
        let span = layer.output;
        let shape = net.values()[span.value];
        let same = |other: &Span| other.value == span.value;
        let reads = self.run.iter();
        let reads = reads.flat_map(|index| net.layers()[*index].reads());
        by_rows
            && next.input == span
            && span.channels == shape.channels
            && net.output().value != span.value
            && reads.filter(same).count() == 1
            // The kernel sums up one pixel in another order than several.
            && shape.width > 1
            && net.shape(next.output).width > 1
    }

    /// Whether `next` is a depthwise convolution of what `layer` expands, and these are better computed some channels at a
    /// time: each then reads its weights once. They are if all of the input fits in the cache, with all pixels of some
    /// channels.
    fn expands(&self, layer: &Layer, next: &Layer, cache: usize) -> bool {
        /// So many channels are worth it.
        const CHANNELS: usize = 32;
        let alone = matches!(
            layer.kind,
            Kind::Pointwise {
                gate: None,
                residual: None,
                ..
            }
        );
        let depthwise = matches!(next.kind, Kind::Depthwise { .. });
        let input = self.net.shape(layer.input);
        let bytes = |channels| input.pixels() * channels * self.element;
        alone
            && depthwise
            && !self.is_of_levels(layer.input)
            && bytes(CHANNELS) <= cache / 4
            && bytes(input.channels + CHANNELS) <= most(cache)
    }

    /// Bytes of traffic with the memory behind the cache that a chain saves; none if it costs more.
    fn saved(&self, chain: &[&Layer], band: usize, cache: usize) -> usize {
        /// The cache is so much faster than what is behind it.
        const FASTER: usize = 4;
        let net = self.net;
        let element = |layer: &Layer| match self.is_of_levels(layer.output) {
            true => 1,
            false => self.element,
        };
        let bytes = |layer: &Layer| {
            let shape = net.shape(layer.output);
            shape.pixels() * shape.channels * element(layer)
        };
        let between = &chain[..chain.len() - 1];
        // Something else is in the cache, too.
        let spilled = |bytes: usize| if bytes > cache / 2 { 2 * bytes } else { 0 };
        let without: usize = between.iter().map(|layer| spilled(bytes(layer))).sum();
        let last = net.shape(chain[chain.len() - 1].output);
        let bands = last.height.div_ceil(band);
        let (mut rows, mut held) = (band, 0);
        for pair in chain.windows(2).rev() {
            let shape = net.shape(pair[0].output);
            let row = shape.width * shape.channels * element(pair[0]);
            let needed = match pair[1].kind.window() {
                Some(window) => window.most_seen(rows),
                None => rows,
            };
            rows = needed.min(shape.height);
            held += rows * row;
        }
        let weights = |layer: &&Layer| layer.kind.parameters() * element(layer);
        let weights: usize = chain.iter().map(weights).sum();
        if held + weights > most(cache) {
            return 0;
        }
        without.saturating_sub(bands * weights / FASTER)
    }
}

/// Bytes of the cache for what is used at once, over and over, so that other values leave it before.
fn most(cache: usize) -> usize {
    cache / 16 * 15
}
