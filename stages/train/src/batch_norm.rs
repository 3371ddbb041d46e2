//! [`check_batch_norm`]: whether batch normalisation has more than one value per channel to take statistics of.

use crate::TrainError;
use crate::samples::Samples;
use pipe_graph::{Graph, Op};
use pipe_learn::Freezing;
use pipe_stage::StageError;

/// Checks the smallest batch. The variance of a single value is 0, so libtorch refuses to train with it.
///
/// # Errors
/// [`TrainError::BatchNorm`] with the first layer that has one value per channel.
pub(crate) fn check_batch_norm(graph: &Graph, freezing: &Freezing, samples: &Samples) -> Result<(), StageError> {
    let Some((epoch, num_clips)) = samples.smallest_batch() else { return Ok(()) };
    let Some(layer) = layer_with_one_value(graph, freezing, num_clips) else { return Ok(()) };
    let preprocessing = &samples.preprocessing;
    let (frames, height_px, width_px) = (preprocessing.train_frames, preprocessing.height_px, preprocessing.width_px);
    let larger = "or make clips of more frames or of a larger size in the `augment` stage";
    let batch_size = samples.batch_size;
    let help = if batch_size == 1 {
        format!("set `train_dataloader.batch_size` to 2 or more, {larger}")
    } else {
        format!("train on more videos, raise `num_sample` of the `augment` stage, {larger}")
    };
    let error = TrainError::BatchNorm { batch_size, epoch, layer, frames, width_px, height_px };
    Err(StageError::from(error).with_help(help))
}

/// Returns the name of the first batch normalisation that takes statistics of one value per channel in a batch of `num_clips`.
fn layer_with_one_value(graph: &Graph, freezing: &Freezing, num_clips: usize) -> Option<String> {
    let has_one_value = |(position, node): &(usize, &pipe_graph::Node)| {
        let positions: usize = node.shape.dims.iter().skip(1).product();
        let takes_statistics = matches!(node.op, Op::BatchNorm(_)) && !freezing.is_eval(*position);
        takes_statistics && num_clips * node.shape.per_sample * positions == 1
    };
    graph.nodes.iter().enumerate().find(has_one_value).map(|(_, node)| node.name.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use pipe_graph::ClipShape;
    use pipe_schemas::networks::resnet::{ResNet, ResNetDepth};
    use pipe_schemas::networks::{Backbone, ModelParams};

    #[test]
    fn a_layer_with_one_value_per_channel_is_found() {
        let check_frozen = |frozen_stages, frames: usize, side: usize, num_clips: usize, expect: Option<&str>| {
            let net = ResNet { depth: ResNetDepth::D18, base_channels: 8, frozen_stages, ..ResNet::default() };
            let backbone = Backbone::from(net);
            let clip = ClipShape { channels: 3, frames, height: side, width: side };
            let graph =
                pipe_models::build(&ModelParams { backbone: backbone.clone(), ..ModelParams::default() }, clip, 2)
                    .expect("fits");
            let freezing = Freezing::new(&backbone, &graph, None).expect("fits");
            let found = layer_with_one_value(&graph, &freezing, num_clips);
            assert_eq!(found.as_deref(), expect, "{frames} {side} {num_clips}");
        };
        let check = |frames, side, num_clips, expect| check_frozen(-1, frames, side, num_clips, expect);
        // The last stage scales 32 px to 1, and 33 px to 2.
        check(1, 32, 1, Some("layer4.0.bn1"));
        check(1, 16, 1, Some("layer3.0.bn1"));
        check(1, 33, 1, None);
        check(2, 32, 1, None);
        check(1, 32, 2, None);
        // A frozen one takes no statistics.
        check_frozen(3, 1, 16, 1, Some("layer4.0.bn1"));
        check_frozen(4, 1, 16, 1, None);
    }
}
