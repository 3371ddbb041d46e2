//! Reports: JSON on stdout for every command that prints data, and exit code 1 if a report cannot be written.

use crate::space::Space;
use serde_json::Value;
use std::fs::OpenOptions;

const PIPELINE: &str = "pipeline: p\nstages:\n  a: { uses: command, with: { shell: 'echo a > \"${outputs.r}\"', outputs: { r: r.txt } } }\n";

fn space() -> Space {
    let space = Space::new();
    space.write("p.yaml", PIPELINE);
    space.run("p.yaml", &[]).ok();
    space
}

fn json_lines(stdout: &[u8]) -> Vec<Value> {
    let text = String::from_utf8(stdout.to_vec()).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"))).collect()
}

#[test]
fn a_report_that_cannot_be_written_is_a_failure() {
    let space = space();
    space.write("videos/a/a.mp4", "");
    space.write("videos/b/b.mp4", "");
    let commands: &[&[&str]] = &[
        &["--help"],
        &["run", "--help"],
        &["--version"],
        &["init", "videos"],
        &["run", "p.yaml", "--output", "json"],
        &["check", "p.yaml"],
        &["check", "p.yaml", "--output", "json"],
        &["plan", "p.yaml"],
        &["plan", "p.yaml", "--graph"],
        &["plan", "p.yaml", "--output", "json"],
        &["why", "p.yaml"],
        &["runs"],
        &["runs", "--output", "json"],
        &["show"],
        &["show", "--output", "json"],
        &["metrics"],
        &["status"],
        &["ls"],
        &["ls", "--output", "json"],
        &["stages"],
        &["bases"],
        &["bases", "models/tsn_r50"],
        &["schema"],
        &["completions", "bash"],
        &["cache", "stats"],
        &["cache", "gc", "--dry-run"],
        &["cache", "verify"],
    ];
    for args in commands {
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = space.command(args).stdout(full).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{args:?}: {stderr}");
        assert!(
            stderr.contains("error: the output is incomplete, because stdout cannot be written"),
            "{args:?}: {stderr}"
        );
        assert!(stderr.contains("No space left"), "{args:?}: {stderr}");
    }
}

#[test]
fn mistakes_in_a_file_are_json_if_asked_for() {
    let space = Space::new();
    space.write("p.yaml", "pipeline: p\nstages:\n  a: { uses: injest }\n  b: { uses: ingest, with: { rot: 1 } }\n");
    for command in ["run", "check", "plan", "why"] {
        let output = space.output(&[command, "p.yaml", "--output", "json"]);
        assert_eq!(output.status.code(), Some(2), "{command}");
        let lines = json_lines(&output.stdout);
        assert!(lines.iter().all(|line| line["event"] == "mistake" && line["file"] == "p.yaml"), "{lines:?}");
        assert_eq!((&lines[0]["line"], &lines[0]["column"]), (&3.into(), &14.into()));
        assert_eq!(lines[0]["code"], "unknown-kind");
        assert_eq!(lines[0]["help"], "did you mean `ingest`?");
        assert!(lines.iter().any(|line| line["message"] == "unknown parameter `rot`"), "{lines:?}");
        assert!(String::from_utf8(output.stderr).unwrap().contains("nothing was run"));
    }
}

#[test]
fn check_and_ls_have_json() {
    let space = space();
    let check = space.output(&["check", "p.yaml", "--output", "json"]);
    assert_eq!(check.status.code(), Some(0));
    assert_eq!(
        json_lines(&check.stdout),
        [serde_json::json!({ "event": "file_checked", "pipeline": "p", "stages": ["a"] })]
    );
    let listed = space.output(&["ls", "p", "--output", "json"]);
    assert_eq!(json_lines(&listed.stdout), [serde_json::json!({ "path": "p/a/r.txt", "size_bytes": 2 })]);
}
