//! Streams: pipes, HTTP and RTSP, on loopback.

use crate::network::{FPS, classifier, context, write_video};
use crate::rtsp;
use crate::windows::all_windows;
use pipe_predict::Classifier;
use pipe_predict::alerts::AlertRule;
use pipe_predict::windows::Windows;
use pipe_schemas::stages::augment::Sampler;
use pipe_schemas::stages::frames::FrameSampling;
use pipe_schemas::stages::ingest::DecodeLimits;
use pipe_schemas::tables::{Verdict, VideoPredictionRow};
use pipe_stage::Context;
use pipe_stage::protocol::predict::StreamReport;
use pipe_stage_predict::{StreamItem, StreamPlan, VideoFile, VideoReader, WindowPlan, predict_stream};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::time::Duration;

const WINDOWS: Windows = Windows { length_secs: 1.0, stride_secs: 0.5 };

fn windows() -> WindowPlan {
    let rule = AlertRule::parse("bright>=0.9,release=0.6,min=1").expect("a rule");
    WindowPlan { windows: WINDOWS, smoothing: 2, rules: vec![rule] }
}

fn network() -> Option<Classifier> {
    classifier(Sampler::frames(3, 1, 2), FrameSampling::All)
}

/// Predicts a stream, and returns its rows, all other items as text, and the report.
fn stream(
    context: &Context,
    classifier: &mut Classifier,
    url: &str,
    pause: Duration,
) -> (Vec<VideoPredictionRow>, Vec<String>, StreamReport) {
    let plan = StreamPlan { name: "v".into(), url: url.into(), windows: windows(), max_attempts: 2 };
    let (mut rows, mut others) = (Vec::new(), Vec::new());
    let report = predict_stream(context, classifier, &plan, 4, |item| {
        std::thread::sleep(pause);
        match item {
            StreamItem::Row { row, latency_secs } => {
                assert_eq!(row.predicted_index.is_some(), latency_secs.is_some(), "{row:?}");
                rows.push(row);
            }
            StreamItem::Event(event) => {
                others.push(format!("{} {:.1} {:.1}", event.class, event.start_secs, event.end_secs));
            }
            StreamItem::Reconnecting { attempt, .. } => others.push(format!("attempt {attempt}")),
        }
        Ok(())
    });
    (rows, others, report.expect("a stream"))
}

/// What `predict_windows` makes of the file.
fn of_file(classifier: &mut Classifier, path: &Path) -> (Vec<VideoPredictionRow>, Vec<String>) {
    let context = context();
    let reader = VideoReader::new(&context, classifier.model().metadata.stored_frames, DecodeLimits::default());
    let video = VideoFile { id: "v".into(), path: path.into() };
    let (rows, events) = all_windows(&reader, classifier, &video, &windows());
    let text = |event: &pipe_predict::alerts::AlertEvent| {
        format!("{} {:.1} {:.1}", event.class, event.start_secs, event.end_secs)
    };
    (rows, events.iter().map(text).collect())
}

/// Answers one request after the other with HTTP, each with the bytes; after them the connection ends.
fn http(answers: Vec<Vec<u8>>, with_length: bool) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/live", listener.local_addr().expect("an address"));
    std::thread::spawn(move || {
        for bytes in answers {
            let (mut client, _) = listener.accept().expect("a client");
            let mut request = BufReader::new(client.try_clone().expect("a connection")).lines();
            while request.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
            let length = if with_length { format!("Content-Length: {}\r\n", bytes.len()) } else { String::new() };
            let head = format!("HTTP/1.1 200 OK\r\nContent-Type: video/avi\r\n{length}Connection: close\r\n\r\n");
            // The client may leave before the end.
            let _ = client.write_all(head.as_bytes()).and_then(|()| client.write_all(&bytes));
        }
    });
    url
}

#[test]
fn a_pipe_gives_the_windows_and_events_of_the_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("video.avi");
    write_video(&path, 67);
    let Some(mut classifier) = network() else { return };
    let expect = of_file(&mut classifier, &path);
    assert_eq!(expect.1.len(), 1, "{:?}", expect.1);
    let bytes = std::fs::read(&path).expect("read");
    let (reader, mut writer) = std::io::pipe().expect("a pipe");
    let feed = std::thread::spawn(move || writer.write_all(&bytes));
    let context = context();
    let url = format!("pipe:{}", reader.as_raw_fd());
    let (rows, others, report) = stream(&context, &mut classifier, &url, Duration::from_millis(5));
    drop(reader);
    feed.join().expect("a thread").expect("written");
    assert_eq!((rows, others), expect);
    assert_eq!((report.num_frames, report.num_connections, report.num_windows), (67, 1, expect.0.len() as u64));
    assert_eq!((report.num_dropped_frames, report.num_dropped_windows), (0, 0), "a pipe waits");
    assert!(report.max_latency_secs >= report.mean_latency_secs && report.mean_latency_secs > 0.0);
}

#[test]
fn a_file_over_http_is_read_once_and_its_end_is_the_end() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("video.avi");
    write_video(&path, 67);
    let Some(mut classifier) = network() else { return };
    let expect = of_file(&mut classifier, &path);
    let url = http(vec![std::fs::read(&path).expect("read")], true);
    // So slow that a live stream would lose windows.
    let (rows, others, report) = stream(&context(), &mut classifier, &url, Duration::from_millis(30));
    assert_eq!((rows, others), expect);
    assert_eq!((report.num_connections, report.num_dropped_windows), (1, 0));
}

#[test]
fn a_live_stream_loses_windows_rather_than_time_and_connects_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("video.avi");
    write_video(&path, 400);
    let Some(mut classifier) = network() else { return };
    let bytes = std::fs::read(&path).expect("read");
    // The second connection ends in the middle of a frame. All later connections are refused.
    let url = http(vec![bytes.clone(), bytes[..bytes.len() / 2].to_vec()], false);
    let (rows, others, report) = stream(&context(), &mut classifier, &url, Duration::from_millis(20));
    let num_predicted = rows.iter().filter(|row| row.predicted_index.is_some()).count() as u64;
    let dropped = rows.iter().filter(|row| row.reason.starts_with("dropped")).count() as u64;
    assert!(dropped > 0 && num_predicted > 0, "{report:?}");
    assert_eq!((report.num_windows, report.num_dropped_windows), (num_predicted + dropped, dropped));
    assert!(report.num_dropped_frames > 0 && report.num_dropped_frames < report.num_frames, "{report:?}");
    // Two connections with frames, and two attempts that fail.
    assert_eq!(report.num_connections, 4);
    let attempts: Vec<&String> = others.iter().filter(|text| text.starts_with("attempt")).collect();
    assert_eq!(attempts, ["attempt 1", "attempt 1", "attempt 2"]);
    let last = rows.last().expect("rows");
    assert_eq!((last.verdict, last.start_secs), (Verdict::Unreadable, None), "{last:?}");
    let starts: Vec<f64> = rows.iter().filter_map(|row| row.start_secs).collect();
    assert!(starts.is_sorted(), "windows of the second connection are later: {starts:?}");
}

#[test]
fn a_camera_with_rtsp_is_predicted() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("video.avi");
    write_video(&path, 67);
    let Some(mut classifier) = network() else { return };
    let expect = of_file(&mut classifier, &path);
    let (url, server) = rtsp::serve(&std::fs::read(&path).expect("read"), FPS, vec![0..67, 0..30]);
    let (rows, others, report) = stream(&context(), &mut classifier, &url, Duration::ZERO);
    server.join().expect("a server");
    assert_eq!(report.num_frames, 97, "{report:?} {rows:?}");
    assert!(others.contains(&"attempt 1".to_owned()), "{others:?}");
    // The times of RTP are exact here: windows of the first connection that were not dropped equal those of the file.
    let mut num_predicted = 0;
    for row in rows.iter().take(expect.0.len()).filter(|row| row.predicted_index.is_some()) {
        let same = expect.0.iter().find(|one| one.start_secs == row.start_secs).expect("the window of the file");
        assert_eq!(same.logits, row.logits, "{row:?}");
        num_predicted += 1;
    }
    assert!(num_predicted > 0, "{rows:?}");
}

#[test]
fn a_stream_that_is_none_has_a_row_with_the_reason() {
    let Some(mut classifier) = network() else { return };
    let context = context();
    let mut check = |url: &str, expect: &str| {
        let (rows, _, report) = stream(&context, &mut classifier, url, Duration::ZERO);
        let reasons: Vec<&str> = rows.iter().map(|row| row.reason.as_str()).collect();
        assert!(reasons.len() == 1 && reasons[0].contains(expect), "{url}: {reasons:?}");
        assert_eq!((report.num_connections, report.num_windows), (1, 0));
    };
    check("ftp://127.0.0.1/x", "the protocol `ftp` is not supported");
    check("rtsp://127.0.0.1:9/live", "the stream can't be opened: Connection refused");
    let text = http(vec![b"<html>no video</html>".to_vec()], true);
    check(&text, "the stream can't be opened: Invalid data");
    // The encoder writes the index of an MP4 file after its frames. A file that fits into FFmpeg's buffer can be read anyway.
    let folder = tempfile::tempdir().expect("a folder");
    write_video(&folder.path().join("video.mp4"), 4_000);
    let mp4 = http(vec![std::fs::read(folder.path().join("video.mp4")).expect("read")], true);
    check(&mp4, "the index of this MP4 file is at its end");
    let counted = classifier_of_counted_frames();
    if let Some(mut counted) = counted {
        let folder = tempfile::tempdir().expect("a folder");
        write_video(&folder.path().join("video.avi"), 20);
        let url = http(vec![std::fs::read(folder.path().join("video.avi")).expect("read")], true);
        let (rows, ..) = stream(&context, &mut counted, &url, Duration::ZERO);
        assert!(rows[0].reason.contains("number of frames of a video, which a stream does not have"), "{rows:?}");
    }
}

/// A network whose frames are chosen by their number in the video.
fn classifier_of_counted_frames() -> Option<Classifier> {
    classifier(Sampler::frames(3, 1, 1), FrameSampling::Count(8))
}
