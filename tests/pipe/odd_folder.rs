//! A project in a folder with an unusual name: not UTF-8, or with letters that have a meaning elsewhere.

use crate::space::{Space, tiny};
use pipe_testkit::repository;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Names of folders: Latin-1, bytes that begin nothing in UTF-8, and letters that shells, URLs, globs and YAML use.
const NAMES: [&[u8]; 4] = [b"caf\xe9", b"\xff\xfe \x80", b"a b: [c] {d} *?#%20$HOME", b"'\"\\n;&"];

/// Videos of a folder, from which clips are drawn and stored, and a program of the user.
const PIPELINE: &str = r#"pipeline: own
stages:
  videos: { uses: ingest, with: { root: data, include: ["**/*.avi"], verify: decode } }
  labels: { uses: annotations, inputs: { videos: videos }, with: { format: class_folder, test_share: 0.5 } }
  frames: { uses: frames, inputs: { videos: videos }, with: { sample: all, buckets: 2 } }
  samples:
    uses: augment
    inputs: { frames: frames, labels: labels }
    with:
      epochs: 1
      train: { sampler: { type: SampleFrames, clip_len: 4 }, transforms: [{ type: Resize, scale: { exact: [32, 32] } }] }
      test: { sampler: { type: SampleFrames, clip_len: 4, num_clips: 1 }, transforms: [{ type: Resize, scale: { exact: [32, 32] } }] }
      store_clips: {}
  copied:
    uses: command
    sources: ["data/**/*.avi"]
    inputs: { videos: videos, clips: samples.clips }
    with: { shell: 'cp -rL "${inputs.videos}" "${outputs.videos}"; ls "${inputs.clips}" > "${outputs.names}"', outputs: { videos: v, names: n } }
"#;

fn space(name: &[u8]) -> Space {
    Space::below(Path::new(OsStr::from_bytes(name)))
}

/// Runs a file of the space, and again: then everything is a hit.
fn run_twice(space: &Space, file: &str, settings: &[&str]) {
    let first = space.run(file, settings).ok();
    assert!(first.stages("hit").is_empty());
    let again = space.run(file, settings).ok();
    assert_eq!((again.stages("ran"), again.stages("hit")), (Vec::new(), first.stages("ran")));
    assert_eq!(again.digests(), first.digests());
}

/// Copies the videos of a run to `data`.
fn copy_videos(space: &Space) {
    for (index, class) in fs::read_dir(space.path(".pipe/out/smoke/clips/videos")).unwrap().enumerate() {
        let class = class.unwrap();
        for video in fs::read_dir(class.path()).unwrap().map(Result::unwrap) {
            let to = space.path("data").join(class.file_name());
            fs::create_dir_all(&to).unwrap();
            fs::copy(video.path(), to.join(video.file_name())).unwrap();
        }
        assert!(index < 2, "two classes");
    }
}

#[test]
fn a_project_runs_in_a_folder_of_any_name() {
    let smoke = fs::read_to_string(repository().join("pipelines/smoke.yaml")).unwrap();
    for name in NAMES {
        let space = space(name);
        space.write("smoke.yaml", &smoke);
        run_twice(&space, "smoke.yaml", &tiny(&["vars.epochs=1"]));
        copy_videos(&space);
        space.write("own.yaml", PIPELINE);
        run_twice(&space, "own.yaml", &[]);
        let videos =
            fs::read_dir(space.path("data")).unwrap().map(|class| fs::read_dir(class.unwrap().path()).unwrap().count());
        let summary = space.run("own.yaml", &[]).ok().stage("videos")["summary"].to_string();
        let count: usize = videos.sum();
        assert!(summary.contains(&format!("{count} videos")), "all of {count} are usable: {summary}");

        let ok = |args: &[&str]| {
            let output = space.output(args);
            let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(0), "{args:?}: {text}");
            text
        };
        for args in
            [&["check", "own.yaml"][..], &["plan", "own.yaml"], &["runs"], &["show"], &["metrics"], &["ls", "own"]]
        {
            ok(args);
        }
        ok(&["run", "own.yaml", "--locked"]);
        ok(&["run", "own.yaml", "--check", "frames", "copied"]);
        // The lock files keep their results, though no run or link does.
        fs::remove_dir_all(space.path(".pipe/runs")).unwrap();
        fs::remove_dir_all(space.path(".pipe/latest")).unwrap();
        ok(&["cache", "gc", "--max-age", "0s"]);
        assert_eq!(space.run("own.yaml", &[]).ok().stages("ran"), Vec::<String>::new());
        ok(&["cache", "verify"]);
    }
}

/// A name that is not UTF-8 inside the data is a video without a usable name, not an end of the run.
#[test]
fn a_stage_that_needs_utf8_names_says_which_one_is_not() {
    let space = space(b"caf\xe9");
    fs::create_dir(space.path("data")).unwrap();
    fs::write(space.path("data").join(OsStr::from_bytes(b"b\xe9.txt")), "x").unwrap();
    space.write(
        "p.yaml",
        "pipeline: p\nstages:\n  s: { uses: command, sources: [\"data/*\"], with: { shell: 'echo 1 > \"${outputs.r}\"', outputs: { r: r } } }\n",
    );
    let run = space.run("p.yaml", &[]);
    assert_eq!(run.code, Some(1));
    let error = run.stage("s")["failure"]["error"].to_string();
    assert!(error.contains("has a name that is not UTF-8; rename or exclude it"), "{error}");
}
