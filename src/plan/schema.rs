//! What the metadata of a plan says, and how it becomes a network.
//!
//! Written apart from the engine's own types, so that these can change and old plans stay readable.

use edge_classify_int8::Quantization;
use edge_classify_kernels::{Activation, Pool, Window};
use serde::{Deserialize, Serialize};

use crate::engine::net::{Kind, Layer, Net, NetError, Shape, Span, Weights};

/// What every version says of itself.
#[derive(Debug, Deserialize)]
pub struct Envelope {
    pub version: u64,
    /// Of `contents`.
    pub checksum: String,
    /// JSON.
    pub contents: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contents {
    pub card: Option<String>,
    pub labels: Option<String>,
    pub network: Network,
    /// None in plans of programs that had no such.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub self_test: Option<SelfTestForm>,
    /// Of each tensor's bytes, with those that fill its last cache line, in the order of their names.
    pub checksums: Vec<String>,
    /// Of the report, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<String>,
}

/// What the network says of pictures that are made of numbers.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SelfTestForm {
    pub pictures: Vec<PictureForm>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PictureForm {
    pub seed: u32,
    pub logits: LogitsForm,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum LogitsForm {
    /// XXH3 of their bits.
    Exactly(String),
    /// Which tensor has them, and by how much they may differ when they are computed in f32, and in fp16.
    About { tensor: usize, f32: f32, fp16: f32 },
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Network {
    /// Height, width, channels.
    values: Vec<[usize; 3]>,
    /// For each value, what its levels stand for, unless it is of floats; none at all if all are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    quantizations: Vec<Option<QuantizationForm>>,
    input: usize,
    output: SpanForm,
    layers: Vec<LayerForm>,
}

/// Value, first channel, channels.
type SpanForm = [usize; 3];

/// Scale and zero point.
type QuantizationForm = (f32, i8);

/// Which tensor has the weights; or which ones have their levels and the scale of each row.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(untagged)]
pub enum WeightsForm {
    Values(usize),
    Levels { levels: usize, scales: usize },
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LayerForm {
    name: String,
    kind: KindForm,
    #[serde(with = "ActivationForm")]
    activation: Activation,
    input: SpanForm,
    output: SpanForm,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
enum KindForm {
    Pointwise {
        weights: WeightsForm,
        bias: WeightsForm,
        gate: Option<SpanForm>,
        residual: Option<SpanForm>,
    },
    Convolution {
        weights: WeightsForm,
        bias: WeightsForm,
        #[serde(with = "WindowForm")]
        window: Window,
        residual: Option<SpanForm>,
    },
    Depthwise {
        weights: WeightsForm,
        bias: WeightsForm,
        #[serde(with = "WindowForm")]
        window: Window,
    },
    Pool {
        #[serde(with = "PoolForm")]
        pool: Pool,
        #[serde(with = "WindowForm")]
        window: Window,
    },
    Mean,
    Excite {
        squeeze: WeightsForm,
        squeeze_bias: WeightsForm,
        #[serde(with = "ActivationForm")]
        squeeze_activation: Activation,
        excite: WeightsForm,
        excite_bias: WeightsForm,
    },
    Multiply {
        gate: SpanForm,
    },
    Add {
        other: SpanForm,
    },
    Affine {
        scale: WeightsForm,
        shift: WeightsForm,
    },
    Activate,
    Shuffle {
        groups: usize,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Activation", rename_all = "lowercase", deny_unknown_fields)]
enum ActivationForm {
    Identity,
    Clamp {
        #[serde(with = "bound")]
        low: f32,
        #[serde(with = "bound")]
        high: f32,
    },
    HardSwish,
    HardSigmoid {
        alpha: f32,
        beta: f32,
    },
    Sigmoid,
    Swish,
}

/// JSON has no infinity: the word stands for it.
mod bound {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Bound {
        Number(f32),
        Word(String),
    }

    pub fn serialize<S: Serializer>(bound: &f32, to: S) -> Result<S::Ok, S::Error> {
        match bound.is_finite() {
            true => to.serialize_f32(*bound),
            false => to.collect_str(bound),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<f32, D::Error> {
        match Bound::deserialize(from)? {
            Bound::Number(bound) => Ok(bound),
            Bound::Word(word) => word.parse().map_err(D::Error::custom),
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Pool", rename_all = "lowercase", deny_unknown_fields)]
enum PoolForm {
    Max,
    Average { count_padding: bool },
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Window", deny_unknown_fields)]
struct WindowForm {
    height: usize,
    width: usize,
    kernel_h: usize,
    kernel_w: usize,
    stride_h: usize,
    stride_w: usize,
    dilation_h: usize,
    dilation_w: usize,
    pad_top: usize,
    pad_left: usize,
    out_height: usize,
    out_width: usize,
}

fn form(span: Span) -> SpanForm {
    [span.value, span.first, span.channels]
}

fn span([value, first, channels]: SpanForm) -> Span {
    Span {
        value,
        first,
        channels,
    }
}

impl Network {
    /// `tensor` takes weights in, and says which tensors they are. There is no form for what tract runs.
    pub fn of<'a, E: From<String>>(
        net: &'a Net,
        mut tensor: impl FnMut(&'a Weights) -> Result<WeightsForm, E>,
    ) -> Result<Network, E> {
        let layers = net.layers().iter().map(|layer| {
            Ok(LayerForm {
                name: layer.name.clone(),
                kind: KindForm::of(&layer.kind, &mut tensor)?,
                activation: layer.activation,
                input: form(layer.input),
                output: form(layer.output),
            })
        });
        let shape = |shape: &Shape| [shape.height, shape.width, shape.channels];
        let count = if net.is_quantized() {
            net.values().len()
        } else {
            0
        };
        let quantization = |value| {
            let Quantization { scale, zero_point } = net.quantization(value)?;
            Some((scale, zero_point))
        };
        Ok(Network {
            values: net.values().iter().map(shape).collect(),
            quantizations: (0..count).map(quantization).collect(),
            input: net.input_value(),
            output: form(net.output()),
            layers: layers.collect::<Result<_, E>>()?,
        })
    }

    /// `tensor` has the weights.
    pub fn net(
        self,
        tensor: impl Fn(WeightsForm) -> Result<Weights, String>,
    ) -> Result<Result<Net, NetError>, String> {
        let shape = |[height, width, channels]: [usize; 3]| Shape {
            height,
            width,
            channels,
        };
        let layer = |layer: LayerForm| -> Result<Layer, String> {
            Ok(Layer {
                kind: layer.kind.kind(&tensor)?,
                name: layer.name,
                activation: layer.activation,
                input: span(layer.input),
                output: span(layer.output),
            })
        };
        let layers = self.layers.into_iter().map(layer);
        let layers = layers.collect::<Result<_, _>>()?;
        let values = self.values.into_iter().map(shape).collect();
        let net = Net::new(values, layers, self.input, span(self.output));
        if self.quantizations.is_empty() {
            return Ok(net);
        }
        let quantizations = self.quantizations.into_iter();
        let quantizations = quantizations.map(|form| {
            let (scale, zero_point) = form?;
            Some(Quantization { scale, zero_point })
        });
        Ok(net.and_then(|net| net.with_quantizations(quantizations.collect())))
    }
}

impl KindForm {
    fn of<'a, E: From<String>>(
        kind: &'a Kind,
        tensor: &mut impl FnMut(&'a Weights) -> Result<WeightsForm, E>,
    ) -> Result<KindForm, E> {
        Ok(match kind {
            Kind::Pointwise {
                weights,
                bias,
                gate,
                residual,
            } => KindForm::Pointwise {
                weights: tensor(weights)?,
                bias: tensor(bias)?,
                gate: gate.map(form),
                residual: residual.map(form),
            },
            Kind::Convolution {
                weights,
                bias,
                window,
                residual,
            } => KindForm::Convolution {
                weights: tensor(weights)?,
                bias: tensor(bias)?,
                window: *window,
                residual: residual.map(form),
            },
            Kind::Depthwise {
                weights,
                bias,
                window,
            } => KindForm::Depthwise {
                weights: tensor(weights)?,
                bias: tensor(bias)?,
                window: *window,
            },
            Kind::Pool { pool, window } => KindForm::Pool {
                pool: *pool,
                window: *window,
            },
            Kind::Mean => KindForm::Mean,
            Kind::Excite {
                squeeze,
                squeeze_bias,
                squeeze_activation,
                excite,
                excite_bias,
            } => KindForm::Excite {
                squeeze: tensor(squeeze)?,
                squeeze_bias: tensor(squeeze_bias)?,
                squeeze_activation: *squeeze_activation,
                excite: tensor(excite)?,
                excite_bias: tensor(excite_bias)?,
            },
            Kind::Multiply { gate } => KindForm::Multiply { gate: form(*gate) },
            Kind::Add { other } => KindForm::Add {
                other: form(*other),
            },
            Kind::Affine { scale, shift } => KindForm::Affine {
                scale: tensor(scale)?,
                shift: tensor(shift)?,
            },
            Kind::Activate => KindForm::Activate,
            Kind::Shuffle { groups } => KindForm::Shuffle { groups: *groups },
            Kind::Part { part, .. } => {
                return Err(E::from(format!(
                    "tract runs a part of this network, because of {}",
                    part.reason
                )));
            }
        })
    }

    fn kind(
        self,
        tensor: &impl Fn(WeightsForm) -> Result<Weights, String>,
    ) -> Result<Kind, String> {
        Ok(match self {
            KindForm::Pointwise {
                weights,
                bias,
                gate,
                residual,
            } => Kind::Pointwise {
                weights: tensor(weights)?,
                bias: tensor(bias)?,
                gate: gate.map(span),
                residual: residual.map(span),
            },
            KindForm::Convolution {
                weights,
                bias,
                window,
                residual,
            } => Kind::Convolution {
                weights: tensor(weights)?,
                bias: tensor(bias)?,
                window,
                residual: residual.map(span),
            },
            KindForm::Depthwise {
                weights,
                bias,
                window,
            } => Kind::Depthwise {
                weights: tensor(weights)?,
                bias: tensor(bias)?,
                window,
            },
            KindForm::Pool { pool, window } => Kind::Pool { pool, window },
            KindForm::Mean => Kind::Mean,
            KindForm::Excite {
                squeeze,
                squeeze_bias,
                squeeze_activation,
                excite,
                excite_bias,
            } => Kind::Excite {
                squeeze: tensor(squeeze)?,
                squeeze_bias: tensor(squeeze_bias)?,
                squeeze_activation,
                excite: tensor(excite)?,
                excite_bias: tensor(excite_bias)?,
            },
            KindForm::Multiply { gate } => Kind::Multiply { gate: span(gate) },
            KindForm::Add { other } => Kind::Add { other: span(other) },
            KindForm::Affine { scale, shift } => Kind::Affine {
                scale: tensor(scale)?,
                shift: tensor(shift)?,
            },
            KindForm::Activate => Kind::Activate,
            KindForm::Shuffle { groups } => Kind::Shuffle { groups },
        })
    }
}
