//! R(2+1)D-34 of MMAction2 (Tran et al. 2018, "A Closer Look at Spatiotemporal Convolutions for Action Recognition").
//!
//! Names match MMAction2's `r2plus1d_r34`: `backbone.layer1.0.conv1.conv.conv_s.weight`. Unlike torchvision's R(2+1)D, the stem and
//! the shortcuts are factorised, a pooling follows the stem, and inner widths are computed for each convolution.

use crate::NameMap;
use crate::architecture::{Architecture, Published, Small};
use crate::head::{Head, Logits};
use crate::layers::{conv_norm, conv_same, max_pool_same};
use pipe_graph::ops::{add::Add, batch_norm::BatchNorm, relu::Relu};
use pipe_graph::{Builder, ClipShape, GraphError, NodeId};
use pipe_schemas::networks::Project;
use pipe_schemas::networks::resnet2plus1d::ResNet2Plus1d;

/// The batch normalisation after a whole convolution; the one inside has PyTorch's constants.
const OUTER: BatchNorm = BatchNorm { eps: 1e-3, momentum: 0.1 };

impl Architecture for ResNet2Plus1d {
    const USES_FRAME_ORDER: bool = true;

    fn name(&self) -> String {
        "r2plus1d_r34".to_owned()
    }

    fn build(&self, g: &mut Builder, head: &Head) -> Result<Logits, GraphError> {
        let base = self.base_channels as usize;
        let stem = Factorised { out_channels: base, kernel: [3, 7], stride: [1, 2] };
        let x = stem.append(g, g.input(), "backbone.conv1")?; // [N, base, T, H/2, W/2]
        let x = g.node("backbone.relu", x, Relu)?;
        let mut x = g.node("backbone.maxpool", x, max_pool_same([1, 3, 3], [1, 2, 2]))?;
        for (layer, num_blocks) in [3, 4, 6, 3].into_iter().enumerate() {
            for block in 0..num_blocks {
                let stride = if layer > 0 && block == 0 { 2 } else { 1 };
                x = basic_block(g, x, &format!("backbone.layer{}.{block}", layer + 1), base << layer, stride)?;
            }
        }
        head.of_clips(g, x, "cls_head.fc_cls")
    }

    fn own_names(&self) -> NameMap {
        NameMap::same(Project::Mmaction2)
    }

    fn small() -> Vec<Small<Self>> {
        let clip = ClipShape { channels: 3, frames: 4, height: 64, width: 48 };
        vec![Small { backbone: Self { base_channels: 8, ..Self::default() }, clip }]
    }

    fn published() -> Vec<Published<Self>> {
        vec![Published {
            backbone: Self::default(),
            clip: ClipShape { channels: 3, frames: 12, height: 96, width: 80 },
            num_classes: 400,
            num_params: 63_759_281,
            gmacs: 9.57,
            weight_keys: Some("mmaction2-r2plus1d.txt"),
        }]
    }
}

/// Two convolutions and a residual connection.
fn basic_block(g: &mut Builder, x: NodeId, name: &str, planes: usize, stride: usize) -> Result<NodeId, GraphError> {
    let named = |suffix: &str| format!("{name}.{suffix}");
    let conv = |stride| Factorised { out_channels: planes, kernel: [3; 2], stride: [stride; 2] };
    let y = conv(stride).append(g, x, &named("conv1"))?;
    let y = g.node(&named("relu1"), y, Relu)?;
    let y = conv(1).append(g, y, &named("conv2"))?;
    let x = if stride != 1 || g.channels(x)? != planes {
        let shortcut = Factorised { out_channels: planes, kernel: [1; 2], stride: [stride; 2] };
        shortcut.append(g, x, &named("downsample"))?
    } else {
        x
    };
    let y = g.node(&named("add"), [y, x], Add)?;
    g.node(&named("relu"), y, Relu)
}

/// A convolution in space and one in time. Kernel and stride are `[temporal, spatial]`.
struct Factorised {
    out_channels: usize,
    kernel: [usize; 2],
    stride: [usize; 2],
}

impl Factorised {
    fn append(&self, g: &mut Builder, x: NodeId, name: &str) -> Result<NodeId, GraphError> {
        let Self { out_channels, kernel: [temporal, spatial], stride: [temporal_stride, stride] } = *self;
        let named = |suffix: &str| format!("{name}.{suffix}");
        let window = spatial * spatial;
        let in_channels = g.channels(x)?;
        // A temporal size of 3 counts even where it is 1.
        let mid_channels = 3 * (in_channels * out_channels * window) / (in_channels * window + 3 * out_channels);
        let params = conv_same(mid_channels, [1, spatial, spatial], [1, stride, stride]);
        let x = conv_norm(g, x, [&named("conv.conv_s"), &named("conv.bn_s")], params, BatchNorm::default())?;
        let x = g.node(&named("conv.relu"), x, Relu)?;
        let params = conv_same(out_channels, [temporal, 1, 1], [temporal_stride, 1, 1]);
        conv_norm(g, x, [&named("conv.conv_t"), &named("bn")], params, OUTER)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::check_shape;

    #[test]
    fn inner_widths_are_those_of_mmaction2() {
        let clip = ClipShape { channels: 3, frames: 12, height: 96, width: 80 };
        let check = |node: &str, dims: &[usize]| check_shape(ResNet2Plus1d::default(), clip, node, 1, dims);
        check("backbone.conv1.conv.conv_s", &[83, 12, 48, 40]);
        check("backbone.layer2.0.conv2.conv.conv_s", &[288, 6, 12, 10]);
        check("backbone.layer2.0.downsample.conv.conv_s", &[54, 12, 12, 10]);
    }
}
