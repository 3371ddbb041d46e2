//! `command` stages: their environment, their outputs, failures, time limits and cancellation.

use crate::space::Space;
use serde_json::json;
use std::time::{Duration, Instant};

/// Writes a pipeline of commands.
fn pipeline(space: &Space, stages: &str) {
    space.write("p.yaml", &format!("pipeline: p\nstages:\n{stages}"));
}

const COPY: &str = r#"
  table:
    uses: command
    sources: ["data/*.txt"]
    with: { shell: 'cat data/*.txt > "${outputs.all}"; echo x > "$(dirname "${outputs.all}")/junk"', outputs: { all: all.txt } }
  copy:
    uses: command
    inputs: { table: table.all }
    with: { run: [cp, "${inputs.table}", "${outputs.result}"], outputs: { result: a folder/result.txt } }
"#;

#[test]
fn only_declared_outputs_are_kept() {
    let space = Space::new();
    space.write("data/a b.txt", "one\n");
    pipeline(&space, COPY);
    let first = space.run("p.yaml", &[]).ok();
    assert_eq!(first.stages("ran"), ["copy", "table"]);
    let result = std::fs::read_to_string(space.path(".pipe/out/p/copy/a folder/result.txt")).unwrap();
    assert_eq!(result, "one\n");
    assert!(!space.path(".pipe/out/p/table/junk").exists());
    assert_eq!(space.run("p.yaml", &[]).ok().stages("hit"), ["copy", "table"]);

    space.write("data/c.txt", "");
    let again = space.run("p.yaml", &[]).ok();
    assert_eq!((again.stages("ran"), again.stages("hit")), (vec!["table".into()], vec!["copy".into()]), "early cutoff");
    space.write("data/c.txt", "two\n");
    assert_eq!(space.run("p.yaml", &[]).ok().stages("ran"), ["copy", "table"]);
    std::fs::remove_file(space.path("data/c.txt")).unwrap();
    assert_eq!(space.run("p.yaml", &[]).ok().stages("hit"), ["copy", "table"], "back to the first content");
}

#[test]
fn order_comments_and_names_do_not_matter() {
    let space = Space::new();
    space.write("data/a.txt", "one\n");
    pipeline(&space, COPY);
    let first = space.run("p.yaml", &[]).ok();
    space.write(
        "q.yaml",
        r#"# the same, written differently
stages:
  second:
    with:
      outputs: { "result": "a folder/result.txt" }
      env: {}
      run:
        - cp
        - ${inputs.table}
        - ${outputs.result}   # a comment
    resources: { cpus: 1 }
    retries: 2
    inputs: { table: first }
    uses: command
  first:
    with: { outputs: { all: all.txt }, shell: 'cat data/*.txt > "${outputs.all}"; echo x > "$(dirname "${outputs.all}")/junk"' }
    uses: command
    sources: ["data/*.txt"]
pipeline: q
"#,
    );
    let second = space.run("q.yaml", &[]).ok();
    assert_eq!(second.stages("hit"), ["first", "second"]);
    assert_eq!(first.stage("copy")["key"], second.stage("second")["key"]);
}

#[test]
fn a_command_gets_only_declared_environment_variables() {
    let space = Space::new();
    pipeline(
        &space,
        r#"
  env:
    uses: command
    with: { shell: 'env > "${outputs.env}"', env: { ANSWER: 42 }, outputs: { env: env.txt } }
"#,
    );
    let args = ["run", "p.yaml"];
    let output = space.command(&args).env("SECRET", "s3cret").output().unwrap();
    assert!(output.status.success());
    let text = std::fs::read_to_string(space.path(".pipe/out/p/env/env.txt")).unwrap();
    assert!(text.contains("ANSWER=42") && text.contains("PATH=") && !text.contains("SECRET"), "{text}");
}

/// Runs one stage and returns its failure.
fn failure(space: &Space, with: &str) -> serde_json::Value {
    pipeline(space, &format!("  s:\n    uses: command\n{with}"));
    let outcome = space.run("p.yaml", &[]);
    assert_eq!(outcome.code, Some(1), "{}", outcome.stderr);
    outcome.stage("s")["failure"].clone()
}

#[test]
fn a_failure_names_its_cause_and_is_not_stored() {
    let space = Space::new();
    let outcome = failure(&space, "    with: { shell: 'echo out; echo oh no >&2; exit 3', outputs: { r: r } }");
    assert_eq!(outcome["error"], "the program ended with exit code 3");
    assert_eq!((&outcome["last_lines"], &outcome["causes"]), (&json!(["out", "oh no"]), &json!([])));
    assert!(std::fs::read_to_string(space.path(outcome["log"].as_str().unwrap())).unwrap().contains("oh no"));
    let outcome = failure(&space, "    with: { run: [true], outputs: { r: r.csv } }");
    assert_eq!(outcome["error"], "the program did not write its output `r`");
    let outcome = failure(&space, "    with: { run: [no-such-program], outputs: { r: r } }");
    assert!(outcome["error"].as_str().unwrap().contains("`no-such-program` can't be started"), "{outcome}");
    let outcome = failure(&space, "    with: { shell: 'kill -SEGV $$', outputs: { r: r } }");
    assert!(outcome["error"].as_str().unwrap().contains("SIGSEGV"), "{outcome}");
    let outcome = failure(&space, "    sources: [absent/*.txt]\n    with: { run: [true], outputs: { r: r } }");
    assert!(outcome["error"].as_str().unwrap().contains("no file matches the source `absent/*.txt`"), "{outcome}");
}

#[test]
fn links_in_an_output_are_errors_and_empty_folders_are_warnings() {
    let space = Space::new();
    let error = |shell: &str| {
        let outcome = failure(&space, &format!("    with: {{ shell: '{shell}', outputs: {{ r: r }} }}"));
        outcome["error"].as_str().unwrap().to_owned()
    };
    let to_passwd = "the program wrote a link or special file to its output `r`: r (a link to /etc/passwd)";
    assert_eq!(error(r#"ln -s /etc/passwd "${outputs.r}""#), to_passwd);
    assert_eq!(
        error(
            r#"cd "$(dirname "${outputs.r}")"; mkdir -p r/a; ln -s ../x r/a/one; ln -s . r/loop; mkfifo r/pipe; echo 1 > r/x"#
        ),
        "the program wrote links or special files to its output `r`: r/a/one (a link to ../x), r/loop (a link to .), \
         r/pipe (neither a file nor a folder)"
    );
    let nothing = "the program did not write its output `r`";
    assert_eq!(error("true"), nothing);
    assert_eq!(error(r#"mkdir -p "${outputs.r}/a/b""#), format!("{nothing}: there are only empty folders"));
    let shell = r#"mkdir -p "${outputs.r}/kept" "${outputs.r}/b/c" "${outputs.r}/a"; echo 1 > "${outputs.r}/kept/x""#;
    pipeline(&space, &format!("  s: {{ uses: command, with: {{ shell: '{shell}', outputs: {{ r: r }} }} }}\n"));
    let warnings = json!(["the output `r` has empty folders, which are not kept: r/a, r/b/c"]);
    assert_eq!(space.run("p.yaml", &[]).ok().stage("s")["warnings"], warnings);
    assert!(space.path(".pipe/out/p/s/r/kept/x").is_file());
    assert_eq!(space.run("p.yaml", &[]).ok().stage("s")["warnings"], warnings, "a hit repeats them");
}

/// Two stages that are the same action: one waits for the other, and says so. Either may be the first.
#[test]
fn a_stage_that_waits_for_another_of_its_run_names_it() {
    let space = Space::new();
    let stage = "    uses: command\n    with: { shell: 'sleep 1; echo 1 > \"${outputs.r}\"', outputs: { r: r } }\n";
    pipeline(&space, &format!("  one:\n{stage}  two:\n{stage}"));
    let run = space.run("p.yaml", &[]).ok();
    let waiting: Vec<_> = run.events.iter().filter(|event| event["event"] == "stage_waiting").collect();
    let (ran, hit) = (run.stages("ran"), run.stages("hit"));
    assert_eq!((ran.len(), hit.len()), (1, 1), "{ran:?} {hit:?}");
    assert_eq!(waiting, [&json!({ "event": "stage_waiting", "stage": hit[0], "made_by": ran[0] })]);
}

#[test]
fn a_result_whose_source_changed_during_the_run_is_not_reused() {
    let space = Space::new();
    space.write("data/a.txt", "one\n");
    let stage = r#"
  s:
    uses: command
    sources: [data/a.txt]
    with: { shell: 'cat data/a.txt > "${outputs.r}"; [ -e stop ] || echo two > data/a.txt', outputs: { r: r.txt } }
"#;
    pipeline(&space, stage);
    let outcome = space.run("p.yaml", &[]).ok();
    let warnings = outcome.stage("s")["warnings"].to_string();
    assert!(warnings.contains("data/a.txt changed while the stage ran"), "{warnings}");
    assert_eq!(std::fs::read_to_string(space.path(".pipe/out/p/s/r.txt")).unwrap(), "one\n", "shown in `out`");
    space.write("data/a.txt", "one\n");
    space.write("stop", "");
    assert_eq!(space.run("p.yaml", &[]).ok().stages("ran"), ["s"], "it was not recorded");
    assert_eq!(space.run("p.yaml", &[]).ok().stages("hit"), ["s"]);
}

#[test]
fn a_time_limit_ends_a_command_and_its_child_processes() {
    let space = Space::new();
    let since = Instant::now();
    let outcome = failure(
        &space,
        "    timeout: 1s\n    retries: 3\n    with: { shell: 'sleep 600 & echo $! > pid; wait', outputs: { r: r } }",
    );
    assert!(outcome["error"].as_str().unwrap().contains("`timeout` of 1 s"), "{outcome}");
    assert!(since.elapsed() < Duration::from_secs(20));
    assert_gone(&space, "pid");
}

/// Waits until the process with the id in a file has ended.
fn assert_gone(space: &Space, file: &str) {
    let pid = std::fs::read_to_string(space.path(file)).unwrap();
    let stat = format!("/proc/{}/stat", pid.trim());
    let until = Instant::now() + Duration::from_secs(5);
    // An ended process is a zombie until its new parent waits for it.
    let alive = || std::fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z "));
    while alive() {
        assert!(Instant::now() < until, "process {pid} still runs");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_command_does_not_outlive_a_killed_pipe() {
    let space = Space::new();
    pipeline(
        &space,
        "  s:\n    uses: command\n    with: { shell: 'sleep 600 & echo $! > pid; wait', outputs: { r: r } }\n",
    );
    let mut child = space.command(&["run", "p.yaml"]).spawn().unwrap();
    let until = Instant::now() + Duration::from_secs(10);
    while std::fs::read_to_string(space.path("pid")).map_or(true, |pid| !pid.ends_with('\n')) {
        assert!(Instant::now() < until, "it did not start");
        std::thread::sleep(Duration::from_millis(10));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert_gone(&space, "pid");
}

#[test]
fn ctrl_c_ends_commands_and_the_run_reports_that_it_was_cancelled() {
    let space = Space::new();
    pipeline(
        &space,
        "  s:\n    uses: command\n    with: { shell: 'trap \"\" TERM; echo $$ > pid; while true; do sleep 0.1; done', outputs: { r: r } }\n",
    );
    let child =
        space.command(&["run", "p.yaml", "--output", "json"]).stdout(std::process::Stdio::piped()).spawn().unwrap();
    let until = Instant::now() + Duration::from_secs(10);
    while std::fs::read_to_string(space.path("pid")).map_or(true, |pid| !pid.ends_with('\n')) {
        assert!(Instant::now() < until, "it did not start");
        std::thread::sleep(Duration::from_millis(10));
    }
    let interrupt = || std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    interrupt();
    std::thread::sleep(Duration::from_millis(200));
    interrupt();
    let since = Instant::now();
    let output = child.wait_with_output().unwrap();
    assert!(since.elapsed() < Duration::from_secs(3), "the second Ctrl-C ends it at once");
    assert_eq!(output.status.code(), Some(130));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.lines().last().unwrap().contains("\"cancelled\":true"), "{text}");
    assert_gone(&space, "pid");
}
