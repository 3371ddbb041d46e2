//! Recorded runs, and the commands that show them: `runs`, `show`, `logs`, `metrics`, `status`, `ls`.

use crate::space::Space;
use serde_json::{Value, json};
use std::process::Stdio;
use std::time::{Duration, Instant};

const PIPELINE: &str = r#"pipeline: p
vars: { loss: 0.5 }
stages:
  score:
    uses: command
    with:
      shell: |
        echo "scoring with ${loss}"
        echo '{"loss": ${loss}, "count": 12345, "name": "x"}' > "${outputs.metrics}"
        while [ -e wait ]; do sleep 0.02; done
        [ ! -e fail ]
      outputs: { metrics: metrics.json }
  table: { uses: command, with: { run: [cp, /dev/null, "${outputs.t}"], outputs: { t: a folder/t.csv } } }
"#;

fn space() -> Space {
    let space = Space::new();
    space.write("p.yaml", PIPELINE);
    space
}

fn run(space: &Space, args: &[&str]) -> Option<i32> {
    space.output(&[&["run", "p.yaml", "--jobs", "1"], args].concat()).status.code()
}

/// Returns the stdout of a successful command.
fn shown(space: &Space, args: &[&str]) -> String {
    let output = space.output(args);
    assert_eq!(output.status.code(), Some(0), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Returns the JSON lines that a command prints.
fn lines(space: &Space, args: &[&str]) -> Vec<Value> {
    let text = shown(space, &[args, &["--output", "json"]].concat());
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Returns the stderr of a command that fails.
fn refused(space: &Space, args: &[&str]) -> String {
    let output = space.output(args);
    assert_eq!(output.status.code(), Some(1), "{args:?}");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn runs_are_listed_newest_first_and_shown() {
    let space = space();
    assert_eq!(shown(&space, &["runs"]), "");
    assert_eq!(run(&space, &[]), Some(0));
    space.write("fail", "");
    assert_eq!(run(&space, &["--set", "vars.loss=0.25"]), Some(1));
    let runs = lines(&space, &["runs"]);
    let counts = |run: &Value| ["hits", "ran", "failed", "skipped"].map(|count| run[count].as_u64().unwrap());
    assert_eq!(runs.iter().map(counts).collect::<Vec<_>>(), [[0, 0, 1, 1], [0, 2, 0, 0]]);
    assert_eq!(lines(&space, &["runs", "--limit", "1"]).len(), 1);
    assert!(
        refused(&space, &["runs", "other"]).contains("no run of a pipeline `other` is recorded; `pipe runs` lists all")
    );
    let table = shown(&space, &["runs"]);
    let columns: Vec<Vec<&str>> =
        table.lines().map(|line| line.split("  ").map(str::trim).filter(|c| !c.is_empty()).collect()).collect();
    assert_eq!(columns[0], ["run", "pipeline", "started", "duration", "stages"], "{table}");
    assert!(columns.iter().all(|line| line.len() == 5), "{table}");
    assert_eq!(columns.iter().map(|line| line[4]).collect::<Vec<_>>(), ["stages", "1 failed, 1 skipped", "2 ran"]);
    assert!(
        columns[1..].iter().all(|line| line[3].ends_with(" s") && line[2].len() == "2026-11-25 21:34:10".len()),
        "{table}"
    );
    assert!(
        runs.iter().all(|run| run["started"].as_str().unwrap().len() == "2026-11-25T20:34:10.123Z".len()),
        "{runs:?}"
    );
    assert!(runs.iter().all(|run| run["duration_millis"].is_u64() && run["alive"] == false), "{runs:?}");

    let stages = lines(&space, &["show"]);
    let failed = stages.iter().find(|stage| stage["stage"] == "score").unwrap();
    assert_eq!(failed["outcome"], "failed");
    assert_eq!(failed["failure"]["last_lines"], json!(["scoring with 0.25"]));
    let older = shown(&space, &["show", "latest~1"]);
    assert!(older.contains("2 ran") && older.contains("score") && older.contains("table"), "{older}");
    let by_name = shown(&space, &["show", runs[1]["run"].as_str().unwrap()]);
    assert_eq!(by_name, older);
    assert!(refused(&space, &["show", "nonsense"]).contains("no run has the id `nonsense`"));
    assert!(refused(&space, &["show", "latest~7"]).contains("the store records only 2 runs"));
    assert!(refused(&space, &["show", "2"]).contains("`2` is ambiguous: the ids of 2 runs start with it"));
}

#[test]
fn logs_prints_the_log_of_the_newest_run_that_wrote_one() {
    let space = space();
    run(&space, &[]);
    run(&space, &["--set", "vars.loss=0.25"]);
    run(&space, &["--set", "vars.loss=0.25"]);
    assert_eq!(
        shown(&space, &["logs", "score"]),
        "scoring with 0.25\n",
        "the stage was a hit in the last run, and wrote no log"
    );
    assert_eq!(shown(&space, &["logs", "score", "--run", "latest~2"]), "scoring with 0.5\n");
    assert!(refused(&space, &["logs", "table"]).contains("no log of the stage `table` in any run"));
    assert!(refused(&space, &["logs", "scor"]).contains("no recorded run has a stage `scor`; did you mean `score`?"));
    let of_run = refused(&space, &["logs", "x", "--run", "latest"]);
    assert!(of_run.contains("this run has no stage `x`; `pipe show` lists the stages of a run"), "{of_run}");
}

#[test]
fn metrics_belong_to_the_run_not_to_the_newest_result() {
    let space = space();
    run(&space, &[]);
    run(&space, &["--set", "vars.loss=0.25"]);
    let all = lines(&space, &["metrics"]);
    let loss = |run: &Value| run["metrics"]["score.loss"].as_f64().unwrap();
    assert_eq!(all.iter().map(loss).collect::<Vec<_>>(), [0.25, 0.5]);
    assert_eq!(all[0]["metrics"]["score.count"], 12345.0);
    assert!(all[0]["metrics"].get("score.name").is_none(), "text is not a metric");
    let diff = lines(&space, &["metrics", "--diff", "latest~1", "latest"]);
    let expect = json!({ "metric": "score.loss", "a": 0.5, "b": 0.25, "difference": -0.25 });
    assert!(diff.contains(&expect), "{diff:?}");
    let text = shown(&space, &["metrics", "--diff", "latest~1", "latest"]);
    assert_eq!(text, "score.count       12345       12345  same\nscore.loss       0.5000      0.2500  -0.2500\n");
    let table = shown(&space, &["metrics"]);
    let columns =
        |line: &str| line.split("  ").map(|c| c.trim().to_owned()).filter(|c| !c.is_empty()).collect::<Vec<_>>();
    let table: Vec<Vec<String>> = table.lines().map(columns).collect();
    assert_eq!(table[0], ["run", "pipeline", "started", "score.count", "score.loss"]);
    assert_eq!(
        table[1..].iter().map(|line| &line[3..]).collect::<Vec<_>>(),
        [["12345", "0.2500"], ["12345", "0.5000"]]
    );
    assert!(refused(&space, &["metrics", "q"]).contains("no run of a pipeline `q` is recorded; did you mean `p`?"));
    std::fs::remove_dir_all(space.path(".pipe/store")).unwrap();
    let output = space.output(&["metrics", "--limit", "1"]);
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.starts_with("no metrics: "), "the results were deleted: {text}");
}

#[test]
fn status_distinguishes_a_running_run_from_a_killed_one() {
    let space = space();
    space.write("wait", "");
    let mut child = space.command(&["run", "p.yaml", "--jobs", "1"]).stdout(Stdio::null()).spawn().unwrap();
    let status = |space: &Space| lines(space, &["status"]).first().cloned();
    let until = Instant::now() + Duration::from_secs(30);
    while status(&space).is_none_or(|status| status["running"] != json!(["score"])) {
        assert!(Instant::now() < until, "the stage never started: {:?}", status(&space));
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(status(&space).unwrap()["alive"], true);
    assert!(shown(&space, &["status"]).starts_with("p: no stage finished, running: score"));
    assert!(shown(&space, &["runs"]).ends_with(" s  no stage finished, running: score\n"));
    let running = shown(&space, &["show"]);
    assert!(
        running.contains(": no stage finished, running: score\n") && running.ends_with("\nrunning score\n"),
        "{running}"
    );
    child.kill().unwrap();
    child.wait().unwrap();
    let killed = status(&space).unwrap();
    assert_eq!((&killed["alive"], &killed["ended"], &killed["running"]), (&json!(false), &json!(false), &json!([])));
    assert!(shown(&space, &["status"]).contains(", interrupted  ("));
    assert!(shown(&space, &["runs"]).ends_with(" -  no stage finished, interrupted\n"));
    assert!(shown(&space, &["show"]).ends_with("\ninterrupted score\n"));
    std::fs::remove_file(space.path("wait")).unwrap();
    assert_eq!(run(&space, &[]), Some(0));
    assert!(shown(&space, &["status", "p"]).starts_with("p: 2 ran  ("));
}

#[test]
fn ls_shows_results_and_their_files_with_sizes() {
    let space = space();
    assert!(refused(&space, &["ls", "p"]).contains("`p` has no result"));
    run(&space, &[]);
    let names = |text: String| text.lines().map(|line| line.trim().to_owned()).collect::<Vec<_>>();
    assert_eq!(names(shown(&space, &["ls"])), ["p/score", "p/table"]);
    let size = std::fs::metadata(space.path(".pipe/out/p/score/metrics.json")).unwrap().len();
    assert_eq!(
        names(shown(&space, &["ls", "p"])),
        [format!("{size}  p/score/metrics.json"), "0  p/table/a folder/t.csv".into()]
    );
    assert_eq!(names(shown(&space, &["ls", "p/table"])).len(), 1);
    assert!(refused(&space, &["ls", "p/other"]).contains("`p/other` has no result"));
}

#[test]
fn status_shows_as_many_pipelines_as_wanted() {
    let space = space();
    for name in ["one", "two", "three"] {
        space.write(&format!("{name}.yaml"), &PIPELINE.replace("pipeline: p", &format!("pipeline: {name}")));
        assert_eq!(space.output(&["run", &format!("{name}.yaml")]).status.code(), Some(0));
    }
    assert_eq!(shown(&space, &["status"]).lines().count(), 3);
    let one = shown(&space, &["status", "--limit", "1"]);
    assert!(one.starts_with("three: ") && one.lines().count() == 1, "{one}");
    assert!(refused(&space, &["status", "tow"]).contains("did you mean `two`?"));
}

#[test]
fn without_a_store_or_a_run_commands_say_so() {
    let space = Space::new();
    let stderr = |args: &[&str]| String::from_utf8(space.output(args).stderr).unwrap();
    for command in ["runs", "status", "metrics"] {
        assert_eq!(shown(&space, &[command]), "");
        assert!(stderr(&[command]).starts_with("no run is recorded in the store `.pipe`; `pipe run FILE` makes one"));
        assert!(stderr(&[command, "--store", "x"]).starts_with("there is no store `x` yet; `pipe run FILE` makes one"));
        assert_eq!(lines(&space, &[command]), Vec::<Value>::new());
    }
    for args in [&["show"][..], &["logs", "s"], &["metrics", "--diff", "latest", "latest"]] {
        assert!(refused(&space, args).starts_with("error: no run is recorded in the store `.pipe`; "));
        let elsewhere = [args, &["--store", "x"]].concat();
        assert!(refused(&space, &elsewhere).starts_with("error: there is no store `x` yet; "));
    }
    assert!(!space.path("x").exists(), "to look makes no store");
}
