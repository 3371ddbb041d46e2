//! `cargo xtask soak`: tests that take minutes. Many kills at random moments: recorded results are kept, and the final results are always
//! the same. A training that is killed resumes. And one video added to or removed from 2,000.

#![expect(clippy::print_stdout, reason = "who waits for minutes wants to know what for")]

use crate::space::{Space, run_args, run_output as parse, tiny};
use pipe_testkit::shared;
use std::collections::BTreeSet;
use std::io::BufRead;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const KILLS: usize = 200;

/// The moments need not be reproducible, so the clock may choose them.
fn random_below(bound: u128) -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().subsec_nanos() as u128 * 7919 % bound.max(1)
}

fn start(space: &Space, settings: &[&str]) -> Child {
    let args = run_args("smoke", &tiny(settings));
    let mut command = space.command(&args.iter().map(String::as_str).collect::<Vec<_>>());
    command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
}

/// Stages and parts that a run reported as finished, even if it was killed later.
fn done(child: Child) -> (bool, BTreeSet<String>, Vec<serde_json::Value>) {
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    // The last line may be incomplete.
    let events: Vec<serde_json::Value> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let finished = events.iter().filter(|event| event["event"] == "stage_finished" && event["output"].is_string());
    let names = finished.map(|event| event["stage"].as_str().unwrap().to_owned()).collect();
    (output.status.success(), names, events)
}

/// Runs once to the end, in a new folder.
fn undisturbed() -> (std::collections::BTreeMap<String, String>, Duration) {
    let space = Space::new();
    let since = Instant::now();
    let digests = space.run_tiny(&[]).ok().digests();
    (digests, since.elapsed())
}

fn assert_clean(space: &Space, expect: &std::collections::BTreeMap<String, String>) {
    let last = space.run_tiny(&[]).ok();
    assert_eq!(&last.digests(), expect);
    assert_eq!(last.stages("hit").len(), expect.len());
    let left: Vec<_> = std::fs::read_dir(space.path(".pipe/work")).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
#[ignore = "takes minutes; cargo xtask soak"]
fn pipe_is_killed_again_and_again() {
    let (expect, whole) = undisturbed();
    let (mut kills, mut rounds) = (0, 0);
    while kills < KILLS {
        let space = Space::new();
        let mut known = BTreeSet::new();
        loop {
            let mut child = start(&space, &[]);
            let delay = Duration::from_millis(random_below(whole.as_millis() / 2) as u64);
            let until = Instant::now() + delay;
            while Instant::now() < until && child.try_wait().unwrap().is_none() {
                std::thread::sleep(Duration::from_millis(1));
            }
            let killed = child.try_wait().unwrap().is_none();
            if killed {
                child.kill().unwrap();
                kills += 1;
            }
            let (success, finished, events) = done(child);
            let again =
                events.iter().filter(|event| event["outcome"] == "ran").map(|event| event["stage"].as_str().unwrap());
            let again: Vec<&str> = again.filter(|stage| known.contains(*stage)).collect();
            assert!(again.is_empty(), "these ran twice: {again:?}");
            known.extend(finished);
            if !killed {
                assert!(success, "{events:#?}");
                break;
            }
        }
        assert_clean(&space, &expect);
        rounds += 1;
    }
    println!("{kills} kills of pipe in {rounds} rounds: all digests equal, nothing made twice, no scratch left");
}

#[test]
#[ignore = "takes minutes; cargo xtask soak"]
fn workers_are_killed_again_and_again() {
    let (expect, whole) = undisturbed();
    let (mut kills, mut rounds) = (0, 0);
    let retries: Vec<String> = expect.keys().map(|stage| format!("stages.{stage}.retries=1000")).collect();
    let retries: Vec<&str> = retries.iter().map(String::as_str).collect();
    while kills < KILLS {
        let space = Space::new();
        let mut child = start(&space, &retries);
        while child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(100 + random_below(whole.as_millis() / 3) as u64));
            let workers = children(child.id());
            if let Some(worker) = workers.get(random_below(workers.len() as u128) as usize) {
                // It may have ended; its process id is not reused before `pipe` has reaped it.
                let _ =
                    std::process::Command::new("kill").args(["-9", &worker.to_string()]).stderr(Stdio::null()).status();
                kills += 1;
            }
        }
        let (success, _, events) = done(child);
        assert!(success, "{events:#?}");
        assert_clean(&space, &expect);
        rounds += 1;
    }
    println!("{kills} kills of workers in {rounds} rounds: every run went on to the end, all digests equal");
}

/// Returns the child processes of a process.
fn children(pid: u32) -> Vec<u32> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let of = |task: std::fs::DirEntry| std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
    tasks
        .map(of)
        .flat_map(|text| text.split_whitespace().map(|pid| pid.parse().unwrap()).collect::<Vec<u32>>())
        .collect()
}

#[test]
#[ignore = "takes minutes; cargo xtask soak"]
fn commands_are_killed_again_and_again() {
    let space = Space::new();
    let link = |link: usize| {
        let before = if link == 0 { String::new() } else { format!("inputs: {{ before: c{} }}, ", link - 1) };
        format!(
            "  c{link}: {{ uses: command, {before}with: {{ shell: 'sleep 0.01; echo {link} > \"${{outputs.r}}\"', outputs: {{ r: r }} }} }}\n"
        )
    };
    let stages: String = (0..200).map(link).collect();
    space.write("p.yaml", &format!("pipeline: p\nstages:\n{stages}"));
    let mut kills = 0;
    loop {
        let mut child = space.command(&["run", "p.yaml"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(20 + random_below(60) as u64));
        if child.try_wait().unwrap().is_some() {
            break;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        kills += 1;
        assert!(kills < 2000, "no progress");
    }
    let last = parse(&space.output(&["run", "p.yaml", "--output", "json"])).ok();
    assert_eq!(last.stages("hit").len(), 200);
    println!("{kills} kills of a chain of 200 commands: it came to its end");
}

/// Number of kills of each training.
const TRAINING_KILLS: usize = 20;

/// A training with state of every kind: momentum, an average, frozen layers, accumulated batches, dropout and drawn crops.
const TRAINING: &str = "
pipeline: training
stages:
  clips:
    uses: synthesize
    with: { classes: [move_left, move_right], groups: 6, test_groups: 1, clips_per_group: 4, frames_per_clip: 12, width_px: 48, height_px: 48 }
  videos: { uses: ingest, inputs: { folder: clips } }
  labels: { uses: annotations, inputs: { videos: videos, lists: clips.lists }, with: { format: ucf101, split: 1 } }
  frames: { uses: frames, inputs: { videos: videos }, with: { sample: all, resize: none } }
  samples:
    uses: augment
    inputs: { frames: frames, labels: labels }
    with:
      epochs: 6
      train:
        sampler: { type: SampleFrames, clip_len: 4, frame_interval: 2, num_clips: 1 }
        transforms:
          - { type: RandomResizedCrop }
          - { type: Resize, scale: { exact: [32, 32] } }
      test:
        sampler: { type: SampleFrames, clip_len: 4, frame_interval: 2, num_clips: 1 }
        transforms:
          - { type: Resize, scale: { exact: [32, 32] } }
  model:
    uses: train
    inputs: { frames: frames, samples: samples }
    with:
      model:
        backbone: { type: ResNetTSM, depth: 18, base_channels: 16, frozen_stages: 1 }
        cls_head: { dropout_ratio: 0.5 }
      train_dataloader: { batch_size: 4 }
      optim_wrapper:
        optimizer: { type: SGD, lr: 0.01, momentum: 0.9, nesterov: true }
        clip_grad: { max_norm: 40 }
        accumulative_counts: 2
        paramwise_cfg: { norm_decay_mult: 0, custom_keys: { cls_head: { lr_mult: 10 } } }
      param_scheduler:
        - { type: CosineAnnealingLR, end: 6 }
      train_cfg: { max_epochs: 6, val_interval: 2 }
      ema: { type: MomentumAnnealingEMA, momentum: 0.01 }
";

/// Starts the training, and kills `pipe` with its workers at a random moment after its first new step. Returns whether the run was killed.
fn train_and_kill(space: &Space, longest: Duration) -> bool {
    let args = run_args("training.yaml", &[]);
    let mut command = space.command(&args.iter().map(String::as_str).collect::<Vec<_>>());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = std::io::BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let has_begun = lines.any(|line| line.contains("\"stage_measured\""));
    let reader = std::thread::spawn(move || lines.count());
    if has_begun {
        std::thread::sleep(Duration::from_millis(random_below(longest.as_millis()) as u64));
    }
    let killed = has_begun && child.try_wait().unwrap().is_none();
    if killed {
        let workers = children(child.id());
        child.kill().unwrap();
        for worker in workers {
            let _ = std::process::Command::new("kill").args(["-9", &worker.to_string()]).stderr(Stdio::null()).status();
        }
    }
    let status = child.wait().unwrap();
    assert!(killed || status.success(), "{status}");
    reader.join().unwrap();
    killed
}

#[test]
#[ignore = "takes minutes; cargo xtask soak"]
fn trainings_are_killed_again_and_again() {
    kill_trainings(TRAINING, "a training");
}

#[test]
#[ignore = "takes minutes; cargo xtask soak"]
fn trainings_of_two_processes_are_killed_again_and_again() {
    let two = "      num_processes: 2\n      sync_bn: true\n      train_dataloader: { batch_size: 2 }";
    kill_trainings(&replaced("      train_dataloader: { batch_size: 4 }", two), "a training by two processes");
}

#[test]
#[ignore = "takes minutes; cargo xtask soak"]
fn trainings_in_16_bits_are_killed_again_and_again() {
    #[cfg(target_arch = "x86_64")]
    let computes_in_16_bits = is_x86_feature_detected!("avx512bf16");
    #[cfg(not(target_arch = "x86_64"))]
    let computes_in_16_bits = false;
    if !computes_in_16_bits {
        return pipe_testkit::skip("a processor with AVX512-BF16, without which training in 16 bits is refused");
    }
    let amp = "      optim_wrapper:\n        type: AmpOptimWrapper\n        dtype: bfloat16";
    kill_trainings(&replaced("      optim_wrapper:", amp), "a training in 16 bits");
}

/// Returns [`TRAINING`] with other lines.
fn replaced(lines: &str, by: &str) -> String {
    assert_eq!(TRAINING.matches(lines).count(), 1);
    TRAINING.replace(lines, by)
}

fn kill_trainings(pipeline: &str, what: &str) {
    let fresh = || {
        let space = Space::new();
        space.write("training.yaml", pipeline);
        space
    };
    let model = |space: &Space| {
        let last = space.run("training.yaml", &[]).ok();
        assert_eq!(last.stages("hit").len(), last.digests().len());
        last.digests()["model"].clone()
    };
    let undisturbed = fresh();
    let since = Instant::now();
    undisturbed.run("training.yaml", &[]).ok();
    let (expect, whole) = (model(&undisturbed), since.elapsed());
    let (mut kills, mut rounds) = (0, 0);
    while kills < TRAINING_KILLS {
        let space = fresh();
        while train_and_kill(&space, whole / 4) {
            kills += 1;
        }
        assert_eq!(model(&space), expect);
        rounds += 1;
    }
    println!("{kills} kills of {what} in {rounds} rounds: every final checkpoint, log and model has the same bits");
}

const SET: &str = "
pipeline: set
stages:
  videos: { uses: ingest, with: { root: videos } }
  frames: { uses: frames, inputs: { videos: videos } }
";

/// Writes a copy of a real clip. The copy is a different file: it ends with some bytes that no decoder reads.
fn copy_of(clip: &[u8], space: &Space, number: usize) {
    let file = space.path(&format!("videos/v_{number:04}.avi"));
    std::fs::write(file, [clip, &number.to_le_bytes()].concat()).unwrap();
}

/// Runs the pipeline and prints the time. Returns the digests and the number of parts of `frames` that were made.
fn run_set(space: &Space, what: &str) -> (std::collections::BTreeMap<String, String>, u64) {
    let cpu = space.cpu_secs(&["run", "set.yaml", "--no-lock"]);
    let shown = space.output(&["show", "--output", "json"]).stdout;
    let stages: Vec<serde_json::Value> =
        String::from_utf8(shown).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let frames = stages.iter().find(|stage| stage["stage"] == "frames").unwrap();
    let made = frames["parts"]["ran"].as_u64().unwrap_or(0);
    println!("{what}: {cpu:.2} s of CPU, {made} parts of `frames` made");
    let digest = |stage: &serde_json::Value| {
        (stage["stage"].as_str().unwrap().to_owned(), stage["output"].as_str().unwrap().to_owned())
    };
    (stages.iter().map(digest).collect(), made)
}

#[test]
#[ignore = "takes minutes; cargo xtask soak"]
fn one_video_added_to_or_removed_from_2000() {
    let Some(clips) = shared("data/clips/ucf101") else { return };
    let mut found: Vec<_> = std::fs::read_dir(&clips).into_iter().flatten().flatten().collect();
    found.retain(|folder| folder.path().is_dir());
    let mut files: Vec<_> =
        found.iter().flat_map(|folder| std::fs::read_dir(folder.path()).unwrap().flatten()).collect();
    files.sort_by_key(|file| (file.metadata().unwrap().len(), file.path()));
    let clips: Vec<Vec<u8>> = files.iter().take(10).map(|file| std::fs::read(file.path()).unwrap()).collect();
    let fresh = |count: usize| {
        let space = Space::new();
        std::fs::create_dir(space.path("videos")).unwrap();
        space.write("set.yaml", SET);
        (0..count).for_each(|number| copy_of(&clips[number % clips.len()], &space, number));
        space
    };
    let space = fresh(2000);
    let (first, _) = run_set(&space, "2,000 videos");
    run_set(&space, "nothing changed");
    copy_of(&clips[0], &space, 2000);
    let (more, made) = run_set(&space, "one added");
    assert_eq!(made, 1);
    std::fs::remove_file(space.path("videos/v_2000.avi")).unwrap();
    assert_eq!(run_set(&space, "one removed").0, first, "the same as before");
    std::fs::remove_file(space.path("videos/v_0007.avi")).unwrap();
    let (less, made) = run_set(&space, "another removed");
    assert_eq!(made, 1);
    let clean = fresh(2001);
    assert_eq!(run_set(&clean, "a clean run of 2,001 videos").0, more, "different from a clean run");
    let clean = fresh(2000);
    std::fs::remove_file(clean.path("videos/v_0007.avi")).unwrap();
    assert_eq!(run_set(&clean, "a clean run of 1,999 videos").0, less, "different from a clean run");
}
