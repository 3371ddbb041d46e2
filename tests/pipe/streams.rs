//! `pipe predict` of streams and with annotated copies, as a user runs it.

use crate::predict::{PIPELINE, files, has_engines};
use crate::space::Space;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, Output, Stdio};
use std::time::{Duration, Instant};

const MODEL: &str = ".pipe/out/p/onnx/model.onnx";

/// Returns a space with an exported network, and one of its videos; `None` without engines.
fn exported() -> Option<(Space, PathBuf)> {
    if !has_engines() {
        return None;
    }
    let space = Space::new();
    let pipeline = PIPELINE.replace("FRAMES", "sample: all, resize: none, buckets: 2").replace("AVERAGE", "prob");
    let end = pipeline.find("  libtorch:").unwrap();
    space.write("p.yaml", &pipeline[..end].replace("frames_per_clip: 13", "frames_per_clip: 60"));
    space.run("p.yaml", &[]).ok();
    let video = files(&space.path(".pipe/out/p/clips/videos")).remove(0);
    Some((space, video))
}

fn start(space: &Space, args: &[&str]) -> Child {
    let mut command = space.command(args);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn texts(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

#[test]
fn stdin_gives_the_windows_of_the_file_and_ctrl_c_ends_it() {
    let Some((space, video)) = exported() else { return };
    let options = ["--window", "0.5", "--alert", "MoveLeft>=0", "--top-k", "3"];
    let of_file = space.output(&[&["predict", MODEL, video.to_str().unwrap()][..], &options].concat());
    let (file_lines, stderr) = texts(&of_file);
    assert!(of_file.status.success(), "{stderr}");

    let bytes = std::fs::read(&video).unwrap();
    let mut child = start(&space, &[&["predict", MODEL, "-"][..], &options].concat());
    child.stdin.take().unwrap().write_all(&bytes).unwrap();
    let output = child.wait_with_output().unwrap();
    let (lines, stderr) = texts(&output);
    assert!(output.status.success(), "{stderr}");
    assert_eq!(lines, file_lines.replace(video.to_str().unwrap(), "-"));
    assert!(stderr.contains("5 windows of 60 frames") && stderr.contains("0 windows and 0 frames dropped"), "{stderr}");

    // The rows of complete windows are written at once, and the summary after Ctrl-C.
    let mut child = start(&space, &[&["predict", MODEL, "-", "--to", "rows.jsonl"][..], &options].concat());
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(&bytes[..bytes.len() * 3 / 4]).unwrap();
    let deadline = Instant::now() + Duration::from_mins(1);
    let num_rows = || std::fs::read_to_string(space.path("rows.jsonl")).map_or(0, |text| text.lines().count());
    while num_rows() < 2 {
        assert!(Instant::now() < deadline, "no rows");
        std::thread::sleep(Duration::from_millis(50));
    }
    kill(Pid::from_raw(child.id() as i32), Signal::SIGINT).unwrap();
    let output = child.wait_with_output().unwrap();
    drop(stdin);
    let (_, stderr) = texts(&output);
    assert!(output.status.success() && stderr.contains("windows of"), "{stderr}");
    let rows = std::fs::read_to_string(space.path("rows.jsonl")).unwrap();
    assert!(rows.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()), "{rows}");
    assert!(rows.lines().next().unwrap().contains("\"latency_secs\""), "{rows}");
    assert!(rows.lines().last().unwrap().contains("\"event\""), "the event that lasts to the end: {rows}");

    // A named pipe that no one writes to is not opened before the options are checked.
    assert!(std::process::Command::new("mkfifo").arg(space.path("fifo")).status().unwrap().success());
    let wrong: &[(&[&str], &str)] = &[
        (&["-"], "add `--window SECONDS`"),
        (&["fifo"], "add `--window SECONDS`"),
        (&["-", "--window", "1", "--to", "x.parquet"], "write a stream to a .jsonl or .csv file"),
        (&["-", "--window", "1", "--annotate", "x"], "which a stream does not allow"),
        (&["rtsp://u:secret@127.0.0.1/x", "a.avi", "--window", "1"], "one stream at a time"),
    ];
    for (args, expect) in wrong {
        let output = space.output(&[&["predict", MODEL], *args].concat());
        let (_, stderr) = texts(&output);
        assert!(output.status.code() == Some(2) && stderr.contains(expect), "{args:?}: {stderr}");
        assert!(!stderr.contains("secret"), "{stderr}");
    }
    let output = space.output(&["predict", MODEL, "rtsp://u:secret@127.0.0.1:9/x", "--window", "1"]);
    let (lines, stderr) = texts(&output);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(
        lines.starts_with("rtsp://u:***@127.0.0.1:9/x: unreadable (") && !stderr.contains("secret"),
        "{lines} {stderr}"
    );
}

#[test]
fn annotated_copies_are_videos_with_the_predictions_on_them() {
    let Some((space, video)) = exported() else { return };
    std::fs::create_dir_all(space.path("in/more")).unwrap();
    let bytes = std::fs::read(&video).unwrap();
    std::fs::write(space.path("in/a.avi"), &bytes).unwrap();
    std::fs::write(space.path("in/more/a.avi"), &bytes).unwrap();
    std::fs::write(space.path("in/cut.avi"), &bytes[..bytes.len() / 2]).unwrap();
    std::fs::write(space.path("in/text.avi"), "no video").unwrap();
    let options = ["--window", "0.5", "--alert", "MoveLeft>=0", "--annotate", "out"];
    let output = space.output(&[&["predict", MODEL, "in"][..], &options].concat());
    let (_, stderr) = texts(&output);
    assert!(output.status.success(), "{stderr}");
    for expect in
        ["in/a.avi: annotated in ", "cut.mp4; it ends early: ", "in/text.avi: not annotated: it has no predictions"]
    {
        assert!(stderr.contains(expect), "{expect}: {stderr}");
    }
    let names: Vec<_> =
        files(&space.path("out")).iter().map(|path| path.strip_prefix(space.path("out")).unwrap().to_owned()).collect();
    assert_eq!(names, ["a-2.mp4", "a.mp4", "cut.mp4"].map(PathBuf::from));
    // The copy is as long as the video, and has other pixels at its edges.
    let rows = space.output(&["predict", MODEL, "out/a.mp4", "--window", "0.5", "--output", "json"]);
    let (lines, stderr) = texts(&rows);
    assert!(rows.status.success() && lines.lines().count() == 5, "{lines} {stderr}");
    // A copy never replaces a file, least of all the video itself.
    let before = std::fs::read(space.path("out/a.mp4")).unwrap();
    let again = space.output(&["predict", MODEL, "out/a.mp4", "--annotate", "out"]);
    assert!(again.status.success() && space.path("out/a-3.mp4").exists(), "{}", texts(&again).1);
    assert!(std::fs::read(space.path("out/a.mp4")).unwrap() == before, "the video is as before");
    let whole = space.output(&["predict", MODEL, "in/a.avi", "--annotate", "whole"]);
    assert!(whole.status.success() && space.path("whole/a.mp4").exists(), "{}", texts(&whole).1);
}
