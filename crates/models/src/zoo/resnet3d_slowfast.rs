//! SlowFast (Feichtenhofer et al. 2019, "SlowFast Networks for Video Recognition"): a slow pathway that sees few frames, a fast and thin
//! one that sees all of them, and lateral connections from fast to slow.
//!
//! Names match MMAction2's `slowfast_r50`: `backbone.slow_path.conv1_lateral.conv.weight`. In the form of PyTorchVideo the laterals
//! have a batch normalisation, `backbone.slow_path.conv1_lateral.bn`.

use super::resnet::inflation;
use super::resnet3d::{Pathway, pyslowfast_path, pytorchvideo_path, pytorchvideo_stem};
use crate::NameMap;
use crate::architecture::{Architecture, Inflation, Published, Small};
use crate::head::{Head, Logits};
use pipe_graph::ops::{
    batch_norm::BatchNorm, concat::Concat, conv::ConvParams, frame_select::FrameSelect, global_avg_pool::GlobalAvgPool,
    relu::Relu,
};
use pipe_graph::{Builder, ClipShape, GraphError, NodeId, ShapeError};
use pipe_schemas::networks::Project;
use pipe_schemas::networks::resnet::ResNetDepth;
use pipe_schemas::networks::resnet3d_slowfast::{ResNet3dSlowFast, SlowFastForm};

impl Architecture for ResNet3dSlowFast {
    const USES_FRAME_ORDER: bool = true;

    fn name(&self) -> String {
        format!("slowfast_r50_{}", self.resample_rate)
    }

    fn build(&self, g: &mut Builder, head: &Head) -> Result<Logits, GraphError> {
        let (base, thin) = (self.base_channels as usize, (self.base_channels / self.channel_ratio) as usize);
        let slow = Pathway { prefix: "backbone.slow_path.", base_channels: base, inflated: |layer, _| layer >= 2 };
        let fast = Pathway { prefix: "backbone.fast_path.", base_channels: thin, inflated: |_, _| true };
        let frames = slow_frames(self, g)?;
        let x = g.node("backbone.slow_path.frames", g.input(), FrameSelect { frames })?;
        let mut x = slow.stem(g, x, 1, [1, 1])?; // [N, base, T/τ, H/4, W/4]
        let mut y = fast.stem(g, g.input(), 5, [1, 1])?; // [N, base/8, T, H/4, W/4]
        x = lateral(self, g, x, y, "conv1")?;
        for layer in 0..4 {
            x = slow.layer(g, x, layer)?;
            y = fast.layer(g, y, layer)?;
            if layer < 3 {
                x = lateral(self, g, x, y, &format!("layer{}", layer + 1))?;
            }
        }
        let x = g.node("cls_head.slow_mean", x, GlobalAvgPool)?;
        let y = g.node("cls_head.fast_mean", y, GlobalAvgPool)?;
        let pathways = match self.form {
            SlowFastForm::Mmaction2 => [y, x],
            SlowFastForm::Pytorchvideo => [x, y],
        };
        let x = g.node("avgpool", pathways, Concat { axis: 0 })?; // [N, 36 base]
        head.of_features(g, x, "cls_head.fc_cls")
    }

    fn own_names(&self) -> NameMap {
        with_form(NameMap::same(Project::Mmaction2), self, SlowFastForm::Mmaction2)
    }

    fn name_maps(&self) -> Vec<NameMap> {
        [pytorchvideo(), pyslowfast()].map(|map| with_form(map, self, SlowFastForm::Pytorchvideo)).into()
    }

    /// Only the slow pathway has the widths of the 2-D network.
    fn inflation(&self) -> Option<Inflation> {
        let Inflation { flat, names } = inflation(ResNetDepth::D50, self.base_channels, PATHWAYS[0]);
        let names = LATERALS.iter().fold(names.initial(format!("{}*", PATHWAYS[1])), |names, after| {
            names.initial(format!("{}{after}_lateral.*", PATHWAYS[0]))
        });
        Some(Inflation { flat, names })
    }

    fn small() -> Vec<Small<Self>> {
        let clip = ClipShape { channels: 3, frames: 8, height: 64, width: 48 };
        let small = |form| {
            let backbone = Self { base_channels: 16, resample_rate: 4, speed_ratio: 4, form, ..four_by_sixteen() };
            Small { backbone, clip }
        };
        vec![small(SlowFastForm::Mmaction2), small(SlowFastForm::Pytorchvideo)]
    }

    fn published() -> Vec<Published<Self>> {
        let clip = ClipShape { channels: 3, frames: 32, height: 224, width: 224 };
        let published = |backbone, num_params, gmacs, weight_keys| Published {
            backbone,
            clip,
            num_classes: 400,
            num_params,
            gmacs,
            weight_keys,
        };
        let eight = Self { resample_rate: 4, speed_ratio: 4, fusion_kernel: 7, ..four_by_sixteen() };
        vec![
            published(four_by_sixteen(), 34_479_288, 27.6, Some("mmaction2-slowfast_4x16.txt")),
            published(eight, 34_565_560, 50.3, Some("mmaction2-slowfast.txt")),
        ]
    }
}

/// SlowFast 4x16 of MMAction2.
fn four_by_sixteen() -> ResNet3dSlowFast {
    ResNet3dSlowFast {
        base_channels: 64,
        resample_rate: 8,
        speed_ratio: 8,
        channel_ratio: 8,
        fusion_kernel: 5,
        form: SlowFastForm::Mmaction2,
        frozen_stages: -1,
        norm_eval: false,
    }
}

/// Says that the weights of a project belong to this form of the network.
fn with_form(map: NameMap, slowfast: &ResNet3dSlowFast, form: SlowFastForm) -> NameMap {
    map.requires("form", slowfast.form, form)
}

/// The names of both pathways.
const PATHWAYS: [&str; 2] = ["backbone.slow_path.", "backbone.fast_path."];

fn pytorchvideo() -> NameMap {
    let mut map = NameMap::new(Project::Pytorchvideo).rule("cls_head.fc_cls.*", "blocks.6.proj.*");
    for (pathway, ours) in PATHWAYS.into_iter().enumerate() {
        let block = |block| format!("blocks.{block}.multipathway_blocks.{pathway}");
        map = pytorchvideo_path(pytorchvideo_stem(map, ours, &block(0)), ours, [1, 2, 3, 4].map(block));
    }
    for (block, after) in LATERALS.into_iter().enumerate() {
        let (ours, theirs) =
            (format!("backbone.slow_path.{after}_lateral"), format!("blocks.{block}.multipathway_fusion"));
        map = map
            .rule(format!("{ours}.conv.*"), format!("{theirs}.conv_fast_to_slow.*"))
            .rule(format!("{ours}.bn.*"), format!("{theirs}.norm.*"));
    }
    map
}

fn pyslowfast() -> NameMap {
    let mut map = NameMap::new(Project::Pyslowfast).rule("cls_head.fc_cls.*", "head.projection.*");
    for (pathway, ours) in PATHWAYS.into_iter().enumerate() {
        map = pyslowfast_path(map, ours, pathway);
    }
    for (stage, after) in LATERALS.into_iter().enumerate() {
        let (ours, theirs) = (format!("backbone.slow_path.{after}_lateral"), format!("s{}_fuse", stage + 1));
        map = map
            .rule(format!("{ours}.conv.*"), format!("{theirs}.conv_f2s.*"))
            .rule(format!("{ours}.bn.*"), format!("{theirs}.bn.*"));
    }
    map
}

/// What the lateral connections follow.
const LATERALS: [&str; 4] = ["conv1", "layer1", "layer2", "layer3"];

/// Returns the positions of the frames that the slow pathway sees.
fn slow_frames(slowfast: &ResNet3dSlowFast, g: &Builder) -> Result<Vec<usize>, GraphError> {
    let (frames, step) = (g.shape(g.input())?.dims[1], slowfast.resample_rate as usize);
    if !frames.is_multiple_of(step) {
        let source = ShapeError::Frames { frames, multiple_of: step };
        return Err(GraphError::Shape { node: "backbone.slow_path.frames".to_owned(), source });
    }
    let count = frames / step;
    let position = |index: usize| match slowfast.form {
        SlowFastForm::Mmaction2 => index * step,
        // `linspace(0, frames - 1, count)`, rounded down.
        SlowFastForm::Pytorchvideo => index * (frames - 1) / (count - 1).max(1),
    };
    Ok((0..count).map(position).collect())
}

/// Appends the connection from the fast pathway to the slow one; its channels come after the slow ones.
fn lateral(
    slowfast: &ResNet3dSlowFast,
    g: &mut Builder,
    slow: NodeId,
    fast: NodeId,
    after: &str,
) -> Result<NodeId, GraphError> {
    let (kernel, stride) = (slowfast.fusion_kernel as usize, slowfast.speed_ratio as usize);
    let name = format!("backbone.slow_path.{after}_lateral");
    let params = ConvParams {
        out_channels: g.channels(fast)? * 2,
        kernel: [kernel, 1, 1],
        stride: [stride, 1, 1],
        padding: [kernel / 2, 0, 0],
        ..ConvParams::default()
    };
    let mut y = g.node(&format!("{name}.conv"), fast, params)?;
    if slowfast.form == SlowFastForm::Pytorchvideo {
        y = g.node(&format!("{name}.bn"), y, BatchNorm::default())?;
        y = g.node(&format!("{name}.relu"), y, Relu)?;
    }
    g.node(&format!("{name}.concat"), [slow, y], Concat { axis: 0 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{check_error, check_shape};

    const CLIP: ClipShape = ClipShape { channels: 3, frames: 32, height: 224, width: 224 };

    fn frames(slowfast: &ResNet3dSlowFast) -> Vec<usize> {
        slow_frames(slowfast, &Builder::new("test", CLIP).expect("a clip")).expect("a multiple")
    }

    #[test]
    fn the_forms_take_other_frames() {
        let eight = ResNet3dSlowFast { resample_rate: 4, speed_ratio: 4, ..four_by_sixteen() };
        assert_eq!(frames(&eight), [0, 4, 8, 12, 16, 20, 24, 28]);
        let form = SlowFastForm::Pytorchvideo;
        assert_eq!(frames(&ResNet3dSlowFast { form, ..eight }), [0, 4, 8, 13, 17, 22, 26, 31]);
    }

    #[test]
    fn laterals_widen_the_slow_pathway() {
        check_shape(four_by_sixteen(), CLIP, "backbone.slow_path.conv1_lateral.concat", 1, &[80, 4, 56, 56]);
        check_shape(four_by_sixteen(), CLIP, "avgpool", 1, &[2304]);
    }

    #[test]
    fn other_numbers_of_frames_are_errors() {
        let clip = ClipShape { frames: 30, ..CLIP };
        check_error(
            four_by_sixteen(),
            clip,
            10,
            "a clip of 30 frames does not fit; the number of frames must be a multiple of 8",
        );
    }
}
