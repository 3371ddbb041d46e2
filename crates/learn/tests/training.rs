//! Trains small networks on ten tiny clips.

use pipe_clips::{Batch, ClipError, ClipSize, Draws};
use pipe_graph::ops::{
    batch_norm::BatchNorm, conv::ConvParams, dropout::Dropout, frames_to_batch::FramesToBatch,
    global_avg_pool::GlobalAvgPool, linear::LinearParams, relu::Relu, segment_mean::SegmentMean,
    temporal_shift::TemporalShiftParams,
};
use pipe_graph::{Builder, ClipShape, Graph, GraphError, Init};
use pipe_learn::{Epoch, EpochResult, LearnError, Learner, Network, pin_threads};
use pipe_schemas::stages::train::{
    AdamW, AmpDtype, ClipGrad, Ema, EmaType, Freeze, LossScale, OptimWrapper, Optimizer, Scheduler, Sgd, TrainParams,
    WrapperType,
};
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
        optim_wrapper: OptimWrapper { optimizer, clip_grad: Some(ClipGrad::max_norm(40.0)), ..OptimWrapper::default() },
        param_scheduler: vec![warm_up()],
        ..TrainParams::default()
    }
}

fn sgd() -> Optimizer {
    Optimizer::SGD(Sgd { lr: 0.05.into(), momentum: 0.9, weight_decay: 1e-4, ..Sgd::default() })
}

fn adamw() -> Optimizer {
    Optimizer::AdamW(AdamW { lr: 0.01.into(), betas: [0.9, 0.999], eps: 1e-8, weight_decay: 0.01, amsgrad: false })
}

fn learner(params: &TrainParams) -> Learner {
    pin_threads();
    Learner::new(Network::new(graph().expect("a graph"), params.seed), params, Labelling::SingleLabel).expect("fits")
}

/// Number of batches of an epoch.
const NUM_STEPS: usize = NUM_CLIPS.div_ceil(BATCH_SIZE);

/// An epoch with the same learning rate in all steps.
fn epoch(index: u32, learning_rates: &[Vec<f64>], clip_size: ClipSize) -> Epoch<'_> {
    let steps_before = u64::from(index) * NUM_STEPS as u64;
    Epoch { index, learning_rates, clip_size, num_steps: NUM_STEPS, steps_before, pieces: &[] }
}

/// Trains the epochs with the learning rates of `params`.
fn train(learner: &mut Learner, params: &TrainParams, epochs: std::ops::Range<u32>) -> Vec<EpochResult> {
    let mut chain = params.lr_chain(NUM_STEPS);
    let rates: Vec<[Vec<f64>; 1]> = (0..epochs.end).map(|_| [chain.next_epoch(NUM_STEPS)]).collect();
    let mut train = |index: u32| {
        let epoch = epoch(index, &rates[index as usize], SIZE);
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

/// Parameters with a state of their own each.
fn resumable() -> Vec<TrainParams> {
    let adam = r#"{"type": "Adam", "lr": 0.01, "amsgrad": true}"#;
    let rmsprop = r#"{"type": "RMSprop", "lr": 0.001, "momentum": 0.9, "centered": true}"#;
    let parsed = [adam, rmsprop].map(|text| serde_json::from_str::<Optimizer>(text).expect("valid"));
    let mut all: Vec<TrainParams> = [sgd(), adamw()].into_iter().chain(parsed).map(params).collect();
    for (ema_type, update_buffers) in [(EmaType::MomentumAnnealingEMA, false), (EmaType::StochasticWeightAverage, true)]
    {
        let ema = Some(Ema { ema_type, update_buffers, begin_iter: Some(4), ..Ema::default() });
        all.push(TrainParams { ema, ..params(sgd()) });
    }
    let freeze = Freeze { patterns: vec!["conv1".into(), "bn1".into()], ..Freeze::default() };
    let frozen = TrainParams { freeze: Some(freeze), ema: Some(Ema::default()), ..params(sgd()) };
    let optim_wrapper = OptimWrapper { accumulative_counts: 2, ..frozen.optim_wrapper.clone() };
    all.extend([TrainParams { optim_wrapper, ..frozen.clone() }, frozen]);
    all.extend([AmpDtype::BFloat16, AmpDtype::Float16].map(mixed));
    all
}

/// SGD in mixed precision.
fn mixed(dtype: AmpDtype) -> TrainParams {
    let mut params = params(sgd());
    params.optim_wrapper.wrapper = WrapperType::AmpOptimWrapper;
    params.optim_wrapper.dtype = Some(dtype);
    params
}

#[test]
fn mixed_precision_trains_as_32_bits_do() {
    let losses = |params: &TrainParams| {
        let mut learner = learner(params);
        let results = train(&mut learner, params, 0..20);
        assert!(learner.network().named_tensors().all(|(_, tensor)| tensor.kind() == tch::Kind::Float));
        results.iter().map(|result| result.loss).collect::<Vec<_>>()
    };
    let single = losses(&params(sgd()));
    for dtype in [AmpDtype::BFloat16, AmpDtype::Float16] {
        let found = losses(&mixed(dtype));
        assert_ne!(found, single, "{dtype:?}");
        let most = found.iter().zip(&single).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(most < 0.05, "{most}: {found:?} instead of {single:?}");
    }
}

#[test]
fn a_step_whose_gradients_overflow_is_left_out() {
    let mut params = mixed(AmpDtype::Float16);
    params.optim_wrapper.loss_scale = Some(LossScale::Fixed(1e9));
    let rates = [vec![0.01]];
    let run = |params: &TrainParams| {
        let mut learner = learner(params);
        let before = tensors(&learner);
        let result = learner.train_epoch::<LearnError>(epoch(0, &rates, SIZE), batches().take(1), |_| Ok(()));
        (result.map_err(|error| error.to_string()), before["fc.weight"] == tensors(&learner)["fc.weight"])
    };
    let (result, is_unchanged) = run(&params);
    assert!(result.is_ok() && is_unchanged, "{result:?}");
    // The first factor is small enough, so that the step is made.
    params.optim_wrapper.loss_scale = None;
    assert!(!run(&params).1);
}

#[test]
fn a_restored_learner_gives_the_results_of_an_uninterrupted_one() {
    for params in resumable() {
        let mut whole = learner(&params);
        let expect = train(&mut whole, &params, 0..4);

        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("state.safetensors");
        let mut first = learner(&params);
        train(&mut first, &params, 0..2);
        first.save(&path).expect("saved");
        let mut second = learner(&TrainParams { seed: params.seed, ..params.clone() });
        second.restore(&path).expect("restored");
        assert_eq!(train(&mut second, &params, 2..4), expect[2..], "{params:?}");
        assert_eq!(tensors(&second), tensors(&whole));
        let evaluated = |learner: &Learner| learner.evaluated().expect("a network").tensors();
        assert_eq!(evaluated(&second), evaluated(&whole));
        assert_eq!(evaluated(&whole) == tensors(&whole), params.ema.is_none());
    }
}

#[test]
fn a_loss_that_is_not_finite_stops_training() {
    let mut learner = learner(&params(sgd()));
    let rates = [vec![1e30]];
    let error = learner
        .train_epoch::<LearnError>(epoch(4, &rates, SIZE), batches(), |_| Ok(()))
        .expect_err("diverges")
        .to_string();
    assert!(error.contains("is not finite in epoch 5, step "), "{error}");
}

#[test]
fn labels_and_shapes_are_checked() {
    let mut learner = learner(&params(sgd()));
    let bad_label = batches().map(|batch| batch.map(|batch| Batch { class_indices: vec![0, 1, 2, 0], ..batch }));
    let error = learner.train_epoch::<LearnError>(epoch(0, &[], SIZE), bad_label, |_| Ok(())).expect_err("a bad label");
    assert_eq!(error.to_string(), "label 2 is out of range: the network has 2 classes");
    let flat = ClipSize { frames: 2, height: 32, width: 16 };
    let error = learner.train_epoch::<LearnError>(epoch(0, &[], flat), batches(), |_| Ok(())).expect_err("a bad shape");
    assert_eq!(error.to_string(), "the network takes clips of shape [3, 4, 16, 16], not [3, 2, 32, 16]");
}

#[test]
fn a_caller_can_stop_an_epoch() {
    let mut steps = 0;
    let stop = |_| {
        steps += 1;
        if steps == 2 { Err(LearnError::NotFinite { name: "stopped".into() }) } else { Ok(()) }
    };
    learner(&params(sgd())).train_epoch(epoch(0, &[], SIZE), batches(), stop).expect_err("stopped");
    assert_eq!(steps, 2);
}

#[test]
fn each_step_has_its_own_learning_rate_and_is_timed() {
    let mut found = Vec::new();
    let rates = [vec![0.01, 0.02]];
    let result = learner(&params(sgd())).train_epoch::<LearnError>(epoch(0, &rates, SIZE), batches(), |step| {
        assert!(step.compute_secs > 0.0 && step.data_secs >= 0.0, "{step:?}");
        found.push((step.step, step.num_clips, step.lr));
        Ok(())
    });
    assert_eq!(found, [(0, 4, 0.01), (1, 4, 0.02), (2, 2, 0.02)]);
    assert!((result.expect("an epoch").lr - 0.01).abs() < 1e-12);
}

/// Changes parameters, trains an epoch, and returns the tensors before and after.
fn trained(change: impl Fn(&mut TrainParams)) -> [BTreeMap<String, pipe_weights::Tensor>; 2] {
    let mut params = params(sgd());
    change(&mut params);
    let mut learner = learner(&params);
    let before = tensors(&learner);
    train(&mut learner, &params, 0..1);
    [before, tensors(&learner)]
}

#[test]
fn frozen_layers_keep_all_their_tensors() {
    let check = |freeze: Freeze, expect: &[&str]| {
        let [before, after] = trained(|params| params.freeze = Some(freeze.clone()));
        let changed: Vec<&str> =
            before.iter().filter(|(name, tensor)| after[*name] != **tensor).map(|(name, _)| name.as_str()).collect();
        assert_eq!(changed, expect, "{freeze:?}");
    };
    check(Freeze { only_head: true, ..Freeze::default() }, &["fc.bias", "fc.weight"]);
    let patterns = |patterns: &[&str]| Freeze {
        patterns: patterns.iter().map(|pattern| (*pattern).to_owned()).collect(),
        ..Freeze::default()
    };
    let second = ["bn2.bias", "bn2.running_mean", "bn2.running_var", "bn2.weight", "conv2.weight"];
    check(patterns(&["*1"]), &[&second[..], &["fc.bias", "fc.weight"]].concat());
    // A layer above one that is trained.
    check(
        patterns(&["conv1", "*2", "fc.weight"]),
        &["bn1.bias", "bn1.running_mean", "bn1.running_var", "bn1.weight", "fc.bias"],
    );
}

#[test]
fn patterns_fit_the_network() {
    let error = |patterns: &[&str]| {
        let patterns = patterns.iter().map(|pattern| (*pattern).to_owned()).collect();
        let params = TrainParams { freeze: Some(Freeze { patterns, ..Freeze::default() }), ..params(sgd()) };
        let network = Network::new(graph().expect("a graph"), 0);
        Learner::new(network, &params, Labelling::SingleLabel).expect_err("an error").to_string()
    };
    assert_eq!(
        error(&["conv1", "covn2"]),
        "no layer or tensor of the network fits `covn2` in `freeze.patterns`; similar names are `conv2`, `conv1`, `bn2`"
    );
    assert_eq!(error(&["*"]), "all tensors of the network are frozen");
}

#[test]
fn accumulated_batches_make_one_step() {
    // Without batch normalisation's statistics and dropout, the mean of the gradients is that of one batch.
    let optim_wrapper = |accumulative_counts| OptimWrapper {
        optimizer: Optimizer::SGD(Sgd { lr: 0.05.into(), ..Sgd::default() }),
        accumulative_counts,
        ..OptimWrapper::default()
    };
    let norms = |accumulative_counts| {
        let mut norms = Vec::new();
        let params = TrainParams { optim_wrapper: optim_wrapper(accumulative_counts), ..params(sgd()) };
        let mut learner = learner(&params);
        let rates = [vec![0.01]];
        let result = learner.train_epoch::<LearnError>(epoch(0, &rates, SIZE), batches(), |step| {
            norms.push(step.grad_norm.is_some());
            Ok(())
        });
        (norms, result.expect("trained").grad_norm)
    };
    assert_eq!(norms(1).0, [true, true, true]);
    let (steps, mean) = norms(2);
    assert_eq!(steps, [false, true, true]);
    assert!(mean > 0.0);
}

#[test]
fn an_average_is_evaluated_and_not_trained() {
    let [_, without] = trained(|_| ());
    let [_, with] = trained(|params| params.ema = Some(Ema::default()));
    assert_eq!(without, with);
}
