//! Helpers that are killed while they decode.

use crate::space::{Space, Worker, source, with_defaults};
use pipe_stage::protocol::{Input, MakePart, MakeParts, PlannedPart, Reply, Request, Task};
use pipe_video::{Encoder, EncoderParams};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Returns the child processes of a process.
fn children_of(parent: u32) -> Vec<i32> {
    let processes = fs_err::read_dir("/proc").expect("processes");
    let ids = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    let is_child = |id: &i32| {
        let stat = fs_err::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        // The name, which may contain spaces, is in parentheses; the state and the parent follow.
        let parent_of = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(1)?.parse().ok());
        parent_of == Some(parent)
    };
    ids.filter(is_child).collect()
}

/// Runs a request while every helper of its worker is killed as soon as it is seen, as if memory ran out again and again.
fn run_and_kill(request: &Request, parts: &[MakePart]) -> Reply {
    let mut worker = Worker::start();
    let (id, is_over) = (worker.process.id(), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                for helper in children_of(id) {
                    let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(helper), nix::sys::signal::SIGKILL);
                }
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        let make = Task::Make(MakeParts::independent(parts.to_vec()));
        let reply = worker.run(Request { task: make, ..request.clone() }).0;
        is_over.store(true, Ordering::Relaxed);
        reply
    })
}

#[test]
fn a_killed_decoder_fails_the_stage_and_nothing_is_recorded_about_the_video() {
    let space = Space::new();
    let params = EncoderParams { width_px: 640, height_px: 480, fps: 25, quantizer: 2 };
    let mut encoder = Encoder::create(&space.path("media").join("long.avi"), params).expect("created");
    let noise: Vec<u8> = (0..640 * 480 * 3_usize).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    (0..100).for_each(|_| encoder.write_rgb(&noise).expect("written"));
    encoder.finish().expect("finished");
    for (kind, with) in [("ingest", json!({ "verify": "decode" })), ("frames", json!({ "on_error": "skip" }))] {
        let mut request = space.request(kind, with_defaults(kind, with), "killed");
        if kind == "ingest" {
            let list = space.path("killed.json");
            let files = [source(&space.path("media/long.avi"))];
            fs_err::write(&list, serde_json::to_vec(&files).expect("JSON")).expect("written");
            let media = space.path("media");
            let left_out = BTreeMap::new();
            let folder = Input { path: media, digest: String::new(), files: Some(list), media_root: None, left_out };
            request.inputs = BTreeMap::from([("folder".to_owned(), folder)]);
        } else {
            space.ingest(json!({}));
            let path = space.path("ingest/videos.parquet");
            let (media_root, left_out) = (Some(space.path("media")), BTreeMap::new());
            let videos = Input { path, digest: String::new(), files: None, media_root, left_out };
            request.inputs = BTreeMap::from([("videos".to_owned(), videos)]);
        }
        let planned = Worker::start().planned(Request { task: Task::Plan, ..request.clone() });
        let part = |part: &PlannedPart| {
            let folder = space.path("killed-parts").join(kind).join(&part.name);
            fs_err::create_dir_all(&folder).expect("a folder");
            MakePart { name: part.name.clone(), folder, old: None }
        };
        let parts: Vec<MakePart> = planned.iter().map(part).collect();
        let reply = run_and_kill(&request, &parts);
        let text = format!("{reply:?}");
        assert!(matches!(reply, Reply::Failed { .. }), "{kind}: {text}");
        assert!(text.contains("long.avi") && text.contains("SIGKILL"), "{kind}: {text}");
        assert!(parts.iter().all(|part| !part.folder.join("notes").join("found.json").exists()), "{kind}: recorded");
        assert!(parts.iter().all(|part| !part.folder.join("notes").join("skipped.json").exists()), "{kind}: recorded");
        // Without the killer, the same request succeeds.
        let again = Request { task: Task::Make(MakeParts::independent(parts)), ..request };
        Worker::start().finished(again).expect("made");
    }
}
