//! Layers that several families share.

use pipe_graph::ops::{batch_norm::BatchNorm, conv::ConvParams};
use pipe_graph::{Builder, GraphError, NodeId};

/// A convolution and a batch normalisation with the names `[conv, norm]`.
pub(crate) fn conv_bn<const D: usize>(
    g: &mut Builder,
    x: NodeId,
    [conv, norm]: [&str; 2],
    params: ConvParams<D>,
) -> Result<NodeId, GraphError> {
    let x = g.node(conv, x, params)?;
    g.node(norm, x, BatchNorm::default())
}

/// A convolution of size 1 over `D` axes.
pub(crate) fn conv1<const D: usize>(out_channels: usize, stride: usize) -> ConvParams<D> {
    ConvParams { out_channels, stride: [stride; D], ..ConvParams::default() }
}

/// A convolution of size 3 over `D` axes that keeps the size at stride 1.
pub(crate) fn conv3<const D: usize>(out_channels: usize, stride: usize) -> ConvParams<D> {
    ConvParams { out_channels, kernel: [3; D], stride: [stride; D], padding: [1; D], ..ConvParams::default() }
}
