//! ResNet (He et al. 2016, "Deep Residual Learning for Image Recognition"), optionally with temporal shift (Lin et al. 2019,
//! "TSM: Temporal Shift Module for Efficient Video Understanding").
//!
//! Names match torchvision's `resnet18` and `resnet50`: `layer1.0.conv1.weight`. As there, a bottleneck's stride is on its
//! 3x3 convolution. The shift stands before each block's first convolution, within the residual branch (`blockres`).

use pipe_graph::{BatchNormParams, Builder, ConvParams, GraphError, NodeId, PoolParams};
use pipe_schemas::networks::ResNetDepth;

/// Appends all but pooling and classifier: `[M, C, H, W]` → `[M, 8 base (or 32 base), H/32, W/32]`.
pub(crate) fn features(
    g: &mut Builder,
    x: NodeId,
    depth: ResNetDepth,
    base_channels: usize,
    shift_div: Option<usize>,
) -> Result<NodeId, GraphError> {
    let stem = ConvParams {
        out_channels: base_channels,
        kernel: [7; 2],
        stride: [2; 2],
        padding: [3; 2],
        ..ConvParams::default()
    };
    let x = g.conv("conv1", x, stem)?; // [M, base, H/2, W/2]
    let x = g.batch_norm("bn1", x, BatchNormParams::default())?;
    let x = g.relu("relu", x)?;
    let mut x = g.max_pool("maxpool", x, PoolParams { kernel: [3; 2], stride: [2; 2], padding: [1; 2] })?; // [M, base, H/4, W/4]
    let num_blocks = match depth {
        ResNetDepth::D18 => [2, 2, 2, 2],
        ResNetDepth::D50 => [3, 4, 6, 3],
    };
    for (layer, num_blocks) in num_blocks.into_iter().enumerate() {
        for index in 0..num_blocks {
            let block = Block {
                name: format!("layer{}.{index}", layer + 1),
                planes: base_channels << layer,
                stride: if layer > 0 && index == 0 { 2 } else { 1 },
                shift_div,
            };
            x = match depth {
                ResNetDepth::D18 => basic(g, x, &block)?,
                ResNetDepth::D50 => bottleneck(g, x, &block)?,
            };
        }
    }
    Ok(x)
}

struct Block {
    name: String,
    planes: usize,
    stride: usize,
    shift_div: Option<usize>,
}

/// Two 3x3 convolutions around which the input is added.
fn basic(g: &mut Builder, x: NodeId, block: &Block) -> Result<NodeId, GraphError> {
    let Block { name, planes, stride, .. } = block;
    let y = shift(g, x, block)?;
    let y = conv_bn(g, y, name, 1, conv3x3(*planes, *stride))?;
    let y = g.relu(&format!("{name}.relu1"), y)?;
    let y = conv_bn(g, y, name, 2, conv3x3(*planes, 1))?;
    residual(g, x, y, block)
}

/// A 1x1, a 3x3 and a 1x1 convolution to four times the planes, around which the input is added.
fn bottleneck(g: &mut Builder, x: NodeId, block: &Block) -> Result<NodeId, GraphError> {
    let Block { name, planes, stride, .. } = block;
    let y = shift(g, x, block)?;
    let y = conv_bn(g, y, name, 1, conv1x1(*planes, 1))?;
    let y = g.relu(&format!("{name}.relu1"), y)?;
    let y = conv_bn(g, y, name, 2, conv3x3(*planes, *stride))?;
    let y = g.relu(&format!("{name}.relu2"), y)?;
    let y = conv_bn(g, y, name, 3, conv1x1(planes * 4, 1))?;
    residual(g, x, y, block)
}

fn shift(g: &mut Builder, x: NodeId, block: &Block) -> Result<NodeId, GraphError> {
    match block.shift_div {
        Some(shift_div) => g.temporal_shift(&format!("{}.shift", block.name), x, shift_div),
        None => Ok(x),
    }
}

/// Adds `x`, brought to the shape of `y` where it has another, and cuts off at 0.
fn residual(g: &mut Builder, x: NodeId, y: NodeId, block: &Block) -> Result<NodeId, GraphError> {
    let Block { name, stride, .. } = block;
    let out_channels = g.channels(y)?;
    let x = if *stride != 1 || g.channels(x)? != out_channels {
        let x = g.conv(&format!("{name}.downsample.0"), x, conv1x1(out_channels, *stride))?;
        g.batch_norm(&format!("{name}.downsample.1"), x, BatchNormParams::default())?
    } else {
        x
    };
    let y = g.add(&format!("{name}.add"), y, x)?;
    g.relu(&format!("{name}.relu"), y)
}

fn conv_bn(
    g: &mut Builder,
    x: NodeId,
    block: &str,
    position: usize,
    params: ConvParams<2>,
) -> Result<NodeId, GraphError> {
    let x = g.conv(&format!("{block}.conv{position}"), x, params)?;
    g.batch_norm(&format!("{block}.bn{position}"), x, BatchNormParams::default())
}

fn conv1x1(out_channels: usize, stride: usize) -> ConvParams<2> {
    ConvParams { out_channels, stride: [stride; 2], ..ConvParams::default() }
}

fn conv3x3(out_channels: usize, stride: usize) -> ConvParams<2> {
    ConvParams { out_channels, kernel: [3; 2], stride: [stride; 2], padding: [1; 2], ..ConvParams::default() }
}
