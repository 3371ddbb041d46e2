//! Trains small networks on ten tiny clips.

use pipe_clips::{Batch, ClipError, ClipSize, Draws};
use pipe_graph::ops::{
    batch_norm::BatchNorm, conv::ConvParams, dropout::Dropout, frames_to_batch::FramesToBatch,
    global_avg_pool::GlobalAvgPool, linear::LinearParams, relu::Relu, segment_mean::SegmentMean,
    temporal_shift::TemporalShiftParams,
};
use pipe_graph::{Builder, ClipShape, Graph, GraphError, Init};
use pipe_learn::{Epoch, EpochResult, LearnError, Learner, Network, pin_threads};
use pipe_schemas::stages::train::{AdamW, ClipGrad, OptimWrapper, Optimizer, Scheduler, Sgd, TrainParams};
use pipe_schemas::tables::Labelling;
use std::collections::BTreeMap;

const SIZE: ClipSize = ClipSize { frames: 4, height: 16, width: 16 };
const NUM_CLIPS: usize = 10;
const BATCH_SIZE: usize = 4;

/// Two convolutions on single frames with a temporal shift between them.
fn graph() -> Result<Graph, GraphError> {
    let clip = ClipShape { channels: 3, frames: SIZE.frames, height: SIZE.height, width: SIZE.width };
    let conv = ConvParams { out_channels: 8, kernel: [3; 2], stride: [2; 2], padding: [1; 2], ..ConvParams::default() };
    let mut g = Builder::new("tiny", clip)?;
    let x = g.node("frames", g.input(), FramesToBatch)?;
    let x = g.node("conv1", x, conv)?;
    let x = g.node("bn1", x, BatchNorm::default())?;
    let x = g.node("relu1", x, Relu)?;
    let x = g.node("shift", x, TemporalShiftParams { shift_div: 4 })?;
    let x = g.node("conv2", x, ConvParams { out_channels: 16, ..conv })?;
    let x = g.node("bn2", x, BatchNorm::default())?;
    let x = g.node("relu2", x, Relu)?;
    let x = g.node("avgpool", x, GlobalAvgPool)?;
    let x = g.node("consensus", x, SegmentMean)?;
    let x = g.node("dropout", x, Dropout { ratio: 0.2 })?;
    let x = g.node("fc", x, LinearParams { out_features: 2, init: Init::Normal { std: 0.01 }, bias: true })?;
    g.finish(x, x)
}

/// A bright square that moves right in class 0 and left in class 1, on noise.
fn clip(index: usize) -> (Vec<u8>, i64) {
    let mut draws = Draws::new(3, &["clip", &index.to_string()]);
    let class_index = index % 2;
    let mut pixels = Vec::new();
    for frame in 0..SIZE.frames {
        let left = if class_index == 0 { frame * 3 } else { 11 - frame * 3 };
        for row in 0..SIZE.height {
            for column in 0..SIZE.width {
                let square = (left..left + 4).contains(&column) && (6..10).contains(&row);
                let noise = draws.below(60) as u8;
                pixels.extend([if square { 255 - noise } else { noise }; 3]);
            }
        }
    }
    (pixels, class_index as i64)
}

fn batches() -> impl Iterator<Item = Result<Batch, ClipError>> {
    (0..NUM_CLIPS).step_by(BATCH_SIZE).map(|start| {
        let rows = start..(start + BATCH_SIZE).min(NUM_CLIPS);
        let (pixels, class_indices): (Vec<_>, Vec<_>) = rows.clone().map(clip).unzip();
        Ok(Batch { pixels: pixels.concat(), class_indices, num_clips: rows.len(), rows, ..Batch::default() })
    })
}

/// A warm-up of three epochs.
fn warm_up() -> Scheduler {
    let params = serde_json::json!({ "type": "LinearLR", "end": 3, "start_factor": 0.1 });
    serde_json::from_value(params).expect("a schedule")
}

fn params(optimizer: Optimizer) -> TrainParams {
    TrainParams {
        optim_wrapper: OptimWrapper { optimizer, clip_grad: Some(ClipGrad { max_norm: 40.0 }) },
        param_scheduler: vec![warm_up()],
        ..TrainParams::default()
    }
}

fn sgd() -> Optimizer {
    Optimizer::SGD(Sgd { lr: 0.05.into(), momentum: 0.9, weight_decay: 1e-4, nesterov: false })
}

fn adamw() -> Optimizer {
    Optimizer::AdamW(AdamW { lr: 0.01.into(), betas: [0.9, 0.999], weight_decay: 0.01 })
}

fn learner(params: &TrainParams) -> Learner {
    pin_threads();
    Learner::new(Network::new(graph().expect("a graph"), params.seed), params, Labelling::SingleLabel)
}

/// An epoch with the learning rate 0.01.
fn epoch(index: u32, clip_size: ClipSize) -> Epoch<'static> {
    Epoch { index, learning_rates: &[0.01], clip_size }
}

/// Trains the epochs with the learning rates of `params`.
fn train(learner: &mut Learner, params: &TrainParams, epochs: std::ops::Range<u32>) -> Vec<EpochResult> {
    let num_steps = NUM_CLIPS.div_ceil(BATCH_SIZE);
    let mut chain = params.lr_chain(num_steps);
    let rates: Vec<Vec<f64>> = (0..epochs.end).map(|_| chain.next_epoch(num_steps)).collect();
    let mut train = |index: u32| {
        let epoch = Epoch { index, learning_rates: &rates[index as usize], clip_size: SIZE };
        learner.train_epoch::<LearnError>(epoch, batches(), |_| Ok(())).expect("an epoch")
    };
    epochs.map(&mut train).collect()
}

fn tensors(learner: &Learner) -> BTreeMap<String, pipe_weights::Tensor> {
    learner.network().tensors()
}

#[test]
fn loss_falls_on_ten_clips() {
    for optimizer in [sgd(), adamw()] {
        let params = params(optimizer.clone());
        let results = train(&mut learner(&params), &params, 0..40);
        let (first, last) = (results[0].loss, results[39].loss);
        assert!(last < first / 2.0, "from {first} to {last} with {optimizer:?}");
    }
}

#[test]
fn equal_seeds_give_equal_bits() {
    let trained = |seed| {
        let params = TrainParams { seed, ..params(sgd()) };
        let mut learner = learner(&params);
        let results = train(&mut learner, &params, 0..3);
        (results, tensors(&learner))
    };
    assert_eq!(trained(1), trained(1));
    assert_ne!(trained(1), trained(2));
}

#[test]
fn a_restored_learner_gives_the_results_of_an_uninterrupted_one() {
    for optimizer in [sgd(), adamw()] {
        let params = params(optimizer);
        let mut whole = learner(&params);
        let expect = train(&mut whole, &params, 0..4);

        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("state.safetensors");
        let mut first = learner(&params);
        train(&mut first, &params, 0..2);
        first.save(&path).expect("saved");
        let mut second = learner(&TrainParams { seed: params.seed, ..params.clone() });
        second.restore(&path).expect("restored");
        assert_eq!(train(&mut second, &params, 2..4), expect[2..]);
        assert_eq!(tensors(&second), tensors(&whole));
    }
}

#[test]
fn a_loss_that_is_not_finite_stops_training() {
    let mut learner = learner(&params(sgd()));
    let epoch = Epoch { index: 4, learning_rates: &[1e30], clip_size: SIZE };
    let error = learner.train_epoch::<LearnError>(epoch, batches(), |_| Ok(())).expect_err("diverges").to_string();
    assert!(error.contains("is not finite in epoch 5, step "), "{error}");
}

#[test]
fn labels_and_shapes_are_checked() {
    let mut learner = learner(&params(sgd()));
    let bad_label = batches().map(|batch| batch.map(|batch| Batch { class_indices: vec![0, 1, 2, 0], ..batch }));
    let error = learner.train_epoch::<LearnError>(epoch(0, SIZE), bad_label, |_| Ok(())).expect_err("a bad label");
    assert_eq!(error.to_string(), "label 2 is out of range: the network has 2 classes");
    let flat = ClipSize { frames: 2, height: 32, width: 16 };
    let error = learner.train_epoch::<LearnError>(epoch(0, flat), batches(), |_| Ok(())).expect_err("a bad shape");
    assert_eq!(error.to_string(), "the network takes clips of shape [3, 4, 16, 16], not [3, 2, 32, 16]");
}

#[test]
fn a_caller_can_stop_an_epoch() {
    let mut steps = 0;
    let stop = |_| {
        steps += 1;
        if steps == 2 { Err(LearnError::NotFinite { name: "stopped".into() }) } else { Ok(()) }
    };
    learner(&params(sgd())).train_epoch(epoch(0, SIZE), batches(), stop).expect_err("stopped");
    assert_eq!(steps, 2);
}

#[test]
fn each_step_has_its_own_learning_rate_and_is_timed() {
    let mut found = Vec::new();
    let epoch = Epoch { index: 0, learning_rates: &[0.01, 0.02], clip_size: SIZE };
    let result = learner(&params(sgd())).train_epoch::<LearnError>(epoch, batches(), |step| {
        assert!(step.compute_secs > 0.0 && step.data_secs >= 0.0, "{step:?}");
        found.push((step.step, step.num_clips, step.lr));
        Ok(())
    });
    assert_eq!(found, [(0, 4, 0.01), (1, 4, 0.02), (2, 2, 0.02)]);
    assert!((result.expect("an epoch").lr - 0.01).abs() < 1e-12);
}
