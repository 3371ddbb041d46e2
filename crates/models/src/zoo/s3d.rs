//! S3D (Xie et al. 2018, "Rethinking Spatiotemporal Feature Learning"): Inception V1 whose convolutions are factorised in space and
//! time.
//!
//! Names match torchvision's `s3d`: `features.0.0.0.weight`, `features.5.branch1.0.0.weight`, `classifier.1.weight`.

use crate::NameMap;
use crate::architecture::{Architecture, Published, Small};
use crate::head::{Head, Logits};
use crate::layers::{conv_norm, conv_same, max_pool_same};
use pipe_graph::ops::{
    avg_pool::AvgPool, batch_norm::BatchNorm, concat::Concat, conv::ConvParams, global_avg_pool::GlobalAvgPool,
    max_pool::MaxPool, relu::Relu,
};
use pipe_graph::{Builder, ClipShape, GraphError, Init, NodeId};
use pipe_schemas::networks::Project;
use pipe_schemas::networks::s3d::S3D;

const NORM: BatchNorm = BatchNorm { eps: 1e-3, momentum: 1e-3 };

/// The filters of an Inception block: branch 0, branches 1 and 2 (inner and outer), branch 3.
type Widths = (usize, [usize; 2], [usize; 2], usize);

/// The positions of the blocks in `features`, and their filters for a base of 64.
const BLOCKS: [(usize, Widths); 9] = [
    (5, (64, [96, 128], [16, 32], 32)),
    (6, (128, [128, 192], [32, 96], 64)),
    (8, (192, [96, 208], [16, 48], 64)),
    (9, (160, [112, 224], [24, 64], 64)),
    (10, (128, [128, 256], [24, 64], 64)),
    (11, (112, [144, 288], [32, 64], 64)),
    (12, (256, [160, 320], [32, 128], 128)),
    (14, (256, [160, 320], [32, 128], 128)),
    (15, (384, [192, 384], [48, 128], 128)),
];

impl Architecture for S3D {
    const USES_FRAME_ORDER: bool = true;

    fn name(&self) -> String {
        "s3d".to_owned()
    }

    fn build(&self, g: &mut Builder, head: &Head) -> Result<Logits, GraphError> {
        let x = features(g, self.base_channels as usize)?;
        let pool = AvgPool { kernel: vec![2, 7, 7], stride: vec![1; 3], padding: vec![0; 3] };
        let x = g.node("avgpool", x, pool)?;
        let x = head.dropout(g, x, "classifier.0")?;
        let init = Init::Normal { std: head.init_std };
        let params = ConvParams { out_channels: head.num_classes, bias: true, init, ..ConvParams::<3>::default() };
        let classifier = g.node("classifier.1", x, params)?;
        let output = g.node("logits_mean", classifier, GlobalAvgPool)?;
        Ok(Logits { output, classifier })
    }

    fn own_names(&self) -> NameMap {
        NameMap::same(Project::Torchvision)
    }

    fn small() -> Vec<Small<Self>> {
        let clip = ClipShape { channels: 3, frames: 14, height: 224, width: 212 };
        vec![Small { backbone: Self { base_channels: 4 }, clip }]
    }

    fn published() -> Vec<Published<Self>> {
        vec![Published {
            backbone: Self { base_channels: 64 },
            clip: ClipShape { channels: 3, frames: 16, height: 224, width: 224 },
            num_classes: 400,
            num_params: 8_320_048,
            gmacs: 18.0,
            weight_keys: Some("torchvision-s3d.txt"),
        }]
    }
}

/// Appends everything except pooling and classifier: `[N, C, T, H, W]` → `[N, 16 base, T/8, H/32, W/32]`.
fn features(g: &mut Builder, base_channels: usize) -> Result<NodeId, GraphError> {
    let width = |filters: usize| (filters * base_channels).div_ceil(64);
    let spatial_pool = || max_pool_same([1, 3, 3], [1, 2, 2]);
    let x = separable(g, g.input(), "features.0", width(64), 7, 2)?; // [N, base, T/2, H/2, W/2]
    let x = g.node("features.1", x, spatial_pool())?;
    let x = unit(g, x, "features.2", conv_same(width(64), [1; 3], [1; 3]))?;
    let x = separable(g, x, "features.3", width(192), 3, 1)?;
    let mut x = g.node("features.4", x, spatial_pool())?; // [N, 3 base, T/2, H/8, W/8]
    for (position, widths) in BLOCKS {
        let pooled = match position {
            8 => Some(max_pool_same([3; 3], [2; 3])),
            14 => Some(MaxPool { kernel: vec![2; 3], stride: vec![2; 3], padding: vec![0; 3] }),
            _ => None,
        };
        if let Some(pool) = pooled {
            x = g.node(&format!("features.{}", position - 1), x, pool)?;
        }
        x = inception(g, x, &format!("features.{position}"), widths, width)?;
    }
    Ok(x)
}

/// Four branches side by side.
fn inception(
    g: &mut Builder,
    x: NodeId,
    name: &str,
    (first, second, third, fourth): Widths,
    width: impl Fn(usize) -> usize,
) -> Result<NodeId, GraphError> {
    let point = |filters: usize| conv_same(width(filters), [1; 3], [1; 3]);
    let branch0 = unit(g, x, &format!("{name}.branch0"), point(first))?;
    let mut branches = vec![branch0];
    for (branch, [inner, outer]) in [(1, second), (2, third)] {
        let y = unit(g, x, &format!("{name}.branch{branch}.0"), point(inner))?;
        branches.push(separable(g, y, &format!("{name}.branch{branch}.1"), width(outer), 3, 1)?);
    }
    let y = g.node(&format!("{name}.branch3.0"), x, max_pool_same([3; 3], [1; 3]))?;
    branches.push(unit(g, y, &format!("{name}.branch3.1"), point(fourth))?);
    g.node(name, branches, Concat { axis: 0 })
}

/// A convolution in space and one in time, each with batch normalisation and ReLU.
fn separable(
    g: &mut Builder,
    x: NodeId,
    name: &str,
    out_channels: usize,
    kernel: usize,
    stride: usize,
) -> Result<NodeId, GraphError> {
    let x = unit(g, x, &format!("{name}.0"), conv_same(out_channels, [1, kernel, kernel], [1, stride, stride]))?;
    unit(g, x, &format!("{name}.1"), conv_same(out_channels, [kernel, 1, 1], [stride, 1, 1]))
}

/// A convolution with batch normalisation and ReLU.
fn unit(g: &mut Builder, x: NodeId, name: &str, params: ConvParams<3>) -> Result<NodeId, GraphError> {
    let x = conv_norm(g, x, [&format!("{name}.0"), &format!("{name}.1")], params, NORM)?;
    g.node(&format!("{name}.2"), x, Relu)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{check_error, check_shape};

    const CLIP: ClipShape = ClipShape { channels: 3, frames: 16, height: 224, width: 224 };

    #[test]
    fn shapes_equal_those_of_the_paper() {
        check_shape(S3D { base_channels: 64 }, CLIP, "features.7", 1, &[480, 4, 14, 14]);
        check_shape(S3D { base_channels: 64 }, CLIP, "features.15", 1, &[1024, 2, 7, 7]);
    }

    #[test]
    fn clips_that_end_smaller_than_the_pooling_are_errors() {
        let short = ClipShape { frames: 8, ..CLIP };
        check_error(
            S3D { base_channels: 64 },
            short,
            10,
            "a window of 2 is larger than the padded input of 1 on axis 0",
        );
    }
}
