//! Windows of a video, each frame decoded once, against the same windows evaluated one by one; and predictions of the whole video.

#![expect(clippy::disallowed_methods, reason = "tests may panic; their files, threads and times are their own")]

use pipe_clips::ClipDecoder;
use pipe_graph::ops::{global_avg_pool::GlobalAvgPool, linear::LinearParams, segment_mean::SegmentMean};
use pipe_graph::{Builder, ClipShape, Init, onnx};
use pipe_infer::{InferenceEngine, Libraries, ModelFile, SessionOptions, load};
use pipe_predict::alerts::{AlertEvent, AlertRule, Alerts};
use pipe_predict::windows::Windows;
use pipe_predict::{Classifier, ExportedModel, FrameSet, FramesTask, collect_frames};
use pipe_schemas::ExportMetadata;
use pipe_schemas::networks::AverageClips;
use pipe_schemas::stages::augment::{ClipPipeline, Resize, Sampler, Scale};
use pipe_schemas::stages::frames::{FrameCoding, FrameResize, FrameSampling, FramesParams};
use pipe_schemas::stages::ingest::DecodeLimits;
use pipe_schemas::tables::{Labelling, Verdict};
use pipe_schemas::{ClipFormat, Colours, Layout};
use pipe_stage::Context;
use pipe_stage_predict::{VideoFile, VideoReader, WindowPlan, predict_videos, predict_windows};
use pipe_video::{Encoder, EncoderParams};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

const FPS: u32 = 10;

/// Returns a network whose logits are means of the colours of a clip of 3 frames of 16x12 px.
fn classifier(sampler: Sampler, sample: FrameSampling) -> Option<Classifier> {
    let library = pipe_testkit::onnx_runtime()?;
    let shape = ClipShape { channels: 3, frames: 3, height: 12, width: 16 };
    let mut g = Builder::new("means", shape).expect("a clip");
    let x = g.node("pool", g.input(), GlobalAvgPool).expect("pixels");
    let x =
        if g.shape(x).expect("a node").per_sample == 1 { x } else { g.node("mean", x, SegmentMean).expect("frames") };
    let fc = LinearParams { out_features: 2, init: Init::Constant(0.0), bias: true };
    let fc = g.node("fc", x, fc).expect("features");
    let graph = g.finish(fc, fc).expect("logits");
    // Dark clips are of the first class, bright ones of the second.
    let values =
        |name: &str| if name.ends_with("weight") { vec![-1.0, -1.0, -1.0, 1.0, 1.0, 1.0] } else { vec![0.0; 2] };
    let metadata = ExportMetadata {
        network: "means".into(),
        labels: vec!["dark".into(), "bright".into()],
        preprocessing: ClipFormat {
            layout: Layout::Ncthw,
            colours: Colours::Rgb,
            mean: [128.0; 3],
            std: [40.0; 3],
            frames: 3,
            height_px: 12,
            width_px: 16,
            test: ClipPipeline { sampler, transforms: vec![Resize { scale: Scale::Exact([16, 12]) }.into()] },
        },
        labelling: Labelling::SingleLabel,
        average_clips: AverageClips::Prob,
        stored_frames: FramesParams {
            sample,
            resize: FrameResize::None,
            encode: FrameCoding::Jpeg { quality: 80 },
            ..FramesParams::default()
        }
        .recipe(),
        made_from: BTreeMap::new(),
    };
    let bytes = onnx::write(&graph, |param| Some(values(&param.name)), &metadata.entries().expect("entries"));
    let file = ModelFile::from_bytes(bytes.expect("written")).expect("a model");
    let model = ExportedModel::of(file, "the model").expect("an exported model");
    let libraries = Libraries { onnx_runtime: library.clone(), openvino: library };
    let engine = load(InferenceEngine::OnnxRuntime, &libraries).expect("ONNX Runtime");
    Some(Classifier::new(Arc::new(model), engine.as_ref(), SessionOptions::threads(1)).expect("it opens"))
}

/// Writes a video that is dark, bright from 2 s to 4.5 s, then dark again, with a gradient so that crops and times matter.
fn write_video(path: &Path, num_frames: u32) {
    let params = EncoderParams { width_px: 32, height_px: 24, fps: FPS, quantizer: 2 };
    let mut encoder = Encoder::create(path, params).expect("created");
    for frame in 0..num_frames {
        let level: u32 = if (20..45).contains(&frame) { 200 } else { 40 };
        let pixel = |at: u32| (level + at % 32 + frame % 10) as u8;
        let pixels: Vec<u8> = (0..32 * 24).flat_map(|at| [pixel(at), pixel(at) / 2, pixel(at)]).collect();
        encoder.write_rgb(&pixels).expect("written");
    }
    encoder.finish().expect("finished");
}

fn context() -> Context {
    Context::detached(2, Arc::new(AtomicBool::new(false)))
}

/// Evaluates windows one by one from all frames of the video.
fn one_by_one(
    classifier: &mut Classifier,
    path: &Path,
    windows: Windows,
    rule: &AlertRule,
) -> (Vec<Vec<f32>>, Vec<AlertEvent>) {
    let model = Arc::clone(classifier.model());
    let (mut times, mut images) = (Vec::new(), Vec::new());
    let task = FramesTask { path: path.into(), recipe: model.metadata.stored_frames, sampler: None };
    let set = collect_frames(&task, &mut |frame| {
        if let Some(frame) = frame {
            times.push(frame.pts_nanos as f64 / 1e9);
            images.push(frame.image.to_vec());
        }
        true
    });
    let set = set.expect("decoded");
    let mut decoder = ClipDecoder::new().expect("a decoder");
    let mut alerts = Alerts::new(std::slice::from_ref(rule), &model.metadata.labels).expect("a class");
    let (mut found, mut events, mut number) = (Vec::new(), Vec::new(), 0);
    loop {
        let (start, end) = windows.times(number);
        if start > times[times.len() - 1] - times[0] + 1e-9 {
            break;
        }
        let inside = |time: &f64| time - times[0] >= start - 1e-9 && time - times[0] < end - 1e-9;
        let first = times.iter().position(inside).expect("a frame");
        let count = times.iter().filter(|time| inside(time)).count();
        let part = FrameSet { num_frames: count as u32, ..set.clone() };
        let rows = model.views("v", &part, 0..count as u32, Some((start, end))).expect("views");
        let image = |index: u32| images.get(first + index as usize).map(Vec::as_slice);
        let clips = model.clips(&mut decoder, &rows, &part, image).expect("clips");
        let probabilities = classifier.predict(&rows, &clips, 4).expect("predicted").probabilities;
        events.extend(alerts.add((start, end), Some(&probabilities)));
        found.push(probabilities);
        number += 1;
    }
    events.extend(alerts.finish());
    (found, events)
}

#[test]
fn windows_and_events_equal_those_evaluated_one_by_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("video.avi");
    write_video(&path, 67);
    let rule = AlertRule::parse("bright>=0.9,release=0.6,min=1").expect("a rule");
    for (sample, length_secs, stride_secs) in
        [(FrameSampling::All, 1.0, 0.5), (FrameSampling::Stride(2), 1.5, 0.7), (FrameSampling::Fps(5.0), 0.8, 0.8)]
    {
        let Some(mut classifier) = classifier(Sampler::frames(3, 1, 2), sample) else { return };
        let windows = Windows { length_secs, stride_secs };
        let (expect, expect_events) = one_by_one(&mut classifier, &path, windows, &rule);
        let context = context();
        let reader = VideoReader::new(&context, classifier.model().metadata.stored_frames, DecodeLimits::default());
        let plan = WindowPlan { windows, smoothing: 1, rules: vec![rule.clone()] };
        let video = VideoFile { id: "v".into(), path: path.clone() };
        let (rows, events) = predict_windows(&reader, &mut classifier, &video, &plan, 4).expect("predicted");
        let found: Vec<_> = rows.iter().map(|row| row.probabilities.clone()).collect();
        assert_eq!(found, expect, "{sample:?}");
        assert_eq!(events, expect_events, "{sample:?}");
        assert!(events.len() == 1 && (1.0..2.5).contains(&events[0].start_secs), "{events:?}");
        assert!(rows.iter().all(|row| row.verdict == Verdict::Ok && row.start_secs.is_some()), "{rows:?}");
    }
}

#[test]
fn a_cut_video_keeps_the_windows_before_the_cut_and_has_the_reason() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("video.avi");
    write_video(&path, 67);
    let bytes = std::fs::read(&path).expect("read");
    std::fs::write(&path, &bytes[..bytes.len() * 2 / 3]).expect("written");
    let Some(mut classifier) = classifier(Sampler::frames(3, 1, 1), FrameSampling::All) else { return };
    let context = context();
    let reader = VideoReader::new(&context, classifier.model().metadata.stored_frames, DecodeLimits::default());
    let windows = Windows { length_secs: 1.0, stride_secs: 1.0 };
    let plan = WindowPlan { windows, smoothing: 1, rules: Vec::new() };
    let video = VideoFile { id: "v".into(), path };
    let (rows, _) = predict_windows(&reader, &mut classifier, &video, &plan, 4).expect("predicted");
    let (last, before) = rows.split_last().expect("rows");
    assert_eq!((last.verdict, last.start_secs, last.predicted_index), (Verdict::Truncated, None, None));
    assert!(!before.is_empty() && before.iter().all(|row| row.start_secs.is_some()), "{rows:?}");
}

#[test]
fn videos_keep_their_order_and_unsuitable_ones_have_a_verdict() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some(mut classifier) = classifier(Sampler::frames(3, 1, 2), FrameSampling::All) else { return };
    let names = ["a.avi", "missing.avi", "b.avi", "folder", "text.avi"];
    write_video(&folder.path().join("a.avi"), 30);
    write_video(&folder.path().join("b.avi"), 1);
    std::fs::create_dir(folder.path().join("folder")).expect("a folder");
    std::fs::write(folder.path().join("text.avi"), "text").expect("written");
    let videos = names.map(|name| VideoFile { id: name.into(), path: folder.path().join(name) });
    let context = context();
    let reader = VideoReader::new(&context, classifier.model().metadata.stored_frames, DecodeLimits::default());
    let mut rows = Vec::new();
    predict_videos(&context, &reader, &mut classifier, &videos, 4, |row| {
        rows.push(row);
        Ok(())
    })
    .expect("predicted");
    let found: Vec<_> = rows.iter().map(|row| (row.video_id.as_str(), row.verdict, row.num_views)).collect();
    let unreadable = Verdict::Unreadable;
    let expect = [
        ("a.avi", Verdict::Ok, 2),
        ("missing.avi", unreadable, 0),
        ("b.avi", Verdict::Ok, 2),
        ("folder", unreadable, 0),
        ("text.avi", unreadable, 0),
    ];
    assert_eq!(found, expect, "{rows:?}");
}
