//! `pipe cache`: `verify` finds damage that the next run repairs, `gc` reports what it deletes, and a kill leaves only complete results.
//!
//! The pipelines run a command, so these tests need no worker.

use crate::space::Space;
use pipe_cache::{ActionKey, ActionRecord, Fields, Lookup, OutputRecord, Store};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::{Duration, SystemTime};

/// A stage that writes three small files, and waits while the file `wait` exists.
const PIPELINE: &str = r#"pipeline: p
vars: { seed: 1 }
stages:
  clips:
    uses: command
    with:
      env: { SEED: "${seed}" }
      shell: |
        mkdir -p "${outputs.videos}/A" "${outputs.lists}"
        echo "video $SEED" > "${outputs.videos}/A/v_A_g01_c01.avi"
        echo "the same video" > "${outputs.videos}/A/v_A_g02_c01.avi"
        echo "1 A" > "${outputs.lists}/classInd.txt"
        while [ -e wait ]; do sleep 0.02; done
      outputs: { videos: videos, lists: lists }
"#;

const DAY: Duration = Duration::from_hours(24);

fn with_pipeline() -> Space {
    let space = Space::new();
    space.write("p.yaml", PIPELINE);
    space
}

/// Runs the pipeline. Returns the numbers of hits and of stages that ran.
fn run(space: &Space, seed: u32) -> (u64, u64) {
    let seed = format!("vars.seed={seed}");
    let output = space.command(&["run", "p.yaml", "--no-lock", "--output", "json", "--set", &seed]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let last: Value = serde_json::from_str(text(&output).lines().last().unwrap()).unwrap();
    (last["hits"].as_u64().unwrap(), last["ran"].as_u64().unwrap())
}

fn text(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Runs `pipe cache`, and returns its exit code and its JSON.
fn cache(space: &Space, args: &[&str]) -> (Option<i32>, Value) {
    let output = space.output(&[&["cache"], args, &["--output", "json"]].concat());
    let value = serde_json::from_str(&text(&output));
    (output.status.code(), value.unwrap_or_else(|_| panic!("{output:?}")))
}

fn walk(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return vec![] };
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}

fn flip(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::remove_file(path).unwrap();
    fs::write(path, bytes).unwrap();
}

#[test]
fn any_flipped_bit_is_found_and_repaired_by_a_run() {
    let space = with_pipeline();
    assert_eq!(run(&space, 1), (0, 1));
    assert_eq!(cache(&space, &["verify"]).0, Some(0));
    let store = space.path(".pipe/store/v1");
    let objects: Vec<PathBuf> = ["blobs", "trees", "actions"].iter().flat_map(|kind| walk(&store.join(kind))).collect();
    let objects: Vec<&PathBuf> = objects.iter().filter(|path| !path.is_symlink()).collect();
    assert_eq!(objects.len(), 3 + 1 + 2, "three files, their list, a record and its fields");
    for object in objects {
        flip(object);
        let (code, found) = cache(&space, &["verify"]);
        assert_eq!(code, Some(1), "{}: {found}", object.display());
        let damage = found["damage"].as_array().unwrap();
        assert_eq!(damage.len(), 1, "{found}");
        assert_eq!(damage[0]["affected"][0]["stages"][0], "p/clips", "{found}");
        assert!(damage[0]["remedy"]["set_aside"].as_str().is_some_and(|path| space.path(path).exists()), "{found}");
        assert_eq!(run(&space, 1), (0, 1), "{} is repaired", object.display());
        assert_eq!(run(&space, 1), (1, 0));
        assert_eq!(cache(&space, &["verify"]).0, Some(0));
    }
}

#[test]
fn damage_is_reported_as_text() {
    let space = with_pipeline();
    run(&space, 1);
    let blobs = walk(&space.path(".pipe/store/v1/blobs"));
    let video = blobs.iter().find(|path| fs::read_to_string(path).unwrap() == "video 1\n").unwrap();
    flip(video);
    let output = space.output(&["cache", "verify"]);
    assert_eq!(output.status.code(), Some(1));
    let report = text(&output);
    assert!(report.contains("is damaged: its content was changed"), "{report}");
    assert!(report.contains("store/v1/damaged/blobs/"), "{report}");
    assert!(report.contains("runs again when next needed: p/clips"), "{report}");
    assert!(report.ends_with("read 1 result, 1 tree, 3 blobs (27 B): 1 damaged\n"), "{report}");
}

#[test]
fn damage_is_reported_once_and_gc_empties_what_was_set_aside() {
    let space = with_pipeline();
    run(&space, 1);
    run(&space, 2);
    // A file of both results. Only one of them is made again.
    let blobs = walk(&space.path(".pipe/store/v1/blobs"));
    flip(blobs.iter().find(|path| fs::read_to_string(path).unwrap() == "the same video\n").unwrap());
    assert_eq!(cache(&space, &["verify"]).0, Some(1));
    assert_eq!(cache(&space, &["verify"]).0, Some(0), "nothing is damaged now");
    assert_eq!(run(&space, 1), (0, 1));
    assert_eq!(cache(&space, &["verify"]).0, Some(0));
    let stats = text(&space.output(&["cache", "stats"]));
    assert!(stats.contains("damaged      3 (") && stats.contains("set aside; `pipe cache gc` deletes them"), "{stats}");
    let freed = text(&space.output(&["cache", "gc"]));
    assert!(freed.contains("           3 damaged files that were set aside, frees "), "{freed}");
    assert!(walk(&space.path(".pipe/store/v1/damaged")).is_empty());
    assert_eq!((run(&space, 1), run(&space, 2)), ((1, 0), (0, 1)));
}

#[test]
fn a_result_that_becomes_the_newest_is_read_and_others_with_verify() {
    let space = with_pipeline();
    let damage = || {
        let blobs = walk(&space.path(".pipe/store/v1/blobs"));
        flip(blobs.iter().find(|path| fs::read_to_string(path).unwrap() == "video 1\n").unwrap());
    };
    let verified = |expect: (u64, u64)| {
        let output = space.output(&["run", "p.yaml", "--no-lock", "--output", "json", "--verify"]);
        let last: Value = serde_json::from_str(text(&output).lines().last().unwrap()).unwrap();
        assert_eq!((last["hits"].as_u64().unwrap(), last["ran"].as_u64().unwrap()), expect, "{output:?}");
    };
    run(&space, 1);
    damage();
    assert_eq!(run(&space, 1), (1, 0), "the newest result is not read again");
    verified((0, 1));
    verified((1, 0));
    assert_eq!(fs::read_to_string(space.path(".pipe/out/p/clips/videos/A/v_A_g01_c01.avi")).unwrap(), "video 1\n");
    damage();
    run(&space, 2);
    assert_eq!(run(&space, 1), (0, 1), "it was not the newest any more");
    run(&space, 2);
    assert_eq!(run(&space, 1), (1, 0), "an intact result is a hit");
}

#[test]
fn gc_waits_for_a_run_and_a_dry_run_does_not() {
    let space = with_pipeline();
    space.write("wait", "");
    let mut run = space.command(&["run", "p.yaml", "--output", "json"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut events = BufReader::new(run.stdout.take().unwrap()).lines();
    while !events.next().unwrap().unwrap().contains("stage_started") {}
    assert_eq!(cache(&space, &["stats"]).0, Some(0));
    let (code, report) = cache(&space, &["gc", "--dry-run"]);
    assert_eq!((code, &report["in_use"], &report["scratch"]["count"]), (Some(0), &Value::from(true), &Value::from(0)));
    let mut gc = space
        .command(&["cache", "gc", "--max-age", "0s"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut messages = BufReader::new(gc.stderr.take().unwrap()).lines();
    assert_eq!(messages.next().unwrap().unwrap(), "waiting: the store is in use by a run or by another `pipe cache`");
    assert!(gc.try_wait().unwrap().is_none());
    fs::remove_file(space.path("wait")).unwrap();
    assert!(run.wait().unwrap().success() && gc.wait().unwrap().success());
    assert_eq!(self::run(&space, 1), (1, 0), "the run that just ended is recent");
}

#[test]
fn a_run_waits_for_gc_and_reports_it() {
    let space = with_pipeline();
    let store = Store::open(&space.path(".pipe")).unwrap();
    let lock = store.lock_alone(|| ()).unwrap();
    let mut run = space.command(&["run", "p.yaml", "--output", "json"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut events = BufReader::new(run.stdout.take().unwrap()).lines();
    assert_eq!(events.next().unwrap().unwrap(), r#"{"event":"store_waiting"}"#);
    drop(lock);
    assert!(events.any(|line| line.unwrap().contains("run_finished")));
    assert!(run.wait().unwrap().success());
}

#[test]
fn old_results_are_deleted_and_those_of_recent_runs_kept() {
    let space = with_pipeline();
    run(&space, 1);
    let first: BTreeMap<PathBuf, Vec<u8>> = results(&space);
    for seed in 2..=4 {
        run(&space, seed);
    }
    // Forget the first run. The last of the others is also the newest result of its stage.
    let mut runs: Vec<PathBuf> =
        fs::read_dir(space.path(".pipe/runs")).unwrap().map(|run| run.unwrap().path()).collect();
    runs.sort();
    fs::remove_dir_all(&runs[0]).unwrap();
    let whole = walk(&space.path(".pipe/store/v1")).len();
    let (code, report) = cache(&space, &["gc", "--max-age", "0s", "--dry-run"]);
    assert_eq!((code, walk(&space.path(".pipe/store/v1")).len()), (Some(0), whole), "nothing is deleted");
    assert_eq!(report["actions"].as_array().unwrap().len(), 1, "{report}");
    assert_eq!((&report["actions"][0]["kind"], &report["kept"]["count"]), (&Value::from("command"), &Value::from(3)));
    let output = space.output(&["cache", "gc", "--max-size", "0B"]);
    assert_eq!(output.status.code(), Some(0));
    let report = text(&output);
    assert!(
        report.starts_with("command ") && report.contains("beyond --max-size; last used just now, took "),
        "{report}"
    );
    assert!(report.contains("\nkept 3 results used by recent runs ("), "{report}");
    assert!(report.contains(" over --max-size\n"), "{report}");
    assert!(first.keys().all(|path| !path.exists()), "record and fields of the first run");
    assert_eq!((run(&space, 3), run(&space, 1)), ((1, 0), (0, 1)));
    assert_eq!(cache(&space, &["verify"]).0, Some(0));
}

/// Returns the contents of all records and fields.
fn results(space: &Space) -> BTreeMap<PathBuf, Vec<u8>> {
    let paths = walk(&space.path(".pipe/store/v1/actions"));
    paths.into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

#[test]
fn stats_count_the_contents_of_the_store() {
    let space = with_pipeline();
    run(&space, 1);
    run(&space, 2);
    let (code, report) = cache(&space, &["stats"]);
    assert_eq!(code, Some(0));
    assert_eq!(report["blobs"], serde_json::json!({ "count": 4, "size_bytes": 35 }), "{report}");
    assert_eq!(
        (&report["kinds"]["command"]["count"], &report["reclaimable_bytes"]),
        (&Value::from(2), &Value::from(0))
    );
    let words = text(&space.output(&["cache", "stats"]));
    assert!(words.contains("command           2 results") && words.contains("reclaimable  0 B"), "{words}");
}

/// Records a made-up result with two unique files and one that all results share.
fn result(space: &Space, store: &Store, number: u32, used: SystemTime) -> ActionKey {
    let folder = space.path("out");
    fs::create_dir_all(&folder).unwrap();
    for (name, content) in [("a", format!("a{number}")), ("b", format!("b{number}")), ("c", "shared".to_owned())] {
        fs::write(folder.join(name), content).unwrap();
    }
    let tree = store.insert(&folder).unwrap().digest();
    let mut fields = Fields::default();
    fields.add(["number"], number.to_string());
    let record_of_result = ActionRecord {
        duration_millis: 1,
        ended_unix_secs: 1,
        ..ActionRecord::new("numbers", OutputRecord { tree, ports: BTreeMap::new() })
    };
    let key = fields.key();
    store.record(key, &fields, &record_of_result).unwrap();
    fs::File::open(record(space, key)).unwrap().set_modified(used).unwrap();
    key
}

/// Returns the path of the record of a result.
fn record(space: &Space, key: ActionKey) -> PathBuf {
    let key = key.to_string();
    space.path(".pipe/store/v1/actions").join(&key[..2]).join(format!("{}.json", &key[2..]))
}

#[test]
fn a_killed_gc_leaves_only_complete_results() {
    let space = Space::new();
    let store = Store::open(&space.path(".pipe")).unwrap();
    let now = SystemTime::now();
    let keys: Vec<ActionKey> = (0..200).map(|number| result(&space, &store, number, now - 9 * DAY)).collect();
    let new: Vec<ActionKey> = (200..210).map(|number| result(&space, &store, number, now)).collect();
    let is_hit = |key: &ActionKey| match store.find(*key) {
        Lookup::Hit(_) => true,
        Lookup::Absent => false,
        Lookup::Damaged(error) => panic!("an incomplete result: {error}"),
    };
    for delay in [0, 0, 1, 1, 2, 2, 3, 3] {
        // Results of the same age are deleted in the order of their keys: once the first is gone, the deletion has started.
        let Some(first) = keys.iter().filter(|key| is_hit(key)).min() else { break };
        let mut gc = space.command(&["cache", "gc", "--max-age", "7d"]).stdout(Stdio::null()).spawn().unwrap();
        while record(&space, *first).exists() {
            std::thread::yield_now();
        }
        std::thread::sleep(Duration::from_millis(delay));
        gc.kill().unwrap();
        gc.wait().unwrap();
        assert!(keys.iter().filter(|key| is_hit(key)).count() < keys.len());
        assert!(new.iter().all(is_hit));
        assert_eq!(cache(&space, &["verify"]).0, Some(0), "no damage");
    }
    assert_eq!(cache(&space, &["gc", "--max-age", "7d"]).0, Some(0));
    assert!(!keys.iter().any(is_hit) && new.iter().all(is_hit));
    assert_eq!(walk(&space.path(".pipe/store/v1/blobs")).len(), 2 * new.len() + 1);
    assert_eq!(fs::read_dir(space.path(".pipe/store/v1/tmp")).unwrap().count(), 0);
}

#[test]
fn wrong_arguments_and_a_missing_store_are_errors() {
    let space = Space::new();
    let check = |args: &[&str], code: i32, expect: &str| {
        let output = space.output(&[&["cache"], args].concat());
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        assert!(stderr(&output).contains(expect), "{}", stderr(&output));
    };
    check(
        &["gc", "--max-size", "20gb"],
        2,
        "invalid value '20gb' for '--max-size <SIZE>': `gb` is not a valid unit; did you mean `20GB`?",
    );
    check(&["gc", "--max-age", "30"], 2, "the unit is missing");
    for command in ["verify", "gc", "stats"] {
        check(&[command], 1, "error: there is no store `.pipe`; `pipe run FILE` makes one");
    }
    assert_eq!(fs::read_dir(space.path(".pipe")).unwrap().count(), 0, "no store is created");
}

/// It is unknown which objects a damaged record needs, so nothing is deleted until `verify` sets it aside.
#[test]
fn gc_refuses_to_run_while_a_record_is_damaged() {
    let space = with_pipeline();
    run(&space, 1);
    let record = results(&space).into_keys().find(|path| path.extension().unwrap() == "json").unwrap();
    flip(&record);
    let output = space.output(&["cache", "gc", "--max-age", "0s"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("run `pipe cache verify` first"), "{}", stderr(&output));
    assert_eq!(cache(&space, &["stats"]).1["reclaimable_bytes"], Value::Null);
    assert_eq!(cache(&space, &["verify"]).0, Some(1));
    let (code, report) = cache(&space, &["gc"]);
    assert_eq!(code, Some(0));
    // The blobs of the result, and their list.
    assert_eq!(report["unreachable"]["count"], 3 + 1, "{report}");
    assert_eq!(run(&space, 1), (0, 1));
}
