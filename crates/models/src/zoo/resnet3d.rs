//! ResNet-50 inflated to clips: I3D (Carreira and Zisserman 2017, "Quo Vadis, Action Recognition?"; Wang et al. 2018, "Non-local Neural
//! Networks") and SlowOnly (Feichtenhofer et al. 2019, "SlowFast Networks for Video Recognition").
//!
//! Names match MMAction2's `i3d_r50` and `slowonly_r50`: `backbone.layer1.0.conv1.conv.weight`. Strides of blocks are spatial only.
//! [`Pathway`] is the part that SlowFast shares.

use super::resnet::inflation;
use crate::NameMap;
use crate::architecture::{Architecture, Inflation, Published, Small};
use crate::head::{Head, Logits};
use crate::layers::{conv_bn, conv_same, max_pool_same};
use pipe_graph::ops::{add::Add, conv::ConvParams, max_pool::MaxPool, relu::Relu};
use pipe_graph::{Builder, ClipShape, GraphError, NodeId};
use pipe_schemas::networks::Project;
use pipe_schemas::networks::resnet::ResNetDepth;
use pipe_schemas::networks::resnet3d::{ResNet3d, ResNet3dSlowOnly};

const SMALL: ClipShape = ClipShape { channels: 3, frames: 8, height: 64, width: 48 };
const CLIP: ClipShape = ClipShape { channels: 3, frames: 32, height: 224, width: 224 };

/// The number of blocks of each layer of ResNet-50.
pub(super) const NUM_BLOCKS: [usize; 4] = [3, 4, 6, 3];

/// Whether the first convolution of a block spans 3 frames, by layer and block.
type Inflated = fn(layer: usize, block: usize) -> bool;

/// An inflated ResNet-50 without its classifier.
pub(super) struct Pathway<'a> {
    /// The beginning of all names, with its dot.
    pub(super) prefix: &'a str,
    /// The channels of the stem.
    pub(super) base_channels: usize,
    pub(super) inflated: Inflated,
}

impl Architecture for ResNet3d {
    const USES_FRAME_ORDER: bool = true;

    fn name(&self) -> String {
        "i3d_r50".to_owned()
    }

    fn build(&self, g: &mut Builder, head: &Head) -> Result<Logits, GraphError> {
        let inflated: Inflated = |layer, block| match layer {
            0 => true,
            3 => block == 1,
            _ => block % 2 == 0,
        };
        let pathway = Pathway { prefix: "backbone.", base_channels: self.base_channels as usize, inflated };
        let strides = [self.conv1_stride_t as usize, self.pool1_stride_t as usize];
        let mut x = pathway.stem(g, g.input(), 5, strides)?; // [N, base, T/4, H/4, W/4] with the defaults
        for layer in 0..4 {
            x = pathway.layer(g, x, layer)?;
            if layer == 0 {
                let pool = MaxPool { kernel: vec![2, 1, 1], stride: vec![2, 1, 1], padding: vec![0; 3] };
                x = g.node("backbone.pool2", x, pool)?;
            }
        }
        head.of_clips(g, x, "cls_head.fc_cls")
    }

    fn own_names(&self) -> NameMap {
        with_strides(NameMap::same(Project::Mmaction2), self, 2)
    }

    fn name_maps(&self) -> Vec<NameMap> {
        // PyTorchVideo counts the pooling after the first layer as a block.
        let pytorchvideo = NameMap::new(Project::Pytorchvideo).rule("cls_head.fc_cls.*", "blocks.6.proj.*");
        let pytorchvideo =
            pytorchvideo_path(pytorchvideo, "backbone.", [1, 3, 4, 5].map(|block| format!("blocks.{block}")));
        let pytorchvideo = pytorchvideo_stem(pytorchvideo, "backbone.", "blocks.0");
        vec![with_strides(pytorchvideo, self, 1), with_strides(pyslowfast(), self, 1)]
    }

    fn inflation(&self) -> Option<Inflation> {
        Some(inflation(ResNetDepth::D50, self.base_channels, "backbone."))
    }

    fn small() -> Vec<Small<Self>> {
        let small = |stride| {
            let backbone = Self { base_channels: 8, conv1_stride_t: stride, pool1_stride_t: stride, ..Self::default() };
            Small { backbone, clip: SMALL }
        };
        vec![small(2), small(1)]
    }

    fn published() -> Vec<Published<Self>> {
        vec![Published {
            backbone: Self::default(),
            clip: CLIP,
            num_classes: 400,
            num_params: 28_043_472,
            gmacs: 33.1,
            weight_keys: Some("mmaction2-i3d.txt"),
        }]
    }
}

impl Architecture for ResNet3dSlowOnly {
    const USES_FRAME_ORDER: bool = true;

    fn name(&self) -> String {
        "slowonly_r50".to_owned()
    }

    fn build(&self, g: &mut Builder, head: &Head) -> Result<Logits, GraphError> {
        let inflated: Inflated = |layer, _| layer >= 2;
        let pathway = Pathway { prefix: "backbone.", base_channels: self.base_channels as usize, inflated };
        let mut x = pathway.stem(g, g.input(), 1, [1, 1])?; // [N, base, T, H/4, W/4]
        for layer in 0..4 {
            x = pathway.layer(g, x, layer)?;
        }
        head.of_clips(g, x, "cls_head.fc_cls")
    }

    fn own_names(&self) -> NameMap {
        NameMap::same(Project::Mmaction2)
    }

    fn name_maps(&self) -> Vec<NameMap> {
        let pytorchvideo = NameMap::new(Project::Pytorchvideo).rule("cls_head.fc_cls.*", "blocks.5.proj.*");
        let pytorchvideo =
            pytorchvideo_path(pytorchvideo, "backbone.", [1, 2, 3, 4].map(|block| format!("blocks.{block}")));
        vec![pytorchvideo_stem(pytorchvideo, "backbone.", "blocks.0"), pyslowfast()]
    }

    fn inflation(&self) -> Option<Inflation> {
        Some(inflation(ResNetDepth::D50, self.base_channels, "backbone."))
    }

    fn small() -> Vec<Small<Self>> {
        vec![Small { backbone: Self { base_channels: 8, ..Self::default() }, clip: SMALL }]
    }

    fn published() -> Vec<Published<Self>> {
        vec![Published {
            backbone: Self::default(),
            clip: ClipShape { frames: 8, ..CLIP },
            num_classes: 400,
            num_params: 32_454_096,
            gmacs: 41.7,
            weight_keys: Some("mmaction2-slowonly.txt"),
        }]
    }
}

/// Says that the weights of a project belong to an I3D with this temporal stride of stem and pooling.
fn with_strides(map: NameMap, i3d: &ResNet3d, stride: u32) -> NameMap {
    map.requires("conv1_stride_t", i3d.conv1_stride_t, stride).requires("pool1_stride_t", i3d.pool1_stride_t, stride)
}

/// Returns PySlowFast's names of a network with one pathway.
fn pyslowfast() -> NameMap {
    pyslowfast_path(NameMap::new(Project::Pyslowfast), "backbone.", 0).rule("cls_head.fc_cls.*", "head.projection.*")
}

/// Appends PySlowFast's names of one pathway.
pub(super) fn pyslowfast_path(mut map: NameMap, ours: &str, pathway: usize) -> NameMap {
    map = map
        .rule(format!("{ours}conv1.conv.*"), format!("s1.pathway{pathway}_stem.conv.*"))
        .rule(format!("{ours}conv1.bn.*"), format!("s1.pathway{pathway}_stem.bn.*"));
    for layer in 1..=4 {
        let theirs = format!("s{}.pathway{pathway}_res#", layer + 1);
        let ours = format!("{ours}layer{layer}.#");
        for (conv, letter) in ["a", "b", "c"].into_iter().enumerate() {
            let conv = conv + 1;
            map = map
                .rule(format!("{ours}.conv{conv}.conv.*"), format!("{theirs}.branch2.{letter}.*"))
                .rule(format!("{ours}.conv{conv}.bn.*"), format!("{theirs}.branch2.{letter}_bn.*"));
        }
        map = map
            .rule(format!("{ours}.downsample.conv.*"), format!("{theirs}.branch1.*"))
            .rule(format!("{ours}.downsample.bn.*"), format!("{theirs}.branch1_bn.*"));
    }
    map
}

/// Appends PyTorchVideo's names of a stem.
pub(super) fn pytorchvideo_stem(map: NameMap, ours: &str, theirs: &str) -> NameMap {
    map.rule(format!("{ours}conv1.conv.*"), format!("{theirs}.conv.*"))
        .rule(format!("{ours}conv1.bn.*"), format!("{theirs}.norm.*"))
}

/// Appends PyTorchVideo's names of the four layers of a pathway.
pub(super) fn pytorchvideo_path(mut map: NameMap, ours: &str, blocks: [String; 4]) -> NameMap {
    for (layer, block) in blocks.iter().enumerate() {
        let (ours, theirs) = (format!("{ours}layer{}.#", layer + 1), format!("{block}.res_blocks.#"));
        for (conv, letter) in ["a", "b", "c"].into_iter().enumerate() {
            let conv = conv + 1;
            map = map
                .rule(format!("{ours}.conv{conv}.conv.*"), format!("{theirs}.branch2.conv_{letter}.*"))
                .rule(format!("{ours}.conv{conv}.bn.*"), format!("{theirs}.branch2.norm_{letter}.*"));
        }
        map = map
            .rule(format!("{ours}.downsample.conv.*"), format!("{theirs}.branch1_conv.*"))
            .rule(format!("{ours}.downsample.bn.*"), format!("{theirs}.branch1_norm.*"));
    }
    map
}

impl Pathway<'_> {
    /// Appends the stem, a convolution over `kernel` frames, and its pooling: `[N, C, T, H, W]` → `[N, base, T / strides, H/4, W/4]`.
    pub(super) fn stem(
        &self,
        g: &mut Builder,
        x: NodeId,
        kernel: usize,
        [conv_stride, pool_stride]: [usize; 2],
    ) -> Result<NodeId, GraphError> {
        let params = conv_same(self.base_channels, [kernel, 7, 7], [conv_stride, 2, 2]);
        let x = self.conv_bn(g, x, "conv1", params)?;
        let x = g.node(&self.named("relu"), x, Relu)?;
        g.node(&self.named("maxpool"), x, max_pool_same([1, 3, 3], [pool_stride, 2, 2]))
    }

    /// Appends a layer of bottlenecks, from 0: the channels of the result are `4 base << layer`.
    pub(super) fn layer(&self, g: &mut Builder, mut x: NodeId, layer: usize) -> Result<NodeId, GraphError> {
        for block in 0..NUM_BLOCKS[layer] {
            let stride = if layer > 0 && block == 0 { 2 } else { 1 };
            x = self.bottleneck(g, x, [layer, block], stride)?;
        }
        Ok(x)
    }

    /// Three convolutions and a residual connection.
    fn bottleneck(
        &self,
        g: &mut Builder,
        x: NodeId,
        [layer, block]: [usize; 2],
        stride: usize,
    ) -> Result<NodeId, GraphError> {
        let name = format!("layer{}.{block}", layer + 1);
        let named = |suffix: &str| format!("{name}.{suffix}");
        let planes = self.base_channels << layer;
        let temporal = if (self.inflated)(layer, block) { 3 } else { 1 };
        let y = self.conv_bn(g, x, &named("conv1"), conv_same(planes, [temporal, 1, 1], [1; 3]))?;
        let y = g.node(&self.named(&named("relu1")), y, Relu)?;
        let y = self.conv_bn(g, y, &named("conv2"), conv_same(planes, [1, 3, 3], [1, stride, stride]))?;
        let y = g.node(&self.named(&named("relu2")), y, Relu)?;
        let y = self.conv_bn(g, y, &named("conv3"), conv_same(planes * 4, [1; 3], [1; 3]))?;
        let x = if block == 0 {
            self.conv_bn(g, x, &named("downsample"), conv_same(planes * 4, [1; 3], [1, stride, stride]))?
        } else {
            x
        };
        let y = g.node(&self.named(&named("add")), [y, x], Add)?;
        g.node(&self.named(&named("relu")), y, Relu)
    }

    fn conv_bn(&self, g: &mut Builder, x: NodeId, name: &str, params: ConvParams<3>) -> Result<NodeId, GraphError> {
        let name = self.named(name);
        conv_bn(g, x, [&format!("{name}.conv"), &format!("{name}.bn")], params)
    }

    pub(super) fn named(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::check_shape;

    #[test]
    fn i3d_of_mmaction2_halves_the_frames_three_times_and_others_once() {
        let i3d = |stride| ResNet3d {
            base_channels: 8,
            conv1_stride_t: stride,
            pool1_stride_t: stride,
            ..ResNet3d::default()
        };
        check_shape(i3d(2), CLIP, "backbone.maxpool", 1, &[8, 8, 56, 56]);
        check_shape(i3d(2), CLIP, "backbone.pool2", 1, &[32, 4, 56, 56]);
        check_shape(i3d(1), CLIP, "backbone.pool2", 1, &[32, 16, 56, 56]);
    }

    #[test]
    fn slowonly_keeps_all_frames() {
        let slowonly = ResNet3dSlowOnly { base_channels: 8, ..ResNet3dSlowOnly::default() };
        check_shape(slowonly, CLIP, "backbone.layer4.2.relu", 1, &[256, 32, 7, 7]);
    }
}
