//! X3D (Feichtenhofer 2020, "X3D: Expanding Architectures for Efficient Video Recognition").
//!
//! Names match MMAction2's `x3d_s`: `backbone.conv1_s.conv.weight`, `backbone.layer1.0.se_module.fc1.weight`, `cls_head.fc1.weight`.

use crate::NameMap;
use crate::architecture::{Architecture, Published, Small};
use crate::head::{Head, Logits};
use crate::layers::{conv_bn, conv_same};
use pipe_graph::ops::{
    add::Add, conv::ConvParams, global_avg_pool::GlobalAvgPool, linear::LinearParams, mean::Mean, mul::Mul, relu::Relu,
    sigmoid::Sigmoid, swish::Swish,
};
use pipe_graph::{Builder, ClipShape, GraphError, Init, NodeId};
use pipe_schemas::networks::Project;
use pipe_schemas::networks::x3d::X3D;

/// The blocks of each layer before they are multiplied.
const NUM_BLOCKS: [usize; 4] = [1, 2, 5, 3];

impl Architecture for X3D {
    const USES_FRAME_ORDER: bool = true;

    fn name(&self) -> String {
        if self.gamma_d > 2.5 { "x3d_l".to_owned() } else { "x3d_s".to_owned() }
    }

    fn build(&self, g: &mut Builder, head: &Head) -> Result<Logits, GraphError> {
        let base = self.base_channels as usize;
        let mut x = stem(g, base)?; // [N, base, T, H/2, W/2]
        for (layer, num_blocks) in NUM_BLOCKS.into_iter().enumerate() {
            // X3D-S: 3, 5, 11 and 7 blocks.
            let num_blocks = (num_blocks as f64 * self.gamma_d).ceil() as usize;
            for index in 0..num_blocks {
                let block = Block {
                    name: format!("backbone.layer{}.{index}", layer + 1),
                    out_channels: base << layer,
                    mid_channels: inner_channels(self, base << layer),
                    stride: if index == 0 { 2 } else { 1 },
                    has_gate: index % 2 == 0,
                };
                x = block.append(g, x)?;
            }
        }
        let params = conv_same(inner_channels(self, base << 3), [1; 3], [1; 3]);
        let x = conv_bn(g, x, ["backbone.conv5.conv", "backbone.conv5.bn"], params)?; // [N, 18 base, T, H/32, W/32]
        let x = g.node("backbone.conv5.relu", x, Relu)?;
        let x = g.node("avgpool", x, GlobalAvgPool)?;
        let out_features = self.fc1_channels as usize;
        let x =
            g.node("cls_head.fc1", x, LinearParams { out_features, init: Init::Normal { std: 0.01 }, bias: false })?;
        let x = g.node("cls_head.relu", x, Relu)?;
        head.of_features(g, x, "cls_head.fc2")
    }

    fn own_names(&self) -> NameMap {
        NameMap::same(Project::Mmaction2)
    }

    fn name_maps(&self) -> Vec<NameMap> {
        vec![pytorchvideo(), pyslowfast()]
    }

    fn small() -> Vec<Small<Self>> {
        let clip = ClipShape { channels: 3, frames: 4, height: 64, width: 48 };
        vec![Small { backbone: Self { base_channels: 8, gamma_d: 1.0, fc1_channels: 32, ..Self::default() }, clip }]
    }

    fn published() -> Vec<Published<Self>> {
        vec![Published {
            backbone: Self::default(),
            clip: ClipShape { channels: 3, frames: 13, height: 160, width: 160 },
            num_classes: 400,
            num_params: 3_794_322,
            gmacs: 1.96,
            weight_keys: Some("mmaction2-x3d.txt"),
        }]
    }
}

/// PyTorchVideo calls the convolution in space `conv_t` and the one in time `conv_xy`. Its first shortcut has no batch normalisation.
fn pytorchvideo() -> NameMap {
    let mut map = NameMap::new(Project::Pytorchvideo)
        .rule("backbone.conv1_s.conv.*", "blocks.0.conv.conv_t.*")
        .rule("backbone.conv1_t.conv.*", "blocks.0.conv.conv_xy.*")
        .rule("backbone.conv1_t.bn.*", "blocks.0.norm.*");
    for (conv, ours) in [("conv_a", "conv1"), ("conv_b", "conv2"), ("conv_c", "conv3")] {
        map = map.rule(format!("backbone.layer#.#.{ours}.conv.*"), format!("blocks.#.res_blocks.#.branch2.{conv}.*"));
    }
    map.rule("backbone.layer#.#.conv1.bn.*", "blocks.#.res_blocks.#.branch2.norm_a.*")
        .rule("backbone.layer#.#.conv2.bn.*", "blocks.#.res_blocks.#.branch2.norm_b.0.*")
        .rule("backbone.layer#.#.conv3.bn.*", "blocks.#.res_blocks.#.branch2.norm_c.*")
        .rule("backbone.layer#.#.se_module.fc1.*", "blocks.#.res_blocks.#.branch2.norm_b.1.block.0.*")
        .rule("backbone.layer#.#.se_module.fc2.*", "blocks.#.res_blocks.#.branch2.norm_b.1.block.2.*")
        .rule("backbone.layer#.#.downsample.conv.*", "blocks.#.res_blocks.#.branch1_conv.*")
        .rule("backbone.layer#.#.downsample.bn.*", "blocks.#.res_blocks.#.branch1_norm.*")
        .rule("backbone.conv5.conv.*", "blocks.5.pool.pre_conv.*")
        .rule("backbone.conv5.bn.*", "blocks.5.pool.pre_norm.*")
        .rule_as_conv3d("cls_head.fc1.*", "blocks.5.pool.post_conv.*")
        .rule("cls_head.fc2.*", "blocks.5.proj.*")
        .identity_norm("backbone.layer1.0.downsample.bn", 1e-5)
}

/// PySlowFast calls the convolution in space `conv_xy` and the one in time `conv`.
fn pyslowfast() -> NameMap {
    let mut map = NameMap::new(Project::Pyslowfast)
        .rule("backbone.conv1_s.conv.*", "s1.pathway0_stem.conv_xy.*")
        .rule("backbone.conv1_t.conv.*", "s1.pathway0_stem.conv.*")
        .rule("backbone.conv1_t.bn.*", "s1.pathway0_stem.bn.*");
    for layer in 1..=4 {
        let (ours, theirs) = (format!("backbone.layer{layer}.#"), format!("s{}.pathway0_res#", layer + 1));
        for (conv, letter) in [(1, "a"), (2, "b"), (3, "c")] {
            map = map
                .rule(format!("{ours}.conv{conv}.conv.*"), format!("{theirs}.branch2.{letter}.*"))
                .rule(format!("{ours}.conv{conv}.bn.*"), format!("{theirs}.branch2.{letter}_bn.*"));
        }
        map = map
            .rule(format!("{ours}.se_module.*"), format!("{theirs}.branch2.se.*"))
            .rule(format!("{ours}.downsample.conv.*"), format!("{theirs}.branch1.*"))
            .rule(format!("{ours}.downsample.bn.*"), format!("{theirs}.branch1_bn.*"));
    }
    map.rule("backbone.conv5.conv.*", "head.conv_5.*")
        .rule("backbone.conv5.bn.*", "head.conv_5_bn.*")
        .rule_as_conv3d("cls_head.fc1.*", "head.lin_5.*")
        .rule("cls_head.fc2.*", "head.projection.*")
}

/// Returns the channels inside a block of `channels`, rounded down.
fn inner_channels(x3d: &X3D, channels: usize) -> usize {
    (channels as f64 * x3d.gamma_b) as usize
}

/// A convolution in space and a depthwise one in time, with one batch normalisation after both.
fn stem(g: &mut Builder, base: usize) -> Result<NodeId, GraphError> {
    let x = g.node("backbone.conv1_s.conv", g.input(), conv_same(base, [1, 3, 3], [1, 2, 2]))?;
    let params = ConvParams { groups: base, ..conv_same(base, [5, 1, 1], [1; 3]) };
    let x = conv_bn(g, x, ["backbone.conv1_t.conv", "backbone.conv1_t.bn"], params)?;
    g.node("backbone.conv1_t.relu", x, Relu)
}

struct Block {
    name: String,
    out_channels: usize,
    mid_channels: usize,
    /// Of rows and columns; all frames are kept.
    stride: usize,
    /// Whether channels are weighted by squeeze-and-excitation.
    has_gate: bool,
}

impl Block {
    /// An expansion, a depthwise convolution and a projection with a residual connection.
    fn append(&self, g: &mut Builder, x: NodeId) -> Result<NodeId, GraphError> {
        let Self { name, out_channels, mid_channels, stride, .. } = self;
        let named = |suffix: &str| format!("{name}.{suffix}");
        let unit = |g: &mut Builder, x: NodeId, conv: &str, params: ConvParams<3>| {
            conv_bn(g, x, [&named(&format!("{conv}.conv")), &named(&format!("{conv}.bn"))], params)
        };
        let y = unit(g, x, "conv1", conv_same(*mid_channels, [1; 3], [1; 3]))?;
        let y = g.node(&named("relu1"), y, Relu)?;
        let depthwise = ConvParams { groups: *mid_channels, ..conv_same(*mid_channels, [3; 3], [1, *stride, *stride]) };
        let y = unit(g, y, "conv2", depthwise)?;
        let y = if self.has_gate { squeeze_excite(g, y, &named("se_module"))? } else { y };
        let y = g.node(&named("swish"), y, Swish)?;
        let y = unit(g, y, "conv3", conv_same(*out_channels, [1; 3], [1; 3]))?;
        let x = if *stride == 1 {
            x
        } else {
            unit(g, x, "downsample", conv_same(*out_channels, [1; 3], [1, *stride, *stride]))?
        };
        let y = g.node(&named("add"), [y, x], Add)?;
        g.node(&named("relu"), y, Relu)
    }
}

/// Squeeze-and-excitation (Hu et al. 2018): weights each channel by a gate that is computed from the mean of all channels.
fn squeeze_excite(g: &mut Builder, x: NodeId, name: &str) -> Result<NodeId, GraphError> {
    let channels = g.channels(x)?;
    let named = |suffix: &str| format!("{name}.{suffix}");
    let point = |out_channels| ConvParams { bias: true, ..conv_same(out_channels, [1; 3], [1; 3]) };
    let y = g.node(&named("mean"), x, Mean { axes: vec![1, 2, 3], keepdims: true })?; // [N, C, 1, 1, 1]
    let y = g.node(&named("fc1"), y, point(gate_width(channels)))?;
    let y = g.node(&named("relu"), y, Relu)?;
    let y = g.node(&named("fc2"), y, point(channels))?;
    let gate = g.node(&named("sigmoid"), y, Sigmoid)?;
    g.node(name, [x, gate], Mul)
}

/// Returns the inner channels of squeeze-and-excitation: a sixteenth, as a multiple of 8 that is at least 8 and not below 90 % of it.
fn gate_width(channels: usize) -> usize {
    let exact = channels as f64 / 16.0;
    let rounded = ((exact + 4.0) as usize / 8 * 8).max(8);
    if (rounded as f64) < 0.9 * exact { rounded + 8 } else { rounded }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::check_shape;

    #[test]
    fn blocks_and_widths_are_those_of_x3d_s() {
        let clip = ClipShape { channels: 3, frames: 13, height: 160, width: 160 };
        let s = || X3D::default();
        check_shape(s(), clip, "backbone.layer3.10.relu", 1, &[96, 13, 10, 10]);
        check_shape(s(), clip, "backbone.layer4.6.conv1.conv", 1, &[432, 13, 5, 5]);
        assert_eq!([54, 108, 216, 432].map(gate_width), [8, 8, 16, 32]);
    }
}
