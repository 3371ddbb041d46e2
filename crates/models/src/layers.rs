//! Layers that several families share.

use pipe_graph::ops::{batch_norm::BatchNorm, conv::ConvParams, max_pool::MaxPool};
use pipe_graph::{Builder, GraphError, NodeId};

/// A convolution and a batch normalisation with the names `[conv, norm]`.
pub(crate) fn conv_bn<const D: usize>(
    g: &mut Builder,
    x: NodeId,
    [conv, norm]: [&str; 2],
    params: ConvParams<D>,
) -> Result<NodeId, GraphError> {
    conv_norm(g, x, [conv, norm], params, BatchNorm::default())
}

/// A convolution and a batch normalisation with other constants than PyTorch's.
pub(crate) fn conv_norm<const D: usize>(
    g: &mut Builder,
    x: NodeId,
    [conv, norm]: [&str; 2],
    params: ConvParams<D>,
    batch_norm: BatchNorm,
) -> Result<NodeId, GraphError> {
    let x = g.node(conv, x, params)?;
    g.node(norm, x, batch_norm)
}

/// A convolution of `kernel` that keeps the size at stride 1.
pub(crate) fn conv_same<const D: usize>(out_channels: usize, kernel: [usize; D], stride: [usize; D]) -> ConvParams<D> {
    ConvParams { out_channels, kernel, stride, padding: kernel.map(|size| size / 2), ..ConvParams::default() }
}

/// A maximum over windows of `kernel` with padding of half of the kernel.
pub(crate) fn max_pool_same<const D: usize>(kernel: [usize; D], stride: [usize; D]) -> MaxPool {
    let padding = kernel.map(|size| size / 2).to_vec();
    MaxPool { kernel: kernel.to_vec(), stride: stride.to_vec(), padding }
}

/// A convolution of size 1 over `D` axes.
pub(crate) fn conv1<const D: usize>(out_channels: usize, stride: usize) -> ConvParams<D> {
    ConvParams { out_channels, stride: [stride; D], ..ConvParams::default() }
}

/// A convolution of size 3 over `D` axes that keeps the size at stride 1.
pub(crate) fn conv3<const D: usize>(out_channels: usize, stride: usize) -> ConvParams<D> {
    ConvParams { out_channels, kernel: [3; D], stride: [stride; D], padding: [1; D], ..ConvParams::default() }
}
