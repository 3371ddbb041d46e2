//! R3D-18, MC3-18 and R(2+1)D-18 (Tran et al. 2018, "A Closer Look at Spatiotemporal Convolutions for Action Recognition"): ResNet-18 on
//! clips.
//!
//! Names match torchvision's `r3d_18`, `mc3_18` and `r2plus1d_18`: `stem.0.weight`, `layer1.0.conv1.0.weight`, and for a factorised
//! convolution `layer1.0.conv1.0.0.weight`.

use crate::NameMap;
use crate::architecture::{Architecture, Published, Small};
use crate::head::{Head, Logits};
use crate::layers::{conv_bn, conv_same};
use pipe_graph::ops::{add::Add, relu::Relu};
use pipe_graph::{Builder, ClipShape, GraphError, NodeId};
use pipe_schemas::networks::Project;
use pipe_schemas::networks::r3d::{MC3, R2Plus1D, R3D};

const SMALL: ClipShape = ClipShape { channels: 3, frames: 4, height: 64, width: 48 };
const CLIP: ClipShape = ClipShape { channels: 3, frames: 16, height: 112, width: 112 };

/// The convolutions of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// 3x3x3.
    Full,
    /// 1x3x3: frames are neither mixed nor left out.
    Spatial,
    /// 1x3x3, then 3x1x1.
    Factorised,
}

impl Architecture for R3D {
    const USES_FRAME_ORDER: bool = true;

    fn name(&self) -> String {
        "r3d_18".to_owned()
    }

    fn build(&self, g: &mut Builder, head: &Head) -> Result<Logits, GraphError> {
        let x = features(g, self.base_channels as usize, [Kind::Full; 4])?;
        head.of_clips(g, x, "fc")
    }

    fn own_names(&self) -> NameMap {
        NameMap::same(Project::Torchvision)
    }

    fn small() -> Vec<Small<Self>> {
        vec![Small { backbone: Self { base_channels: 8 }, clip: SMALL }]
    }

    fn published() -> Vec<Published<Self>> {
        published(Self { base_channels: 64 }, 33_371_472, 40.7, "torchvision-r3d_18.txt")
    }
}

impl Architecture for MC3 {
    const USES_FRAME_ORDER: bool = true;

    fn name(&self) -> String {
        "mc3_18".to_owned()
    }

    fn build(&self, g: &mut Builder, head: &Head) -> Result<Logits, GraphError> {
        let kinds = [Kind::Full, Kind::Spatial, Kind::Spatial, Kind::Spatial];
        let x = features(g, self.base_channels as usize, kinds)?;
        head.of_clips(g, x, "fc")
    }

    fn own_names(&self) -> NameMap {
        NameMap::same(Project::Torchvision)
    }

    fn small() -> Vec<Small<Self>> {
        vec![Small { backbone: Self { base_channels: 8 }, clip: SMALL }]
    }

    fn published() -> Vec<Published<Self>> {
        published(Self { base_channels: 64 }, 11_695_440, 43.3, "torchvision-mc3_18.txt")
    }
}

impl Architecture for R2Plus1D {
    const USES_FRAME_ORDER: bool = true;

    fn name(&self) -> String {
        "r2plus1d_18".to_owned()
    }

    fn build(&self, g: &mut Builder, head: &Head) -> Result<Logits, GraphError> {
        let x = features(g, self.base_channels as usize, [Kind::Factorised; 4])?;
        head.of_clips(g, x, "fc")
    }

    fn own_names(&self) -> NameMap {
        NameMap::same(Project::Torchvision)
    }

    fn small() -> Vec<Small<Self>> {
        vec![Small { backbone: Self { base_channels: 8 }, clip: SMALL }]
    }

    fn published() -> Vec<Published<Self>> {
        published(Self { base_channels: 64 }, 31_505_325, 40.5, "torchvision-r2plus1d_18.txt")
    }
}

fn published<T>(backbone: T, num_params: usize, gmacs: f64, weight_keys: &'static str) -> Vec<Published<T>> {
    vec![Published { backbone, clip: CLIP, num_classes: 400, num_params, gmacs, weight_keys: Some(weight_keys) }]
}

/// Appends everything except pooling and classifier: `[N, C, T, H, W]` → `[N, 8 base, T/8, H/16, W/16]`; MC3 keeps `T`.
fn features(g: &mut Builder, base_channels: usize, kinds: [Kind; 4]) -> Result<NodeId, GraphError> {
    let mut x = stem(g, base_channels, kinds[0])?; // [N, base, T, H/2, W/2]
    for (layer, kind) in kinds.into_iter().enumerate() {
        for index in 0..2 {
            let name = format!("layer{}.{index}", layer + 1);
            let stride = if layer > 0 && index == 0 { 2 } else { 1 };
            x = basic_block(g, x, &Block { name, planes: base_channels << layer, stride, kind })?;
        }
    }
    Ok(x)
}

fn stem(g: &mut Builder, base_channels: usize, kind: Kind) -> Result<NodeId, GraphError> {
    let spatial = [1, 2, 2];
    if kind != Kind::Factorised {
        let x = conv_bn(g, g.input(), ["stem.0", "stem.1"], conv_same(base_channels, [3, 7, 7], spatial))?;
        return g.node("stem.2", x, Relu);
    }
    // 45 channels for a base of 64, in the paper's code as well.
    let mid_channels = (base_channels * 45).div_ceil(64);
    let x = conv_bn(g, g.input(), ["stem.0", "stem.1"], conv_same(mid_channels, [1, 7, 7], spatial))?;
    let x = g.node("stem.2", x, Relu)?;
    let x = conv_bn(g, x, ["stem.3", "stem.4"], conv_same(base_channels, [3, 1, 1], [1; 3]))?;
    g.node("stem.5", x, Relu)
}

struct Block {
    name: String,
    planes: usize,
    stride: usize,
    kind: Kind,
}

impl Block {
    /// The strides of frames, rows and columns.
    fn strides(&self) -> [usize; 3] {
        let temporal = if self.kind == Kind::Spatial { 1 } else { self.stride };
        [temporal, self.stride, self.stride]
    }

    /// Appends `conv1` or `conv2` with its batch normalisation. `mid_channels` are those between the parts of a factorised convolution.
    fn conv_bn(
        &self,
        g: &mut Builder,
        x: NodeId,
        conv: &str,
        stride: [usize; 3],
        mid_channels: usize,
    ) -> Result<NodeId, GraphError> {
        let name = format!("{}.{conv}", self.name);
        let named = |suffix: &str| format!("{name}.{suffix}");
        let kernel = match self.kind {
            Kind::Full => [3; 3],
            Kind::Spatial => [1, 3, 3],
            Kind::Factorised => {
                let [temporal, rows, columns] = stride;
                let params = conv_same(mid_channels, [1, 3, 3], [1, rows, columns]);
                let x = conv_bn(g, x, [&named("0.0"), &named("0.1")], params)?;
                let x = g.node(&named("0.2"), x, Relu)?;
                let params = conv_same(self.planes, [3, 1, 1], [temporal, 1, 1]);
                return conv_bn(g, x, [&named("0.3"), &named("1")], params);
            }
        };
        conv_bn(g, x, [&named("0"), &named("1")], conv_same(self.planes, kernel, stride))
    }
}

/// Two convolutions and a residual connection.
fn basic_block(g: &mut Builder, x: NodeId, block: &Block) -> Result<NodeId, GraphError> {
    let Block { name, planes, .. } = block;
    let in_channels = g.channels(x)?;
    // Gives a factorised convolution about the weights of a full one. Computed once per block, as in torchvision.
    let mid_channels = (in_channels * planes * 27) / (in_channels * 9 + 3 * planes);
    let y = block.conv_bn(g, x, "conv1", block.strides(), mid_channels)?;
    let y = g.node(&format!("{name}.conv1.2"), y, Relu)?;
    let y = block.conv_bn(g, y, "conv2", [1; 3], mid_channels)?;
    let x = if block.stride != 1 || in_channels != *planes {
        let names = [format!("{name}.downsample.0"), format!("{name}.downsample.1")];
        conv_bn(g, x, names.each_ref().map(String::as_str), conv_same(*planes, [1; 3], block.strides()))?
    } else {
        x
    };
    let y = g.node(&format!("{name}.add"), [y, x], Add)?;
    g.node(&format!("{name}.relu"), y, Relu)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{check_shape, check_tail};

    #[test]
    fn shapes_and_head_equal_those_of_the_paper() {
        check_shape(R3D { base_channels: 64 }, CLIP, "layer4.1.relu", 1, &[512, 2, 7, 7]);
        check_shape(R3D { base_channels: 8 }, CLIP, "stem.2", 1, &[8, 16, 56, 56]);
        check_tail(R3D { base_channels: 64 }, CLIP, &["avgpool", "dropout", "fc"]);
    }

    #[test]
    fn mc3_keeps_all_frames() {
        check_shape(MC3 { base_channels: 64 }, CLIP, "layer4.1.relu", 1, &[512, 16, 7, 7]);
    }

    #[test]
    fn a_factorised_block_has_one_inner_width() {
        check_shape(R2Plus1D { base_channels: 64 }, CLIP, "layer2.0.conv1.0.0", 1, &[230, 16, 28, 28]);
        check_shape(R2Plus1D { base_channels: 64 }, CLIP, "layer2.0.conv2.0.0", 1, &[230, 8, 28, 28]);
    }
}
