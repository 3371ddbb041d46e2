//! From parameters to a network.

use crate::head::Head;
use crate::{ModelError, mobilenet_v2, r3d, resnet};
use pipe_graph::{Builder, ClipShape, Graph, GraphError};
use pipe_schemas::networks::{Backbone, ModelParams, ResNetDepth};

/// Builds the network that `params` name, for clips of one shape.
///
/// # Shapes
/// - input: `[N, C, T, H, W]`, normalised; for 2D networks `T` is all frames of a sample
/// - output: `[N, K]`, logits
///
/// # Errors
/// [`ModelError::NumClasses`] if the parameters name another number of classes, [`ModelError::Graph`] if the clip is too
/// small, or too few channels are left to shift.
pub fn build(params: &ModelParams, clip: ClipShape, num_classes: usize) -> Result<Graph, ModelError> {
    if let Some(asked) = params.cls_head.num_classes.map(|asked| asked as usize)
        && asked != num_classes
    {
        return Err(ModelError::NumClasses { asked, found: num_classes });
    }
    let name = name(&params.backbone);
    let head = Head {
        num_classes,
        dropout_ratio: params.cls_head.dropout_ratio,
        init_std: params.cls_head.init_std,
        per_frame: matches!(params.backbone, Backbone::ResNetTSM { .. } | Backbone::MobileNetV2Tsm { .. }),
    };
    graph(&name, &params.backbone, clip, &head).map_err(|source| {
        let ClipShape { frames, width, height, .. } = clip;
        ModelError::Graph { name, frames, width, height, source: Box::new(source) }
    })
}

fn graph(name: &str, backbone: &Backbone, clip: ClipShape, head: &Head) -> Result<Graph, GraphError> {
    let mut builder = Builder::new(name, clip)?;
    let g = &mut builder;
    let x = g.input();
    let (output, classifier) = match *backbone {
        Backbone::ResNet { depth, base_channels } => {
            let x = g.frames_to_batch("frames", x)?; // [N * T, C, H, W]
            let x = resnet::features(g, x, depth, base_channels as usize, None)?;
            head.of_frames(g, x, "fc")?
        }
        Backbone::ResNetTSM { depth, base_channels, shift_div } => {
            let x = g.frames_to_batch("frames", x)?;
            let x = resnet::features(g, x, depth, base_channels as usize, Some(shift_div as usize))?;
            head.of_frames(g, x, "fc")?
        }
        Backbone::MobileNetV2 {} => {
            let x = g.frames_to_batch("frames", x)?;
            let x = mobilenet_v2::features(g, x, None)?;
            head.of_frames(g, x, "classifier.1")?
        }
        Backbone::MobileNetV2Tsm { shift_div } => {
            let x = g.frames_to_batch("frames", x)?;
            let x = mobilenet_v2::features(g, x, Some(shift_div as usize))?;
            head.of_frames(g, x, "classifier.1")?
        }
        Backbone::R3D { base_channels } => {
            let x = r3d::features(g, x, base_channels as usize)?;
            head.of_clips(g, x, "fc")?
        }
    };
    builder.finish(output, classifier)
}

fn name(backbone: &Backbone) -> String {
    let resnet = |depth: &ResNetDepth| format!("resnet{}", u32::from(*depth));
    match backbone {
        Backbone::ResNet { depth, .. } => format!("tsn_{}", resnet(depth)),
        Backbone::ResNetTSM { depth, .. } => format!("tsm_{}", resnet(depth)),
        Backbone::MobileNetV2 {} => "tsn_mobilenet_v2".to_owned(),
        Backbone::MobileNetV2Tsm { .. } => "tsm_mobilenet_v2".to_owned(),
        Backbone::R3D { .. } => "r3d_18".to_owned(),
    }
}
