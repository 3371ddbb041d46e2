//! Epochs as parts: what determines each, and that a chain may be interrupted anywhere.

mod best;
mod large;
mod length;
mod lr_finder;
mod rates;

use pipe_schemas::Rule;
use pipe_schemas::losses::{CrossEntropyLoss, Loss};
use pipe_schemas::networks::resnet::{ResNet, ResNetDepth, ResNetTSM};
use pipe_schemas::networks::{AverageClips, Backbone, ClsHead, ModelParams, Project};
use pipe_schemas::stages::train::{
    AdamW, AmpDtype, CONTRACT, CheckpointParams, ClipGrad, CustomKey, DataloaderParams, EarlyStopping, Ema, EmaType,
    Freeze, KeepStates, LoadFrom, Optimizer, ParamwiseCfg, ReduceOnPlateauLr, Scheduler, Sgd, TrainCfg, TrainParams,
    WrapperType,
};
use pipe_schemas::tables::{
    ClassRow, FrameIndexRow, Labelling, Preprocessing, SampleRow, TrainingLogRow, TrainingStepRow,
};
use pipe_stage::SourceFile;
use pipe_stage::protocol::{Input, Made, MadePart, MakePart, MakeParts, PlannedPart};
use pipe_stage_train::Train;
use pipe_tables::frames::{EncodedFrame, ShardWriter};
use pipe_tables::{ModelFolder, SamplesFolder, read_rows, read_training_log, write_rows};
use pipe_testkit::{Bench, Making, Ran, input, part_in};
use pipe_weights::{Checkpoint, FileDigests, write_safetensors};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

const SIDE_PX: usize = 32;
const NUM_FRAMES: u32 = 2;
const DRAWN_EPOCHS: u32 = 8;
const VIDEOS: [&str; 6] = ["l/a", "l/b", "l/c", "r/a", "r/b", "r/c"];

/// A folder with frames and samples, and with everything that is made from them.
struct Space {
    folder: tempfile::TempDir,
}

impl Space {
    fn new() -> Self {
        let space = Self { folder: tempfile::tempdir().expect("a folder") };
        write_frames(&space.path("frames"));
        write_samples(&space.path("samples"), |_| ());
        space
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn bench(&self, params: &TrainParams) -> Bench<'static> {
        let frames = Input { digest: "f00d".into(), ..input(self.path("frames")) };
        Bench::new(&Train, params, [("frames", frames), ("samples", input(self.path("samples")))], 2)
    }

    fn plan(&self, params: &TrainParams) -> Vec<PlannedPart> {
        self.bench(params).plan().expect("planned")
    }

    /// Trains the epochs after `earlier` up to and without `end`, in folders of `folder`.
    fn train(&self, params: &TrainParams, earlier: &[MadePart], end: u32, folder: &str) -> Vec<MadePart> {
        let parts: Vec<_> =
            (earlier.len() as u32..end).map(|epoch| part_in(&self.path(folder), &format!("{epoch:04}"))).collect();
        let made: Vec<MadePart> = parts.iter().map(MakePart::made).collect();
        let Making { result, finished } = self.bench(params).make(MakeParts { earlier: earlier.to_vec(), parts });
        result.expect("trained");
        assert_eq!(finished, made.iter().map(|part| part.name.clone()).collect::<Vec<_>>());
        made
    }

    fn assemble(&self, params: &TrainParams, parts: &[MadePart], output: &str) -> Ran {
        let ran = self.bench(params).assemble(parts, &self.path(output));
        assert!(ran.result.is_ok(), "{ran:?}");
        ran
    }

    fn log(&self, output: &str) -> Vec<TrainingLogRow> {
        read_training_log(&self.path(output).join("training_log.parquet")).expect("a log")
    }
}

/// A square that moves left or right, by the first letter of the video's name.
fn jpeg(video: usize, frame: usize) -> Vec<u8> {
    let left = if VIDEOS[video].starts_with('l') { 24 - 16 * frame } else { 16 * frame };
    let mut pixels = vec![20 * video as u8; SIDE_PX * SIDE_PX * 3];
    for row in 4 + 5 * (video % 3)..12 + 5 * (video % 3) {
        pixels[(row * SIDE_PX + left) * 3..(row * SIDE_PX + left + 8) * 3].fill(230);
    }
    let format = turbojpeg::PixelFormat::RGB;
    let image = turbojpeg::Image { pixels: &pixels[..], width: SIDE_PX, pitch: 3 * SIDE_PX, height: SIDE_PX, format };
    turbojpeg::compress(image, 95, turbojpeg::Subsamp::None).expect("a JPEG").to_vec()
}

fn write_frames(folder: &Path) {
    fs_err::create_dir_all(folder).expect("a folder");
    let (shard, side) = ("shard-00000.parquet", SIDE_PX as u32);
    let mut writer = ShardWriter::create(&folder.join(shard)).expect("a shard");
    let mut index = Vec::new();
    for (video, video_id) in VIDEOS.iter().enumerate() {
        let frame = |frame| EncodedFrame { pts_nanos: frame as i64 * 40_000_000, jpeg: jpeg(video, frame) };
        let frames: Vec<_> = (0..NUM_FRAMES as usize).map(frame).collect();
        let row_group = writer.write_video(video_id, &frames, side, side).expect("written");
        let (video_id, shard) = ((*video_id).to_owned(), shard.to_owned());
        let (width_px, height_px, num_frames) = (side, side, NUM_FRAMES);
        index.push(FrameIndexRow { video_id, shard, row_group, num_frames, width_px, height_px, fps: 25.0 });
    }
    writer.finish().expect("written");
    write_rows(&folder.join("index.parquet"), &index).expect("written");
}

fn sample(epoch: u32, position: u32, video: usize) -> SampleRow {
    SampleRow {
        epoch,
        position,
        video_id: VIDEOS[video].into(),
        class_index: u32::from(VIDEOS[video].starts_with('r')),
        view: 0,
        frame_indices: (0..NUM_FRAMES).collect(),
        crop_x: 0.0,
        crop_y: 0.0,
        crop_width: SIDE_PX as f32,
        crop_height: SIDE_PX as f32,
        flip: (epoch + position).is_multiple_of(3),
        ..SampleRow::default()
    }
}

/// Writes the samples folder, with training rows changed by `change`. The last video of each class is for the test.
fn write_samples(folder: &Path, change: impl Fn(&mut SampleRow)) {
    let samples = SamplesFolder::open(folder);
    for epoch in 0..DRAWN_EPOCHS {
        let mut rows = [(0, 0), (1, 3), (2, 1), (3, 4)].map(|(position, video)| sample(epoch, position, video));
        rows.iter_mut().for_each(&change);
        samples.write_epoch(epoch, &rows).expect("written");
    }
    samples.write_test(&[sample(0, 0, 2), sample(0, 1, 5)]).expect("written");
    let class = |(class_index, class_name): (u32, &str)| ClassRow { class_index, class_name: class_name.into() };
    samples.write_classes(&[(0, "Left"), (1, "Right")].map(class)).expect("written");
    let preprocessing = Preprocessing {
        train_frames: NUM_FRAMES,
        test_frames: NUM_FRAMES,
        height_px: SIDE_PX as u32,
        width_px: SIDE_PX as u32,
        epochs: DRAWN_EPOCHS,
        labelling: Labelling::SingleLabel,
        test: pipe_schemas::stages::augment::ClipPipeline::default(),
        num_missing_test: 0,
        num_missing_train: 0,
    };
    samples.write_preprocessing(&preprocessing).expect("written");
    samples.write_missing(&[]).expect("written");
}

fn scheduler(params: Value) -> Scheduler {
    serde_json::from_value(params).expect("a schedule")
}

fn multi_step(milestone: u32) -> Scheduler {
    scheduler(json!({ "type": "MultiStepLR", "milestones": [milestone] }))
}

fn params(max_epochs: u32, val_interval: u32) -> TrainParams {
    TrainParams {
        model: ModelParams {
            // With fewer channels libtorch's gradients are not the same every time.
            backbone: ResNetTSM { depth: ResNetDepth::D18, base_channels: 8, ..ResNetTSM::default() }.into(),
            cls_head: ClsHead { dropout_ratio: 0.2, ..ClsHead::default() },
            ..ModelParams::default()
        },
        train_dataloader: DataloaderParams { batch_size: 2 },
        param_scheduler: vec![scheduler(json!({ "type": "LinearLR", "end": 2, "start_factor": 0.1 })), multi_step(4)],
        train_cfg: TrainCfg { max_epochs: Some(max_epochs), val_interval, ..TrainCfg::default() },
        ..TrainParams::default()
    }
}

fn state(part: &MadePart) -> Vec<u8> {
    fs_err::read(part.state("state.safetensors").expect("kept")).expect("a state")
}

/// Returns which of the epochs in both have equal fields.
fn same(old: &[PlannedPart], new: &[PlannedPart]) -> Vec<usize> {
    let both = old.iter().zip(new).enumerate();
    both.filter(|(_, (old, new))| old.fields == new.fields).map(|(epoch, _)| epoch).collect()
}

const OUTPUTS: [&str; 6] = [
    "model/model.json",
    "model/checkpoint.safetensors",
    "model/weights.json",
    "training_log.parquet",
    "training_steps.parquet",
    "tensorboard/events.out.tfevents.0",
];

/// Parameters with a state of their own each.
fn resumable() -> Vec<(&'static str, TrainParams)> {
    let adamw =
        Optimizer::AdamW(AdamW { lr: 0.01.into(), betas: [0.9, 0.999], eps: 1e-8, weight_decay: 0.01, amsgrad: true });
    let with = |change: &dyn Fn(&mut TrainParams)| {
        let mut params = params(3, 1);
        change(&mut params);
        params
    };
    vec![
        ("sgd", params(3, 1)),
        ("adamw", with(&|params| params.optim_wrapper.optimizer = adamw.clone())),
        ("average", with(&|params| params.ema = Some(Ema { momentum: Some(0.25), ..Ema::default() }))),
        (
            "everything",
            with(&|params| {
                params.model.backbone = frozen(1);
                params.ema =
                    Some(Ema { ema_type: EmaType::StochasticWeightAverage, begin_epoch: Some(2), ..Ema::default() });
                params.freeze = Some(Freeze { patterns: vec!["layer3.0".into()], ..Freeze::default() });
                params.optim_wrapper.accumulative_counts = 2;
                params.optim_wrapper.clip_grad = Some(ClipGrad::max_norm(1.0));
                params.optim_wrapper.paramwise_cfg = Some(half_rate_of_the_backbone());
            }),
        ),
    ]
}

/// The network of [`params`] with frozen stages.
fn frozen(frozen_stages: i32) -> Backbone {
    ResNetTSM { depth: ResNetDepth::D18, base_channels: 8, frozen_stages, ..ResNetTSM::default() }.into()
}

fn half_rate_of_the_backbone() -> ParamwiseCfg {
    let custom_keys = [("backbone".to_owned(), CustomKey { lr_mult: 0.5, ..CustomKey::default() })].into();
    ParamwiseCfg { custom_keys, ..ParamwiseCfg::default() }
}

#[test]
fn the_model_and_validations_have_the_average() {
    let space = Space::new();
    let plain = params(2, 1);
    let average = TrainParams { ema: Some(Ema { momentum: Some(0.25), ..Ema::default() }), ..plain.clone() };
    let [without, with] = [(&plain, "plain"), (&average, "average")].map(|(params, folder)| {
        let made = space.train(params, &[], 2, folder);
        space.assemble(params, &made, &format!("{folder}-out"));
        made
    });
    let tensors = |path: &Path| Checkpoint::open(path).expect("a checkpoint").tensors;
    let state = |part: &MadePart| tensors(&part.state("state.safetensors").expect("kept"));
    let (plain_state, average_state) = (state(&without[1]), state(&with[1]));
    // Averaging does not change training.
    assert!(plain_state.iter().all(|(name, tensor)| average_state.get(name) == Some(tensor)));
    let model = tensors(&ModelFolder::open(space.path("average-out/model")).checkpoint_path());
    let of_state = |name: &str| {
        let averaged = average_state.get(&format!("ema.average.{name}"));
        averaged.or_else(|| average_state.get(&format!("network.{name}")))
    };
    assert!(model.iter().all(|(name, tensor)| of_state(name) == Some(tensor)));
    assert_ne!(model["fc.weight"], plain_state["network.fc.weight"]);
    let losses = |output: &str| space.log(output).iter().map(|row| row.loss).collect::<Vec<_>>();
    assert_eq!(losses("plain-out"), losses("average-out"));
    let validations = |output: &str| space.log(output).into_iter().map(|row| row.validation).collect::<Vec<_>>();
    assert_ne!(validations("plain-out"), validations("average-out"));
}

#[test]
fn what_fits_no_tensor_is_an_error_of_the_plan() {
    let space = Space::new();
    let check = |change: &dyn Fn(&mut TrainParams), expect: &str| {
        let mut params = params(2, 0);
        change(&mut params);
        assert_eq!(space.bench(&params).plan().expect_err("an error").chain(), [expect]);
    };
    check(
        &|params| params.freeze = Some(Freeze { patterns: vec!["layr1".into()], ..Freeze::default() }),
        "no layer or tensor of the network fits `layr1` in `freeze.patterns`; similar names are `layer1`, `layer2`, `layer3`",
    );
    check(
        &|params| {
            let custom_keys = [("bakbone.conv1".to_owned(), CustomKey::default())].into();
            params.optim_wrapper.paramwise_cfg = Some(ParamwiseCfg { custom_keys, ..ParamwiseCfg::default() });
        },
        "no tensor of the network has `bakbone.conv1` in its name, the key of `optim_wrapper.paramwise_cfg.custom_keys`; similar names are \
         `backbone.conv1`, `backbone.conv1.bn`, `backbone.conv1.conv`",
    );
}

#[test]
fn tensors_with_rates_of_their_own_are_in_the_fields_of_each_epoch() {
    let space = Space::new();
    let with = |params: &TrainParams| {
        let mut params = params.clone();
        params.optim_wrapper.paramwise_cfg = Some(half_rate_of_the_backbone());
        params
    };
    let others = |part: &PlannedPart| part.fields.iter().filter(|(path, _)| path[0] == "lr_of_other_tensors").count();
    let plan = space.plan(&with(&params(3, 0)));
    assert_eq!(plan.iter().map(others).collect::<Vec<_>>(), [1, 1, 1]);
    assert!(space.plan(&params(3, 0)).iter().all(|part| others(part) == 0));
    let later =
        |params: TrainParams| TrainParams { param_scheduler: vec![params.param_scheduler[0].clone()], ..params };
    assert_eq!(same(&plan, &space.plan(&with(&later(params(3, 0))))), [0, 1, 2]);
}

#[test]
fn an_interrupted_chain_gives_the_bits_of_an_uninterrupted_one() {
    for (name, params) in resumable() {
        let space = Space::new();
        let whole = space.train(&params, &[], 3, "whole");
        let mut cut = space.train(&params, &[], 1, "cut");
        cut.extend(space.train(&params, &cut, 3, "cut"));
        for (whole, cut) in whole.iter().zip(&cut) {
            assert!(state(whole) == state(cut), "{name}, epoch {}", whole.name);
            let log = |part: &MadePart| fs_err::read(part.note("log.parquet")).expect("a log");
            assert_eq!(log(whole), log(cut));
        }
        assert_ne!(state(&whole[1]), state(&whole[2]));
        let first = space.assemble(&params, &whole, "one");
        let second = space.assemble(&params, &cut, "two");
        assert_eq!(first.lines(), second.lines());
        for file in OUTPUTS {
            let read = |output: &str| fs_err::read(space.path(output).join(file)).expect("read");
            assert!(read("one") == read("two"), "{name}: {file}");
        }
        let log = space.log("one");
        assert_eq!(log.iter().map(|row| row.epoch).collect::<Vec<_>>(), [0, 1, 2]);
        assert!(log.iter().all(|row| row.validation.is_some()));
        let steps: Vec<TrainingStepRow> = read_rows(&space.path("one/training_steps.parquet")).expect("steps");
        // Two steps in each epoch; the chain is longer than a request.
        assert_eq!(
            steps.iter().map(|row| (row.step, row.epoch)).collect::<Vec<_>>(),
            [(1, 0), (2, 0), (3, 1), (4, 1), (5, 2), (6, 2)]
        );
        for (epoch, row) in log.iter().enumerate() {
            let mean = f64::midpoint(steps[2 * epoch].loss, steps[2 * epoch + 1].loss);
            assert!((row.loss - mean).abs() < 1e-12, "{row:?}");
        }
    }
}

#[test]
fn tensorboard_shows_steps_validations_and_pictures() {
    let space = Space::new();
    let params = params(3, 2);
    space.assemble(&params, &space.train(&params, &[], 3, "parts"), "out");
    let script = "import sys\n\
                  from tensorboard.backend.event_processing.event_accumulator import EventAccumulator\n\
                  events = EventAccumulator(sys.argv[1], size_guidance={'scalars': 0})\n\
                  events.Reload()\n\
                  steps = lambda tag: [event.step for event in events.Scalars(tag)]\n\
                  print(steps('loss'), steps('lr'), steps('acc/top1'), events.Tags()['images'])";
    let Some(found) = pipe_testkit::python("tensorboard", script, &space.path("out/tensorboard")) else { return };
    let steps = "[1, 2, 3, 4, 5, 6]";
    assert!(found.starts_with(&format!("{steps} {steps} [4, 6] ['clips'")), "{found}");
}

#[test]
fn a_batch_whose_loss_is_not_finite_is_named_and_shown() {
    let space = Space::new();
    let mut params = params(3, 0);
    params.param_scheduler.clear();
    params.optim_wrapper.optimizer = Optimizer::SGD(Sgd { lr: 1e30.into(), ..Sgd::default() });
    let parts = (0..3).map(|epoch| part_in(&space.path("parts"), &format!("{epoch:04}"))).collect();
    let error = space.bench(&params).make(MakeParts { earlier: Vec::new(), parts }).result.expect_err("it diverges");
    let text = error.chain().join(": ");
    let (_, picture) = text.rsplit_once(" shown in ").expect("a picture");
    assert!(text.contains("with the clips of l/") && text.contains(", r/"), "{text}");
    assert!(fs_err::read(picture).expect("a file").starts_with(b"\x89PNG"), "{text}");
    assert!(error.help().is_some_and(|help| help.contains("lower `optim_wrapper.optimizer.lr`")), "{:?}", error.help());
}

#[test]
fn the_last_epoch_is_evaluated_whatever_its_number() {
    let space = Space::new();
    let made = space.train(&params(3, 1), &[], 3, "every");
    space.assemble(&params(3, 1), &made, "every-out");
    let made = space.train(&params(3, 2), &[], 3, "second");
    space.assemble(&params(3, 2), &made, "second-out");
    let (every, second) = (space.log("every-out"), space.log("second-out"));
    assert_eq!(every[1..], second[1..], "in a link or after the last");
    assert_eq!(second[0].validation, None);
    let ran = space.assemble(&params(3, 0), &space.train(&params(3, 0), &[], 3, "never"), "never-out");
    assert!(space.log("never-out").iter().all(|row| row.validation.is_none()));
    assert!(ran.lines()[0].starts_with("3 epochs, loss "), "{ran:?}");
}

#[test]
fn more_epochs_continue_from_fewer() {
    let space = Space::new();
    for val_interval in [0, 1, 3] {
        let (fewer, more) = (params(5, val_interval), params(8, val_interval));
        assert_eq!(same(&space.plan(&fewer), &space.plan(&more)), [0, 1, 2, 3, 4], "interval {val_interval}");
    }
    assert_eq!(space.plan(&params(8, 0)).len(), 8);
}

#[test]
fn a_later_milestone_keeps_the_epochs_before_the_earlier_one() {
    let space = Space::new();
    let old = params(8, 0);
    let moved = |milestone| TrainParams {
        param_scheduler: vec![old.param_scheduler[0].clone(), multi_step(milestone)],
        ..old.clone()
    };
    // From the epoch of the earlier milestone on, the chain is another one, whatever the fields of its last links.
    assert_eq!(same(&space.plan(&old), &space.plan(&moved(6))), [0, 1, 2, 3, 6, 7]);
    assert_eq!(same(&space.plan(&old), &space.plan(&moved(3))), [0, 1, 2, 4, 5, 6, 7]);
}

#[test]
fn parameters_that_do_not_affect_an_epoch_are_not_in_its_fields() {
    let space = Space::new();
    let old = params(4, 2);
    let plan = space.plan(&old);
    let check = |change: &dyn Fn(&mut TrainParams), expect: &[usize]| {
        let mut new = old.clone();
        change(&mut new);
        assert_eq!(same(&plan, &space.plan(&new)), expect);
    };
    check(&|params| params.model.cls_head.num_classes = Some(2), &[0, 1, 2, 3]);
    check(&|params| params.model.cls_head.average_clips = AverageClips::Score, &[0, 2]);
    check(&|params| params.train_cfg.val_interval = 4, &[0, 2, 3]);
    check(&|params| params.seed = 1, &[]);
    check(&|params| params.model.data_preprocessor.mean[0] = 0.0, &[]);
    check(&|params| params.train_dataloader.batch_size = 4, &[]);
    check(&|params| params.optim_wrapper.clip_grad = Some(ClipGrad::max_norm(1.0)), &[]);
    check(&|params| params.optim_wrapper.accumulative_counts = 2, &[]);
    check(&|params| params.optim_wrapper.paramwise_cfg = Some(half_rate_of_the_backbone()), &[]);
    check(&|params| params.model.cls_head.label_smooth_eps = 0.1, &[]);
    check(&|params| params.model.cls_head.loss_cls = Some(weighted(vec![1.0, 2.0])), &[]);
    check(&|params| params.model.cls_head.loss_cls = Some(Loss::default_for(Labelling::SingleLabel)), &[0, 1, 2, 3]);
    check(&|params| params.ema = Some(Ema::default()), &[]);
    check(&|params| params.freeze = Some(Freeze { only_head: true, ..Freeze::default() }), &[]);
    check(&|params| params.model.backbone = frozen(1), &[]);
    write_samples(&space.path("samples"), |row| row.flip ^= row.epoch == 2);
    check(&|_| (), &[0, 1, 3]);
    // Names of classes go into the model alone.
    write_samples(&space.path("samples"), |_| ());
    let class = |class_index: u32| ClassRow { class_index, class_name: format!("renamed {class_index}") };
    SamplesFolder::open(space.path("samples")).write_classes(&[0, 1].map(class)).expect("written");
    check(&|_| (), &[0, 1, 2, 3]);
}

#[test]
fn learning_rates_of_steps_are_in_the_fields_where_they_change_within_an_epoch() {
    let space = Space::new();
    // An epoch has two steps.
    let warmup = |end: u32| TrainParams {
        param_scheduler: vec![scheduler(
            json!({ "type": "LinearLR", "end": end, "start_factor": 0.1, "by_epoch": false }),
        )],
        ..params(3, 0)
    };
    let plan = space.plan(&warmup(3));
    let names = |part: &PlannedPart| part.fields.iter().filter(|(path, _)| path[0] == "lr_of_steps").count();
    assert_eq!(plan.iter().map(names).collect::<Vec<_>>(), [1, 0, 0]);
    assert_eq!(same(&plan, &space.plan(&warmup(4))), [2]);
}

#[test]
fn schedules_that_read_a_metric_are_in_the_fields() {
    let space = Space::new();
    let plateau = |patience| TrainParams {
        param_scheduler: vec![Scheduler::ReduceOnPlateauLR(ReduceOnPlateauLr {
            patience,
            threshold: 0.99,
            ..ReduceOnPlateauLr::default()
        })],
        ..params(3, 1)
    };
    assert_eq!(same(&space.plan(&plateau(0)), &space.plan(&plateau(1))), [0; 0]);
    let made = space.train(&plateau(0), &[], 3, "plateau");
    space.assemble(&plateau(0), &made, "plateau-out");
    let rates: Vec<f64> = space.log("plateau-out").iter().map(|row| row.lr).collect();
    assert!((rates[0] - rates[1]).abs() < 1e-12, "the first validation is the best so far: {rates:?}");
    assert!(rates[2] < 0.2 * rates[1], "{rates:?}");
    // The rates follow from the logs of the epochs before.
    let continued = space.train(&plateau(0), &made[..2], 3, "continued");
    assert!(state(&continued[0]) == state(&made[2]));
}

fn stopping(patience: u32) -> TrainParams {
    // No improvement is large enough.
    let early_stopping = EarlyStopping { monitor: "loss".into(), patience, min_delta: 1e9, rule: None };
    TrainParams { early_stopping: Some(early_stopping), ..params(5, 1) }
}

/// Trains the epochs after `earlier`. Returns all epochs that exist then, and how many of them are new.
fn train_until_it_stops(space: &Space, params: &TrainParams, earlier: &[MadePart]) -> (Vec<MadePart>, usize) {
    let parts: Vec<_> = (earlier.len()..5).map(|epoch| part_in(&space.path("parts"), &format!("{epoch:04}"))).collect();
    let folders: Vec<PathBuf> = parts.iter().map(|part| part.folder.clone()).collect();
    let mut made: Vec<MadePart> = earlier.iter().cloned().chain(parts.iter().map(MakePart::made)).collect();
    let Making { result, finished } = space.bench(params).make(MakeParts { earlier: earlier.to_vec(), parts });
    assert_eq!(result.expect("trained"), Made::ChainEnded);
    made.truncate(earlier.len() + finished.len());
    // The engine makes the folders again when it asks again.
    folders.iter().skip(finished.len()).for_each(|folder| fs_err::remove_dir(folder).expect("removed"));
    (made, finished.len())
}

#[test]
fn a_changed_patience_trains_only_epochs_that_do_not_exist() {
    let space = Space::new();
    let all: Vec<usize> = (0..5).collect();
    assert_eq!(same(&space.plan(&stopping(1)), &space.plan(&stopping(2))), all);
    assert_eq!(same(&space.plan(&stopping(1)), &space.plan(&params(5, 1))), all);
    let (made, num_new) = train_until_it_stops(&space, &stopping(2), &[]);
    assert_eq!((made.len(), num_new), (3, 3));
    let (made, num_new) = train_until_it_stops(&space, &stopping(3), &made);
    assert_eq!((made.len(), num_new), (4, 1));
    let (made, num_new) = train_until_it_stops(&space, &stopping(1), &made);
    assert_eq!((made.len(), num_new), (4, 0));

    // The second epoch is the best by all metrics.
    best::write_metrics(&made, &[3.0, 1.0, 2.0, 2.0], &[0.1, 0.9, 0.5, 0.5]);
    let ran = space.assemble(&stopping(1), &made, "out");
    assert_eq!(space.log("out").len(), 2, "as if training had ended there");
    assert_eq!(ran.lines()[1], "stopped early: loss did not improve in 1 validation");
    let summary = ran.result.expect("assembled");
    assert_eq!((summary.used_parts, summary.kept_states), (Some(2), Some(vec!["0001".into()])));
    let card = ModelFolder::open(space.path("out/model")).card().expect("a card");
    assert_eq!(card.epochs, 2);

    let last = TrainParams {
        checkpoint: CheckpointParams { keep: KeepStates::Last, ..CheckpointParams::default() },
        ..stopping(2)
    };
    let summary = space.assemble(&last, &made, "last-out").result.expect("assembled");
    assert_eq!((summary.used_parts, summary.kept_states), (Some(3), Some(vec!["0002".into()])));

    // A smaller patience ends with the second epoch, more epochs continue from the last one, and another milestone from the one
    // before it.
    let milestones = TrainParams { param_scheduler: vec![multi_step(1)], ..stopping(2) };
    let of_step = json!({ "type": "MultiStepLR", "milestones": [3], "by_epoch": false });
    let milestones_by_step = TrainParams { param_scheduler: vec![scheduler(of_step)], ..stopping(2) };
    let all = CheckpointParams { keep: KeepStates::All, ..CheckpointParams::default() };
    let kept =
        |params: &TrainParams, out: &str| space.assemble(params, &made, out).result.expect("assembled").kept_states;
    let every = ["0000", "0001", "0002"].map(String::from).to_vec();
    assert_eq!(kept(&stopping(2), "stopping-out"), Some(every[1..].to_vec()));
    assert_eq!(kept(&milestones, "milestones-out"), Some(every.clone()));
    assert_eq!(kept(&milestones_by_step, "milestones-by-step-out"), Some(every.clone()));
    assert_eq!(kept(&TrainParams { checkpoint: all, ..milestones }, "all-out"), Some(every));
}

#[test]
fn monitors_are_checked() {
    let space = Space::new();
    let check = |change: &dyn Fn(&mut TrainParams), expect: &str| {
        let mut params = stopping(1);
        change(&mut params);
        assert_eq!(space.bench(&params).plan().expect_err("an error").chain(), [expect]);
    };
    let stopping =
        |monitor: &str, rule| Some(EarlyStopping { monitor: monitor.into(), patience: 1, min_delta: 0.0, rule });
    check(
        &|params| params.early_stopping = stopping("mean_average_precision", None),
        "`mean_average_precision` is not a metric of the validation; expected one of top1, top5, mean_class_accuracy, loss",
    );
    check(
        &|params| params.early_stopping = stopping("top1", Some(Rule::Less)),
        "`monitor: top1` needs `rule: greater`",
    );
    check(
        &|params| params.train_cfg.val_interval = 0,
        "`monitor: loss` needs a validation, but `val_interval` is 0, `val_begin` is after the last epoch or there are no test \
         samples",
    );
    check(
        &|params| params.model.cls_head.loss_cls = Some(Loss::default_for(Labelling::MultiLabel)),
        "the loss `model.cls_head.loss_cls` is not defined for videos with one label",
    );
}

/// Cross-entropy with a weight for each class.
fn weighted(class_weight: Vec<f64>) -> Loss {
    Loss::CrossEntropyLoss(CrossEntropyLoss { class_weight: Some(class_weight), ..CrossEntropyLoss::default() })
}

#[test]
fn losses_and_precision_fit_the_classes_and_the_machine() {
    let space = Space::new();
    let check = |change: &dyn Fn(&mut TrainParams), expect: &str| {
        let mut params = params(1, 0);
        change(&mut params);
        assert_eq!(space.bench(&params).plan().expect_err("an error").chain(), [expect]);
    };
    check(
        &|params| params.model.cls_head.loss_cls = Some(weighted(vec![1.0, 2.0, 3.0])),
        "`model.cls_head.loss_cls.class_weight` has 3 values, but there are 2 classes",
    );
    check(
        &|params| {
            params.optim_wrapper.wrapper = WrapperType::AmpOptimWrapper;
            params.optim_wrapper.dtype = Some(AmpDtype::Float16);
        },
        "training in float16 is not possible here: it needs a GPU, and training runs on the processor",
    );
}

#[test]
fn weights_to_start_from_decide_the_first_epoch() {
    let space = Space::new();
    let plain = params(2, 0);
    let made = space.train(&plain, &[], 2, "first");
    space.assemble(&plain, &made, "out");
    let checkpoint = ModelFolder::open(space.path("out/model")).checkpoint_path();
    let list = space.path("load_from.json");
    let load = TrainParams { load_from: Some(LoadFrom::default()), ..plain.clone() };
    let bench = |digest: &str| {
        let file = SourceFile { path: String::new(), digest: digest.into(), size_bytes: 0 };
        fs_err::write(&list, serde_json::to_vec(&[file]).expect("JSON")).expect("written");
        let mut bench = space.bench(&load);
        bench.sources.insert("load_from".into(), Input { files: Some(list.clone()), ..input(&checkpoint) });
        bench
    };
    let (without, with) = (space.plan(&plain), bench("aa").plan().expect("planned"));
    assert_eq!(same(&without, &with), [1]);
    assert_eq!(same(&with, &bench("bb").plan().expect("planned")), [1]);
    // An interrupted chain reports how the weights matched, too.
    let bench = bench("aa");
    let part = part_in(&space.path("loaded"), "0000");
    let first = part.made();
    bench.make(MakeParts::independent(vec![part])).result.expect("trained");
    let part = part_in(&space.path("loaded"), "0001");
    let parts = [first.clone(), part.made()];
    bench.make(MakeParts { earlier: vec![first], parts: vec![part] }).result.expect("trained");
    let ran = bench.assemble(&parts, &space.path("loaded-out"));
    assert!(ran.lines()[1].ends_with(" tensors matched, 0 reinitialised, 0 unused"), "{ran:?}");
}

/// Trains an epoch from the weights at `path`, a file or a folder with these files. Returns the summary, or the error and its help.
fn start_from(space: &Space, path: &Path, files: &[&str]) -> Result<Vec<String>, (String, String)> {
    start_with(space, path, files, &TrainParams { load_from: Some(LoadFrom::default()), ..params(1, 0) })
}

/// Returns a training from the weights at `path`, a file or a folder with these files.
fn load_bench(space: &Space, path: &Path, files: &[&str], params: &TrainParams) -> Bench<'static> {
    let file = |name: &&str| SourceFile { path: (*name).to_owned(), digest: "aa".into(), size_bytes: 0 };
    let list = space.path("load_from.json");
    let files: Vec<SourceFile> = files.iter().map(file).collect();
    fs_err::write(&list, serde_json::to_vec(&files).expect("JSON")).expect("written");
    let mut bench = space.bench(params);
    bench.sources.insert("load_from".into(), Input { files: Some(list), ..input(path) });
    bench
}

fn start_with(
    space: &Space,
    path: &Path,
    files: &[&str],
    params: &TrainParams,
) -> Result<Vec<String>, (String, String)> {
    let bench = load_bench(space, path, files, params);
    let error = |error: pipe_stage::StageError| (error.chain().join(": "), error.help().unwrap_or_default().to_owned());
    let folder = tempfile::tempdir().expect("a folder");
    let part = part_in(folder.path(), "0000");
    let made = [part.made()];
    bench.make(MakeParts::independent(vec![part])).result.map_err(error)?;
    Ok(bench.assemble(&made, &folder.path().join("out")).result.map_err(error)?.lines)
}

#[test]
fn published_weights_are_told_apart_checked_and_reported() {
    let space = Space::new();
    let plain = params(1, 0);
    let made = space.train(&plain, &[], 1, "first");
    space.assemble(&plain, &made, "out");
    let tensors =
        Checkpoint::open(&ModelFolder::open(space.path("out/model")).checkpoint_path()).expect("read").tensors;
    let folder = space.path("published");
    fs_err::create_dir_all(&folder).expect("a folder");
    let write = |name: &str, tensors| write_safetensors(&folder.join(name), &tensors).expect("written");

    // Names as `torch.compile` and `DistributedDataParallel` make them.
    let prefixed = tensors.iter().map(|(name, tensor)| (format!("_orig_mod.module.{name}"), tensor.clone())).collect();
    write("prefixed.safetensors", prefixed);
    let lines = start_from(&space, &folder.join("prefixed.safetensors"), &[""]).expect("trained");
    assert!(lines[1].ends_with(" tensors matched, 0 reinitialised, 0 unused"), "{lines:?}");
    assert_eq!(lines[2], "the tensors have the names of torchvision");
    assert_eq!(lines[3], format!("`_orig_mod.module.` was removed from {} names", tensors.len()));

    // A folder of Hugging Face, and one with two files of the same kind.
    fs_err::write(folder.join("config.json"), "{}").expect("written");
    let lines = start_from(&space, &folder, &["config.json", "prefixed.safetensors"]).expect("trained");
    assert!(lines.contains(&"`prefixed.safetensors` of the folder was read".to_owned()), "{lines:?}");
    write("other.safetensors", tensors.clone());
    let (error, _) = start_from(&space, &folder, &["other.safetensors", "prefixed.safetensors"]).expect_err("two");
    assert!(error.ends_with("it has `other.safetensors` and `prefixed.safetensors`; name the file itself"), "{error}");
    let (error, _) = start_from(&space, &folder, &[]).expect_err("none");
    assert!(error.starts_with("there is no file of weights in "), "{error}");

    let mut bad = tensors.clone();
    let shape = bad["layer1.0.conv1.weight"].shape.clone();
    let mut values = vec![0.5; shape.iter().product()];
    (values[3], values[7]) = (f32::NAN, f32::INFINITY);
    let len = values.len();
    bad.insert("layer1.0.conv1.weight".into(), pipe_weights::Tensor::from_f32(shape, &values));
    write("bad.safetensors", bad);
    let (error, help) = start_from(&space, &folder.join("bad.safetensors"), &[""]).expect_err("NaN");
    let expect = format!("bad.safetensors: NaN or infinity in layer1.0.conv1.weight (2 of {len} values)");
    assert!(error.ends_with(&expect) && help.contains("use another checkpoint"), "{error}; {help}");

    let renamed = tensors.iter().map(|(name, tensor)| (format!("x{name}"), tensor.clone())).collect();
    write("renamed.safetensors", renamed);
    let (error, help) = start_from(&space, &folder.join("renamed.safetensors"), &[""]).expect_err("other names");
    assert!(error.contains("renamed.safetensors: the weights do not fit the network: 0 tensors match"), "{error}");
    assert!(error.lines().count() <= 5 && help.contains("`model.backbone`"), "{error}; {help}");
    assert!(error.contains("(the checkpoint has xbn1.bias)"), "{error}");
}

#[test]
fn a_wrong_map_or_digest_is_refused() {
    let space = Space::new();
    let made = space.train(&params(1, 0), &[], 1, "first");
    space.assemble(&params(1, 0), &made, "out");
    let path = ModelFolder::open(space.path("out/model")).checkpoint_path();
    let start = |load_from: LoadFrom, files: &[&str]| {
        start_with(&space, &path, files, &TrainParams { load_from: Some(load_from), ..params(1, 0) })
    };
    let of_map = |map| LoadFrom { map: Some(map), ..LoadFrom::default() };
    let lines = start(of_map(Project::Torchvision), &[""]).expect("trained");
    assert!(lines.contains(&"the tensors have the names of torchvision".to_owned()), "{lines:?}");
    let (error, _) = start(of_map(Project::Mmaction2), &[""]).expect_err("other names");
    assert!(error.contains("0 tensors match") && error.contains("compared with the names of mmaction2"), "{error}");
    let (error, help) = start(of_map(Project::Pytorchvideo), &[""]).expect_err("no such map");
    assert!(error.contains("there are no names of pytorchvideo for this network"), "{error}");
    assert_eq!(help, "set `load_from.map` to torchvision or mmaction2, or leave it out");
    let (error, help) = start(LoadFrom { inflate: true, ..LoadFrom::default() }, &[""]).expect_err("a 2-D network");
    assert!(error.ends_with("tsm_resnet18 is not inflated from a 2-D network"), "{error}");
    assert_eq!(help, "leave out `load_from.inflate`");

    let FileDigests { sha256, blake3 } = FileDigests::of(&path).expect("read");
    let plan = |digest: &str, files: &[&str]| {
        let load_from = Some(LoadFrom { digest: Some(digest.to_owned()), ..LoadFrom::default() });
        let params = TrainParams { load_from, ..params(1, 0) };
        let error = load_bench(&space, &path, files, &params).plan().err()?;
        Some((error.chain().join(": "), error.help().unwrap_or_default().to_owned()))
    };
    for digest in [&sha256, &blake3, &format!("sha256:{sha256}")] {
        assert_eq!(plan(digest, &[""]), None);
    }
    let wrong = format!("blake3:{sha256}");
    let (error, help) = plan(&wrong, &[""]).expect("another digest");
    assert!(error.contains(&format!("is not {wrong}, but sha256:{sha256} and blake3:{blake3}")), "{error}");
    assert!(help.contains("correct `load_from.digest`"), "{help}");
    let (error, _) = plan(&sha256, &["a.safetensors", "b.safetensors"]).expect("a folder");
    assert!(error.contains("is a folder of several files, which have no common digest"), "{error}");
}

/// How weights are read determines the first epoch; their digest only has to be right.
#[test]
fn how_weights_are_read_decides_the_first_epoch() {
    let space = Space::new();
    let made = space.train(&params(1, 0), &[], 1, "first");
    space.assemble(&params(1, 0), &made, "out");
    let path = ModelFolder::open(space.path("out/model")).checkpoint_path();
    let plan = |load_from: LoadFrom| {
        let params = TrainParams { load_from: Some(load_from), ..params(2, 0) };
        load_bench(&space, &path, &[""], &params).plan().expect("planned")
    };
    let plain = plan(LoadFrom::default());
    let digest = Some(FileDigests::of(&path).expect("read").sha256);
    assert_eq!(same(&plain, &plan(LoadFrom { digest, ..LoadFrom::default() })), [0, 1]);
    assert_eq!(same(&plain, &plan(LoadFrom { map: Some(Project::Pipe), ..LoadFrom::default() })), [1]);
    assert_eq!(same(&plain, &plan(LoadFrom { inflate: true, ..LoadFrom::default() })), [1]);

    let options = LoadFrom { map: Some(Project::Pipe), ..LoadFrom::default() };
    let error = space.bench(&TrainParams { load_from: Some(options), ..params(1, 0) }).plan().expect_err("no file");
    assert_eq!(error.chain(), ["`load_from` has options, but no file is named"]);
}

#[test]
fn clips_that_are_left_out_are_warned_about() {
    let space = Space::new();
    let odd = TrainParams { train_dataloader: DataloaderParams { batch_size: 3 }, ..params(1, 1) };
    SamplesFolder::open(space.path("samples")).write_test(&[]).expect("written");
    let ran = space.bench(&odd).run(&space.path("out"));
    assert_eq!(
        ran.warnings,
        [
            "1 clip is left out, because it is the last of its epoch and would be a batch of its own: r/b in epoch 1",
            "`val_interval` has no effect: there are no test samples",
        ]
    );
}

/// Four clips are drawn for each epoch.
#[test]
fn every_drawn_clip_is_shown_or_counted() {
    let space = Space::new();
    for (batch_size, num_left_out) in [(1, 0), (2, 0), (3, 1), (4, 0), (5, 0)] {
        let params = TrainParams { train_dataloader: DataloaderParams { batch_size }, ..params(7, 0) };
        let output = format!("out-{batch_size}");
        let made = space.train(&params, &[], 7, &format!("parts-{batch_size}"));
        let ran = space.assemble(&params, &made, &output);
        let samples = SamplesFolder::open(space.path("samples"));
        for row in space.log(&output) {
            let drawn = samples.num_clips(row.epoch).expect("drawn") as u32;
            assert_eq!((row.num_clips + row.num_left_out, row.num_left_out), (drawn, num_left_out), "{batch_size}");
        }
        let line = "7 of 28 clips left out, to avoid batches of one clip".to_owned();
        assert_eq!(ran.lines().contains(&line), num_left_out > 0, "{ran:?}");
        let names: Vec<String> = (1..=5).map(|epoch| format!("r/b in epoch {epoch}")).collect();
        let warning = format!(
            "7 clips are left out, because each is the last of its epoch and would be a batch of its own: {}, and 2 more",
            names.join(", ")
        );
        assert_eq!(ran.warnings, if num_left_out > 0 { vec![warning] } else { vec![] });
    }
}

#[test]
fn batch_normalisation_of_one_value_is_refused_before_training() {
    let space = Space::new();
    let change = |frames| {
        let samples = SamplesFolder::open(space.path("samples"));
        let preprocessing = samples.preprocessing().expect("read");
        samples.write_preprocessing(&Preprocessing { train_frames: frames, test_frames: frames, ..preprocessing })
    };
    let with = |batch_size| {
        let mut params = TrainParams { train_dataloader: DataloaderParams { batch_size }, ..params(1, 0) };
        params.model.backbone = ResNet { depth: ResNetDepth::D18, base_channels: 8, ..ResNet::default() }.into();
        params
    };
    let (one, two) = (with(1), with(2));
    space.plan(&one);
    change(1).expect("written");
    let error = space.bench(&one).plan().expect_err("one value per channel");
    let chain = error.chain();
    assert!(chain[0].contains("`train_dataloader.batch_size` is 1"), "{chain:?}");
    assert!(error.help().is_some_and(|help| help.contains("batch_size` to 2 or more")), "{:?}", error.help());
    space.plan(&two);
    let rows = [sample(0, 0, 0)];
    SamplesFolder::open(space.path("samples")).write_epoch(0, &rows).expect("written");
    let error = space.bench(&two).plan().expect_err("one clip");
    assert!(error.chain()[0].contains("epoch 1 has a single clip"), "{:?}", error.chain());
    assert!(error.help().is_some_and(|help| help.contains("train on more videos")), "{:?}", error.help());
}

#[test]
fn epochs_out_of_order_are_refused() {
    let space = Space::new();
    let check = |after: Option<&str>, names: &[&str], expect: &str| {
        let folder = tempfile::tempdir().expect("a folder");
        let earlier = after.map(|name| MadePart { name: name.into(), folder: folder.path().into(), state: None });
        let parts = names.iter().map(|name| part_in(folder.path(), name)).collect();
        let error = space
            .bench(&params(3, 0))
            .make(MakeParts { earlier: earlier.into_iter().collect(), parts })
            .result
            .expect_err("out of order");
        assert_eq!(error.chain(), [format!("epoch `{expect}` does not follow the epoch before it")]);
    };
    check(None, &["0001"], "0001");
    check(None, &["0000", "0002"], "0002");
    check(Some("0002"), &["0003"], "0003");
    check(Some("first"), &["0000"], "0000");
}

/// If this fails on purpose, raise the contract's version where bytes change for equal fields.
#[test]
fn fields_of_an_epoch() {
    let space = Space::new();
    let part = space.plan(&params(2, 2)).pop().expect("an epoch");
    let fields = part.fields.iter().map(|(path, value)| format!("{}: {value}", path.join(".")));
    let mut found = fields.collect::<Vec<_>>();
    found.sort();
    let expect = [
        "epoch: 1",
        "graph: e455a7b6a2e04e51b191aee08c86cf9b1b4071a10d40ad9032a0b874aa9e48d3",
        "inputs.frames: f00d",
        "labelling: \"single_label\"",
        "loss.type: \"CrossEntropyLoss\"",
        "lr: 0.005",
        "rows: 78ad404fd6c7e077f1829e47a4eb0e8c10d3b469fc4769255f2cea75ff124f07",
        "test.frames: 2",
        "test.rows: 8583fe2a110334727b2d753bede16cce1892fa47e33ba1381ea0bc845b507fbd",
        "with.model.backbone.base_channels: 8",
        "with.model.backbone.depth: 18",
        "with.model.backbone.shift_div: 8",
        "with.model.backbone.type: \"ResNetTSM\"",
        "with.model.cls_head.average_clips: \"prob\"",
        "with.model.cls_head.dropout_ratio: 0.2",
        "with.model.cls_head.init_std: 0.01",
        "with.model.data_preprocessor.mean.0: 123.675",
        "with.model.data_preprocessor.mean.1: 116.28",
        "with.model.data_preprocessor.mean.2: 103.53",
        "with.model.data_preprocessor.std.0: 58.395",
        "with.model.data_preprocessor.std.1: 57.12",
        "with.model.data_preprocessor.std.2: 57.375",
        "with.optim_wrapper.clip_grad: null",
        "with.optim_wrapper.optimizer.momentum: 0.9",
        "with.optim_wrapper.optimizer.nesterov: false",
        "with.optim_wrapper.optimizer.type: \"SGD\"",
        "with.optim_wrapper.optimizer.weight_decay: 0.0001",
        "with.seed: 0",
        "with.train_dataloader.batch_size: 2",
    ];
    assert_eq!((CONTRACT.version, part.name.as_str(), part.items.len()), (9, "0001", 0));
    assert_eq!(found, expect);
}
