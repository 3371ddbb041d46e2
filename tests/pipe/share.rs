//! Runs fetch results of others from a remote. A damaged or unreachable remote is only a warning.

use crate::space::{Space, run_output};

const PIPELINE: &str = r#"pipeline: p
stages:
  a: { uses: command, with: { shell: 'echo a > "${outputs.r}"; echo a >> marks', outputs: { r: r.txt } } }
  b: { uses: command, inputs: { a: a }, with: { shell: '(cat "${inputs.a}"; echo b) > "${outputs.r}"; echo b >> marks', outputs: { r: r.txt } } }
"#;

fn space(remote: &std::path::Path) -> Space {
    let space = Space::new();
    space.write(
        "p.yaml",
        &PIPELINE.replace("pipeline: p", &format!("pipeline: p\nremote: file://{}", remote.display())),
    );
    space
}

#[test]
fn a_run_fetches_the_results_of_another() {
    let folder = tempfile::tempdir().unwrap();
    let remote = folder.path().join("remote");
    let (one, two) = (space(&remote), space(&remote));
    let args = ["run", "p.yaml", "--push", "--output", "json"];
    assert_eq!(run_output(&one.output(&args)).ok().stages("ran"), ["a", "b"]);
    let second = run_output(&two.output(&["run", "p.yaml", "--output", "json"])).ok();
    assert_eq!(second.stages("hit"), ["a", "b"]);
    assert!(!two.path("marks").exists(), "nothing ran");
    assert!(second.events.iter().any(|event| event["event"] == "stage_fetched"));
    assert_eq!(std::fs::read_to_string(two.path(".pipe/out/p/b/r.txt")).unwrap(), "a\nb\n");

    let third = space(&remote);
    let off = run_output(&third.output(&["run", "p.yaml", "--remote", "none", "--output", "json"])).ok();
    assert_eq!(off.stages("ran"), ["a", "b"]);
}

#[test]
fn a_damaged_or_missing_remote_is_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let remote = folder.path().join("remote");
    run_output(&space(&remote).output(&["run", "p.yaml", "--push", "--output", "json"])).ok();
    let mut flipped = 0;
    let mut open = vec![remote.join("v1/blobs")];
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
        } else {
            let mut bytes = std::fs::read(&path).unwrap();
            bytes[0] ^= 1;
            std::fs::remove_file(&path).unwrap();
            std::fs::write(&path, bytes).unwrap();
            flipped += 1;
        }
    }
    assert!(flipped > 0);
    let other = space(&remote);
    let run = run_output(&other.output(&["run", "p.yaml", "--output", "json"])).ok();
    assert_eq!(run.stages("ran"), ["a", "b"]);
    assert!(run.events.iter().any(|event| event["event"] == "remote_trouble"), "{:#?}", run.events);
    assert_eq!(std::fs::read_to_string(other.path(".pipe/out/p/b/r.txt")).unwrap(), "a\nb\n");

    let nowhere = space(&folder.path().join("no/such/folder"));
    let run = run_output(&nowhere.output(&["run", "p.yaml", "--output", "json"])).ok();
    assert_eq!(run.stages("ran"), ["a", "b"]);
    assert!(run.stderr.contains("warning: the remote file://"), "{}", run.stderr);
}

#[test]
fn a_remote_folder_that_does_not_exist_is_found_before_anything_runs() {
    let folder = tempfile::tempdir().unwrap();
    let absent = folder.path().join("no/such");
    let space = space(&absent);
    let url = format!("file://{}", absent.display());
    let asked: [&[&str]; 4] = [
        &["run", "p.yaml", "--remote", &url],
        &["run", "p.yaml", "--push"],
        &["check", "p.yaml"],
        &["cache", "pull", "--remote", &url],
    ];
    for args in asked {
        let output = space.output(args);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}: {stderr}");
        assert!(stderr.contains("can't be used, because") && stderr.contains("is not a folder"), "{args:?}: {stderr}");
    }
    assert!(!space.path("marks").exists(), "nothing ran");
}
