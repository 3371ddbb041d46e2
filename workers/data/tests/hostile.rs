//! Runs the real worker on hostile and damaged files, as `pipe` does: `ingest`, then `frames`.

use pipe_schemas::tables::{FrameIndexRow, Verdict, VideoRow};
use pipe_stage::SourceFile;
use pipe_stage::protocol::{
    Grant, Input, MadePart, MakePart, MakeParts, Message, PROTOCOL_VERSION, PlannedPart, Reply, Request, Task,
};
use pipe_tables::read_rows;
use pipe_testkit::{repository, shared, skip};
use pipe_video::{Encoder, EncoderParams};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const WORKER: &str = env!("CARGO_BIN_EXE_pipe-data-worker");

/// A temporary folder with videos and outputs.
struct Space {
    folder: tempfile::TempDir,
}

impl Space {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["media", "scratch"] {
            fs_err::create_dir(folder.path().join(name)).expect("made");
        }
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a valid video of 5 different frames.
    fn healthy(&self, name: &str, number: usize) {
        let params = EncoderParams { width_px: 64, height_px: 48, fps: 25, quantizer: 2 };
        let mut encoder = Encoder::create(&self.path("media").join(name), params).expect("created");
        for frame in 0..5 {
            let rgb: Vec<u8> = (0..64 * 48 * 3).map(|at| (at / 3 * (number + 2) + 40 * frame) as u8).collect();
            encoder.write_rgb(&rgb).expect("written");
        }
        encoder.finish().expect("finished");
    }

    /// Runs `ingest` on all files. Returns the rows by path.
    fn ingest(&self, params: Value) -> BTreeMap<String, VideoRow> {
        let media = self.path("media");
        let mut files: Vec<SourceFile> =
            fs_err::read_dir(&media).expect("a folder").map(|entry| source(&entry.expect("an entry").path())).collect();
        files.sort_by(|a, b| a.path.cmp(&b.path));
        let list = self.path("files.json");
        fs_err::write(&list, serde_json::to_vec(&files).expect("JSON")).expect("written");
        let folder = Input {
            path: media,
            digest: String::new(),
            files: Some(list),
            media_root: None,
            left_out: BTreeMap::new(),
        };
        let mut request = self.request("ingest", with_defaults("ingest", params), "ingest");
        request.inputs = BTreeMap::from([("folder".to_owned(), folder)]);
        self.run_in_parts(&request);
        let rows: Vec<VideoRow> = read_rows(&self.path("ingest/videos.parquet")).expect("read");
        assert_eq!(rows.len(), files.len(), "a file has no row");
        rows.into_iter().map(|row| (row.path.clone(), row)).collect()
    }

    /// Runs `frames` on the output of `ingest`. Returns the rows of the index by video, and the warnings.
    fn frames(&self, params: Value) -> (BTreeMap<String, FrameIndexRow>, Vec<String>) {
        let videos = Input {
            path: self.path("ingest/videos.parquet"),
            digest: String::new(),
            files: None,
            media_root: Some(self.path("media")),
            left_out: BTreeMap::new(),
        };
        let mut request = self.request("frames", with_defaults("frames", params), "frames");
        request.inputs = BTreeMap::from([("videos".to_owned(), videos)]);
        let _ = fs_err::remove_dir_all(self.path("frames")); // of an earlier run
        fs_err::create_dir_all(self.path("frames")).expect("a folder");
        let (made, warnings) = self.run_in_parts(&request);
        let frames = self.path("frames/frames");
        for part in &made {
            let name = format!("shard-{}.parquet", part.name);
            let shard = part.file("frames").join(&name);
            if shard.exists() {
                fs_err::rename(shard, frames.join(name)).expect("moved");
            }
        }
        let rows: Vec<FrameIndexRow> = read_rows(&frames.join("index.parquet")).expect("read");
        (rows.into_iter().map(|row| (row.video_id.clone(), row)).collect(), warnings)
    }

    /// Runs a parted stage. Returns its parts and the warnings.
    fn run_in_parts(&self, request: &Request) -> (Vec<MadePart>, Vec<String>) {
        let with_task = |task: Task| Request { task, ..request.clone() };
        let folder = self.path("parts").join(&request.kind);
        let _ = fs_err::remove_dir_all(&folder); // of an earlier run
        let mut worker = Worker::start();
        let part = |part: &PlannedPart| {
            let folder = folder.join(&part.name);
            fs_err::create_dir_all(&folder).expect("a folder");
            MakePart { name: part.name.clone(), folder, old: None }
        };
        let parts: Vec<MakePart> = worker.planned(with_task(Task::Plan)).iter().map(part).collect();
        let made: Vec<MadePart> = parts.iter().map(MakePart::made).collect();
        worker.finished(with_task(Task::Make(MakeParts::independent(parts)))).expect("made");
        let warnings = worker.finished(with_task(Task::Assemble { parts: made.clone() })).expect("assembled");
        (made, warnings)
    }

    fn request(&self, kind: &str, params: Value, output: &str) -> Request {
        fs_err::create_dir_all(self.path(output)).expect("a folder");
        Request {
            protocol: PROTOCOL_VERSION,
            id: 7,
            kind: kind.into(),
            version: pipe_schemas::stages::contract(kind).expect("a kind").version,
            task: Task::Whole,
            params,
            inputs: BTreeMap::new(),
            sources: BTreeMap::new(),
            output: self.path(output),
            scratch: self.path("scratch"),
            downloads: self.path("downloads"),
            diagnostics: self.path("diagnostics"),
            grant: Grant::cpu(2),
        }
    }
}

fn source(path: &Path) -> SourceFile {
    // Read in pieces, because the memory of this process counts for its children too.
    let digest =
        blake3::Hasher::new().update_reader(fs_err::File::open(path).expect("opened")).expect("read").finalize();
    let name = path.file_name().and_then(|name| name.to_str()).expect("a name");
    let size_bytes = fs_err::metadata(path).expect("there").len();
    SourceFile { path: name.into(), digest: digest.to_string(), size_bytes }
}

/// Fills in the defaults of parameters, as `pipe` does.
fn with_defaults(kind: &str, params: Value) -> Value {
    let contract = pipe_schemas::stages::contract(kind).expect("a kind");
    (contract.parse)(&params).expect("parameters").canonical
}

/// A worker process that handles several requests.
struct Worker {
    process: std::process::Child,
    stdin: std::process::ChildStdin,
    replies: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Worker {
    fn start() -> Self {
        let mut command = Command::new(WORKER);
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = command.spawn().expect("the worker starts");
        let stdin = process.stdin.take().expect("a pipe");
        let replies = BufReader::new(process.stdout.take().expect("a pipe")).lines();
        Self { process, stdin, replies }
    }

    /// Runs a request. Returns its last reply and the warnings before it.
    fn run(&mut self, request: Request) -> (Reply, Vec<String>) {
        let line = serde_json::to_string(&Message::Run(Box::new(request))).expect("JSON");
        writeln!(self.stdin, "{line}").expect("the worker runs");
        let mut warnings = Vec::new();
        loop {
            let line = self.replies.next().expect("a reply").expect("read");
            match serde_json::from_str(&line).expect("JSON") {
                Reply::Warning { text } => warnings.push(text),
                Reply::Progress { .. } | Reply::Measured { .. } | Reply::PartFinished { .. } => (),
                last => return (last, warnings),
            }
        }
    }

    fn finished(&mut self, request: Request) -> Result<Vec<String>, String> {
        match self.run(request) {
            (Reply::Finished { .. } | Reply::Made { .. }, warnings) => Ok(warnings),
            (other, _) => Err(format!("{other:?}")),
        }
    }

    fn planned(&mut self, request: Request) -> Vec<PlannedPart> {
        match self.run(request).0 {
            Reply::Planned { parts, .. } => parts,
            other => panic!("{other:?}"),
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[expect(clippy::print_stderr, reason = "prints measurements")]
fn print(text: &str) {
    eprintln!("{text}");
}

/// The verdict and the number of decoded frames of each file, from `ffprobe -count_frames`, `ffmpeg -f null` and PROVENANCE.md.
///
/// Like the `ffmpeg` program, the decoder continues after errors and returns the frames that it can decode.
const VERDICTS: &[(&str, Verdict, u64)] = &[
    ("-video-with-dash-.mp4", Verdict::Ok, 5),
    ("decord_corrupted.mp4", Verdict::Damaged, 49), // one of 50 is lost
    ("decord_video_0.mov", Verdict::Ok, 3),
    ("decord_video_180.mov", Verdict::Ok, 3),
    ("decord_video_90.mov", Verdict::Ok, 3),
    ("derived name with spaces, comma & ünï動画.avi", Verdict::Ok, 20),
    ("derived_elementary.h264", Verdict::Ok, 92),
    ("derived_index_renamed.avi", Verdict::Ok, 181),
    ("derived_interlaced_mpeg2.mpg", Verdict::Ok, 30),
    ("derived_jpeg_named.avi", Verdict::Unreadable, 0),
    ("derived_no_moov.mp4", Verdict::Unreadable, 0),
    ("derived_one_frame.avi", Verdict::Ok, 1),
    ("derived_text_named.mp4", Verdict::Unreadable, 0),
    ("derived_truncated_60pct.mp4", Verdict::Unreadable, 0), // the header was at the end
    ("derived_truncated_half.avi", Verdict::Truncated, 86),
    ("derived_zero_bytes.mp4", Verdict::Unreadable, 0),
    ("derived_zeroed_middle.avi", Verdict::Damaged, 177), // four of 181 frames are lost in the middle
    ("exo_bear-vp9-odd-dimensions.webm", Verdict::Ok, 30),
    ("exo_roadtrip-vp92-10bit.webm", Verdict::Ok, 72), // 80 packets, of which 8 are not shown
    ("exo_sample.avi", Verdict::Ok, 96),
    ("exo_sample.flv", Verdict::Ok, 30),
    ("exo_sample_ac3.mp4", Verdict::NoVideoStream, 0),
    ("exo_sample_android_slow_motion.mp4", Verdict::Ok, 7),
    ("exo_sample_av1.mp4", Verdict::Ok, 30),
    ("exo_sample_fragmented.mp4", Verdict::Ok, 30),
    ("exo_sample_h262_mpeg_audio.ts", Verdict::Ok, 3),
    ("exo_sample_h263.ts", Verdict::Ok, 25),
    ("exo_sample_latm.ts", Verdict::NoVideoStream, 0),
    ("exo_sample_mdat_too_long.mp4", Verdict::Ok, 30),
    ("exo_sample_with_htc_rotation_track_name.mkv", Verdict::Ok, 30),
    ("exo_sample_with_increasing_timestamps_320w_240h.mp4", Verdict::Ok, 932),
    ("exo_sample_with_opus_audio.mkv", Verdict::NoVideoStream, 0),
    ("ffwasm_Big_Buck_Bunny_180_10s.webm", Verdict::Ok, 300),
    ("ffwasm_video-1s.avi", Verdict::Ok, 35),
    ("imageio_newtonscradle.gif", Verdict::Ok, 36),
    ("imageio_realshort.mp4", Verdict::Ok, 36),
    ("lfs_pointer_h264.mp4", Verdict::Unreadable, 0),
    ("moviepy_no_duration.webm", Verdict::Ok, 74),
    ("moviepy_pigs_in_a_polka.gif", Verdict::Ok, 30),
    ("moviepy_result.webm", Verdict::Unreadable, 0),
    ("moviepy_smpte-2997.mp4", Verdict::Ok, 251),
    ("moviepy_transparent.webm", Verdict::Ok, 150),
    ("mp4parse_bipbop_480wp_1001kbps-cenc-video-key1-init.mp4", Verdict::Undecodable, 0),
    ("mp4parse_hevc_white_frame.mp4", Verdict::Ok, 1),
    ("mp4parse_invalid_userdata.mp4", Verdict::Truncated, 0), // 5,544 frames declared, the file ends before the first
    ("mp4parse_minimal.mp4", Verdict::Ok, 1),
    ("mp4parse_no_timescale.mp4", Verdict::Damaged, 170), // 12 of 182 are lost, the first after a dozen
    ("mp4parse_test_case_1185230.mp4", Verdict::Truncated, 0), // 3 of the 10 frames in its index are there, and damaged
    ("mp4parse_tiny_av1.mp4", Verdict::Ok, 1),
    ("mp4parse_video_rotation_90.mp4", Verdict::Ok, 1),
    ("opencv_Megamind_bugy.avi", Verdict::Ok, 270),
    ("small_AudioVideoInterleave.avi", Verdict::Undecodable, 0),
    ("small_Mpeg4.mp4", Verdict::NoVideoStream, 0),
    ("small_gif.gif", Verdict::Undecodable, 0),
    ("torchcodec_av1_video.mkv", Verdict::Ok, 125),
    ("torchcodec_av1_video.mkv.stream0.frame000010.pt", Verdict::Unreadable, 0),
    ("torchcodec_bt709_full_range.mp4", Verdict::Ok, 30),
    ("torchcodec_h264_10bits.mp4", Verdict::Ok, 30),
    ("torchcodec_var_fps_video.mp4", Verdict::Ok, 300),
];

#[test]
fn hostile_files_get_their_verdicts_and_do_not_affect_valid_files() {
    let Some(hostile) = shared("data/hostile") else { return };
    let space = Space::new();
    let media = space.path("media");
    for (number, (name, ..)) in VERDICTS.iter().enumerate() {
        symlink(hostile.join(name), media.join(name)).expect("linked");
        // The next file in the order in which files are processed.
        space.healthy(&format!("{name}~healthy.avi"), number);
    }
    assert_eq!(fs_err::read_dir(&hostile).expect("a folder").count(), VERDICTS.len(), "the table contains every file");
    let rows = space.ingest(json!({ "include": ["*"], "verify": "decode" }));
    let (index, warnings) =
        space.frames(json!({ "resize": { "short_side_px": 32 }, "buckets": 5, "on_error": "skip" }));
    let mut wrong = Vec::new();
    for (name, verdict, num_frames) in VERDICTS {
        let row = &rows[*name];
        if (row.verdict, row.frames_decoded) != (*verdict, Some(*num_frames)) {
            wrong.push(format!("{name}: {:?} {:?}, {}", row.verdict, row.frames_decoded, row.reason));
        }
        assert_eq!(row.reason.is_empty(), row.verdict == Verdict::Ok, "{name}: {}", row.reason);
        let stored = index.get(&row.video_id).map_or(0, |row| u64::from(row.num_frames));
        if stored != if verdict.is_usable() { *num_frames } else { 0 } {
            wrong.push(format!("{name}: {stored} frames stored"));
        }
        let healthy = &rows[&format!("{name}~healthy.avi")];
        assert_eq!((healthy.verdict, healthy.frames_decoded), (Verdict::Ok, Some(5)), "{name}: {}", healthy.reason);
        assert_eq!(index[&healthy.video_id].num_frames, 5, "{name}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // The damaged ones are named.
    let damaged = VERDICTS.iter().filter(|(_, verdict, _)| *verdict == Verdict::Damaged).count();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].starts_with(&format!("{damaged} of ")), "{warnings:?}");
}

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

/// A random number generator, seeded with the number of a file.
struct Draw {
    reader: blake3::OutputReader,
}

impl Draw {
    fn new(number: u64) -> Self {
        Self {
            reader: blake3::Hasher::new_derive_key("pipe damaged files").update(&number.to_le_bytes()).finalize_xof(),
        }
    }

    fn below(&mut self, limit: usize) -> usize {
        let mut bytes = [0; 8];
        self.reader.fill(&mut bytes);
        (u64::from_le_bytes(bytes) % limit as u64) as usize
    }
}

/// Damages a file: flips bits anywhere or in the header, zeroes a range, or truncates it.
fn damage(bytes: &mut Vec<u8>, draw: &mut Draw) {
    let kind = draw.below(4);
    if kind != 1 {
        let within = if draw.below(3) == 0 { bytes.len().min(4096) } else { bytes.len() };
        for _ in 0..1 << draw.below(9) {
            let at = draw.below(within);
            bytes[at] ^= 1 << draw.below(8);
        }
    }
    if kind == 2 {
        let start = draw.below(bytes.len());
        let end = bytes.len().min(start + draw.below(65_536));
        bytes[start..end].fill(0);
    }
    if kind % 2 == 1 {
        bytes.truncate(draw.below(bytes.len()));
    }
}

/// Damages `count` copies of real videos, and asserts that they affect neither each other nor the valid videos between them.
fn damaged_files(count: u64) {
    const HEALTHY_EVERY: u64 = 20;
    let (Some(clips), Some(hostile)) = (shared("data/clips"), shared("data/hostile")) else { return };
    let mut originals: Vec<PathBuf> = [&clips.join("kinetics"), &clips.join("wlasl"), &clips.join("ucf101"), &hostile]
        .into_iter()
        .flat_map(|folder| files_below(folder))
        .filter(|path| (10_000..300_000).contains(&fs_err::metadata(path).expect("there").len()))
        .collect();
    originals.sort();
    let space = Space::new();
    for number in 0..count {
        let mut draw = Draw::new(number);
        let original = &originals[draw.below(originals.len())];
        let mut bytes = fs_err::read(original).expect("read");
        damage(&mut bytes, &mut draw);
        let extension = original.extension().unwrap_or_default().to_string_lossy();
        fs_err::write(space.path("media").join(format!("{number:05}.{extension}")), bytes).expect("written");
        if number.is_multiple_of(HEALTHY_EVERY) {
            space.healthy(&format!("{number:05}~healthy.avi"), number as usize);
        }
    }
    let limits = json!({ "cpu_secs": 60, "memory_mb": 2048 });
    let rows = space.ingest(json!({ "include": ["*"], "verify": "decode", "limits": limits }));
    let frames = json!({ "resize": { "short_side_px": 32 }, "buckets": 5, "on_error": "skip", "limits": limits });
    let (index, warnings) = space.frames(frames);
    let mut verdicts: BTreeMap<Verdict, u64> = BTreeMap::new();
    for row in rows.values() {
        *verdicts.entry(row.verdict).or_default() += 1;
        let stored = index.get(&row.video_id).map(|row| u64::from(row.num_frames));
        // A video that one stage decodes completely, the other does too.
        assert_eq!(stored, row.frames_decoded.filter(|_| row.verdict.is_usable()), "{}: {}", row.path, row.reason);
        if row.path.ends_with("~healthy.avi") {
            assert_eq!((row.verdict, stored), (Verdict::Ok, Some(5)), "{}: {}", row.path, row.reason);
        }
        if matches!(row.verdict, Verdict::Crashed | Verdict::TimedOut) {
            print(&format!("{}: {}", row.path, row.reason));
        }
    }
    assert!(warnings.iter().all(|warning| warning.contains(" damaged, and stored without")), "{warnings:?}");
    print(&format!("{count} damaged files among {}: {verdicts:?}", rows.len()));
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = fs_err::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}

#[test]
fn damaged_files_affect_no_others() {
    damaged_files(60);
}

#[test]
#[ignore = "takes minutes"]
fn a_thousand_damaged_files_affect_no_others() {
    damaged_files(1000);
}

#[test]
fn shards_open_in_pyarrow_polars_duckdb_and_datasets_as_images() {
    let python = std::env::var_os("PYTHON").unwrap_or_else(|| "python3".into());
    let imports = "import datasets, duckdb, polars, pyarrow, PIL";
    let has_packages = Command::new(&python).args(["-c", imports]).stderr(Stdio::null()).status();
    if !has_packages.is_ok_and(|status| status.success()) {
        return skip("no Python with pyarrow, polars, DuckDB, datasets and Pillow");
    }
    let Some(clips) = shared("data/clips/ucf101") else { return };
    let space = Space::new();
    space.healthy("a.avi", 1);
    space.healthy("b #(.avi", 2);
    symlink(clips.join("BabyCrawling/v_BabyCrawling_g19_c01.avi"), space.path("media/c.avi")).expect("linked");
    space.ingest(json!({}));
    let mut seen = Vec::new();
    for encode in [json!({ "jpeg": { "quality": 90 } }), json!("png"), json!("raw")] {
        space.frames(json!({ "buckets": 3, "resize": "none", "encode": encode }));
        let script = repository().join("workers/data/tests/shards.py");
        let mut command = Command::new(&python);
        command.arg(script).arg(space.path("frames/frames")).arg(space.path(&format!("cache{}", seen.len())));
        let output = command.env("HF_HUB_OFFLINE", "1").output().expect("Python runs");
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{encode}: {}", String::from_utf8_lossy(&output.stderr));
        assert!(printed.starts_with("104 "), "{encode}: {printed}");
        seen.push(printed);
    }
    assert_eq!(seen[1], seen[2], "PNG and raw contain the same pixels");
    assert_ne!(seen[0], seen[1]);
}

#[test]
fn peak_memory_does_not_depend_on_the_length_of_a_video() {
    let space = Space::new();
    let peak_mb = |seconds: u32| {
        let media = space.path("media");
        fs_err::remove_dir_all(&media).expect("removed");
        fs_err::create_dir(&media).expect("made");
        // Noise, so that frames are large.
        let params = EncoderParams { width_px: 320, height_px: 240, fps: 25, quantizer: 31 };
        let mut encoder = Encoder::create(&media.join("a.avi"), params).expect("created");
        let mut rgb = vec![0; 320 * 240 * 3];
        for frame in 0..25 * seconds {
            let mut state = frame;
            for value in &mut rgb {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                *value = (state >> 24) as u8;
            }
            encoder.write_rgb(&rgb).expect("written");
        }
        encoder.finish().expect("finished");
        space.ingest(json!({ "verify": "decode" }));
        let (index, _) = space.frames(json!({ "buckets": 1, "encode": "raw" }));
        assert_eq!(index["a"].num_frames, 25 * seconds);
        let size_mb = fs_err::metadata(space.path("frames/frames/shard-00000.parquet")).expect("there").len() >> 20;
        // The maximum over all child processes so far, including their children.
        let usage = nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_CHILDREN).expect("usage");
        (usage.max_rss() >> 10, size_mb)
    };
    let (short, long) = (peak_mb(10), peak_mb(60));
    print(&format!("peak memory: {} MiB for {} MiB of frames, {} MiB for {} MiB", short.0, short.1, long.0, long.1));
    // Twice `SPILL_BYTES`, a few batches, decoding and the program itself.
    assert!(long.1 > 5 * short.1 && long.0 < short.0 + 16 && long.0 < 160, "{short:?} {long:?}");
}
