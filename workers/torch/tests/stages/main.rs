//! Runs the real worker on requests, as `pipe` does: train, evaluate, export on a few tiny videos.

mod processes;

use pipe_schemas::networks::resnet::{ResNetDepth, ResNetTSM};
use pipe_schemas::networks::{ClsHead, ModelParams};
use pipe_schemas::stages::frames::FramesParams;
use pipe_schemas::stages::train::{DataloaderParams, LoadFrom, TrainCfg, TrainParams};
use pipe_schemas::tables::{
    ClassRow, FrameIndexRow, Labelling, MissingReason, MissingRow, PredictionRow, Preprocessing, SampleRow, Split,
    TrainingLogRow,
};
use pipe_stage::protocol::{
    Grant, Input, MadePart, MakePart, MakeParts, Message, PROTOCOL_VERSION, PlannedPart, Reply, Request, Task,
};
use pipe_tables::frames::{EncodedFrame, RECIPE_FILE, ShardWriter};
use pipe_tables::{ModelFolder, SamplesFolder, read_rows, read_training_log, write_json, write_rows};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Lines, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

const WORKER: &str = env!("CARGO_BIN_EXE_pipe-torch-worker");
const SIDE_PX: usize = 32;
const NUM_FRAMES: u32 = 4;
const EPOCHS: u32 = 2;
const VIDEOS: [&str; 10] = ["l/a", "l/b", "l/c", "l/d", "l/e", "r/a", "r/b", "r/c", "r/d", "r/e"];

/// A folder with frames and samples, and room for outputs.
struct Space {
    folder: tempfile::TempDir,
}

/// How a request ended: its summary, or its error and help.
type Outcome = Result<Vec<String>, (String, String)>;

impl Space {
    fn new() -> Self {
        let space = Self { folder: tempfile::tempdir().expect("a folder") };
        write_frames(&space.path("frames"));
        write_samples(&space.path("samples"));
        space
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs a stage with its outputs in `output`; `model` is the output folder of a training, if the stage needs one.
    fn run(&self, kind: &str, params: Value, model: Option<&str>, output: &str) -> Outcome {
        self.run_with(kind, params, model, output, 1, None)
    }

    fn run_with(
        &self,
        kind: &str,
        params: Value,
        model: Option<&str>,
        output: &str,
        threads: usize,
        load_from: Option<&Path>,
    ) -> Outcome {
        let input = |path: PathBuf| Input {
            path,
            digest: String::new(),
            files: None,
            media_root: None,
            left_out: BTreeMap::new(),
        };
        let mut inputs = BTreeMap::from([
            ("frames".to_owned(), input(self.path("frames"))),
            ("samples".to_owned(), input(self.path("samples"))),
        ]);
        if let Some(model) = model {
            inputs.insert("model".to_owned(), input(self.path(model).join("model")));
        }
        let mut sources = BTreeMap::new();
        if let Some(path) = load_from {
            let list = self.path("load_from.json");
            let name = path.file_name().expect("a file").to_string_lossy();
            fs_err::write(&list, json!([{ "path": name, "digest": "", "size_bytes": 0 }]).to_string())
                .expect("written");
            sources.insert("load_from".to_owned(), Input { files: Some(list), ..input(path.into()) });
        }
        fs_err::create_dir_all(self.path(output)).expect("a folder");
        let contract = pipe_schemas::stages::contract(kind).expect("a kind");
        let mut worker = Worker::start();
        let request = |task| Request {
            protocol: PROTOCOL_VERSION,
            id: 7,
            kind: kind.into(),
            version: contract.version,
            task,
            params: params.clone(),
            inputs: inputs.clone(),
            sources: sources.clone(),
            output: self.path(output),
            scratch: self.path("scratch"),
            downloads: self.path("downloads"),
            diagnostics: self.path("diagnostics"),
            grant: Grant::cpu(threads),
        };
        if contract.parts.is_none() {
            return worker.finished(request(Task::Whole)).map(|(summary, _)| summary);
        }
        let parts: Vec<MakePart> =
            worker.planned(request(Task::Plan))?.iter().map(|part| self.part(output, &part.name)).collect();
        let made: Vec<MadePart> = parts.iter().map(MakePart::made).collect();
        let (_, finished) = worker.finished(request(Task::Make(MakeParts::independent(parts))))?;
        assert_eq!(finished, made.iter().map(|part| part.name.clone()).collect::<Vec<_>>());
        worker.finished(request(Task::Assemble { parts: made })).map(|(summary, _)| summary)
    }

    fn part(&self, output: &str, name: &str) -> MakePart {
        let folder = self.path(output).join("parts").join(name);
        fs_err::create_dir_all(&folder).expect("a folder");
        MakePart { name: name.into(), folder, old: None }
    }
}

/// A worker that lives from request to request.
struct Worker {
    process: Child,
    stdin: ChildStdin,
    replies: Lines<BufReader<ChildStdout>>,
}

impl Worker {
    fn start() -> Self {
        Self::start_with(&[])
    }

    fn start_with(variables: &[(&str, String)]) -> Self {
        let command = &mut Command::new(WORKER);
        command.envs(variables.iter().map(|(name, value)| (name, value.as_str())));
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the worker starts");
        let stdin = process.stdin.take().expect("a pipe");
        let replies = BufReader::new(process.stdout.take().expect("a pipe")).lines();
        Self { process, stdin, replies }
    }

    /// Sends a request, and returns the last reply with the names of the parts that were reported as complete before.
    fn ask(&mut self, request: Request) -> (Reply, Vec<String>) {
        let mut line = serde_json::to_vec(&Message::Run(Box::new(request))).expect("JSON");
        line.push(b'\n');
        self.stdin.write_all(&line).expect("written");
        let mut finished = Vec::new();
        for line in &mut self.replies {
            match serde_json::from_str(&line.expect("a line")).expect("a reply") {
                Reply::Progress { .. } | Reply::Measured { .. } | Reply::Warning { .. } | Reply::Environment { .. } => {
                }
                Reply::PartFinished { name } => finished.push(name),
                last => return (last, finished),
            }
        }
        panic!("the worker ended without a reply");
    }

    fn finished(&mut self, request: Request) -> Result<(Vec<String>, Vec<String>), (String, String)> {
        match self.ask(request) {
            (Reply::Finished { summary, .. }, finished) => Ok((summary.lines, finished)),
            (Reply::Made { .. }, finished) => Ok((Vec::new(), finished)),
            (reply, _) => Err(failure(reply)),
        }
    }

    fn planned(&mut self, request: Request) -> Result<Vec<PlannedPart>, (String, String)> {
        match self.ask(request).0 {
            Reply::Planned { parts, .. } => Ok(parts),
            reply => Err(failure(reply)),
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn failure(reply: Reply) -> (String, String) {
    match reply {
        Reply::Failed { error, help, .. } => (error, help.unwrap_or_default()),
        other => panic!("an unexpected reply: {other:?}"),
    }
}

/// A square that moves left or right, by the first letter of the video's name.
fn jpeg(video: usize, frame: usize) -> Vec<u8> {
    let step = if VIDEOS[video].starts_with('l') { 24 - 8 * frame } else { 8 * frame };
    let (left, top) = (step, 3 * (video % 5) + 4);
    let mut pixels = vec![20 * video as u8; SIDE_PX * SIDE_PX * 3];
    for row in top..top + 8 {
        pixels[(row * SIDE_PX + left) * 3..(row * SIDE_PX + left + 8) * 3].fill(230);
    }
    let format = turbojpeg::PixelFormat::RGB;
    let image = turbojpeg::Image { pixels: &pixels[..], width: SIDE_PX, pitch: 3 * SIDE_PX, height: SIDE_PX, format };
    turbojpeg::compress(image, 95, turbojpeg::Subsamp::None).expect("a JPEG").to_vec()
}

fn write_frames(folder: &Path) {
    fs_err::create_dir_all(folder).expect("a folder");
    let shard = "shard-00000.parquet";
    let mut writer = ShardWriter::create(&folder.join(shard)).expect("a shard");
    let mut index = Vec::new();
    for (video, video_id) in VIDEOS.iter().enumerate() {
        let frame = |frame| EncodedFrame { pts_nanos: frame as i64 * 40_000_000, jpeg: jpeg(video, frame) };
        let frames: Vec<_> = (0..NUM_FRAMES as usize).map(frame).collect();
        let side = SIDE_PX as u32;
        let row_group = writer.write_video(video_id, &frames, side, side).expect("written");
        index.push(FrameIndexRow {
            video_id: (*video_id).into(),
            shard: shard.into(),
            row_group,
            num_frames: NUM_FRAMES,
            width_px: side,
            height_px: side,
            fps: 25.0,
        });
    }
    writer.finish().expect("written");
    write_rows(&folder.join("index.parquet"), &index).expect("written");
    write_json(&folder.join(RECIPE_FILE), &FramesParams::default().recipe()).expect("written");
}

fn sample(epoch: u32, position: u32, video: usize, view: u32) -> SampleRow {
    SampleRow {
        epoch,
        position,
        video_id: VIDEOS[video].into(),
        class_index: u32::from(VIDEOS[video].starts_with('r')),
        view,
        frame_indices: (0..NUM_FRAMES).collect(),
        crop_x: 0.0,
        crop_y: 0.0,
        crop_width: SIDE_PX as f32,
        crop_height: SIDE_PX as f32,
        flip: false,
        ..SampleRow::default()
    }
}

fn write_samples(folder: &Path) {
    let samples = SamplesFolder::open(folder);
    // The last of each class is for the test, in two views.
    let train: Vec<_> = [0, 5, 1, 6, 2, 7, 3, 8].into_iter().enumerate().collect();
    for epoch in 0..EPOCHS {
        let row = |(position, video): &(usize, usize)| sample(epoch, *position as u32, *video, 0);
        samples.write_epoch(epoch, &train.iter().map(row).collect::<Vec<_>>()).expect("written");
    }
    let test: Vec<_> = [(4, 0), (4, 1), (9, 0), (9, 1)]
        .into_iter()
        .enumerate()
        .map(|(position, (video, view))| sample(0, position as u32, video, view))
        .collect();
    samples.write_test(&test).expect("written");
    let class = |(class_index, class_name): (u32, &str)| ClassRow { class_index, class_name: class_name.into() };
    samples.write_classes(&[(0, "Left"), (1, "Right")].map(class)).expect("written");
    let preprocessing = Preprocessing {
        train_frames: NUM_FRAMES,
        test_frames: NUM_FRAMES,
        height_px: SIDE_PX as u32,
        width_px: SIDE_PX as u32,
        epochs: EPOCHS,
        labelling: Labelling::SingleLabel,
        test: pipe_schemas::stages::augment::ClipPipeline::default(),
        num_missing_test: 3,
        num_missing_train: 0,
    };
    samples.write_preprocessing(&preprocessing).expect("written");
    let missing = |number: u32| MissingRow {
        split: Split::Test,
        video_id: format!("x/{number}"),
        start_secs: None,
        end_secs: None,
        reason: if number == 0 { MissingReason::Absent } else { MissingReason::TooShort },
        num_frames: number,
        source_file: "test.txt".into(),
        source_line: number,
    };
    samples.write_missing(&[0, 1, 2].map(missing)).expect("written");
}

fn train_params() -> TrainParams {
    TrainParams {
        model: ModelParams {
            backbone: ResNetTSM { depth: ResNetDepth::D18, base_channels: 8, ..ResNetTSM::default() }.into(),
            cls_head: ClsHead { dropout_ratio: 0.2, ..ClsHead::default() },
            ..ModelParams::default()
        },
        train_dataloader: DataloaderParams { batch_size: 4 },
        train_cfg: TrainCfg { max_epochs: Some(EPOCHS), val_interval: 1, ..TrainCfg::default() },
        // Otherwise the bits depend on the grant.
        threads: Some(2),
        ..TrainParams::default()
    }
}

fn top1(row: &TrainingLogRow) -> Option<f64> {
    row.validation.as_ref()?.get("top1")
}

fn json_of(params: &TrainParams) -> Value {
    serde_json::to_value(params).expect("JSON")
}

fn read_json(path: &Path) -> Value {
    serde_json::from_slice(&fs_err::read(path).expect("read")).expect("JSON")
}

#[test]
fn train_evaluate_export() {
    let space = Space::new();
    let summary = space.run("train", json_of(&train_params()), None, "one").expect("trained");
    assert!(summary[0].starts_with("2 epochs, loss "), "{summary:?}");
    let log = read_training_log(&space.path("one/training_log.parquet")).expect("a log");
    assert_eq!(log.iter().map(|row| row.epoch).collect::<Vec<_>>(), [0, 1]);
    assert!(log.iter().all(|row| row.loss.is_finite() && row.grad_norm > 0.0 && top1(row).is_some()));
    let tensors = read_json(&space.path("one/model/weights.json"))["initialised"].as_u64();
    assert!(tensors.is_some_and(|tensors| tensors > 100), "{tensors:?}");

    // Another number of threads gives the same bytes.
    space.run_with("train", json_of(&train_params()), None, "two", 3, None).expect("trained");
    for file in ["model/model.json", "model/checkpoint.safetensors", "model/weights.json", "training_log.parquet"] {
        let read = |run: &str| fs_err::read(space.path(run).join(file)).expect("read");
        assert_eq!(read("one"), read("two"), "{file}");
    }

    let summary = space.run("evaluate", json!({ "batch_size": 3 }), Some("one"), "eval").expect("evaluated");
    assert!(summary[0].ends_with("on 2 of 5 videos (3 missing: 1 absent, 2 too short for the sampler)"), "{summary:?}");
    let predictions: Vec<PredictionRow> = read_rows(&space.path("eval/predictions.parquet")).expect("predictions");
    assert_eq!(predictions.iter().map(|row| row.video_id.as_str()).collect::<Vec<_>>(), ["l/e", "r/e"]);
    assert!(predictions.iter().all(|row| (row.probabilities.iter().sum::<f32>() - 1.0).abs() < 1e-5));
    let named: Vec<_> = predictions.iter().map(|row| row.class_names.join(", ")).collect();
    assert_eq!(named, ["Left", "Right"]);
    assert!(predictions.iter().all(|row| row.predicted_name == ["Left", "Right"][row.predicted_index as usize]));
    let metrics = read_json(&space.path("eval/metrics.json"));
    let counts = ["num_views", "num_videos", "num_missing", "num_listed"].map(|name| metrics[name].as_u64());
    assert_eq!(counts, [4, 2, 3, 5].map(Some), "{metrics}");
    let reasons = &metrics["missing"];
    assert_eq!((&reasons["num_absent"], &reasons["num_too_short"]), (&json!(1), &json!(2)), "{metrics}");

    let exported = space.run("export", json!({ "parity_views": 3, "tolerance": 1e-3 }), Some("one"), "onnx");
    if exported.as_ref().is_err_and(|(error, _)| error.starts_with("ONNX Runtime not found at")) {
        return pipe_testkit::skip("no ONNX Runtime, which `cargo xtask setup` brings");
    }
    let summary = exported.expect("exported");
    assert!(summary[0].contains("on 3 of 4 test views"), "{summary:?}");
    let parity = read_json(&space.path("onnx/parity.json"));
    assert_eq!((&parity["num_views"], &parity["num_test_views"]), (&json!(3), &json!(4)), "{parity}");
    let error = space.run("export", json!({ "parity_views": 3, "tolerance": 0.0 }), Some("one"), "onnx");
    if let Err((error, _)) = error {
        assert!(error.starts_with("the exported network differs from libtorch: a logit by "), "{error}");
    }
}

/// Changes all rows of the test views.
fn change_test(samples: &SamplesFolder, change: impl Fn(&mut SampleRow)) {
    let mut rows = samples.test().expect("read");
    rows.iter_mut().for_each(change);
    samples.write_test(&rows).expect("written");
}

/// Changes all rows of all epochs.
fn change_train(samples: &SamplesFolder, change: impl Fn(&mut SampleRow)) {
    for epoch in 0..EPOCHS {
        let mut rows = samples.epoch(epoch).expect("read");
        rows.iter_mut().for_each(&change);
        samples.write_epoch(epoch, &rows).expect("written");
    }
}

fn change_preprocessing(samples: &SamplesFolder, change: impl FnOnce(&mut Preprocessing)) {
    let mut preprocessing = samples.preprocessing().expect("read");
    change(&mut preprocessing);
    samples.write_preprocessing(&preprocessing).expect("written");
}

#[test]
fn several_labels_are_trained_and_measured() {
    let space = Space::new();
    let samples = SamplesFolder::open(space.path("samples"));
    // Videos that move right have both classes.
    let both = |row: &mut SampleRow| {
        if row.class_index == 1 {
            (row.class_index, row.more_class_indices) = (0, vec![1]);
        }
    };
    change_train(&samples, both);
    change_test(&samples, both);
    let labels = |labelling| change_preprocessing(&samples, |preprocessing| preprocessing.labelling = labelling);
    labels(Labelling::MultiLabel);
    let summary = space.run("train", json_of(&train_params()), None, "one").expect("trained");
    assert!(summary[0].starts_with("2 epochs, loss "), "{summary:?}");
    let log = read_training_log(&space.path("one/training_log.parquet")).expect("a log");
    assert!(log.iter().all(|row| row.loss.is_finite() && row.validation.is_some()), "{log:?}");
    let summary = space.run("evaluate", json!({ "batch_size": 3 }), Some("one"), "eval").expect("evaluated");
    assert!(
        summary[0].starts_with("mean_average_precision ")
            && summary[0].ends_with(" on 2 of 5 videos (3 missing: 1 absent, 2 too short for the sampler)"),
        "{summary:?}"
    );
    let metrics = read_json(&space.path("eval/metrics.json"));
    assert!(metrics["mean_average_precision"].as_f64().is_some_and(|value| value >= 0.75), "{metrics}");
    assert_eq!((&metrics["top1"], &metrics["top5"]), (&Value::Null, &Value::Null));
    let predictions: Vec<PredictionRow> = read_rows(&space.path("eval/predictions.parquet")).expect("predictions");
    assert_eq!(predictions.iter().map(|row| row.class_indices().count()).collect::<Vec<_>>(), [1, 2]);

    // A network that was trained with one label does not predict several.
    labels(Labelling::SingleLabel);
    space.run("train", json_of(&train_params()), None, "two").expect("trained");
    labels(Labelling::MultiLabel);
    let (error, _) = space.run("evaluate", json!({}), Some("two"), "eval two").expect_err("one label");
    assert_eq!(error, "the samples have several labels per video, but the model was trained with one");
}

/// The two views of each test video become views of two segments.
#[test]
fn segments_are_evaluated_separately() {
    let space = Space::new();
    change_test(&SamplesFolder::open(space.path("samples")), |row| {
        (row.start_secs, row.end_secs) = (Some(f64::from(row.view)), Some(2.0));
    });
    space.run("train", json_of(&train_params()), None, "one").expect("trained");
    let summary = space.run("evaluate", json!({ "batch_size": 3 }), Some("one"), "eval").expect("evaluated");
    assert!(
        summary[0].ends_with("on 4 of 7 segments (3 missing: 1 absent, 2 too short for the sampler)"),
        "{summary:?}"
    );
    let predictions: Vec<PredictionRow> = read_rows(&space.path("eval/predictions.parquet")).expect("predictions");
    let found: Vec<_> = predictions.iter().map(|row| (row.video_id.as_str(), row.start_secs, row.num_views)).collect();
    let expect = [("l/e", Some(0.0), 1), ("l/e", Some(1.0), 1), ("r/e", Some(0.0), 1), ("r/e", Some(1.0), 1)];
    assert_eq!(found, expect);
}

#[test]
fn training_starts_from_weights_of_an_earlier_one() {
    let space = Space::new();
    space.run("train", json_of(&train_params()), None, "one").expect("trained");
    let checkpoint = ModelFolder::open(space.path("one/model")).checkpoint_path();
    let load_from = Some(LoadFrom::default());
    let params = TrainParams { load_from: load_from.clone(), ..train_params() };
    let summary = space.run_with("train", json_of(&params), None, "two", 1, Some(&checkpoint)).expect("trained");
    assert!(summary[1].ends_with(" tensors matched, 0 reinitialised, 0 unused"), "{summary:?}");
    assert_eq!(read_json(&space.path("two/model/weights.json"))["num_unused"], 0);

    let backbone = ResNetTSM { depth: ResNetDepth::D18, base_channels: 16, ..ResNetTSM::default() }.into();
    let model = ModelParams { backbone, ..train_params().model };
    let params = TrainParams { load_from, model, ..train_params() };
    let (error, help) =
        space.run_with("train", json_of(&params), None, "three", 1, Some(&checkpoint)).expect_err("another network");
    assert!(error.contains("conv1.weight is [8, 3, 7, 7] in the checkpoint, [16, 3, 7, 7] in the network"), "{error}");
    assert!(help.contains("model.backbone"), "{help}");
}

fn check_error(params: &TrainParams, change: impl FnOnce(&Path), error: &str, help: &str) {
    let space = Space::new();
    change(&space.path("samples"));
    let found = space.run("train", json_of(params), None, "out").expect_err("an error");
    assert!(found.0.contains(error), "{found:?}");
    assert!(found.1.contains(help), "{found:?}");
}

#[test]
fn parameters_that_do_not_fit_are_reported() {
    let params = train_params();
    let more = TrainParams { train_cfg: TrainCfg { max_epochs: Some(3), ..TrainCfg::default() }, ..params.clone() };
    check_error(&more, |_| (), "`train_cfg.max_epochs` is 3, but only 2 epochs of samples were drawn", "`epochs: 3`");
    let none = |samples: &Path| {
        let samples = SamplesFolder::open(samples);
        (0..EPOCHS).for_each(|epoch| samples.write_epoch(epoch, &[]).expect("written"));
    };
    check_error(&params, none, "there are no training samples", "ingest");
    let mut three_classes = params.clone();
    three_classes.model.cls_head.num_classes = Some(3);
    check_error(&three_classes, |_| (), "`cls_head.num_classes` is 3, but the labels have 2 classes", "");
    let longer = |samples: &Path| {
        change_preprocessing(&SamplesFolder::open(samples), |preprocessing| preprocessing.test_frames = 8);
    };
    check_error(&params, longer, "shifts between 4 frames in training, but test clips have 8", "same number of frames");
}

#[test]
fn info_names_kinds_and_libraries() {
    let info = pipe_testkit::check_kinds(pipe_schemas::Worker::Torch, WORKER);
    assert_eq!(
        info.tools.keys().collect::<Vec<_>>(),
        ["ffmpeg", "libjpeg-turbo", "libtorch", "onnxruntime", "openvino"]
    );
    assert!(info.tools["libtorch"].starts_with("2."), "{:?}", info.tools);
}
