//! `pipe check` checks the lists and the stages that they need, without decoding: findings with places, exit code 2.

use crate::space::{Space, tiny};
use pipe_testkit::{repository, shared};
use std::fs;
use std::os::unix::fs::symlink;
use std::process::{Command, Output};

const MINE: &str = "pipeline: mine
stages:
  videos: { uses: ingest, with: { root: ucf/videos, verify: decode } }
  labels:
    uses: annotations
    inputs: { videos: videos }
    with: { format: ucf101, root: ucf/lists, missing: warn, near_duplicates: error }
  frames: { uses: frames, inputs: { videos: videos } }
";

fn texts(output: &Output) -> (String, String) {
    (String::from_utf8(output.stdout.clone()).unwrap(), String::from_utf8(output.stderr.clone()).unwrap())
}

/// Checks `pipelines/smoke.yaml`, made tiny.
fn check_smoke(space: &Space) -> (String, String) {
    let smoke = repository().join("pipelines/smoke.yaml").display().to_string();
    let settings = tiny(&[]);
    let args: Vec<&str> = settings.iter().flat_map(|setting| ["--set", setting]).collect();
    let output = space.output(&[&["check", &smoke], args.as_slice()].concat());
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    texts(&output)
}

fn names(space: &Space, folder: &str) -> Vec<String> {
    let Ok(entries) = fs::read_dir(space.path(folder)) else { return Vec::new() };
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_stage_whose_input_has_not_run_is_reported_as_unchecked() {
    let space = Space::new();
    let (stdout, stderr) = check_smoke(&space);
    assert!(stdout.starts_with("smoke: 10 stages, no mistakes: clips → "), "{stdout}");
    assert!(
        stdout
            .ends_with("\nlabels: not checked, because its input `lists` comes from `clips`, which has not run yet\n"),
        "{stdout}"
    );
    assert_eq!(stderr, "");
    assert!(names(&space, ".pipe/runs").is_empty() && names(&space, ".pipe/work").is_empty());
}

#[test]
fn a_checked_stage_is_a_hit_for_the_run_and_the_other_way_round() {
    let space = Space::new();
    let smoke = repository().join("pipelines/smoke.yaml").display().to_string();
    let settings = tiny(&[]);
    let settings: Vec<&str> = settings.iter().flat_map(|setting| ["--set", setting]).collect();
    let run = |stage: &str| {
        let output =
            space.output(&[&["run", &smoke, stage, "--no-lock", "--output", "json"], settings.as_slice()].concat());
        crate::space::run_output(&output).ok()
    };
    run("clips");
    let before = (names(&space, ".pipe/runs"), names(&space, ".pipe/out/smoke"));
    let first = check_smoke(&space);
    assert!(first.0.contains("\nlabels: 2 classes, 8 of 8 training and 4 of 4 test videos present\n"), "{first:?}");
    assert!(first.0.contains("near-duplicate check skipped") && first.1.is_empty(), "{first:?}");
    let after = (names(&space, ".pipe/runs"), names(&space, ".pipe/out/smoke"));
    assert_eq!(before, after, "a check leaves no record of a run, and no links");
    assert!(names(&space, ".pipe/work").is_empty());
    assert_eq!(run("labels").run_finished()["ran"], 0);
    assert_eq!(check_smoke(&space), first);
}

/// `num_classes` of the network is compared with the labels before frames and samples are made, also if the labels are a hit.
#[test]
fn a_number_of_classes_that_differs_from_the_labels_is_found_before_anything_is_decoded() {
    let space = Space::new();
    let smoke = repository().join("pipelines/smoke.yaml").display().to_string();
    let call = |command: &[&str], num_classes: &str| {
        let setting = format!("stages.model.with.model.cls_head.num_classes={num_classes}");
        let settings = tiny(&[&setting]);
        let settings = settings.iter().flat_map(|setting| ["--set", setting]);
        let output = space.output(
            &[command[0], &smoke].into_iter().chain(command[1..].iter().copied()).chain(settings).collect::<Vec<_>>(),
        );
        (output.status.code(), texts(&output).1)
    };
    assert_eq!(call(&["run", "clips", "--no-lock"], "2").0, Some(0));
    assert_eq!(call(&["check"], "2").0, Some(0));
    let (code, text) = call(&["check"], "5");
    let expect = "the labels have 2 classes, but the stage `model` sets `model.cls_head.num_classes: 5`";
    assert!(code == Some(2) && text.contains(expect), "{text}");
    assert!(text.contains("remove `model.cls_head.num_classes` to use the number of the labels"), "{text}");
    let (code, text) = call(&["run", "--no-lock"], "5");
    assert!(code == Some(1) && text.contains(expect) && !text.contains("ran     samples"), "{code:?} {text}");
}

#[test]
fn a_missing_folder_is_reported_with_its_place() {
    let space = Space::new();
    space.write("mine.yaml", MINE);
    let output = space.output(&["check", "mine.yaml"]);
    let (stdout, stderr) = texts(&output);
    assert_eq!((output.status.code(), stdout.as_str()), (Some(2), ""));
    assert!(stderr.contains("ucf/videos does not exist") && stderr.contains("mine.yaml:3:"), "{stderr}");
    assert!(names(&space, ".pipe").is_empty());
}

/// Lays out real clips with a copy of their lists. Returns `false`, and reports a skip, if the machine does not have them.
fn lay_out_ucf101(space: &Space) -> bool {
    let (Some(clips), Some(lists)) = (shared("data/clips/ucf101"), shared("data/annotations/ucf101")) else {
        return false;
    };
    space.write("mine.yaml", MINE);
    fs::create_dir_all(space.path("ucf/lists")).unwrap();
    symlink(clips, space.path("ucf/videos")).unwrap();
    for list in ["classInd.txt", "trainlist01.txt", "testlist01.txt"] {
        let text = fs::read_to_string(lists.join(list)).unwrap();
        space.write(&format!("ucf/lists/{list}"), &text);
    }
    true
}

#[test]
fn a_leak_in_a_real_list_is_found_before_anything_is_decoded() {
    let space = Space::new();
    if !lay_out_ucf101(&space) {
        return;
    }
    let output = space.output(&["check", "mine.yaml"]);
    let (stdout, stderr) = texts(&output);
    assert_eq!((output.status.code(), stderr.as_str()), (Some(0), ""));
    assert!(stdout.contains("\nvideos: 64 videos\n  quick check: "), "{stdout}");
    assert!(
        stdout.contains("\nlabels: 101 classes, 42 of 9,537 training and 22 of 3,783 test videos present\n"),
        "{stdout}"
    );
    assert!(stdout.contains("  warning: 13,256 of 13,320 listed videos are missing"), "{stdout}");

    let (train, test) = ("ucf/lists/trainlist01.txt", "ucf/lists/testlist01.txt");
    let text = fs::read_to_string(space.path(train)).unwrap();
    let is_there = |(_, line): &(usize, &str)| space.path("ucf/videos").join(line.split(' ').next().unwrap()).exists();
    let (number, line) = (1..).zip(text.lines()).find(is_there).unwrap();
    let leak = line.split(' ').next().unwrap();
    let official = fs::read_to_string(space.path(test)).unwrap();
    space.write(test, &format!("{}\n{leak}\n", official.trim_end()));
    let output = space.output(&["check", "mine.yaml"]);
    let (stdout, stderr) = texts(&output);
    assert_eq!(output.status.code(), Some(2), "{stdout}{stderr}");
    assert!(!stdout.contains("no mistakes") && stdout.contains("videos: 64 videos"), "{stdout}");
    let found =
        format!("1 video is in both the training and the test list: {leak} (trainlist01.txt:{number}) and {leak}");
    assert!(stderr.starts_with("labels:\n  error: ") && stderr.contains(&found), "{stderr}");
    assert!(stderr.contains("(testlist01.txt:3784)") && stderr.contains("\n  help: fix the lists"), "{stderr}");
    assert!(
        stderr.ends_with("error: mistakes in the inputs of `labels`; nothing was decoded or trained\n"),
        "{stderr}"
    );

    // Decoded videos are checked in full; the official lists have no two clips that look alike.
    space.write(test, &official);
    let run = space.run("mine.yaml", &["stages.frames=null"]).ok();
    assert_eq!(run.stages("ran"), ["labels", "videos"]);
    assert!(!run.stage("labels").to_string().contains("alike"), "{}", run.stage("labels"));
    let (stdout, stderr) = texts(&space.output(&["check", "mine.yaml"]));
    assert!(stdout.contains("\nvideos: 64 videos\nlabels: 101 classes"), "{stdout}{stderr}");
}

#[test]
fn a_missing_worker_is_not_a_mistake_of_the_lists() {
    let space = Space::new();
    space.write("mine.yaml", MINE);
    fs::create_dir_all(space.path("ucf/videos")).unwrap();
    fs::create_dir_all(space.path("ucf/lists")).unwrap();
    // `pipe` expects the workers in its own folder.
    let alone = space.path("alone/pipe");
    fs::create_dir(space.path("alone")).unwrap();
    fs::copy(env!("CARGO_BIN_EXE_pipe"), &alone).unwrap();
    let check = || Command::new(&alone).args(["check", "mine.yaml"]).current_dir(space.path("")).output().unwrap();
    for store in ["not there yet", "there"] {
        let output = check();
        let (_, stderr) = texts(&output);
        assert_eq!(output.status.code(), Some(1), "the store is {store}: {stderr}");
        assert!(stderr.contains("pipe-data-worker can't be used"), "{stderr}");
        fs::create_dir_all(space.path(".pipe/store/v1")).unwrap();
    }
}
