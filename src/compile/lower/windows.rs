//! Convolutions and pools: what slides over the picture.

use edge_classify_kernels::{Pool, Window};
use tract_core::internal::*;
use tract_core::ops::cnn::{Conv, KernelFormat, MaxPool, PoolSpec, SumPool};
use tract_core::ops::downsample::Downsample;

use super::constants::floats;
use super::graph::Op;
use super::groups::Grouped;
use super::layout::Layout;
use super::read::{Read, Reader, Tracked};
use crate::engine::net::Shape;

/// The window, where the axes are, and whether some of it reaches further than the padding.
struct Slide {
    window: Window,
    layout: Layout,
    beyond: bool,
}

impl Reader<'_> {
    fn slide(&self, x: &Tracked, spec: &PoolSpec) -> Result<Slide, String> {
        let format = spec.data_format;
        let (rank, first) = (x.dims.len(), format.h_axis());
        let layout = Layout {
            channels: if format.c_is_last() {
                rank - 1
            } else {
                usize::from(format.has_n())
            },
            height: Some(first),
            width: Some(first + 1),
        };
        if spec.rank() != 2 || layout.shape(&x.dims) != Some(self.shape(x.id)) {
            return Err(format!("slides over {:?} as {format:?}", x.dims));
        }
        let sides = [x.dims[first], x.dims[first + 1]];
        let padding = spec.computed_padding(&sides);
        let [rows, columns] = &*padding else {
            return Err("does not slide over height and width".to_owned());
        };
        let window = Window {
            height: sides[0],
            width: sides[1],
            kernel_h: spec.kernel_shape[0],
            kernel_w: spec.kernel_shape[1],
            stride_h: spec.stride(0),
            stride_w: spec.stride(1),
            dilation_h: spec.dilation(0),
            dilation_w: spec.dilation(1),
            pad_top: rows.pad_before,
            pad_left: columns.pad_before,
            out_height: rows.convoluted,
            out_width: columns.convoluted,
        };
        // With rounding up, the last window may reach further than the padding.
        let end = |out: usize, stride: usize, kernel: usize, dilation: usize, pad: usize| {
            (out.saturating_sub(1) * stride + (kernel - 1) * dilation + 1).saturating_sub(pad)
        };
        let w = &window;
        let reaches = [
            end(
                w.out_height,
                w.stride_h,
                w.kernel_h,
                w.dilation_h,
                w.pad_top,
            ),
            end(
                w.out_width,
                w.stride_w,
                w.kernel_w,
                w.dilation_w,
                w.pad_left,
            ),
        ];
        let beyond =
            reaches[0] > sides[0] + rows.pad_after || reaches[1] > sides[1] + columns.pad_after;
        Ok(Slide {
            window,
            layout,
            beyond,
        })
    }

    pub fn convolution(&mut self, node: &TypedNode, op: &Conv) -> Read {
        let x = self.input(node, 0)?;
        if op.q_params.is_some() || op.kernel_fmt != KernelFormat::OIHW {
            return Err("is quantized or has kernels in another order".to_owned());
        }
        let Slide { window, layout, .. } = self.slide(&x, &op.pool_spec)?;
        let (inputs, outputs) = (op.input_channels(), op.output_channels());
        let weights = self
            .constant(node, 1)
            .ok_or("its weights are not constant")?;
        let weights = floats(&weights)
            .ok_or("its weights are not f32")?
            .into_owned();
        let bias = match node.inputs.get(2) {
            None => vec![0.0; outputs],
            Some(_) => {
                let bias = self.constant(node, 2).ok_or("its bias is not constant")?;
                let bias = floats(&bias).ok_or("its bias is not f32")?;
                match &*bias {
                    [value] => vec![*value; outputs],
                    values if values.len() == outputs => values.to_vec(),
                    values => {
                        return Err(format!("{} biases for {outputs} channels", values.len()));
                    }
                }
            }
        };
        let in_place = window
            == Window {
                kernel_h: 1,
                kernel_w: 1,
                stride_h: 1,
                stride_w: 1,
                dilation_h: window.dilation_h,
                dilation_w: window.dilation_w,
                pad_top: 0,
                pad_left: 0,
                out_height: window.height,
                out_width: window.width,
                ..window
            };
        let op = if op.group == 1 && in_place {
            Op::Pointwise {
                weights,
                bias,
                gate: false,
                residual: false,
            }
        } else if op.group == 1 {
            Op::Convolution {
                weights,
                bias,
                window,
                residual: false,
            }
        } else if op.group == inputs && inputs == outputs {
            Op::Depthwise {
                weights,
                bias,
                window,
            }
        } else {
            let conv = Grouped {
                groups: op.group,
                weights: &weights,
                bias: &bias,
                window: Some(window).filter(|_| !in_place),
            };
            return self.grouped(node, &x, layout, &conv);
        };
        self.emit(node, op, vec![x.id], layout)
    }

    /// Every so many pixels of a row or a column: what is left of strides when tract has moved them.
    pub fn downsample(&mut self, node: &TypedNode, op: &Downsample) -> Read {
        let x = self.input(node, 0)?;
        let Shape { height, width, .. } = self.shape(x.id);
        let stride = usize::try_from(op.stride).unwrap_or(0);
        if stride == 0 || op.modulo != 0 {
            return Err("begins elsewhere than at the first pixel".to_owned());
        }
        let axis = Some(op.axis);
        let (stride_h, stride_w) = if axis == x.layout.height {
            (stride, 1)
        } else if axis == x.layout.width {
            (1, stride)
        } else {
            return Err("takes some of the channels".to_owned());
        };
        let op = Op::Pool {
            pool: Pool::Max,
            window: Window {
                height,
                width,
                kernel_h: 1,
                kernel_w: 1,
                stride_h,
                stride_w,
                dilation_h: 1,
                dilation_w: 1,
                pad_top: 0,
                pad_left: 0,
                out_height: height.div_ceil(stride_h),
                out_width: width.div_ceil(stride_w),
            },
        };
        self.emit(node, op, vec![x.id], x.layout)
    }

    pub fn max_pool(&mut self, node: &TypedNode, op: &MaxPool) -> Read {
        let x = self.input(node, 0)?;
        let slide = self.slide(&x, &op.pool_spec)?;
        let op = Op::Pool {
            pool: Pool::Max,
            window: slide.window,
        };
        self.emit(node, op, vec![x.id], slide.layout)
    }

    pub fn sum_pool(&mut self, node: &TypedNode, op: &SumPool) -> Read {
        let x = self.input(node, 0)?;
        let slide = self.slide(&x, &op.pool_spec)?;
        if !op.normalize {
            return Err("is a sum".to_owned());
        }
        if op.count_include_pad && slide.beyond {
            return Err("counts some of what is beyond the padding".to_owned());
        }
        let op = Op::Pool {
            pool: Pool::Average {
                count_padding: op.count_include_pad,
            },
            window: slide.window,
        };
        self.emit(node, op, vec![x.id], slide.layout)
    }
}
