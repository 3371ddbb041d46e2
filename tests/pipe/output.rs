//! What commands print when all goes well, as snapshots.

use crate::snapshot::{self, shown};
use crate::space::{Space, tiny};
use pipe_testkit::repository;

#[test]
fn tiny_run_cold_and_again() {
    let space = Space::new();
    let smoke = std::fs::read_to_string(repository().join("pipelines/smoke.yaml")).unwrap();
    space.write("smoke.yaml", &smoke);
    let settings: Vec<&str> = tiny(&[]).into_iter().flat_map(|setting| ["--set", setting]).collect();
    let run = || space.output(&[&["run", "smoke.yaml", "--jobs", "1"], settings.as_slice()].concat());
    snapshot::check(&space, "run_cold", &shown(&["run", "smoke.yaml", "…"], &run()));
    snapshot::check(&space, "run_again", &shown(&["run", "smoke.yaml", "…"], &run()));
}

const PIPELINE: &str = r#"pipeline: p
vars: { loss: 0.5 }
stages:
  score:
    uses: command
    sources: [data/*.txt]
    with:
      shell: |
        echo "scoring with ${loss}"
        echo '{"loss": ${loss}}' > "${outputs.metrics}"
      outputs: { metrics: metrics.json }
  report: { uses: command, inputs: { m: score }, with: { run: [cp, "${inputs.m}", "${outputs.r}"], outputs: { r: report.json } } }
"#;

#[test]
fn commands_around_a_run() {
    let space = Space::new();
    space.write("p.yaml", PIPELINE);
    space.write("data/a.txt", "a");
    let check = |name: &str, args: &[&str]| snapshot::check_command(&space, name, args);
    check("check", &["check", "p.yaml"]);
    check("plan_cold", &["plan", "p.yaml"]);
    check("runs_empty", &["runs"]);
    check("run_commands", &["run", "p.yaml", "--jobs", "1"]);
    check("plan_up_to_date", &["plan", "p.yaml"]);
    check("why_up_to_date", &["why", "p.yaml"]);
    space.write("data/b.txt", "b");
    check("plan_changed", &["plan", "p.yaml", "--set", "vars.loss=0.25"]);
    check("why_changed", &["why", "p.yaml", "--set", "vars.loss=0.25"]);
    check("run_changed", &["run", "p.yaml", "--jobs", "1", "--set", "vars.loss=0.25"]);
    check("run_check", &["run", "p.yaml", "--jobs", "1", "--set", "vars.loss=0.25", "--check"]);
    check("run_force", &["run", "p.yaml", "--jobs", "1", "--set", "vars.loss=0.25", "--force", "score"]);
    check("runs", &["runs", "--limit", "2"]);
    check("show", &["show"]);
    check("logs", &["logs", "score"]);
    check("metrics", &["metrics", "--limit", "2"]);
    check("metrics_diff", &["metrics", "--diff", "latest~3", "latest"]);
    check("status", &["status"]);
    check("ls", &["ls"]);
    check("ls_pipeline", &["ls", "p"]);
    check("cache_verify", &["cache", "verify"]);
}
