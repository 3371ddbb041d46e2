//! Epochs as parts: what determines each, and that a chain may be interrupted anywhere.

mod average;
mod best;
mod clips;
mod fields;
mod large;
mod length;
mod logs;
mod losses;
mod lr_finder;
mod rates;
mod resume;
mod stopping;
mod weights;

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

/// The network of [`params`] with frozen stages.
fn frozen(frozen_stages: i32) -> Backbone {
    ResNetTSM { depth: ResNetDepth::D18, base_channels: 8, frozen_stages, ..ResNetTSM::default() }.into()
}

fn half_rate_of_the_backbone() -> ParamwiseCfg {
    let custom_keys = [("backbone".to_owned(), CustomKey { lr_mult: 0.5, ..CustomKey::default() })].into();
    ParamwiseCfg { custom_keys, ..ParamwiseCfg::default() }
}

/// Cross-entropy with a weight for each class.
fn weighted(class_weight: Vec<f64>) -> Loss {
    Loss::CrossEntropyLoss(CrossEntropyLoss { class_weight: Some(class_weight), ..CrossEntropyLoss::default() })
}
