//! Trains a network, for `cargo xtask bench train`. A line on stdin asks for one more step.
//!
//! `train '{"type": "R3D"}' N T H W [bfloat16]` makes a step, prints `ready`, and then the seconds of each further step.

#![expect(clippy::print_stdout, reason = "the output of a program")]

use pipe_clips::{Batch, ClipError, ClipSize, Draws};
use pipe_graph::ClipShape;
use pipe_learn::{Epoch, LearnError, Learner, Network, StepResult, pin_threads, restart_with_settings};
use pipe_schemas::networks::{ClsHead, ModelParams};
use pipe_schemas::stages::train::{LearningRate, OptimWrapper, Optimizer, Sgd, TrainParams};
use pipe_schemas::tables::Labelling;
use serde_json::json;
use std::error::Error;

const NUM_CLASSES: usize = 400;

fn main() -> Result<(), Box<dyn Error>> {
    restart_with_settings();
    pin_threads();
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [backbone, clips, frames, height, width, dtype @ ..] = args.as_slice() else {
        return Err("expected a backbone and N T H W".into());
    };
    let [clips, frames, height, width] = [clips.parse()?, frames.parse()?, height.parse()?, width.parse()?];
    let optim_wrapper = match dtype {
        [] => OptimWrapper::default(),
        [dtype, ..] => serde_json::from_value(json!({ "type": "AmpOptimWrapper", "dtype": dtype }))?,
    };
    let cls_head = ClsHead { dropout_ratio: 0.0, ..ClsHead::default() };
    let model = ModelParams { backbone: serde_json::from_str(backbone)?, cls_head, ..ModelParams::default() };
    let graph = pipe_models::build(&model, ClipShape { channels: 3, frames, height, width }, NUM_CLASSES)?;
    let optimizer =
        Optimizer::SGD(Sgd { lr: LearningRate::Number(1e-4), momentum: 0.9, weight_decay: 1e-4, ..Sgd::default() });
    let params =
        TrainParams { model, optim_wrapper: OptimWrapper { optimizer, ..optim_wrapper }, ..TrainParams::default() };
    let mut learner = Learner::new(Network::new(graph, 0), &params, Labelling::SingleLabel)?;
    let clip_size = ClipSize { frames, height, width };
    let learning_rates = [vec![1e-4]];
    // The number of steps is not known; it matters only where gradients are accumulated.
    let epoch = Epoch {
        index: 0,
        learning_rates: &learning_rates,
        clip_size,
        num_steps: usize::MAX,
        steps_before: 0,
        pieces: &[],
    };
    let print = |result: StepResult| {
        if result.step == 0 {
            println!("ready");
        } else {
            println!("{}", result.compute_secs);
        }
        Ok::<_, LearnError>(())
    };
    learner.train_epoch(epoch, batches(clips, frames * height * width * 3), print)?;
    Ok(())
}

/// Returns a batch of noise, and one more for each line on stdin.
fn batches(num_clips: usize, clip_len: usize) -> impl Iterator<Item = Result<Batch, ClipError>> {
    let mut draws = Draws::new(0, &["pixels"]);
    let pixels: Vec<u8> = (0..num_clips * clip_len).map(|_| draws.below(256) as u8).collect();
    let batch = Batch { pixels, class_indices: (0..num_clips as i64).collect(), num_clips, ..Batch::default() };
    let more = std::io::stdin().lines().map_while(Result::ok);
    std::iter::once(String::new()).chain(more).map(move |_| Ok(batch.clone()))
}
