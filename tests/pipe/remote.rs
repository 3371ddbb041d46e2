//! `pipe cache push` and `pull`: results are shared, and secrets are never shown.

use crate::space::Space;
use pipe_cache::{ActionKey, ActionRecord, Fields, OutputRecord, Store};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::Output;

/// Puts a result into the store as a run would, as the newest of a stage.
fn make(space: &Space) -> ActionKey {
    let store = Store::open(&space.path(".pipe")).unwrap();
    space.write("output/metrics.json", "{}");
    space.write("output/predictions.parquet", "rows");
    space.write("output/report/report.txt", "figures");
    let tree = store.insert(&space.path("output")).unwrap();
    let contract = pipe_schemas::stages::contract("evaluate").unwrap();
    let port = |port: &pipe_schemas::OutputPort| (port.name.to_owned(), tree.part(port.path).unwrap().digest());
    let ports = contract.outputs.iter().map(port).collect();
    let mut fields = Fields::default();
    fields.add(["kind"], "evaluate");
    let record = ActionRecord {
        duration_millis: 1,
        ended_unix_secs: 2,
        ..ActionRecord::new("evaluate", OutputRecord { tree: tree.digest(), ports })
    };
    store.record(fields.key(), &fields, &record).unwrap();
    space.write(".pipe/latest/some.log", &format!("eval {}\n", fields.key()));
    fields.key()
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn one_machine_pushes_and_another_pulls() {
    let (one, two) = (Space::new(), Space::new());
    let key = make(&one);
    let url = format!("file://{}", one.path("share").display());
    let pushed = one.output(&["cache", "push", "--remote", &url]);
    assert!(text(&pushed).starts_with(&format!("{url}: 1 result sent (3 files, ")), "{}", text(&pushed));
    assert_eq!(pushed.status.code(), Some(0));
    let again = one.output(&["cache", "push", "--remote", &url]);
    assert!(text(&again).contains("0 results sent (0 files, 0 B); 1 was already there"), "{}", text(&again));

    two.write(".pipe/config.yaml", &format!("remote: {url}\n"));
    let pulled = two.output(&["cache", "pull"]);
    assert!(text(&pulled).starts_with(&format!("{url}: 1 result fetched (")), "{}", text(&pulled));
    let store = Store::open(&two.path(".pipe")).unwrap();
    assert!(matches!(store.find(key), pipe_cache::Lookup::Hit(_)));

    let off = two.output(&["cache", "pull", "--remote", "none"]);
    assert_eq!(off.status.code(), Some(2));
    assert!(text(&off).contains("no remote is set"), "{}", text(&off));
}

#[test]
fn a_pipeline_file_selects_its_remote_and_results() {
    let (one, two) = (Space::new(), Space::new());
    make(&one);
    let url = format!("file://{}", one.path("share").display());
    assert_eq!(one.output(&["cache", "push", "--remote", &url]).status.code(), Some(0));
    let smoke = pipe_testkit::repository().join("pipelines/smoke.yaml");
    two.write("mine.yaml", &format!("pipeline: mine\nremote: {url}\nextends: [{}]\n", smoke.display()));
    let without = two.output(&["cache", "pull", "mine.yaml", "--set", "stages.eval=null"]);
    assert!(text(&without).contains("0 results fetched"), "{}", text(&without));
    let with = two.output(&["cache", "pull", "mine.yaml"]);
    assert!(text(&with).contains("1 result fetched"), "{}", text(&with));
    two.write("mine.yaml", "pipeline: mine\nremote: https://x/y\nstages: {}\n");
    let wrong = two.output(&["check", "mine.yaml"]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(text(&wrong).contains("not a valid remote: use s3://bucket/prefix"), "{}", text(&wrong));
}

#[test]
fn damage_is_a_warning() {
    let (one, two) = (Space::new(), Space::new());
    make(&one);
    let url = format!("file://{}", one.path("share").display());
    assert_eq!(one.output(&["cache", "push", "--remote", &url]).status.code(), Some(0));
    for_each_file(&one.path("share/v1/blobs"), &|path| std::fs::write(path, "evil").unwrap());
    let pulled = two.output(&["cache", "pull", "--remote", &url]);
    assert_eq!(pulled.status.code(), Some(0));
    assert!(text(&pulled).contains("warning: ") && text(&pulled).contains("0 results fetched"), "{}", text(&pulled));
    assert_eq!(one.output(&["cache", "push", "--replace", "--remote", &url]).status.code(), Some(0));
    let repaired = two.output(&["cache", "pull", "--remote", &url]);
    assert!(text(&repaired).contains("1 result fetched"), "{}", text(&repaired));
}

#[test]
fn secrets_are_never_shown_or_stored() {
    let space = Space::new();
    make(&space);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    // Refuses every request, and repeats the request in its response. Ends with the process of the test.
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut head = String::new();
            let mut lines = BufReader::new(stream.try_clone().unwrap());
            while lines.read_line(&mut head).is_ok_and(|read| read > 2) {}
            if head.is_empty() {
                continue; // an unused connection
            }
            assert!(head.contains("dontTellAnyone-token"), "otherwise this test proves nothing");
            let response =
                format!("HTTP/1.1 403 Forbidden\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", head.len());
            let _ = stream.write_all(format!("{response}{head}").as_bytes());
        }
    });
    let secrets = ["dontTellAnyone/secret", "dontTellAnyone-token", "AKIDOFTHETEST"];
    let run = |args: &[&str]| {
        let mut command = space.command(args);
        command.env("AWS_ENDPOINT_URL", &endpoint).env("AWS_ALLOW_HTTP", "true").env("AWS_REGION", "us-east-1");
        command.env("AWS_ACCESS_KEY_ID", secrets[2]).env("AWS_SECRET_ACCESS_KEY", secrets[0]);
        command.env("AWS_SESSION_TOKEN", secrets[1]).env("RUST_LOG", "trace").env("RUST_BACKTRACE", "1");
        let output = command.output().unwrap();
        (output.status.code(), text(&output))
    };
    let mut shown = String::new();
    for args in [["cache", "push", "--remote", "s3://bucket/a"], ["cache", "pull", "--remote", "s3://bucket/a"]] {
        let (code, text) = run(&args);
        assert_eq!(code, Some(1), "{text}");
        assert!(
            text.contains("error: the remote s3://bucket/a can't be used: the server refuses the request (403)"),
            "{text}"
        );
        shown += &text;
    }
    // A URL with credentials is refused and not repeated.
    let (code, text) = run(&["cache", "push", "--remote", "s3://AKIDOFTHETEST:dontTellAnyone/secret@bucket"]);
    assert_eq!(code, Some(2));
    shown += &text;
    for_each_file(&space.path(".pipe"), &|path| {
        // A link contains only its target, which may be a key.
        let bytes = match std::fs::read_link(path) {
            Ok(target) => target.into_os_string().into_encoded_bytes(),
            Err(_) => std::fs::read(path).unwrap(),
        };
        for secret in secrets {
            assert!(!String::from_utf8_lossy(&bytes).contains(secret), "{}", path.display());
        }
    });
    for secret in secrets {
        assert!(!shown.contains(secret), "{shown}");
    }
}

fn for_each_file(folder: &Path, work: &dyn Fn(&Path)) {
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            for_each_file(&path, work);
        } else if path.is_symlink() {
            work(&path);
        } else {
            let mut permissions = std::fs::metadata(&path).unwrap().permissions();
            if permissions.readonly() {
                #[expect(clippy::permissions_set_readonly_false, reason = "a file of the test's own")]
                permissions.set_readonly(false);
                std::fs::set_permissions(&path, permissions).unwrap();
            }
            work(&path);
        }
    }
}
