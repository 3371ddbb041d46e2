//! MobileNetV2 (Sandler et al. 2018, "MobileNetV2: Inverted Residuals and Linear Bottlenecks"), optionally with temporal shift
//! (Lin et al. 2019).
//!
//! Names match torchvision's `mobilenet_v2`: `features.2.conv.0.0.weight`, `classifier.1.weight`. The shift stands before the
//! expansion of each block that has one and whose input is added to its result, as in MMAction2's `MobileNetV2TSM`.

use pipe_graph::{BatchNormParams, Builder, ConvParams, GraphError, NodeId};

/// Blocks of one width.
struct Stage {
    /// Times the input's channels within a block.
    expand_ratio: usize,
    out_channels: usize,
    num_blocks: usize,
    /// Of the first block.
    stride: usize,
}

/// Table 2 of the paper.
const STAGES: [Stage; 7] = [
    Stage { expand_ratio: 1, out_channels: 16, num_blocks: 1, stride: 1 },
    Stage { expand_ratio: 6, out_channels: 24, num_blocks: 2, stride: 2 },
    Stage { expand_ratio: 6, out_channels: 32, num_blocks: 3, stride: 2 },
    Stage { expand_ratio: 6, out_channels: 64, num_blocks: 4, stride: 2 },
    Stage { expand_ratio: 6, out_channels: 96, num_blocks: 3, stride: 1 },
    Stage { expand_ratio: 6, out_channels: 160, num_blocks: 3, stride: 2 },
    Stage { expand_ratio: 6, out_channels: 320, num_blocks: 1, stride: 1 },
];

/// Appends all but pooling and classifier: `[M, C, H, W]` → `[M, 1280, H/32, W/32]`.
pub(crate) fn features(g: &mut Builder, x: NodeId, shift_div: Option<usize>) -> Result<NodeId, GraphError> {
    let mut x = conv_bn_relu6(g, x, "features.0", conv3x3(32, 2, 1))?; // [M, 32, H/2, W/2]
    let mut position = 1;
    for stage in &STAGES {
        for index in 0..stage.num_blocks {
            let block = Block {
                name: format!("features.{position}"),
                expand_ratio: stage.expand_ratio,
                out_channels: stage.out_channels,
                stride: if index == 0 { stage.stride } else { 1 },
                shift_div,
            };
            x = inverted_residual(g, x, &block)?;
            position += 1;
        }
    }
    conv_bn_relu6(g, x, &format!("features.{position}"), conv1x1(1280))
}

struct Block {
    name: String,
    expand_ratio: usize,
    out_channels: usize,
    stride: usize,
    shift_div: Option<usize>,
}

/// Expands, filters each channel by itself, and projects back without an activation.
fn inverted_residual(g: &mut Builder, x: NodeId, block: &Block) -> Result<NodeId, GraphError> {
    let Block { name, expand_ratio, out_channels, stride, shift_div } = block;
    let in_channels = g.channels(x)?;
    let hidden = in_channels * expand_ratio;
    let has_residual = *stride == 1 && in_channels == *out_channels;
    let mut y = x;
    let mut position = 0;
    if *expand_ratio != 1 {
        if let (true, Some(shift_div)) = (has_residual, shift_div) {
            y = g.temporal_shift(&format!("{name}.shift"), y, *shift_div)?;
        }
        y = conv_bn_relu6(g, y, &format!("{name}.conv.{position}"), conv1x1(hidden))?;
        position += 1;
    }
    let y = conv_bn_relu6(g, y, &format!("{name}.conv.{position}"), conv3x3(hidden, *stride, hidden))?;
    let y = g.conv(&format!("{name}.conv.{}", position + 1), y, conv1x1(*out_channels))?;
    let y = g.batch_norm(&format!("{name}.conv.{}", position + 2), y, BatchNormParams::default())?;
    if has_residual { g.add(&format!("{name}.add"), y, x) } else { Ok(y) }
}

fn conv_bn_relu6(g: &mut Builder, x: NodeId, name: &str, params: ConvParams<2>) -> Result<NodeId, GraphError> {
    let x = g.conv(&format!("{name}.0"), x, params)?;
    let x = g.batch_norm(&format!("{name}.1"), x, BatchNormParams::default())?;
    g.relu6(&format!("{name}.2"), x)
}

fn conv1x1(out_channels: usize) -> ConvParams<2> {
    ConvParams { out_channels, ..ConvParams::default() }
}

fn conv3x3(out_channels: usize, stride: usize, groups: usize) -> ConvParams<2> {
    ConvParams { out_channels, kernel: [3; 2], stride: [stride; 2], padding: [1; 2], groups, ..ConvParams::default() }
}
