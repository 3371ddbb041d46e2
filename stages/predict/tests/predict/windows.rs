//! Windows of a video, each frame decoded once, against the same windows evaluated one by one; and predictions of the whole video.

use crate::network::{classifier, classifier_with, context, write_video};
use pipe_clips::ClipDecoder;
use pipe_predict::alerts::{AlertEvent, AlertRule, Alerts};
use pipe_predict::windows::Windows;
use pipe_predict::{Classifier, FrameSet, FramesTask, collect_frames};
use pipe_schemas::stages::augment::Sampler;
use pipe_schemas::stages::frames::FrameSampling;
use pipe_schemas::stages::ingest::DecodeLimits;
use pipe_schemas::tables::{SampleRow, Verdict, VideoPredictionRow};
use pipe_stage_predict::{
    PredictStageError, VideoFile, VideoReader, WindowItem, WindowPlan, predict_videos, predict_windows,
};
use std::cell::Cell;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Predicts all windows of a video.
pub(crate) fn all_windows(
    reader: &VideoReader<'_>,
    classifier: &mut Classifier,
    video: &VideoFile,
    plan: &WindowPlan,
) -> (Vec<VideoPredictionRow>, Vec<AlertEvent>) {
    let model = Arc::clone(classifier.model());
    let (mut rows, mut events) = (Vec::new(), Vec::new());
    let classify = |rows: &[SampleRow], clips: &[Vec<u8>]| Ok(classifier.predict(rows, clips, 4)?);
    let on_item = |item| {
        match item {
            WindowItem::Row(row) => rows.push(row),
            WindowItem::Event(event) => events.push(event),
        }
        Ok(())
    };
    predict_windows(reader, &model, video, plan, usize::MAX, classify, on_item).expect("predicted");
    (rows, events)
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
        let (rows, events) = all_windows(&reader, &mut classifier, &video, &plan);
        let found: Vec<_> = rows.iter().map(|row| row.probabilities.clone()).collect();
        assert_eq!(found, expect, "{sample:?}");
        assert_eq!(events, expect_events, "{sample:?}");
        assert!(events.len() == 1 && (1.0..2.5).contains(&events[0].start_secs), "{events:?}");
        assert!(rows.iter().all(|row| row.verdict == Verdict::Ok && row.start_secs.is_some()), "{rows:?}");
    }
}

/// An hour at ten frames per second, in windows of 2 s: 18,000 of them with a stride of 0.2 s.
#[test]
#[ignore = "takes a minute"]
fn the_windows_and_events_of_an_hour_equal_those_evaluated_one_by_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("video.avi");
    write_video(&path, 36_000);
    let rule = AlertRule::parse("bright>=0.9,release=0.6,min=1").expect("a rule");
    let Some(mut classifier) = classifier(Sampler::frames(3, 1, 2), FrameSampling::All) else { return };
    let windows = Windows { length_secs: 2.0, stride_secs: 0.2 };
    let (expect, expect_events) = one_by_one(&mut classifier, &path, windows, &rule);
    let context = context();
    let reader = VideoReader::new(&context, classifier.model().metadata.stored_frames, DecodeLimits::default());
    let plan = WindowPlan { windows, smoothing: 1, rules: vec![rule] };
    let video = VideoFile { id: "v".into(), path };
    let (rows, events) = all_windows(&reader, &mut classifier, &video, &plan);
    let found: Vec<_> = rows.iter().map(|row| row.probabilities.clone()).collect();
    assert!(found == expect && events == expect_events, "{} windows, {events:?}, {expect_events:?}", found.len());
    assert!(found.len() == 18_000 && events.len() > 100, "{} windows, {} events", found.len(), events.len());
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
    let (rows, _) = all_windows(&reader, &mut classifier, &video, &plan);
    let (last, before) = rows.split_last().expect("rows");
    assert_eq!((last.verdict, last.start_secs, last.predicted_index), (Verdict::Truncated, None, None));
    assert!(!before.is_empty() && before.iter().all(|row| row.start_secs.is_some()), "{rows:?}");
}

#[test]
fn each_window_is_passed_on_before_the_next_is_predicted_and_damage_is_a_row_at_the_end() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("video.avi");
    write_video(&path, 67);
    let mut bytes = std::fs::read(&path).expect("read");
    let chunks = bytes.windows(4).enumerate().filter(|(_, window)| *window == b"00dc");
    let frame = chunks.map(|(at, _)| at).nth(30).expect("a frame");
    // The start of the data of a frame, after the name and the size of its chunk.
    bytes[frame + 8..frame + 28].fill(0);
    std::fs::write(&path, &bytes).expect("written");
    let Some(mut classifier) = classifier(Sampler::frames(3, 1, 1), FrameSampling::All) else { return };
    let context = context();
    let model = Arc::clone(classifier.model());
    let reader = VideoReader::new(&context, model.metadata.stored_frames, DecodeLimits::default());
    let plan = WindowPlan { windows: Windows { length_secs: 1.0, stride_secs: 1.0 }, smoothing: 1, rules: Vec::new() };
    let video = VideoFile { id: "v".into(), path };
    let (num_calls, mut rows) = (Cell::new(0), Vec::new());
    let classify = |rows: &[SampleRow], clips: &[Vec<u8>]| {
        num_calls.set(num_calls.get() + 1);
        Ok(classifier.predict(rows, clips, 4)?)
    };
    predict_windows(&reader, &model, &video, &plan, usize::MAX, classify, |item| {
        if let WindowItem::Row(row) = item {
            rows.push((num_calls.get(), row));
        }
        Ok(())
    })
    .expect("predicted");
    let (last, before) = rows.split_last().expect("rows");
    assert_eq!((last.1.verdict, last.1.start_secs, last.1.predicted_index), (Verdict::Damaged, None, None), "{rows:?}");
    assert!(before.len() > 3, "{rows:?}");
    for (number, (num_calls, row)) in before.iter().enumerate() {
        assert_eq!((*num_calls, row.verdict), (number + 1, Verdict::Ok), "{row:?}");
    }
}

#[test]
fn windows_end_when_their_reader_is_given_up_or_there_are_too_many() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("video.avi");
    write_video(&path, 67);
    let Some(mut classifier) = classifier(Sampler::frames(3, 1, 1), FrameSampling::All) else { return };
    let context = context();
    let model = Arc::clone(classifier.model());
    let all = VideoReader::new(&context, model.metadata.stored_frames, DecodeLimits::default());
    let plan = WindowPlan { windows: Windows { length_secs: 0.5, stride_secs: 0.2 }, smoothing: 1, rules: Vec::new() };
    let video = VideoFile { id: "v".into(), path };
    let mut run = |stop_at: usize, max_windows: usize| {
        let (given_up, mut num_calls) = (Arc::new(AtomicBool::new(false)), 0);
        let reader = all.until(Arc::clone(&given_up));
        let classify = |rows: &[SampleRow], clips: &[Vec<u8>]| {
            num_calls += 1;
            given_up.store(num_calls == stop_at, Ordering::Relaxed);
            Ok(classifier.predict(rows, clips, 4)?)
        };
        let mut num_rows = 0;
        let result = predict_windows(&reader, &model, &video, &plan, max_windows, classify, |_| {
            num_rows += 1;
            Ok(())
        });
        (result.map(|()| num_rows), num_calls)
    };
    let (all, _) = run(usize::MAX, usize::MAX);
    let all = all.expect("predicted");
    assert_eq!(run(usize::MAX, all).0.expect("not more"), all);
    let (given_up, num_calls) = run(3, usize::MAX);
    assert!(given_up.is_err_and(|error| error.is_cancelled()) && num_calls == 3, "{num_calls} calls");
    let (too_many, num_calls) = run(usize::MAX, 4);
    let error = too_many.expect_err("too many");
    assert!(matches!(error.downcast_ref(), Some(PredictStageError::TooManyWindows { max_windows: 4 })), "{error:?}");
    assert_eq!(num_calls, 4);
}

#[test]
fn videos_keep_their_order_and_unsuitable_ones_have_a_verdict() {
    let folder = tempfile::tempdir().expect("a folder");
    let classifier = || classifier(Sampler::frames(3, 1, 2), FrameSampling::All);
    let (Some(first), Some(second)) = (classifier(), classifier()) else { return };
    let mut classifiers = [first, second];
    let names = ["a.avi", "missing.avi", "b.avi", "folder", "text.avi"];
    write_video(&folder.path().join("a.avi"), 30);
    write_video(&folder.path().join("b.avi"), 1);
    std::fs::create_dir(folder.path().join("folder")).expect("a folder");
    std::fs::write(folder.path().join("text.avi"), "text").expect("written");
    let videos = names.map(|name| VideoFile { id: name.into(), path: folder.path().join(name) });
    let context = context();
    let reader = VideoReader::new(&context, classifiers[0].model().metadata.stored_frames, DecodeLimits::default());
    let mut rows = Vec::new();
    predict_videos(&context, &reader, &mut classifiers, &videos, 4, |row| {
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

#[test]
fn logits_that_are_not_numbers_cost_their_own_rows() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("video.avi");
    write_video(&path, 30);
    let Some(mut classifier) = classifier_with(f32::MAX, Sampler::frames(3, 1, 1), FrameSampling::All) else { return };
    let context = context();
    let reader = VideoReader::new(&context, classifier.model().metadata.stored_frames, DecodeLimits::default());
    let windows = Windows { length_secs: 1.0, stride_secs: 1.0 };
    let plan = WindowPlan { windows, smoothing: 1, rules: Vec::new() };
    let video = |id: &str| VideoFile { id: id.into(), path: path.clone() };
    let (mut rows, _) = all_windows(&reader, &mut classifier, &video("w"), &plan);
    assert!(rows.iter().all(|row| row.start_secs.is_some()), "{rows:?}");
    let mut classifiers = [classifier];
    predict_videos(&context, &reader, &mut classifiers, &[video("a"), video("b")], 4, |row| {
        rows.push(row);
        Ok(())
    })
    .expect("predicted");
    let found: Vec<_> = rows.iter().map(|row| (row.verdict, row.reason.as_str())).collect();
    let expect = ["w", "w", "w", "a", "b"].map(|id| format!("the logits of `{id}` are not finite"));
    let expect: Vec<_> = expect.iter().map(|reason| (Verdict::Unsuitable, reason.as_str())).collect();
    assert_eq!(found, expect);
}
