//! Every network of the zoo: two training steps, and its file on each engine.

use crate::{check_files, clip_size, clips, compare, engines, network};
use pipe_graph::{ClipShape, Graph};
use pipe_infer::Engine;
use pipe_learn::{Epoch, LearnError, Learner, Network, pin_threads};
use pipe_models::zoo;
use pipe_schemas::networks::{Backbone, ClsHead, ModelParams};
use pipe_schemas::stages::train::TrainParams;
use pipe_schemas::tables::Labelling;

fn graph(backbone: Backbone, clip: ClipShape) -> Graph {
    // Draws of dropout would hide whether the loss falls.
    let cls_head = ClsHead { dropout_ratio: 0.0, ..ClsHead::default() };
    let params = ModelParams { backbone, cls_head, ..ModelParams::default() };
    pipe_models::build(&params, clip, 5).expect("the network fits")
}

/// Checks that a step lowers the loss of the same clips. Small networks with batch normalisation of few values are far from linear, so
/// that smaller steps are tried too.
fn check_training(graph: &Graph, num_clips: usize) {
    pin_threads();
    let losses = [1e-3, 1e-4, 1e-5].into_iter().map(|lr| two_steps(graph, lr, num_clips));
    let mut seen = Vec::new();
    let falls = losses.into_iter().any(|[first, second]| {
        seen.push([first, second]);
        second < first
    });
    assert!(falls, "{}: the losses of two steps are {seen:?}", graph.name);
}

/// Makes two steps on the same clips, and returns their losses.
fn two_steps(graph: &Graph, lr: f64, num_clips: usize) -> [f64; 2] {
    let size = clip_size(graph);
    let learner = Learner::new(Network::new(graph.clone(), 0), &TrainParams::default(), Labelling::SingleLabel);
    let mut learner = learner.expect("nothing is frozen");
    [0, 1].map(|index| {
        let learning_rates = &[vec![lr]];
        let epoch =
            Epoch { index, learning_rates, clip_size: size, num_steps: 1, steps_before: u64::from(index), pieces: &[] };
        let batches = std::iter::once(Ok(clips(size, num_clips)));
        learner.train_epoch::<LearnError>(epoch, batches, |_| Ok(())).expect("a step").loss
    })
}

fn check(engines: &[Box<dyn Engine>], configurations: Vec<(Backbone, ClipShape)>, num_clips: usize) {
    let mut files = Vec::new();
    for (backbone, clip) in configurations {
        let graph = graph(backbone, clip);
        println!("{}: {:.1} G multiply-adds", graph.name, graph.macs() as f64 / 1e9);
        check_training(&graph, num_clips);
        let name = format!("{}-{}", graph.name, files.len());
        files.push((name, compare(engines, &network(graph))));
    }
    check_files(&files);
}

#[test]
fn small_networks_train_and_their_files_have_the_same_logits() {
    let small = zoo().into_iter().flat_map(|entry| entry.small);
    check(&engines(), small.map(|small| (small.backbone, small.clip)).collect(), 4);
}

#[test]
#[ignore = "takes many minutes; `.ci/long` runs it"]
fn full_networks_train_and_their_files_have_the_same_logits() {
    let published = zoo().into_iter().flat_map(|entry| entry.published);
    for published in published {
        // Four clips of a ViT-L need more memory than a laptop has.
        check(&engines(), vec![(published.backbone, published.clip)], 2);
    }
}
