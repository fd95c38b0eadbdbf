//! Strides that tract has moved away from their convolution: layers that skip pixels, into those before and after.

use edge_classify_kernels::{Pool, Window};

use super::{Graph, Id, Op, Uses};

/// Whether the layer does nothing but skip pixels.
fn skips(op: &Op) -> Option<Window> {
    match op {
        Op::Pool {
            pool: Pool::Max,
            window,
        } if (
            window.kernel_h,
            window.kernel_w,
            window.pad_top,
            window.pad_left,
        ) == (1, 1, 0, 0) =>
        {
            Some(*window)
        }
        _ => None,
    }
}

/// Windows of one pixel that see every pixel: what pools become where there is nothing to pool.
pub(super) fn drop_identity(graph: &mut Graph, _: &Uses, id: Id) -> bool {
    let node = &graph.nodes[id];
    let Op::Pool { window, .. } = &node.op else {
        return false;
    };
    let source = node.inputs[0];
    let one = (window.kernel_h, window.kernel_w) == (1, 1);
    let same = one && graph.nodes[source].shape == node.shape;
    // With strides or padding, as many pixels could be others.
    if same
        && (
            window.stride_h,
            window.stride_w,
            window.pad_top,
            window.pad_left,
        ) == (1, 1, 0, 0)
    {
        let node = &mut graph.nodes[id];
        node.op = Op::Activate;
        return true;
    }
    false
}

/// One that skips rows and one that skips columns.
pub(super) fn join(graph: &mut Graph, uses: &Uses, id: Id) -> bool {
    let Some(second) = skips(&graph.nodes[id].op) else {
        return false;
    };
    let before = graph.nodes[id].inputs[0];
    let Some(first) = skips(&graph.nodes[before].op).filter(|_| uses.single(before)) else {
        return false;
    };
    let source = graph.nodes[before].inputs[0];
    let node = &mut graph.nodes[id];
    node.inputs[0] = source;
    node.op = Op::Pool {
        pool: Pool::Max,
        window: Window {
            stride_h: first.stride_h * second.stride_h,
            stride_w: first.stride_w * second.stride_w,
            out_height: second.out_height,
            out_width: second.out_width,
            ..first
        },
    };
    true
}

/// A pointwise convolution of what is left is one with strides.
pub(super) fn into_pointwise(graph: &mut Graph, uses: &Uses, id: Id) -> bool {
    let node = &graph.nodes[id];
    let Op::Pointwise { gate: false, .. } = node.op else {
        return false;
    };
    let before = node.inputs[0];
    let Some(window) = skips(&graph.nodes[before].op).filter(|_| uses.single(before)) else {
        return false;
    };
    let source = graph.nodes[before].inputs[0];
    let node = &mut graph.nodes[id];
    node.inputs[0] = source;
    if let Op::Pointwise {
        weights,
        bias,
        residual,
        ..
    } = std::mem::replace(&mut node.op, Op::Gone)
    {
        node.op = Op::Convolution {
            weights,
            bias,
            window,
            residual,
        };
    }
    true
}
