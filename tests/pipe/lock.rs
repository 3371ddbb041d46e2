//! Lock files, and reruns whose results are compared.

use crate::space::{Space, tiny};
use pipe_testkit::repository;

const PIPELINE: &str = r#"pipeline: p
stages:
  steady: { uses: command, with: { shell: 'echo 1 > "${outputs.r}"', outputs: { r: r.txt } } }
  moody: { uses: command, inputs: { s: steady }, with: { shell: 'echo one > "${outputs.r}"; date +%s%N >> "${outputs.r}"', outputs: { r: r.txt } } }
"#;

fn stderr(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_lock_file_holds_results_and_locked_insists_on_them() {
    let space = Space::new();
    space.write("p.yaml", PIPELINE);
    let output = space.output(&["run", "p.yaml", "--locked"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("p.lock does not exist"), "{}", stderr(&output));

    let first = space.run("p.yaml", &[]).ok();
    let lock = std::fs::read_to_string(space.path("p.lock")).unwrap();
    for stage in ["moody", "steady"] {
        let line = lock.lines().find(|line| line.starts_with(stage)).unwrap();
        let words: Vec<&str> = line.split_whitespace().collect();
        assert_eq!(
            [words[1], words[2]],
            [&first.stage(stage)["key"], &first.stage(stage)["output"]].map(|v| v.as_str().unwrap())
        );
    }
    assert_eq!(space.output(&["run", "p.yaml", "--locked"]).status.code(), Some(0));

    let output = space.output(&["run", "p.yaml", "--locked", "--force", "moody", "--force", "steady"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("its result differs from the locked one"), "{}", stderr(&output));
    assert_eq!(std::fs::read_to_string(space.path("p.lock")).unwrap(), lock, "`--locked` changes nothing");

    space.write("p.lock", "moody nonsense\n");
    let output = space.output(&["run", "p.yaml", "--locked"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("p.lock:1: expected a stage, a key and a digest"), "{}", stderr(&output));
    let output = space.output(&["run", "p.yaml"]);
    assert_eq!(output.status.code(), Some(0));
    let expect = "warning: p.lock is damaged; stages are left out, the first one in line 1\n";
    assert!(stderr(&output).contains(expect), "{}", stderr(&output));
    let lines = std::fs::read_to_string(space.path("p.lock")).unwrap();
    assert_eq!(lines.lines().count(), lock.lines().count(), "it is written again");
}

#[test]
fn a_rerun_is_identical_or_its_first_difference_is_shown() {
    let space = Space::new();
    space.write("p.yaml", PIPELINE);
    space.run("p.yaml", &[]).ok();
    let before = std::fs::read(space.path(".pipe/out/p/moody/r.txt")).unwrap();

    let output = space.output(&["run", "p.yaml", "--check", "steady"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stderr(&output).contains("rerun is bit-identical"), "{}", stderr(&output));
    let output = space.output(&["run", "p.yaml", "--check"]);
    assert_eq!(output.status.code(), Some(1));
    let text = stderr(&output);
    assert!(text.contains("the result of the rerun differs"), "{text}");
    assert!(text.contains("r.txt: differs from byte"), "{text}");
    assert_eq!(std::fs::read(space.path(".pipe/out/p/moody/r.txt")).unwrap(), before, "what was there stays");
    assert_eq!(space.run("p.yaml", &[]).ok().stages("hit"), ["moody", "steady"]);
}

/// Changes to the lock file stand for a run on another processor: there, the bits of a trained network are others.
#[test]
fn a_locked_result_of_another_processor_is_compared_by_its_figures() {
    let space = Space::new();
    space.write("smoke.yaml", &std::fs::read_to_string(repository().join("pipelines/smoke.yaml")).unwrap());
    let first = space.run("smoke.yaml", &tiny(&[])).ok();
    let lock = std::fs::read_to_string(space.path("smoke.lock")).unwrap();
    let processor = lock.split("\"processor\":\"").nth(1).unwrap().split('"').next().unwrap();
    let digest = first.stage("model")["output"].as_str().unwrap();
    let loss = first.stage("model")["figures"]["loss"].to_string();
    let locked = |edit: &dyn Fn(&str) -> String| {
        space.write("smoke.lock", &edit(&lock));
        let args = crate::space::run_args("smoke.yaml", &tiny(&[]));
        let args: Vec<&str> =
            args.iter().map(String::as_str).filter(|arg| !["--output", "json"].contains(arg)).collect();
        let output = space.output(&[&args, &["--locked"][..]].concat());
        (output.status.code(), stderr(&output))
    };
    let (other_bits, other_processor) = ("0".repeat(64), "GenuineIntel family 6 model 143 stepping 8");

    let (code, text) = locked(&str::to_owned);
    assert_eq!(code, Some(0), "{text}");
    let (code, text) = locked(&|lock| lock.replace(digest, &other_bits));
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("its result differs from the locked one"), "{text}");
    let (code, text) = locked(&|lock| lock.replace(digest, &other_bits).replace(processor, other_processor));
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("equal the locked figures within 0.05 relative + 0.02 absolute"), "{text}");
    assert!(text.contains(other_processor), "{text}");
    let (code, text) = locked(&|lock| {
        let lock = lock.replace(digest, &other_bits).replace(processor, other_processor);
        lock.replace(&format!("\"loss\":{loss}"), "\"loss\":0.1")
    });
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("its `loss` is ") && text.contains("locked is 0.1"), "{text}");
    // The newest run failed; the one before has the result.
    let shown = space.output(&["show", "latest~1"]);
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.contains("environment: ") && shown.contains(processor), "{shown}");
}

#[test]
fn a_training_that_cannot_equal_the_locked_one_is_not_run() {
    let space = Space::new();
    space.write("smoke.yaml", &std::fs::read_to_string(repository().join("pipelines/smoke.yaml")).unwrap());
    space.run("smoke.yaml", &tiny(&[])).ok();
    let mut args = crate::space::run_args("smoke.yaml", &tiny(&["stages.model.with.optim_wrapper.optimizer.lr=0.5"]));
    args.push("--locked".into());
    let run = crate::space::run_output(&space.output(&args.iter().map(String::as_str).collect::<Vec<_>>()));
    assert_eq!(run.code, Some(1));
    let error = run.stage("model")["failure"]["error"].to_string();
    assert!(error.contains("its parameters or inputs differ from those of the locked result"), "{error}");
    let started = run.events.iter().any(|event| event["event"] == "stage_started" && event["stage"] == "model");
    assert!(!started, "nothing was trained");
    assert_eq!(run.stages("skipped"), ["eval", "int8", "onnx", "table"]);
}

/// Returns a file of one tensor `w` of two floats.
fn tensor(values: [f32; 2]) -> Vec<u8> {
    let header = r#"{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#;
    let data = values.iter().flat_map(|value| value.to_le_bytes());
    (header.len() as u64).to_le_bytes().into_iter().chain(header.bytes()).chain(data).collect()
}

/// Returns a table of the tiny smoke pipeline's videos.
fn table(seed: u32) -> Vec<u8> {
    let space = Space::new();
    let seed = format!("stages.clips.with.seed={seed}");
    let mut args = crate::space::run_args("smoke", &crate::space::tiny(&[&seed]));
    args.push("videos".into());
    let output = space.output(&args.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(output.status.success(), "{}", stderr(&output));
    std::fs::read(space.path(".pipe/out/smoke/videos/videos.parquet")).unwrap()
}

#[test]
fn a_difference_is_named_by_its_cell_or_tensor() {
    let space = Space::new();
    let check = |file: &str, was: &[u8], is: &[u8], expect: &str| {
        // What it copies is not declared, as it is with programs that are not what they should be.
        space.write(
            "p.yaml",
            &format!(
                "pipeline: p\nstages:\n  s: {{ uses: command, with: {{ shell: 'cp {file} \"${{outputs.r}}\"', outputs: {{ r: {file} }} }} }}\n"
            ),
        );
        std::fs::write(space.path(file), was).unwrap();
        space.run("p.yaml", &[]).ok();
        std::fs::write(space.path(file), is).unwrap();
        let output = space.output(&["run", "p.yaml", "--check"]);
        assert_eq!(output.status.code(), Some(1));
        assert!(stderr(&output).contains(expect), "{}", stderr(&output));
    };
    let (one, two) = (tensor([1.0, 2.0]), tensor([1.0, 2.5]));
    check("w.safetensors", &one, &two, "w.safetensors: tensor `w`: ");
    check("v.parquet", &table(1), &table(2), "v.parquet: row 0, column `");
}
