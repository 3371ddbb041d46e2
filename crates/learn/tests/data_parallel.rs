//! Two processes, here threads with a process group each, train as one process with twice the batch.

#![expect(clippy::print_stdout, reason = "the figures are the result")]

use pipe_clips::{Batch, ClipError, ClipSize, Draws};
use pipe_graph::ops::{
    batch_norm::BatchNorm, conv::ConvParams, dropout::Dropout, frames_to_batch::FramesToBatch,
    global_avg_pool::GlobalAvgPool, linear::LinearParams, relu::Relu, segment_mean::SegmentMean,
};
use pipe_graph::{Builder, ClipShape, Graph, GraphError, Init};
use pipe_learn::{
    Epoch, EpochResult, LearnError, Learner, Network, Piece, ProcessGroup, Rendezvous, StepResult, pin_threads,
};
use pipe_schemas::losses::{CrossEntropyLoss, Loss, WeightedMean};
use pipe_schemas::stages::train::{ClipGrad, Freeze, NumProcesses, OptimWrapper, Optimizer, Sgd, TrainParams};
use pipe_schemas::tables::Labelling;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

const SIZE: ClipSize = ClipSize { frames: 2, height: 16, width: 16 };
const NUM_CLASSES: usize = 3;
const NUM_EPOCHS: u32 = 3;

/// Clips per step. The last step of an epoch has three, too few for two processes.
const BATCH_SIZE: usize = 4;
const NUM_CLIPS: usize = 11;

fn graph(with_norms: bool) -> Result<Graph, GraphError> {
    let clip = ClipShape { channels: 3, frames: SIZE.frames, height: SIZE.height, width: SIZE.width };
    let conv = ConvParams { out_channels: 8, kernel: [3; 2], stride: [2; 2], padding: [1; 2], ..ConvParams::default() };
    let mut g = Builder::new("tiny", clip)?;
    let mut x = g.node("frames", g.input(), FramesToBatch)?;
    for (number, out_channels) in [(1, 8), (2, 16)] {
        x = g.node(&format!("conv{number}"), x, ConvParams { out_channels, ..conv })?;
        if with_norms {
            x = g.node(&format!("bn{number}"), x, BatchNorm::default())?;
        }
        x = g.node(&format!("relu{number}"), x, Relu)?;
    }
    let x = g.node("avgpool", x, GlobalAvgPool)?;
    let x = g.node("consensus", x, SegmentMean)?;
    let x = g.node("dropout", x, Dropout { ratio: 0.25 })?;
    let x = g.node("fc", x, LinearParams { out_features: NUM_CLASSES, init: Init::Normal { std: 0.1 }, bias: true })?;
    g.finish(x, x)
}

fn batch(rows: std::ops::Range<usize>) -> Batch {
    let clip = |row: usize| {
        let mut draws = Draws::new(5, &[&row.to_string()]);
        let bright = 60 * (row % NUM_CLASSES) as u64;
        (0..SIZE.frames * SIZE.height * SIZE.width * 3).map(move |_| (bright + draws.below(130)) as u8)
    };
    let class_index = |row: usize| (row % NUM_CLASSES) as i64;
    // The clip that begins the second step is blended, and thereby one of the first process alone.
    let mix_share = |row: usize| if row == BATCH_SIZE { 0.25 } else { 0.0 };
    Batch {
        pixels: rows.clone().flat_map(clip).collect(),
        class_indices: rows.clone().map(class_index).collect(),
        mix_class_indices: rows.clone().map(|row| class_index(row + usize::from(row == BATCH_SIZE))).collect(),
        mix_shares: rows.clone().map(mix_share).collect(),
        num_clips: rows.len(),
        rows,
        ..Batch::default()
    }
}

fn params(change: impl FnOnce(&mut TrainParams)) -> TrainParams {
    let optimizer = Optimizer::SGD(Sgd { lr: 0.1.into(), momentum: 0.9, weight_decay: 1e-3, ..Sgd::default() });
    let clip_grad = Some(ClipGrad::max_norm(1.0));
    let optim_wrapper = OptimWrapper { optimizer, clip_grad, ..OptimWrapper::default() };
    let mut params = TrainParams { optim_wrapper, ..TrainParams::default() };
    change(&mut params);
    params
}

type Trained = (BTreeMap<String, Vec<f32>>, Vec<EpochResult>, Vec<StepResult>);

/// Trains as one process, or as one of a group.
fn train(params: &TrainParams, with_norms: bool, group: Option<Arc<ProcessGroup>>) -> Trained {
    pin_threads();
    let network = Network::new(graph(with_norms).expect("a graph"), params.seed);
    let mut learner = Learner::new(network, params, Labelling::SingleLabel).expect("fits");
    let (rank, world_size) = group.as_ref().map_or((0, 1), |group| (group.rank(), group.world_size()));
    let steps: Vec<_> =
        (0..NUM_CLIPS).step_by(BATCH_SIZE).map(|start| start..(start + BATCH_SIZE).min(NUM_CLIPS)).collect();
    let pieces: Vec<Piece> = steps.iter().map(|step| Piece::of(step.len(), rank, world_size, 2)).collect();
    if let Some(group) = group {
        learner.join_group(group, params.sync_bn);
    }
    let mut of_steps = Vec::new();
    let mut epoch = |index: u32| {
        let batches = steps.iter().zip(&pieces).map(|(step, piece)| {
            let start = step.start + piece.first;
            Ok::<_, ClipError>(batch(start..start + piece.len))
        });
        let pieces = if world_size > 1 { &pieces[..] } else { &[] };
        let (num_steps, rates) = (steps.len(), [vec![0.1]]);
        let steps_before = u64::from(index) * num_steps as u64;
        let epoch = Epoch { index, learning_rates: &rates, clip_size: SIZE, num_steps, steps_before, pieces };
        let result = learner.train_epoch::<LearnError>(epoch, batches, |step| {
            of_steps.push(StepResult { data_secs: 0.0, compute_secs: 0.0, ..step });
            Ok(())
        });
        result.expect("an epoch")
    };
    let results = (0..NUM_EPOCHS).map(&mut epoch).collect();
    let tensors = learner.network().tensors().into_iter().map(|(name, tensor)| (name, tensor.to_f32())).collect();
    (tensors, results, of_steps)
}

fn in_two(params: &TrainParams, with_norms: bool) -> [Trained; 2] {
    let (listener, first) = Rendezvous::on_this_machine(2).expect("a socket");
    let (second, wait) = (Rendezvous { rank: 1, ..first.clone() }, Duration::from_mins(1));
    thread::scope(|scope| {
        let other = scope.spawn(move || {
            train(params, with_norms, Some(Arc::new(ProcessGroup::join(&second, wait).expect("joined"))))
        });
        let group = ProcessGroup::host::<LearnError>(&first, listener, wait, || Ok(())).expect("hosted");
        let own = train(params, with_norms, Some(Arc::new(group)));
        [own, other.join().expect("no panic")]
    })
}

/// Returns the largest difference of tensors.
fn difference(a: &Trained, b: &Trained, buffers: bool) -> f32 {
    let is_compared = |name: &str| buffers || !name.contains("running_");
    let compared = a.0.iter().filter(|(name, _)| is_compared(name));
    let pairs = compared.flat_map(|(name, values)| values.iter().zip(&b.0[name]));
    pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

/// Checks that two processes give what one gives, up to rounding, and agree on everything.
#[track_caller]
fn check(with_norms: bool, change: impl FnOnce(&mut TrainParams)) {
    let params = params(change);
    let one = train(&params, with_norms, None);
    let start = Network::new(graph(with_norms).expect("a graph"), params.seed).tensors();
    assert!(one.0.iter().any(|(name, values)| start[name].to_f32() != *values), "nothing was trained");
    let [first, second] = in_two(&TrainParams { num_processes: NumProcesses(2), ..params.clone() }, with_norms);
    let found = difference(&first, &one, true);
    assert!(found < 2e-5, "{found}");
    // Statistics of their own differ, but are never used.
    assert!(difference(&first, &second, false) == 0.0 && first.1 == second.1 && first.2 == second.2);
    for (found, expect) in first.2.iter().zip(&one.2) {
        let close = |a: f64, b: f64| (a - b).abs() < 1e-4 * b.abs().max(1.0);
        assert_eq!((found.step, found.num_clips, found.lr), (expect.step, expect.num_clips, expect.lr));
        assert_eq!(found.grad_norm.is_some(), expect.grad_norm.is_some());
        let norms = found.grad_norm.unwrap_or(0.0) - expect.grad_norm.unwrap_or(0.0);
        assert!(
            close(found.loss, expect.loss) && close(found.top1, expect.top1) && norms.abs() < 1e-4,
            "{found:?}, not {expect:?}"
        );
    }
    assert_eq!(first.2.len(), one.2.len());
}

#[test]
fn without_batch_normalisation() {
    check(false, |_| ());
}

#[test]
fn with_synchronised_batch_normalisation() {
    check(true, |params| params.sync_bn = true);
}

#[test]
fn with_frozen_batch_normalisation() {
    check(true, |params| params.freeze = Some(Freeze { patterns: vec!["bn*".into()], ..Freeze::default() }));
}

#[test]
fn with_accumulated_gradients() {
    check(true, |params| {
        params.sync_bn = true;
        params.optim_wrapper.accumulative_counts = 2;
    });
}

#[test]
fn with_losses_that_are_not_means_over_clips() {
    let (mmaction2, pytorch) = (WeightedMean::MMAction2, WeightedMean::PyTorch);
    // With the last weights, all clips of the first process have the weight 0 in the first step.
    let cases = [
        (mmaction2, 0.1, [1.0, 5.0, 0.5]),
        (pytorch, 0.0, [1.0, 5.0, 0.5]),
        (pytorch, 0.1, [1.0, 5.0, 0.5]),
        (mmaction2, 0.0, [0.0, 0.0, 2.0]),
        (pytorch, 0.0, [0.0, 0.0, 2.0]),
    ];
    for (normalisation, smoothing, class_weight) in cases {
        check(false, |params| {
            let class_weight = Some(class_weight.to_vec());
            let loss = CrossEntropyLoss { class_weight, normalisation, ..CrossEntropyLoss::default() };
            params.model.cls_head.loss_cls = Some(Loss::CrossEntropyLoss(loss));
            params.model.cls_head.label_smooth_eps = smoothing;
        });
    }
    check(false, |params| {
        let reduction = pipe_schemas::losses::Reduction::Sum;
        let loss = CrossEntropyLoss { reduction, loss_weight: 0.25, ..CrossEntropyLoss::default() };
        params.model.cls_head.loss_cls = Some(Loss::CrossEntropyLoss(loss));
    });
}

#[test]
fn statistics_of_each_process_are_not_those_of_the_whole_step() {
    let params = params(|_| ());
    let one = train(&params, true, None);
    let [first, second] = in_two(&params, true);
    assert!(difference(&first, &one, true) > 1e-3);
    assert!(difference(&first, &second, false) == 0.0, "the weights stay the same");
    assert!(difference(&first, &second, true) > 0.0, "the statistics do not");
}

/// Prints what a reduction costs. Two threads stand for two processes of one machine.
#[test]
#[ignore = "prints figures"]
fn the_overhead_of_reductions() {
    use tch::{Device, Kind, Tensor};
    let measure = |group: &ProcessGroup, len: i64, times: u32| {
        let mut tensor = Tensor::ones([len], (Kind::Float, Device::Cpu));
        group.barrier().expect("there");
        let start = std::time::Instant::now();
        (0..times).for_each(|_| group.all_reduce(&mut tensor).expect("reduced"));
        start.elapsed().as_secs_f64() * 1e3 / f64::from(times)
    };
    let work = |group: ProcessGroup| {
        pin_threads();
        [(2, 200), (11_700_000, 5), (25_600_000, 5)].map(|(len, times)| (len, measure(&group, len, times)))
    };
    let (listener, first) = Rendezvous::on_this_machine(2).expect("a socket");
    let (second, wait) = (Rendezvous { rank: 1, ..first.clone() }, Duration::from_mins(1));
    thread::scope(|scope| {
        let other = scope.spawn(move || work(ProcessGroup::join(&second, wait).expect("joined")));
        let own = work(ProcessGroup::host::<LearnError>(&first, listener, wait, || Ok(())).expect("hosted"));
        other.join().expect("no panic");
        for (len, millis) in own {
            println!("{len} values: {millis:.2} ms");
        }
    });
}
