//! Commands that only read leave everything as it is, and need no permission to write.

use crate::space::Space;
use pipe_testkit::skip;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Output;

/// A stage with sources and one that reads it, and the start of a pipeline with a worker, whose versions `plan` has to know.
const PIPELINE: &str = r#"pipeline: p
stages:
  a: { uses: command, sources: [in.txt], with: { shell: 'cat in.txt > "${outputs.r}"', outputs: { r: r.txt } } }
  b: { uses: command, inputs: { a: a }, with: { shell: 'cat "${inputs.a}" > "${outputs.r}"', outputs: { r: r.txt } } }
"#;
const VIDEOS: &str = "pipeline: v\nstages:\n  videos: { uses: ingest, with: { root: videos } }\n";

/// Every command that only reads.
const READING: &[&[&str]] = &[
    &["plan", "p.yaml"],
    &["plan", "v.yaml"],
    &["plan", "p.yaml", "--set", "stages.a.with.outputs.r=s.txt"],
    &["plan", "p.yaml", "--graph"],
    &["why", "p.yaml"],
    &["status"],
    &["runs"],
    &["show"],
    &["metrics"],
    &["ls"],
    &["logs", "a"],
    &["cache", "stats"],
    &["cache", "gc", "--dry-run", "--max-size", "0B"],
    &["stages"],
];

fn space() -> Space {
    let space = Space::new();
    space.write("p.yaml", PIPELINE);
    space.write("v.yaml", VIDEOS);
    space.write("in.txt", "1\n");
    space.write("videos/a.avi", "not a video");
    // Files are indexed once they are old enough.
    std::thread::sleep(std::time::Duration::from_millis(120));
    space
}

/// Returns what can be seen of each file: content or target, permissions, time of the last change.
fn state(folder: &Path) -> BTreeMap<PathBuf, String> {
    let mut all = BTreeMap::new();
    let mut open = vec![folder.to_owned()];
    while let Some(path) = open.pop() {
        let metadata = fs::symlink_metadata(&path).unwrap();
        let content = if metadata.is_file() { fs::read(&path).unwrap() } else { Vec::new() };
        let times = (metadata.mtime(), metadata.mtime_nsec(), metadata.mode(), metadata.ino());
        all.insert(path.clone(), format!("{times:?} {}", String::from_utf8_lossy(&content)));
        if metadata.is_dir() {
            open.extend(fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
    all
}

#[test]
fn reading_commands_change_nothing() {
    let space = space();
    assert_eq!(space.output(&["run", "p.yaml"]).status.code(), Some(0));
    // As if by a version that knew no index and no tools.
    fs::remove_dir_all(space.path(".pipe/index")).unwrap();
    fs::create_dir_all(space.path(".pipe/tools")).unwrap();
    let before = state(&space.path(""));
    for args in READING {
        let output = space.output(args);
        let failed = format!("{args:?}: {output:?}");
        // The stages of `logs` and `metrics` wrote none, which is an error of their own.
        assert!(output.status.code().is_some_and(|code| code < 2), "{failed}");
        let after = state(&space.path(""));
        let changed: Vec<_> = after.iter().filter(|(path, state)| before.get(*path) != Some(state)).collect();
        assert!(changed.is_empty() && before.len() == after.len(), "{args:?} changed {changed:#?}");
    }
}

#[test]
fn reading_commands_create_no_store() {
    let space = space();
    fs::remove_dir(space.path(".pipe")).unwrap();
    for args in READING {
        space.output(args);
        assert!(!space.path(".pipe").exists(), "{args:?}");
    }
}

/// Runs a command as a user who may only read; `None` if this test may not become another user.
fn as_reader(space: &Space, args: &[&str]) -> Option<Output> {
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        return None;
    }
    let mut command = space.command(args);
    match command.uid(65_534).gid(65_534).output() {
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            skip("another user may not start `pipe`: it is in a folder that only root may read");
            None
        }
        output => Some(output.unwrap()),
    }
}

fn open_to_readers(space: &Space) {
    for path in state(&space.path("")).into_keys().filter(|path| !path.is_symlink()) {
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        let execute = if path.is_dir() { 0o111 } else { 0 };
        fs::set_permissions(&path, fs::Permissions::from_mode(mode | 0o444 | execute)).unwrap();
    }
}

#[test]
fn a_user_who_may_only_read_can_look_and_use_results() {
    let space = space();
    assert_eq!(space.output(&["run", "p.yaml"]).status.code(), Some(0));
    fs::remove_dir_all(space.path(".pipe/index")).unwrap();
    open_to_readers(&space);
    let Some(planned) = as_reader(&space, &["plan", "p.yaml"]) else { return };
    let text = String::from_utf8(planned.stdout).unwrap();
    assert_eq!(text.matches("hit ").count(), 2, "{text} {:?}", planned.stderr);

    let hits = as_reader(&space, &["run", "p.yaml"]).unwrap();
    let stderr = String::from_utf8(hits.stderr).unwrap();
    assert_eq!(hits.status.code(), Some(0), "{stderr}");
    assert!(stderr.contains("warning: this user may not write to .pipe: the run is not recorded"), "{stderr}");

    let miss = as_reader(&space, &["run", "p.yaml", "--force", "b"]).unwrap();
    let stderr = String::from_utf8(miss.stderr).unwrap();
    assert_eq!(miss.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("this user may not write to .pipe\n"), "{stderr}");
    assert_eq!(space.output(&["run", "p.yaml"]).status.code(), Some(0), "the owner goes on");
}

#[test]
fn a_store_that_is_no_folder_is_reported_as_such() {
    let space = space();
    fs::remove_dir(space.path(".pipe")).unwrap();
    std::os::unix::fs::symlink("/nowhere/at/all", space.path(".pipe")).unwrap();
    let check = |args: &[&str], expect: &str| {
        let output = space.output(args);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}: {stderr}");
        assert!(stderr.contains(expect), "{args:?}: {stderr}");
    };
    for args in [&["run", "p.yaml"][..], &["plan", "p.yaml"], &["runs"], &["cache", "stats"], &["cache", "verify"]] {
        check(args, "error: the store .pipe is a link to /nowhere/at/all, which does not exist");
    }
    check(&["plan", "p.yaml", "--store", "p.yaml"], "error: the store p.yaml is not a folder");
}
