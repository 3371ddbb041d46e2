//! Workers that do not follow the protocol: each ends the request with a message, within a time limit.

use super::*;
use pipe_stage::protocol::{Grant, PROTOCOL_VERSION, Task};
use std::collections::BTreeMap;
use std::os::unix::ffi::OsStringExt;
use std::time::{Duration, Instant};

/// More than a pipe holds.
const LARGE: usize = 1 << 20;

/// A reply that ends a request.
fn finished_reply() -> String {
    let reply = Reply::Finished { id: 0, summary: pipe_stage::Summary::line("done") };
    serde_json::to_string(&reply).expect("JSON")
}

fn worker(script: &str) -> WorkerProcess {
    WorkerProcess::spawn(Command::new("sh").args(["-c", script]), None).expect("started")
}

/// Returns a request of about `bytes` bytes, in a folder whose name is not UTF-8.
fn request(bytes: usize) -> Request {
    let folder = std::path::PathBuf::from(std::ffi::OsString::from_vec(b"/caf\xe9".to_vec()));
    Request {
        protocol: PROTOCOL_VERSION,
        id: 0,
        kind: "frames".to_owned(),
        version: 1,
        task: Task::Whole,
        params: "x".repeat(bytes).into(),
        inputs: BTreeMap::new(),
        sources: BTreeMap::new(),
        output: folder.clone(),
        scratch: folder.clone(),
        downloads: folder.clone(),
        diagnostics: folder,
        grant: Grant::devices(1, Vec::new()),
    }
}

/// Runs a request with a time limit, and returns how it ended.
fn run(mut worker: WorkerProcess, bytes: usize, handle: Handle) -> Ended {
    let (sender, receiver) = std::sync::mpsc::sync_channel(1);
    let thread = std::thread::Builder::new().spawn(move || {
        let log = tempfile::NamedTempFile::new().expect("a file");
        let ended = worker.run(request(bytes), &handle, log.path(), &mut |_| Ok(()));
        drop(worker); // this must not wait either
        sender.send(ended).expect("received");
    });
    thread.expect("a thread");
    receiver.recv_timeout(Duration::from_secs(20)).expect("it ended in time").expect("no other error")
}

/// Returns how the worker of a script died. Small and large requests must end alike.
fn death(script: &str) -> String {
    let died = |bytes| match run(worker(script), bytes, Handle::default()) {
        Ended::Died { how, .. } => how,
        other => panic!("{script}: {other:?}"),
    };
    let (small, large) = (died(10), died(LARGE));
    assert_eq!(small, large, "{script}");
    small
}

#[test]
fn a_worker_that_ends_is_reported() {
    assert_eq!(death("exit 3"), "ended with exit code 3");
    assert_eq!(death("read -r line; exit 3"), "ended with exit code 3");
    assert_eq!(death("kill -SEGV $$"), "killed by SIGSEGV");
    // Between two messages, and in the middle of one.
    let progress = r#"{"reply":"progress","done":1,"total":2,"unit":"x"}"#;
    assert_eq!(death(&format!("read -r line; echo '{progress}'; kill -9 $$")), "killed by SIGKILL");
    let half = r#"printf '{"reply":"prog'; exit 1"#;
    assert_eq!(death(half), r#"ended with exit code 1, in the middle of a reply: {"reply":"prog"#);
}

#[test]
fn a_worker_that_ends_before_its_children_is_reported() {
    assert_eq!(death("sleep 600 & exit 3"), "ended with exit code 3");
    // A child in a session of its own is not of the worker's group.
    assert_eq!(
        death("setsid sleep 30 & sleep 0.2; printf half; exit 3"),
        "ended with exit code 3, in the middle of a reply: half"
    );
}

#[test]
fn a_worker_that_closes_a_pipe_is_ended() {
    assert_eq!(death("exec 0<&-; sleep 600"), "it closed its input but did not end");
    assert_eq!(death("exec 1>&-; sleep 600"), "it closed its output but did not end");
    assert_eq!(death("exec 0<&- 1>&- 2>&-; sleep 600"), "it closed its output but did not end");
}

#[test]
fn what_is_not_a_reply_is_shown() {
    for garbage in ["echo garbage", r"printf '\377\376\n'", "echo '{\"reply\":\"unknown\"}'", "echo"] {
        let how = death(&format!("{garbage}; sleep 600"));
        assert!(how.starts_with("it sent something that is not a reply ("), "{how}");
    }
    let long = death("head -c 100000 /dev/zero | tr '\\0' x; echo; sleep 600");
    assert!(long.ends_with("xxx…") && long.len() < 400, "{long}");
}

#[test]
fn replies_before_the_input_was_closed_or_read_are_read() {
    let reply = finished_reply();
    let finished = |script: &str, bytes| match run(worker(script), bytes, Handle::default()) {
        Ended::Finished { summary, .. } => assert_eq!(summary.lines, ["done"]),
        other => panic!("{script}: {other:?}"),
    };
    finished(&format!("exec 0<&-; sleep 0.3; echo '{reply}'"), 10);
    finished(&format!("read -r line; echo '{reply}'; exit 3"), LARGE);
    // It writes more than a pipe holds before it reads.
    let warning = format!(r#"{{"reply":"warning","text":"{}"}}"#, "x".repeat(1000));
    finished(&format!("for i in $(seq 200); do echo '{warning}'; done; read -r line; echo '{reply}'"), LARGE);
}

#[test]
fn a_worker_that_never_reads_can_be_cancelled_and_killed() {
    let worker = worker("sleep 600");
    let handle = worker.handle();
    let stop = handle.clone();
    let thread = std::thread::Builder::new().spawn(move || {
        std::thread::sleep(Duration::from_millis(300));
        let since = Instant::now();
        (0..100).for_each(|_| stop.cancel());
        assert!(since.elapsed() < Duration::from_secs(1), "a cancellation does not wait");
        stop.kill();
    });
    let ended = run(worker, LARGE, handle);
    assert!(matches!(&ended, Ended::Died { how, .. } if how == "killed by SIGKILL"), "{ended:?}");
    thread.expect("a thread").join().expect("in time");
}

#[test]
fn an_action_that_was_cancelled_before_its_request_is_cancelled() {
    // It answers the second message.
    let cancelled = r#"{"reply":"failed","id":0,"error":"cancelled","causes":[],"help":null,"cancelled":true}"#;
    let worker = worker(&format!("read -r run; read -r cancel; echo '{cancelled}'; echo \"$cancel\" >&2"));
    let handle = worker.handle();
    handle.cancel();
    let ended = run(worker, 10, handle);
    assert!(matches!(&ended, Ended::Failed { cancelled: true, .. }), "{ended:?}");
}

#[test]
fn only_a_worker_that_waits_is_idle() {
    let idle_after = |script: &str| {
        let worker = worker(script);
        std::thread::sleep(Duration::from_millis(300));
        worker.is_idle()
    };
    assert!(idle_after("sleep 600"));
    for script in ["exit 0", "echo; sleep 600", "exec 0<&-; sleep 600", "exec 1>&-; sleep 600"] {
        assert!(!idle_after(script), "{script}");
    }
}
