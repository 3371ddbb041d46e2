//! What is left when the disk is full, can't be written, or the store goes away under a run: a clear error, and nothing
//! that a later run could take for whole.
//!
//! The tests mount disks in a namespace. If that is not allowed, they are skipped.

use crate::space::Space;
use pipe_testkit::skip;
use std::process::Command;

/// Two results with a small file, and one with a large file.
const PIPELINE: &str = r#"pipeline: p
stages:
  small: { uses: command, with: { shell: 'echo 1 > "${outputs.r}"', outputs: { r: r } } }
  large:
    uses: command
    inputs: { small: small }
    with: { shell: 'head -c 2000000 /dev/zero > "${outputs.r}"', outputs: { r: r } }
  last:
    uses: command
    inputs: { large: large }
    with: { shell: 'wc -c < "${inputs.large}" > "${outputs.r}"', outputs: { r: r } }
"#;

/// The output of a script: its stdout in lines, and its stderr.
struct ScriptOutput {
    lines: Vec<String>,
    stderr: String,
}

/// Runs a shell script in `space` with its own mounts; returns `None` where that is not allowed.
fn with_mounts(space: &Space, script: &str) -> Option<ScriptOutput> {
    let script = format!("pipe={:?}\nexport NO_COLOR=1\n{script}", env!("CARGO_BIN_EXE_pipe"));
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", &script]).current_dir(space.path(""));
    let output = command.output().ok()?;
    let stderr = String::from_utf8(output.stderr).unwrap();
    if !output.status.success() {
        skip(&format!("no mounts in a namespace: {}", stderr.trim()));
        return None;
    }
    let stdout = String::from_utf8(output.stdout).unwrap();
    Some(ScriptOutput { lines: stdout.lines().map(str::to_owned).collect(), stderr })
}

#[test]
fn a_full_disk_is_reported_and_finished_stages_are_kept() {
    let space = Space::new();
    space.write("p.yaml", PIPELINE);
    let output = with_mounts(
        &space,
        r#"
        mount -t tmpfs -o size=1m none .pipe || exit 77
        "$pipe" run p.yaml --no-lock >first.log; echo "full $?"
        mount -o remount,size=16m .pipe || exit 77
        "$pipe" run p.yaml --no-lock 2>&1 | tail -n 2 | head -n 1 | sed 's/ in .*//'
        cat .pipe/out/p/last/r
        "$pipe" cache verify >verify.log; echo "verified $?"
        ls -A .pipe/work .pipe/store/v1/tmp | grep -v : | wc -w
        "#,
    );
    let Some(output) = output else { return };
    assert_eq!(output.lines, ["full 1", "p: 1 hit, 2 ran", "2000000", "verified 0", "0"], "{}", output.stderr);
    let first = std::fs::read_to_string(space.path("first.log")).unwrap() + &output.stderr;
    assert!(first.contains("no space is left on the disk"), "{first}");
}

#[test]
fn a_read_only_disk_serves_results_and_can_be_inspected() {
    let space = Space::new();
    space.write("p.yaml", PIPELINE);
    let output = with_mounts(
        &space,
        r#"
        "$pipe" run p.yaml --no-lock >first.log; echo "writable $?"
        mount --bind .pipe .pipe && mount -o remount,bind,ro .pipe || exit 77
        "$pipe" run p.yaml --no-lock; echo "read-only $?"
        "$pipe" run p.yaml --no-lock --force large >forced.log 2>&1; echo "forced $?"
        "$pipe" plan p.yaml | tail -n 1
        for command in status runs show ls "cache stats" "metrics p"; do
            "$pipe" $command >look.log || echo "failed: $command"
        done
        "#,
    );
    let Some(output) = output else { return };
    assert_eq!(output.lines[..2], ["writable 0", "read-only 0"], "{}", output.stderr);
    assert_eq!((output.lines[2].as_str(), output.lines.len()), ("forced 1", 4), "{:?} {}", output.lines, output.stderr);
    assert!(output.stderr.contains("may not write"), "{}", output.stderr);
}

#[test]
fn a_store_that_is_deleted_during_a_run_fails_it_and_the_next_run_completes() {
    let space = Space::new();
    let gone = PIPELINE.replace("head -c", "[ ! -e gone ] || rm -r .pipe/store; head -c");
    space.write("p.yaml", &gone);
    space.write("gone", "");
    let failed = space.output(&["run", "p.yaml", "--no-lock"]);
    let text = String::from_utf8(failed.stdout).unwrap() + &String::from_utf8(failed.stderr).unwrap();
    assert_eq!(failed.status.code(), Some(1), "{text}");
    assert!(text.contains("store/v1"), "the error names the missing file: {text}");
    std::fs::remove_file(space.path("gone")).unwrap();
    let again = space.run("p.yaml", &[]).ok();
    assert_eq!(again.stages("ran"), ["large", "last", "small"]);
    assert_eq!(space.run("p.yaml", &[]).ok().stages("hit").len(), 3);
}
