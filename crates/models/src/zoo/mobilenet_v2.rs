//! MobileNetV2 (Sandler et al. 2018, "MobileNetV2: Inverted Residuals and Linear Bottlenecks") on frames, optionally with temporal shift
//! (Lin et al. 2019).
//!
//! Names match torchvision's `mobilenet_v2`: `features.2.conv.0.0.weight`, `classifier.1.weight`. The shift is before the expansion
//! of each block that has an expansion and a residual connection, as in MMAction2's `MobileNetV2TSM`.

use crate::NameMap;
use crate::architecture::{Architecture, Published, Small};
use crate::frames::{ShiftDiv, classify_frames, shift};
use crate::head::{Head, Logits};
use crate::layers::{conv_bn, conv1, conv3};
use pipe_graph::ops::{add::Add, conv::ConvParams, relu6::Relu6};
use pipe_graph::{Builder, ClipShape, GraphError, NodeId};
use pipe_schemas::networks::Project;
use pipe_schemas::networks::mobilenet_v2::{MobileNetV2, MobileNetV2TSM};

const CLASSIFIER: &str = "classifier.1";
const SMALL: ClipShape = ClipShape { channels: 3, frames: 4, height: 64, width: 48 };
const IMAGE: ClipShape = ClipShape { channels: 3, frames: 1, height: 224, width: 224 };
const EIGHT_FRAMES: ClipShape = ClipShape { frames: 8, ..IMAGE };

impl Architecture for MobileNetV2 {
    const USES_FRAME_ORDER: bool = false;

    fn name(&self) -> String {
        "tsn_mobilenet_v2".to_owned()
    }

    fn build(&self, g: &mut Builder, head: &Head) -> Result<Logits, GraphError> {
        classify_frames(g, head, CLASSIFIER, None, |g, x| features(g, x, None))
    }

    fn own_names(&self) -> NameMap {
        NameMap::same(Project::Torchvision)
    }

    fn name_maps(&self) -> Vec<NameMap> {
        vec![mmaction2(false)]
    }

    fn small() -> Vec<Small<Self>> {
        vec![Small { backbone: Self::default(), clip: SMALL }]
    }

    fn published() -> Vec<Published<Self>> {
        vec![Published {
            backbone: Self::default(),
            clip: IMAGE,
            num_classes: 1000,
            num_params: 3_504_872,
            gmacs: 0.301,
            weight_keys: Some("torchvision-mobilenet_v2.txt"),
        }]
    }
}

impl Architecture for MobileNetV2TSM {
    const USES_FRAME_ORDER: bool = true;

    fn name(&self) -> String {
        "tsm_mobilenet_v2".to_owned()
    }

    fn build(&self, g: &mut Builder, head: &Head) -> Result<Logits, GraphError> {
        let shift_div = Some(self.shift_div);
        classify_frames(g, head, CLASSIFIER, shift_div, |g, x| features(g, x, shift_div))
    }

    fn own_names(&self) -> NameMap {
        NameMap::same(Project::Torchvision)
    }

    fn name_maps(&self) -> Vec<NameMap> {
        vec![mmaction2(true)]
    }

    fn small() -> Vec<Small<Self>> {
        vec![Small { backbone: Self::default(), clip: SMALL }]
    }

    fn published() -> Vec<Published<Self>> {
        vec![Published {
            backbone: Self::default(),
            clip: EIGHT_FRAMES,
            num_classes: 400,
            num_params: 2_736_272,
            gmacs: 2.40,
            weight_keys: None,
        }]
    }
}

/// Blocks of the same width.
struct Stage {
    /// The factor between the channels of a block's input and those inside the block.
    expand_ratio: usize,
    out_channels: usize,
    num_blocks: usize,
    /// The stride of the first block; the others have 1.
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

/// Returns MMAction2's names. It counts layers and blocks, and wraps the first convolution of blocks that shift.
fn mmaction2(shifts: bool) -> NameMap {
    let mut map = NameMap::new(Project::Mmaction2);
    for (position, name) in [("features.0", "conv1"), ("features.18", "conv2")] {
        map = map
            .rule(format!("{position}.0.*"), format!("backbone.{name}.conv.*"))
            .rule(format!("{position}.1.*"), format!("backbone.{name}.bn.*"));
    }
    let mut position = 1;
    for (layer, stage) in STAGES.iter().enumerate() {
        for index in 0..stage.num_blocks {
            let (ours, theirs) =
                (format!("features.{position}.conv"), format!("backbone.layer{}.{index}.conv", layer + 1));
            // The projection, without activation, follows one convolution in the first block and two in the others.
            let last = if stage.expand_ratio == 1 { 1 } else { 2 };
            for conv in 0..last {
                let wrapped = if shifts && conv == 0 && index > 0 { ".net" } else { "" };
                map = map
                    .rule(format!("{ours}.{conv}.0.*"), format!("{theirs}.{conv}{wrapped}.conv.*"))
                    .rule(format!("{ours}.{conv}.1.*"), format!("{theirs}.{conv}{wrapped}.bn.*"));
            }
            map = map
                .rule(format!("{ours}.{last}.weight"), format!("{theirs}.{last}.conv.weight"))
                .rule(format!("{ours}.{}.*", last + 1), format!("{theirs}.{last}.bn.*"));
            position += 1;
        }
    }
    map.rule("classifier.1.*", "cls_head.fc_cls.*")
}

/// Appends everything except pooling and classifier: `[M, C, H, W]` → `[M, 1280, H/32, W/32]`.
fn features(g: &mut Builder, x: NodeId, shift_div: ShiftDiv) -> Result<NodeId, GraphError> {
    let mut x = conv_bn_relu6(g, x, "features.0", conv3(32, 2))?; // [M, 32, H/2, W/2]
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
    conv_bn_relu6(g, x, &format!("features.{position}"), conv1(1280, 1))
}

struct Block {
    name: String,
    expand_ratio: usize,
    out_channels: usize,
    stride: usize,
    shift_div: ShiftDiv,
}

/// A 1x1 convolution that expands, a depthwise 3x3 convolution, and a 1x1 convolution that projects, without an activation after it.
fn inverted_residual(g: &mut Builder, x: NodeId, block: &Block) -> Result<NodeId, GraphError> {
    let Block { name, expand_ratio, out_channels, stride, shift_div } = block;
    let in_channels = g.channels(x)?;
    let hidden = in_channels * expand_ratio;
    let has_residual = *stride == 1 && in_channels == *out_channels;
    let mut y = x;
    let mut position = 0;
    if *expand_ratio != 1 {
        if has_residual {
            y = shift(g, y, name, *shift_div)?;
        }
        y = conv_bn_relu6(g, y, &format!("{name}.conv.{position}"), conv1(hidden, 1))?;
        position += 1;
    }
    let depthwise = ConvParams { groups: hidden, ..conv3(hidden, *stride) };
    let y = conv_bn_relu6(g, y, &format!("{name}.conv.{position}"), depthwise)?;
    let names = [position + 1, position + 2].map(|position| format!("{name}.conv.{position}"));
    let y = conv_bn(g, y, names.each_ref().map(String::as_str), conv1::<2>(*out_channels, 1))?;
    if has_residual { g.node(&format!("{name}.add"), [y, x], Add) } else { Ok(y) }
}

fn conv_bn_relu6(g: &mut Builder, x: NodeId, name: &str, params: ConvParams<2>) -> Result<NodeId, GraphError> {
    let x = conv_bn(g, x, [&format!("{name}.0"), &format!("{name}.1")], params)?;
    g.node(&format!("{name}.2"), x, Relu6)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{check_shape, check_shifts, check_tail};

    #[test]
    fn shapes_and_head_equal_those_of_the_paper() {
        check_shape(MobileNetV2::default(), EIGHT_FRAMES, "features.18.2", 8, &[1280, 7, 7]);
        check_tail(MobileNetV2::default(), EIGHT_FRAMES, &["avgpool", "consensus", "dropout", "classifier.1"]);
    }

    #[test]
    fn each_block_with_a_residual_connection_shifts() {
        let expect = [3, 5, 6, 8, 9, 10, 12, 13, 15, 16].map(|block| format!("features.{block}.shift"));
        check_shifts(MobileNetV2::default(), MobileNetV2TSM::default(), EIGHT_FRAMES, &expect);
    }
}
