//! Damaged bookkeeping: whatever byte of it changes, every command works, names the file, and loses no result.

use crate::space::Space;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

const PIPELINE: &str = r#"pipeline: p
stages:
  clips: { uses: synthesize, with: { classes: [move_left, move_up], groups: 2, test_groups: 1, clips_per_group: 1, frames_per_clip: 8, width_px: 32, height_px: 32 } }
  a: { uses: command, sources: [in.txt], with: { shell: 'cat in.txt > "${outputs.r}"', outputs: { r: r.txt } } }
  b: { uses: command, inputs: { a: a }, with: { shell: 'cat "${inputs.a}" > "${outputs.r}"', outputs: { r: r.txt } } }
"#;

const COMMANDS: &[&[&str]] = &[
    &["plan", "p.yaml"],
    &["status"],
    &["runs"],
    &["cache", "stats"],
    &["cache", "verify"],
    &["cache", "gc", "--dry-run"],
    &["run", "p.yaml"],
    &["cache", "gc"],
    &["cache", "gc", "--max-age", "0s"],
];

/// Number of damaged bytes per file.
const FLIPS: usize = 6;

fn space() -> Space {
    let space = Space::new();
    space.write("p.yaml", PIPELINE);
    space.write("in.txt", "1\n");
    // Files are indexed once they are old enough.
    std::thread::sleep(std::time::Duration::from_millis(120));
    assert_eq!(space.output(&["run", "p.yaml"]).status.code(), Some(0));
    space
}

/// Returns the files of a folder, or the file itself.
fn files(path: &Path) -> Vec<PathBuf> {
    if path.is_file() {
        return vec![path.to_owned()];
    }
    let mut found: Vec<PathBuf> = fs::read_dir(path).unwrap().flat_map(|entry| files(&entry.unwrap().path())).collect();
    found.sort();
    found
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Runs all commands. Returns what they wrote to stderr.
fn run_all(space: &Space, what: &str) -> String {
    let mut text = String::new();
    for args in COMMANDS {
        let output = space.output(args);
        let stderr = stderr(&output);
        // Without the list of lock files, `gc` does not know what it may delete.
        let may_refuse = args.contains(&"0s") && stderr.contains("so it is unknown which results a lock file names");
        assert!(output.status.success() || may_refuse, "{what}: {args:?}: {output:?}");
        assert!(!stderr.contains("UTF-8"), "{what}: {args:?}: {stderr}");
        text += &stderr;
    }
    text
}

/// Damages each file in turn, and returns those that no warning named.
fn damage_each(space: &Space, folder: &str, damage: impl Fn(&[u8], usize) -> Vec<u8>) -> Vec<String> {
    let mut unnamed = Vec::new();
    for seed in 0..FLIPS {
        let found = files(&space.path(folder));
        assert!(!found.is_empty(), "{folder}");
        // The newest run is the one that is shown.
        let path = &found[found.len() - 1 - seed % found.len()];
        let bytes = fs::read(path).unwrap();
        let position = (seed * 7919 + 13) % bytes.len().max(1);
        fs::write(path, damage(&bytes, position)).unwrap();
        let what = format!("{} at {position}", path.display());
        let text = run_all(space, &what);
        let name = path.file_name().unwrap().to_str().unwrap();
        if !text.lines().any(|line| line.starts_with("warning: ") && line.contains(name) && line.contains("is damaged"))
        {
            unnamed.push(format!("{what}: {text}"));
        }
        let output = space.output(&["run", "p.yaml", "--output", "json"]);
        let hits = String::from_utf8_lossy(&output.stdout).matches(r#""outcome":"hit""#).count();
        assert_eq!((output.status.code(), hits), (Some(0), 3), "{what}: nothing is lost: {output:?}");
    }
    unnamed
}

/// The files whose damage is always noticed, with the folder that holds them.
const CHECKED: &[&str] = &[".pipe/latest", ".pipe/index", ".pipe/tools", ".pipe/lockfiles"];

#[test]
fn a_changed_byte_in_a_checked_file_is_reported() {
    let space = space();
    for folder in CHECKED {
        for flip in [0x01, 0x80] {
            let unnamed = damage_each(&space, folder, |bytes, position| {
                let mut bytes = bytes.to_vec();
                bytes[position] ^= flip;
                bytes
            });
            assert!(unnamed.is_empty(), "{unnamed:#?}");
        }
    }
}

#[test]
fn a_byte_that_is_no_text_is_reported_in_every_file() {
    let space = space();
    for file in ["p.lock", ".pipe/runs"] {
        let unnamed = damage_each(&space, file, |bytes, position| {
            let mut bytes = bytes.to_vec();
            bytes[position] ^= 0x80;
            bytes
        });
        // `events.jsonl` is read only if there is no summary.
        assert!(unnamed.iter().all(|what| what.contains("events.jsonl")), "{unnamed:#?}");
    }
}

#[test]
fn a_byte_order_mark_a_cut_file_and_an_empty_one_stop_nothing() {
    let space = space();
    for folder in CHECKED.iter().chain(&["p.lock", ".pipe/runs", ".pipe/store/v1/lock"]) {
        damage_each(&space, folder, |bytes, _| [b"\xEF\xBB\xBF", bytes].concat());
        damage_each(&space, folder, |bytes, position| bytes[..position].to_vec());
        damage_each(&space, folder, |_, _| b"\xFF".to_vec());
    }
}

#[test]
fn gc_writes_a_damaged_summary_again() {
    let space = space();
    let summary = files(&space.path(".pipe/runs")).into_iter().find(|path| path.ends_with("summary.json")).unwrap();
    let before = fs::read(&summary).unwrap();
    fs::write(&summary, b"\xFF").unwrap();
    let listed = space.output(&["runs"]);
    let text = String::from_utf8(listed.stdout).unwrap();
    assert!(text.contains("3 ran") && !text.contains("interrupted"), "{text}");
    space.output(&["cache", "gc", "--dry-run"]);
    assert_eq!(fs::read(&summary).unwrap(), b"\xFF", "a dry run writes nothing");
    space.output(&["cache", "gc"]);
    let value = |bytes: &[u8]| serde_json::from_slice::<serde_json::Value>(bytes).unwrap();
    assert_eq!(value(&fs::read(&summary).unwrap()), value(&before));
    assert_eq!(stderr(&space.output(&["runs"])), "");
}

#[test]
fn a_locked_run_refuses_a_damaged_lock_file() {
    let space = space();
    let mut bytes = fs::read(space.path("p.lock")).unwrap();
    *bytes.last_mut().unwrap() = 0xFF;
    fs::write(space.path("p.lock"), &bytes).unwrap();
    let output = space.output(&["run", "p.yaml", "--locked"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("p.lock:4: expected a stage, a key and a digest"), "{}", stderr(&output));
    assert_eq!(fs::read(space.path("p.lock")).unwrap(), bytes, "it is left as it is");

    let with_mark = [b"\xEF\xBB\xBF".to_vec(), fs::read(space.path("p.lock")).unwrap()].concat();
    fs::write(space.path("p.lock"), &with_mark[..with_mark.len() - 1]).unwrap();
    assert_eq!(space.output(&["run", "p.yaml", "--locked"]).status.code(), Some(0), "a byte-order mark is no damage");
}
