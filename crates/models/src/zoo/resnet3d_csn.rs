//! CSN (Tran et al. 2019, "Video Classification with Channel-Separated Convolutional Networks").
//!
//! Names match MMAction2's `ircsn_r152`: `backbone.layer1.0.conv2.0.conv.weight`. With the mode `ip` the depthwise convolution is
//! `conv2.1`. All stages but the first halve time and space.

use super::resnet3d::{pytorchvideo_path, pytorchvideo_stem};
use crate::NameMap;
use crate::architecture::{Architecture, Published, Small};
use crate::head::{Head, Logits};
use crate::layers::{conv_norm, conv_same, max_pool_same};
use pipe_graph::ops::{add::Add, batch_norm::BatchNorm, conv::ConvParams, relu::Relu};
use pipe_graph::{Builder, ClipShape, GraphError, NodeId};
use pipe_schemas::networks::Project;
use pipe_schemas::networks::resnet3d_csn::{BottleneckMode, CsnDepth, ResNet3dCSN};

impl Architecture for ResNet3dCSN {
    const USES_FRAME_ORDER: bool = true;

    fn name(&self) -> String {
        format!("{}csn_r{}", self.bottleneck_mode, u32::from(self.depth))
    }

    fn build(&self, g: &mut Builder, head: &Head) -> Result<Logits, GraphError> {
        let base = self.base_channels as usize;
        let x = conv(self, g, g.input(), "backbone.conv1", conv_same(base, [3, 7, 7], [1, 2, 2]))?;
        let x = g.node("backbone.relu", x, Relu)?;
        let mut x = g.node("backbone.maxpool", x, max_pool_same([1, 3, 3], [1, 2, 2]))?; // [N, base, T, H/4, W/4]
        for (layer, num_blocks) in self.depth.num_blocks().into_iter().enumerate() {
            for block in 0..num_blocks {
                let name = format!("backbone.layer{}.{block}", layer + 1);
                let stride = if layer > 0 && block == 0 { 2 } else { 1 };
                x = bottleneck(self, g, x, &name, base << layer, stride, block == 0)?;
            }
        }
        head.of_clips(g, x, "cls_head.fc_cls") // of [N, 32 base, T/8, H/32, W/32]
    }

    fn own_names(&self) -> NameMap {
        NameMap::same(Project::Mmaction2)
    }

    fn name_maps(&self) -> Vec<NameMap> {
        if self.bottleneck_mode == BottleneckMode::Ip {
            return Vec::new(); // PyTorchVideo has the mode `ir` only.
        }
        let mut map = NameMap::new(Project::Pytorchvideo).rule("cls_head.fc_cls.*", "blocks.5.proj.*");
        for layer in 1..=4 {
            let theirs = format!("blocks.{layer}.res_blocks.#.branch2");
            let ours = format!("backbone.layer{layer}.#.conv2.0");
            map = map
                .rule(format!("{ours}.conv.*"), format!("{theirs}.conv_b.*"))
                .rule(format!("{ours}.bn.*"), format!("{theirs}.norm_b.*"));
        }
        let map = pytorchvideo_path(map, "backbone.", [1, 2, 3, 4].map(|block| format!("blocks.{block}")));
        let map = pytorchvideo_stem(map, "backbone.", "blocks.0");
        vec![map.requires("norm_eps", self.norm_eps, 1e-5)]
    }

    fn small() -> Vec<Small<Self>> {
        let clip = ClipShape { channels: 3, frames: 8, height: 64, width: 48 };
        let small = |bottleneck_mode| {
            let backbone = Self {
                depth: CsnDepth::D50,
                bottleneck_mode,
                base_channels: 8,
                norm_eps: 1e-3,
                frozen_stages: -1,
                norm_eval: false,
            };
            Small { backbone, clip }
        };
        vec![small(BottleneckMode::Ir), small(BottleneckMode::Ip)]
    }

    fn published() -> Vec<Published<Self>> {
        // Parameters and multiply-adds are those of PyTorchVideo's networks of these sizes, counted with PyTorch.
        let published = |depth, num_params, gmacs| Published {
            backbone: Self {
                depth,
                bottleneck_mode: BottleneckMode::Ir,
                base_channels: 64,
                norm_eps: 1e-3,
                frozen_stages: -1,
                norm_eval: false,
            },
            clip: ClipShape { channels: 3, frames: 32, height: 224, width: 224 },
            num_classes: 400,
            num_params,
            gmacs,
            weight_keys: None,
        };
        vec![published(CsnDepth::D101, 22_213_776, 56.47), published(CsnDepth::D152, 29_703_568, 74.05)]
    }
}

/// Three convolutions, the middle one depthwise, and a residual connection.
fn bottleneck(
    csn: &ResNet3dCSN,
    g: &mut Builder,
    x: NodeId,
    name: &str,
    planes: usize,
    stride: usize,
    has_downsample: bool,
) -> Result<NodeId, GraphError> {
    let named = |suffix: &str| format!("{name}.{suffix}");
    let y = conv(csn, g, x, &named("conv1"), conv_same(planes, [1; 3], [1; 3]))?;
    let y = g.node(&named("relu1"), y, Relu)?;
    let depthwise = ConvParams { groups: planes, ..conv_same(planes, [3; 3], [stride; 3]) };
    let y = match csn.bottleneck_mode {
        BottleneckMode::Ir => conv(csn, g, y, &named("conv2.0"), depthwise)?,
        BottleneckMode::Ip => {
            let y = conv(csn, g, y, &named("conv2.0"), conv_same(planes, [1; 3], [1; 3]))?;
            conv(csn, g, y, &named("conv2.1"), depthwise)?
        }
    };
    let y = g.node(&named("relu2"), y, Relu)?;
    let y = conv(csn, g, y, &named("conv3"), conv_same(planes * 4, [1; 3], [1; 3]))?;
    let x = if has_downsample {
        conv(csn, g, x, &named("downsample"), conv_same(planes * 4, [1; 3], [stride; 3]))?
    } else {
        x
    };
    let y = g.node(&named("add"), [y, x], Add)?;
    g.node(&named("relu"), y, Relu)
}

fn conv(
    csn: &ResNet3dCSN,
    g: &mut Builder,
    x: NodeId,
    name: &str,
    params: ConvParams<3>,
) -> Result<NodeId, GraphError> {
    let batch_norm = BatchNorm { eps: csn.norm_eps, ..BatchNorm::default() };
    conv_norm(g, x, [&format!("{name}.conv"), &format!("{name}.bn")], params, batch_norm)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::check_shape;

    #[test]
    fn the_depthwise_convolution_halves_time_and_space() {
        let clip = ClipShape { channels: 3, frames: 32, height: 224, width: 224 };
        let csn = |bottleneck_mode| ResNet3dCSN {
            depth: CsnDepth::D50,
            bottleneck_mode,
            base_channels: 8,
            norm_eps: 1e-3,
            frozen_stages: -1,
            norm_eval: false,
        };
        check_shape(csn(BottleneckMode::Ip), clip, "backbone.layer2.0.conv2.0.conv", 1, &[16, 32, 56, 56]);
        check_shape(csn(BottleneckMode::Ip), clip, "backbone.layer2.0.conv2.1.conv", 1, &[16, 16, 28, 28]);
        check_shape(csn(BottleneckMode::Ir), clip, "backbone.layer4.2.relu", 1, &[256, 4, 7, 7]);
    }
}
