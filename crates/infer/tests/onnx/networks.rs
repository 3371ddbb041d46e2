//! Every network of the zoo, as built and with folded batch normalisations.

use crate::{check, engines, open};
use pipe_graph::passes::fold_batch_norm;
use pipe_graph::{ClipShape, Graph, Init, Op, Param, onnx};
use pipe_infer::Engine;
use pipe_models::{Small, uses_frame_order, zoo};
use pipe_schemas::networks::{Backbone, ModelParams};
use std::collections::BTreeMap;

/// Draws numbers that are about uniform in ±0.5. The generator is our own, so that they never change.
fn noise(length: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_761) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (f64::from(state) / f64::from(u32::MAX) - 0.5) as f32
    };
    (0..length).map(|_| next()).collect()
}

/// Returns weights that keep activations within bounds.
fn bounded_weights(graph: &Graph) -> impl Fn(&Param) -> Option<Vec<f32>> {
    let position = |param: &Param| graph.params.iter().position(|other| other.name == param.name);
    let seeds: BTreeMap<String, usize> =
        graph.params.iter().filter_map(|param| Some((param.name.clone(), position(param)?))).collect();
    move |param| {
        let values = noise(param.len(), *seeds.get(&param.name)? as u32 + 1);
        let fan_in: usize = param.shape.iter().skip(1).product();
        Some(match param.init {
            Init::Constant(constant) => values.into_iter().map(|value| value * 0.2 + constant as f32).collect(),
            Init::Normal { .. } | Init::KaimingFanOut | Init::SinCos => {
                values.into_iter().map(|value| value * 3.4 / (fan_in as f32).sqrt()).collect()
            }
        })
    }
}

/// Returns a clip and the same clip with its frames reversed, `[2, C, T, H, W]`. Every frame is brighter than the one before, so
/// that the order makes a difference.
fn clip_and_reversed(clip: ClipShape) -> Vec<f32> {
    let ClipShape { channels, frames, height, width } = clip;
    let plane = height * width;
    let brightness = |index: usize| (index / plane % frames) as f32;
    let first: Vec<f32> = noise(channels * frames * plane, 99)
        .into_iter()
        .enumerate()
        .map(|(index, value)| value + brightness(index))
        .collect();
    let reversed: Vec<f32> =
        first.chunks(frames * plane).flat_map(|channel| channel.chunks(plane).rev()).flatten().copied().collect();
    [first, reversed].concat()
}

fn check_network(engine: &dyn Engine, small: Small<Backbone>) {
    let Small { backbone, clip } = small;
    let uses_frame_order = uses_frame_order(&backbone);
    let params = ModelParams { backbone, ..ModelParams::default() };
    let graph = pipe_models::build(&params, clip, 5).expect("the network fits");
    let name = &graph.name;
    let bytes = onnx::write(&graph, bounded_weights(&graph), &BTreeMap::new()).expect("the network is written");
    let mut session = open(engine, bytes);

    let shape = [2, clip.channels, clip.frames, clip.height, clip.width];
    let data = clip_and_reversed(clip);
    let (found, logits) = session.run("clip", shape, data.clone()).expect("it runs");
    assert_eq!(found, [2, 5], "{name}");
    assert!(logits.iter().all(|logit| logit.is_finite()), "{name}: {logits:?}");
    let spread = logits[..5].iter().fold(0.0_f32, |most, logit| most.max((logit - logits[0]).abs()));
    assert!(spread > 1e-3, "{name}: {logits:?}");
    let differ = (0..5).any(|class| (logits[class] - logits[class + 5]).abs() > 1e-4);
    assert_eq!(differ, uses_frame_order, "{name}: {logits:?}");

    let weights = bounded_weights(&graph);
    let tensors = graph.params.iter().filter_map(|param| Some((param.name.clone(), weights(param)?))).collect();
    let (folded, tensors) = fold_batch_norm(&graph, &tensors).expect("the network folds");
    assert!(!folded.nodes.iter().any(|node| matches!(node.op, Op::BatchNorm(_))), "{name}");
    let bytes = onnx::write(&folded, |param| tensors.get(&param.name).cloned(), &BTreeMap::new());
    let mut session = open(engine, bytes.expect("it is written"));
    check(&session.run("clip", shape, data).expect("it runs"), &[2, 5], &logits);
}

#[test]
fn every_network_of_the_zoo_runs() {
    for engine in engines() {
        for entry in zoo() {
            for small in entry.small {
                check_network(engine.as_ref(), small);
            }
        }
    }
}
