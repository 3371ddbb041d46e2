//! Inception V3 (Szegedy et al. 2016, "Rethinking the Inception Architecture for Computer Vision") on frames.
//!
//! Names match torchvision's `inception_v3`: `Conv2d_1a_3x3.conv.weight`, `Mixed_5b.branch1x1.bn.bias`, `AuxLogits.fc.weight`. Frames
//! have at least 75x75 pixels. A block is a list of branches side by side; a branch is a list of convolutions, one after the other.

use crate::NameMap;
use crate::architecture::{Architecture, Published, Small};
use crate::frames::classify_frames;
use crate::head::{Head, Logits};
use crate::layers::conv_norm;
use pipe_graph::ops::{
    avg_pool::AvgPool, batch_norm::BatchNorm, channel_affine::ChannelAffine, concat::Concat, conv::ConvParams,
    global_avg_pool::GlobalAvgPool, linear::LinearParams, max_pool::MaxPool, pad::Pad, relu::Relu,
    segment_mean::SegmentMean,
};
use pipe_graph::{Auxiliary, Builder, ClipShape, GraphError, Init, NodeId};
use pipe_schemas::networks::Project;
use pipe_schemas::networks::inception_v3::InceptionV3;

const NORM: BatchNorm = BatchNorm { eps: 1e-3, momentum: 0.1 };

/// The constants of ImageNet, by which pixels are normalised before.
const MEAN: [f64; 3] = [0.485, 0.456, 0.406];
const STD: [f64; 3] = [0.229, 0.224, 0.225];

/// The height and width at which the second classifier's features are 1x1; smaller maps are padded to it.
const AUXILIARY_SIZE: usize = 17;

impl Architecture for InceptionV3 {
    const USES_FRAME_ORDER: bool = false;

    fn name(&self) -> String {
        "tsn_inception_v3".to_owned()
    }

    fn build(&self, g: &mut Builder, head: &Head) -> Result<Logits, GraphError> {
        let mut inner = None;
        let logits = classify_frames(g, head, "fc", None, |g, x| {
            let x = if self.transform_input { g.node("transform_input", x, transform_input())? } else { x };
            let mut net = Net { g, base: self.base_channels as usize };
            let x = net.stem(x)?;
            let x = net.until_6e(x)?;
            inner = Some(x);
            net.after_6e(x)
        })?;
        if let Some(x) = inner.filter(|_| self.aux_logits) {
            Net { g, base: self.base_channels as usize }.auxiliary(x, head, self.aux_loss_weight)?;
        }
        Ok(logits)
    }

    fn own_names(&self) -> NameMap {
        NameMap::same(Project::Torchvision)
    }

    fn small() -> Vec<Small<Self>> {
        let clip = ClipShape { channels: 3, frames: 2, height: 75, width: 92 };
        let small = Self { base_channels: 4, transform_input: true, aux_logits: true, aux_loss_weight: 0.4 };
        let plain = Self { transform_input: false, aux_logits: false, ..small.clone() };
        vec![Small { backbone: small, clip }, Small { backbone: plain, clip }]
    }

    fn published() -> Vec<Published<Self>> {
        vec![Published {
            backbone: Self { base_channels: 32, transform_input: true, aux_logits: true, aux_loss_weight: 0.4 },
            clip: ClipShape { channels: 3, frames: 3, height: 299, width: 299 },
            num_classes: 1000,
            num_params: 27_161_264,
            gmacs: 17.1,
            weight_keys: Some("torchvision-inception_v3.txt"),
        }]
    }
}

/// From pixels normalised by ImageNet's constants to pixels normalised by a mean and deviation of 0.5.
fn transform_input() -> ChannelAffine {
    let offsets = MEAN.iter().map(|mean| (mean - 0.5) / 0.5).collect();
    ChannelAffine { scale: STD.iter().map(|std| std / 0.5).collect(), offset: offsets }
}

/// A convolution with batch normalisation and ReLU: name, filters for a base of 32, kernel, stride, padding.
type Conv = (&'static str, usize, [usize; 2], usize, [usize; 2]);

/// A convolution that keeps the size.
const fn same(name: &'static str, filters: usize, kernel: [usize; 2]) -> Conv {
    (name, filters, kernel, 1, [kernel[0] / 2, kernel[1] / 2])
}

/// A convolution of 3x3 with stride 2 and without padding.
const fn halve(name: &'static str, filters: usize) -> Conv {
    (name, filters, [3, 3], 2, [0, 0])
}

/// A builder, and the channels of the stem that all filters are scaled with.
struct Net<'a> {
    g: &'a mut Builder,
    base: usize,
}

impl Net<'_> {
    fn stem(&mut self, x: NodeId) -> Result<NodeId, GraphError> {
        let x = self.conv(x, "Conv2d_1a_3x3", halve("", 32))?;
        let x = self.conv(x, "Conv2d_2a_3x3", ("", 32, [3, 3], 1, [0, 0]))?;
        let x = self.conv(x, "Conv2d_2b_3x3", same("", 64, [3, 3]))?;
        let x = self.g.node("maxpool1", x, max_pool())?;
        let x = self.conv(x, "Conv2d_3b_1x1", same("", 80, [1, 1]))?;
        let x = self.conv(x, "Conv2d_4a_3x3", ("", 192, [3, 3], 1, [0, 0]))?;
        self.g.node("maxpool2", x, max_pool())
    }

    fn until_6e(&mut self, x: NodeId) -> Result<NodeId, GraphError> {
        let mut x = x;
        for (name, pool_filters) in [("Mixed_5b", 32), ("Mixed_5c", 64), ("Mixed_5d", 64)] {
            x = self.block_a(x, name, pool_filters)?;
        }
        x = self.block_b(x, "Mixed_6a")?;
        for (name, filters) in [("Mixed_6b", 128), ("Mixed_6c", 160), ("Mixed_6d", 160), ("Mixed_6e", 192)] {
            x = self.block_c(x, name, filters)?;
        }
        Ok(x)
    }

    fn after_6e(&mut self, x: NodeId) -> Result<NodeId, GraphError> {
        let x = self.block_d(x, "Mixed_7a")?;
        let x = self.block_e(x, "Mixed_7b")?;
        self.block_e(x, "Mixed_7c")
    }

    /// Branches of 1x1, 5x5 and 3x3 convolutions.
    fn block_a(&mut self, x: NodeId, name: &str, pool_filters: usize) -> Result<NodeId, GraphError> {
        let branches = [
            self.branch(x, name, &[same("branch1x1", 64, [1, 1])])?,
            self.branch(x, name, &[same("branch5x5_1", 48, [1, 1]), same("branch5x5_2", 64, [5, 5])])?,
            self.branch(
                x,
                name,
                &[
                    same("branch3x3dbl_1", 64, [1, 1]),
                    same("branch3x3dbl_2", 96, [3, 3]),
                    same("branch3x3dbl_3", 96, [3, 3]),
                ],
            )?,
            self.pooled(x, name, pool_filters)?,
        ];
        self.g.node(name, branches, Concat { axis: 0 })
    }

    /// Halves rows and columns.
    fn block_b(&mut self, x: NodeId, name: &str) -> Result<NodeId, GraphError> {
        let branches = [
            self.branch(x, name, &[halve("branch3x3", 384)])?,
            self.branch(
                x,
                name,
                &[same("branch3x3dbl_1", 64, [1, 1]), same("branch3x3dbl_2", 96, [3, 3]), halve("branch3x3dbl_3", 96)],
            )?,
            self.g.node(&format!("{name}.maxpool"), x, max_pool())?,
        ];
        self.g.node(name, branches, Concat { axis: 0 })
    }

    /// Branches of 7x7 convolutions, factorised into 1x7 and 7x1.
    fn block_c(&mut self, x: NodeId, name: &str, filters: usize) -> Result<NodeId, GraphError> {
        let branches = [
            self.branch(x, name, &[same("branch1x1", 192, [1, 1])])?,
            self.branch(
                x,
                name,
                &[
                    same("branch7x7_1", filters, [1, 1]),
                    same("branch7x7_2", filters, [1, 7]),
                    same("branch7x7_3", 192, [7, 1]),
                ],
            )?,
            self.branch(
                x,
                name,
                &[
                    same("branch7x7dbl_1", filters, [1, 1]),
                    same("branch7x7dbl_2", filters, [7, 1]),
                    same("branch7x7dbl_3", filters, [1, 7]),
                    same("branch7x7dbl_4", filters, [7, 1]),
                    same("branch7x7dbl_5", 192, [1, 7]),
                ],
            )?,
            self.pooled(x, name, 192)?,
        ];
        self.g.node(name, branches, Concat { axis: 0 })
    }

    /// Halves rows and columns, with a factorised 7x7 convolution.
    fn block_d(&mut self, x: NodeId, name: &str) -> Result<NodeId, GraphError> {
        let branches = [
            self.branch(x, name, &[same("branch3x3_1", 192, [1, 1]), halve("branch3x3_2", 320)])?,
            self.branch(
                x,
                name,
                &[
                    same("branch7x7x3_1", 192, [1, 1]),
                    same("branch7x7x3_2", 192, [1, 7]),
                    same("branch7x7x3_3", 192, [7, 1]),
                    halve("branch7x7x3_4", 192),
                ],
            )?,
            self.g.node(&format!("{name}.maxpool"), x, max_pool())?,
        ];
        self.g.node(name, branches, Concat { axis: 0 })
    }

    /// Branches that end in a 1x3 and a 3x1 convolution side by side.
    fn block_e(&mut self, x: NodeId, name: &str) -> Result<NodeId, GraphError> {
        let first = self.branch(x, name, &[same("branch1x1", 320, [1, 1])])?;
        let y = self.branch(x, name, &[same("branch3x3_1", 384, [1, 1])])?;
        let second =
            self.fork(y, name, "branch3x3", same("branch3x3_2a", 384, [1, 3]), same("branch3x3_2b", 384, [3, 1]))?;
        let y = self.branch(x, name, &[same("branch3x3dbl_1", 448, [1, 1]), same("branch3x3dbl_2", 384, [3, 3])])?;
        let [a, b] = [same("branch3x3dbl_3a", 384, [1, 3]), same("branch3x3dbl_3b", 384, [3, 1])];
        let third = self.fork(y, name, "branch3x3dbl", a, b)?;
        let branches = [first, second, third, self.pooled(x, name, 192)?];
        self.g.node(name, branches, Concat { axis: 0 })
    }

    /// The second classifier, on the features of frames after block 6e.
    fn auxiliary(&mut self, x: NodeId, head: &Head, loss_weight: f64) -> Result<(), GraphError> {
        let missing = |size: &usize| AUXILIARY_SIZE.saturating_sub(*size);
        let after: Vec<usize> = self
            .g
            .shape(x)?
            .dims
            .iter()
            .enumerate()
            .map(|(axis, size)| if axis == 0 { 0 } else { missing(size) })
            .collect();
        let x = if after.iter().any(|after| *after > 0) { self.g.node("AuxLogits.pad", x, Pad { after })? } else { x };
        let pool = AvgPool { kernel: vec![5; 2], stride: vec![3; 2], padding: vec![0; 2] };
        let x = self.g.node("AuxLogits.avgpool", x, pool)?;
        let x = self.conv(x, "AuxLogits.conv0", same("", 128, [1, 1]))?;
        let x = self.conv(x, "AuxLogits.conv1", ("", 768, [5, 5], 1, [0, 0]))?;
        let x = self.g.node("AuxLogits.mean", x, GlobalAvgPool)?;
        let x = self.g.node("AuxLogits.consensus", x, SegmentMean)?;
        let init = Init::Normal { std: head.init_std };
        let output =
            self.g.node("AuxLogits.fc", x, LinearParams { out_features: head.num_classes, init, bias: true })?;
        self.g.set_auxiliary(Auxiliary { output, loss_weight }, output);
        Ok(())
    }

    /// A mean over 3x3 pixels, zeros outside of the map included, and a 1x1 convolution.
    fn pooled(&mut self, x: NodeId, name: &str, filters: usize) -> Result<NodeId, GraphError> {
        let pool = AvgPool { kernel: vec![3; 2], stride: vec![1; 2], padding: vec![1; 2] };
        let x = self.g.node(&format!("{name}.avgpool"), x, pool)?;
        self.branch(x, name, &[same("branch_pool", filters, [1, 1])])
    }

    fn fork(&mut self, x: NodeId, block: &str, name: &str, a: Conv, b: Conv) -> Result<NodeId, GraphError> {
        let sides = [self.branch(x, block, &[a])?, self.branch(x, block, &[b])?];
        self.g.node(&format!("{block}.{name}"), sides, Concat { axis: 0 })
    }

    fn branch(&mut self, x: NodeId, block: &str, convs: &[Conv]) -> Result<NodeId, GraphError> {
        convs.iter().try_fold(x, |x, conv| self.conv(x, &format!("{block}.{}", conv.0), *conv))
    }

    fn conv(&mut self, x: NodeId, name: &str, conv: Conv) -> Result<NodeId, GraphError> {
        let (_, filters, kernel, stride, padding) = conv;
        let out_channels = (filters * self.base / 32).max(1);
        let params = ConvParams { out_channels, kernel, stride: [stride; 2], padding, ..ConvParams::default() };
        let x = conv_norm(self.g, x, [&format!("{name}.conv"), &format!("{name}.bn")], params, NORM)?;
        self.g.node(&format!("{name}.relu"), x, Relu)
    }
}

fn max_pool() -> MaxPool {
    MaxPool { kernel: vec![3; 2], stride: vec![2; 2], padding: vec![0; 2] }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{check_error, check_shape};

    const NET: InceptionV3 =
        InceptionV3 { base_channels: 32, transform_input: true, aux_logits: true, aux_loss_weight: 0.4 };

    #[test]
    fn shapes_equal_those_of_the_paper() {
        let clip = ClipShape { channels: 3, frames: 1, height: 299, width: 299 };
        check_shape(NET, clip, "maxpool2", 1, &[192, 35, 35]);
        check_shape(NET, clip, "Mixed_5d", 1, &[288, 35, 35]);
        check_shape(NET, clip, "Mixed_6e", 1, &[768, 17, 17]);
        check_shape(NET, clip, "AuxLogits.conv1.relu", 1, &[768, 1, 1]);
        check_shape(NET, clip, "Mixed_7c", 1, &[2048, 8, 8]);
    }

    #[test]
    fn frames_have_at_least_75_pixels() {
        let clip = |size| ClipShape { channels: 3, frames: 1, height: size, width: size };
        check_shape(NET, clip(75), "Mixed_7c", 1, &[2048, 1, 1]);
        check_shape(NET, clip(75), "AuxLogits.conv1.relu", 1, &[768, 1, 1]);
        check_error(NET, clip(74), 7, "a window of 3 is larger than the padded input of 2");
    }
}
