//! ResNet (He et al. 2016, "Deep Residual Learning for Image Recognition") on frames, optionally with temporal shift (Lin et al. 2019,
//! "TSM: Temporal Shift Module for Efficient Video Understanding").
//!
//! Names match torchvision's `resnet18` to `resnet101`: `layer1.0.conv1.weight`. As in torchvision, the stride of a bottleneck is on
//! its 3x3 convolution. The shift is before the first convolution of each block, within the residual branch (`blockres`).

use crate::NameMap;
use crate::architecture::{Architecture, Flat, Inflation, Published, Small};
use crate::frames::{ShiftDiv, classify_frames, shift};
use crate::head::{Head, Logits};
use crate::layers::{conv_bn, conv1, conv3};
use pipe_graph::ops::{add::Add, conv::ConvParams, max_pool::MaxPool, relu::Relu};
use pipe_graph::{Builder, ClipShape, GraphError, NodeId};
use pipe_schemas::networks::Project;
use pipe_schemas::networks::resnet::{ResNet, ResNetDepth, ResNetTSM};

const SMALL: ClipShape = ClipShape { channels: 3, frames: 4, height: 64, width: 48 };
const IMAGE: ClipShape = ClipShape { channels: 3, frames: 1, height: 224, width: 224 };
const EIGHT_FRAMES: ClipShape = ClipShape { frames: 8, ..IMAGE };

impl Architecture for ResNet {
    const USES_FRAME_ORDER: bool = false;

    fn name(&self) -> String {
        format!("tsn_resnet{}", u32::from(self.depth))
    }

    fn build(&self, g: &mut Builder, head: &Head) -> Result<Logits, GraphError> {
        let Self { depth, base_channels, .. } = *self;
        classify_frames(g, head, "fc", None, |g, x| features(g, x, "", depth, base_channels, None))
    }

    fn own_names(&self) -> NameMap {
        NameMap::same(Project::Torchvision)
    }

    fn name_maps(&self) -> Vec<NameMap> {
        vec![mmaction2(NameMap::new(Project::Mmaction2))]
    }

    fn small() -> Vec<Small<Self>> {
        let small = |depth| Small { backbone: Self { depth, base_channels: 8, ..Self::default() }, clip: SMALL };
        [ResNetDepth::D18, ResNetDepth::D50].map(small).into()
    }

    fn published() -> Vec<Published<Self>> {
        let published = |depth, num_classes, num_params, gmacs, weight_keys| {
            let backbone = Self { depth, ..Self::default() };
            Published { backbone, clip: IMAGE, num_classes, num_params, gmacs, weight_keys }
        };
        vec![
            published(ResNetDepth::D18, 1000, 11_689_512, 1.81, Some("torchvision-resnet18.txt")),
            published(ResNetDepth::D34, 1000, 21_797_672, 3.66, Some("torchvision-resnet34.txt")),
            published(ResNetDepth::D50, 1000, 25_557_032, 4.09, Some("torchvision-resnet50.txt")),
            published(ResNetDepth::D101, 1000, 44_549_160, 7.80, Some("torchvision-resnet101.txt")),
            // MMAction2's TSN on Kinetics-400.
            published(ResNetDepth::D50, 400, 24_327_632, 4.09, None),
        ]
    }
}

impl Architecture for ResNetTSM {
    const USES_FRAME_ORDER: bool = true;

    fn name(&self) -> String {
        format!("tsm_resnet{}", u32::from(self.depth))
    }

    fn build(&self, g: &mut Builder, head: &Head) -> Result<Logits, GraphError> {
        let Self { depth, base_channels, shift_div, .. } = *self;
        let shift_div = Some(shift_div);
        classify_frames(g, head, "fc", shift_div, |g, x| features(g, x, "", depth, base_channels, shift_div))
    }

    fn own_names(&self) -> NameMap {
        NameMap::same(Project::Torchvision)
    }

    /// MMAction2 wraps the first convolution of each block that shifts.
    fn name_maps(&self) -> Vec<NameMap> {
        let mut map = NameMap::new(Project::Mmaction2);
        for (layer, num_blocks) in self.depth.num_blocks().into_iter().enumerate() {
            for block in (0..num_blocks).step_by(shift_every(self.depth)) {
                let name = format!("layer{}.{block}.conv1", layer + 1);
                map = map.rule(format!("{name}.weight"), format!("backbone.{name}.conv.net.weight"));
            }
        }
        vec![mmaction2(map)]
    }

    fn small() -> Vec<Small<Self>> {
        let small = |(depth, shift_div)| Small {
            backbone: Self { depth, base_channels: 8, shift_div, ..Self::default() },
            clip: SMALL,
        };
        [(ResNetDepth::D18, 8), (ResNetDepth::D50, 4)].map(small).into()
    }

    fn published() -> Vec<Published<Self>> {
        let published = |depth, num_params, gmacs| {
            let backbone = Self { depth, ..Self::default() };
            Published { backbone, clip: EIGHT_FRAMES, num_classes: 400, num_params, gmacs, weight_keys: None }
        };
        vec![
            published(ResNetDepth::D18, 11_381_712, 14.5),
            published(ResNetDepth::D34, 21_489_872, 29.3),
            published(ResNetDepth::D50, 24_327_632, 32.7),
            published(ResNetDepth::D101, 43_319_760, 62.4),
        ]
    }
}

/// Returns the 2-D ResNet from which a network is inflated, and the names of its tensors. `prefix` is that of the 3-D network, whose other
/// names are those of MMAction2.
pub(super) fn inflation(depth: ResNetDepth, base_channels: u32, prefix: &str) -> Inflation {
    let names = NameMap::new(Project::Torchvision)
        .rule(format!("{prefix}conv1.conv.weight"), "conv1.weight")
        .rule(format!("{prefix}conv1.bn.*"), "bn1.*")
        .rule(format!("{prefix}layer#.#.conv#.conv.weight"), "layer#.#.conv#.weight")
        .rule(format!("{prefix}layer#.#.conv#.bn.*"), "layer#.#.bn#.*")
        .rule(format!("{prefix}layer#.#.downsample.conv.weight"), "layer#.#.downsample.0.weight")
        .rule(format!("{prefix}layer#.#.downsample.bn.*"), "layer#.#.downsample.1.*");
    Inflation { flat: Flat::Network(ResNet { depth, base_channels, ..ResNet::default() }.into()), names }
}

/// Appends the rules that all ResNets of MMAction2 share.
fn mmaction2(map: NameMap) -> NameMap {
    map.rule("conv1.weight", "backbone.conv1.conv.weight")
        .rule("bn1.*", "backbone.conv1.bn.*")
        .rule("layer#.#.conv#.weight", "backbone.layer#.#.conv#.conv.weight")
        .rule("layer#.#.bn#.*", "backbone.layer#.#.conv#.bn.*")
        .rule("layer#.#.downsample.0.weight", "backbone.layer#.#.downsample.conv.weight")
        .rule("layer#.#.downsample.1.*", "backbone.layer#.#.downsample.bn.*")
        .rule("fc.*", "cls_head.fc_cls.*")
}

/// Returns the distance between blocks that shift: MMAction2 shifts in every second block of networks with 23 blocks in a layer.
fn shift_every(depth: ResNetDepth) -> usize {
    if depth.num_blocks()[2] >= 23 { 2 } else { 1 }
}

/// Appends everything except pooling and classifier: `[M, C, H, W]` → `[M, 8 base, H/32, W/32]`, or 32 base for bottlenecks.
/// The names of all nodes begin with `prefix`.
pub(super) fn features(
    g: &mut Builder,
    x: NodeId,
    prefix: &str,
    depth: ResNetDepth,
    base_channels: u32,
    shift_div: ShiftDiv,
) -> Result<NodeId, GraphError> {
    let base_channels = base_channels as usize;
    let stem = ConvParams {
        out_channels: base_channels,
        kernel: [7; 2],
        stride: [2; 2],
        padding: [3; 2],
        ..ConvParams::default()
    };
    let named = |name: &str| format!("{prefix}{name}");
    let x = conv_bn(g, x, [&named("conv1"), &named("bn1")], stem)?; // [M, base, H/2, W/2]
    let x = g.node(&named("relu"), x, Relu)?;
    let pool = MaxPool { kernel: vec![3; 2], stride: vec![2; 2], padding: vec![1; 2] };
    let mut x = g.node(&named("maxpool"), x, pool)?; // [M, base, H/4, W/4]
    let num_blocks = depth.num_blocks();
    for (layer, num_blocks) in num_blocks.into_iter().enumerate() {
        for index in 0..num_blocks {
            let block = Block {
                name: named(&format!("layer{}.{index}", layer + 1)),
                planes: base_channels << layer,
                stride: if layer > 0 && index == 0 { 2 } else { 1 },
                shift_div: shift_div.filter(|_| index % shift_every(depth) == 0),
            };
            x = if depth.has_bottlenecks() { bottleneck(g, x, &block)? } else { basic_block(g, x, &block)? };
        }
    }
    Ok(x)
}

struct Block {
    name: String,
    /// The channels inside the block.
    planes: usize,
    stride: usize,
    shift_div: ShiftDiv,
}

impl Block {
    /// Appends the convolution and batch normalisation of this number, from 1.
    fn conv_bn(&self, g: &mut Builder, x: NodeId, number: usize, params: ConvParams<2>) -> Result<NodeId, GraphError> {
        let name = &self.name;
        conv_bn(g, x, [&format!("{name}.conv{number}"), &format!("{name}.bn{number}")], params)
    }

    fn relu(&self, g: &mut Builder, x: NodeId, suffix: &str) -> Result<NodeId, GraphError> {
        g.node(&format!("{}.relu{suffix}", self.name), x, Relu)
    }
}

/// Two 3x3 convolutions and a residual connection.
fn basic_block(g: &mut Builder, x: NodeId, block: &Block) -> Result<NodeId, GraphError> {
    let y = shift(g, x, &block.name, block.shift_div)?;
    let y = block.conv_bn(g, y, 1, conv3(block.planes, block.stride))?;
    let y = block.relu(g, y, "1")?;
    let y = block.conv_bn(g, y, 2, conv3(block.planes, 1))?;
    residual(g, x, y, block)
}

/// A 1x1, a 3x3 and a 1x1 convolution to four times the planes, and a residual connection.
fn bottleneck(g: &mut Builder, x: NodeId, block: &Block) -> Result<NodeId, GraphError> {
    let y = shift(g, x, &block.name, block.shift_div)?;
    let y = block.conv_bn(g, y, 1, conv1(block.planes, 1))?;
    let y = block.relu(g, y, "1")?;
    let y = block.conv_bn(g, y, 2, conv3(block.planes, block.stride))?;
    let y = block.relu(g, y, "2")?;
    let y = block.conv_bn(g, y, 3, conv1(block.planes * 4, 1))?;
    residual(g, x, y, block)
}

/// Adds the input of a block to its result, through a 1x1 convolution if their shapes differ.
fn residual(g: &mut Builder, x: NodeId, y: NodeId, block: &Block) -> Result<NodeId, GraphError> {
    let Block { name, stride, .. } = block;
    let out_channels = g.channels(y)?;
    let x = if *stride != 1 || g.channels(x)? != out_channels {
        let names = [format!("{name}.downsample.0"), format!("{name}.downsample.1")];
        conv_bn(g, x, names.each_ref().map(String::as_str), conv1::<2>(out_channels, *stride))?
    } else {
        x
    };
    let y = g.node(&format!("{name}.add"), [y, x], Add)?;
    block.relu(g, y, "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{check_error, check_shape, check_shifts, check_tail};
    use ResNetDepth::{D18, D50};

    fn tsn(depth: ResNetDepth) -> ResNet {
        ResNet { depth, ..ResNet::default() }
    }

    fn tsm(depth: ResNetDepth, base_channels: u32) -> ResNetTSM {
        ResNetTSM { depth, base_channels, ..ResNetTSM::default() }
    }

    #[test]
    fn shapes_equal_those_of_the_paper() {
        check_shape(tsn(D50), EIGHT_FRAMES, "maxpool", 8, &[64, 56, 56]);
        check_shape(tsn(D50), EIGHT_FRAMES, "layer4.2.relu", 8, &[2048, 7, 7]);
        check_shape(tsm(D18, 16), EIGHT_FRAMES, "layer4.1.relu", 8, &[128, 7, 7]);
    }

    #[test]
    fn tsn_averages_features_and_tsm_averages_logits() {
        check_tail(tsn(D18), EIGHT_FRAMES, &["avgpool", "consensus", "dropout", "fc"]);
        check_tail(tsm(D18, 64), EIGHT_FRAMES, &["avgpool", "dropout", "fc", "consensus"]);
    }

    #[test]
    fn each_block_shifts_its_residual_branch() {
        let blocks = ["1.0", "1.1", "2.0", "2.1", "3.0", "3.1", "4.0", "4.1"];
        let expect = blocks.map(|block| format!("layer{block}.shift"));
        check_shifts(tsn(D18), tsm(D18, 64), EIGHT_FRAMES, &expect);
    }

    #[test]
    fn a_clip_or_width_that_does_not_fit_is_an_error() {
        check_error(tsm(D18, 4), EIGHT_FRAMES, 10, "choose at most 4");
        check_error(tsm(D18, 64), IMAGE, 10, "the number of frames is 1, expected at least 2");
        check_error(tsn(D18), EIGHT_FRAMES, 0, "an axis is 0");
        check_error(tsn(D18), ClipShape { width: usize::MAX, ..EIGHT_FRAMES }, 10, "more than");
        check_error(tsn(D18), ClipShape { height: 1, width: 0, ..EIGHT_FRAMES }, 10, "an axis is 0");
    }
}
