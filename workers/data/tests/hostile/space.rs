//! [`Space`]: a folder with videos, and the stages that the real worker runs on them.

use pipe_schemas::tables::{FrameIndexRow, VideoRow};
use pipe_stage::SourceFile;
use pipe_stage::protocol::{
    Grant, Input, MadePart, MakePart, MakeParts, Message, PROTOCOL_VERSION, PlannedPart, Reply, Request, Task,
};
use pipe_tables::read_rows;
use pipe_video::{Encoder, EncoderParams};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const WORKER: &str = env!("CARGO_BIN_EXE_pipe-data-worker");

/// A temporary folder with videos and outputs.
pub(crate) struct Space {
    folder: tempfile::TempDir,
}

impl Space {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["media", "scratch"] {
            fs_err::create_dir(folder.path().join(name)).expect("made");
        }
        Self { folder }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a valid video of 5 different frames.
    pub(crate) fn healthy(&self, name: &str, number: usize) {
        let params = EncoderParams { width_px: 64, height_px: 48, fps: 25, quantizer: 2 };
        let mut encoder = Encoder::create(&self.path("media").join(name), params).expect("created");
        for frame in 0..5 {
            let rgb: Vec<u8> = (0..64 * 48 * 3).map(|at| (at / 3 * (number + 2) + 40 * frame) as u8).collect();
            encoder.write_rgb(&rgb).expect("written");
        }
        encoder.finish().expect("finished");
    }

    /// Runs `ingest` on all files. Returns the rows by path.
    pub(crate) fn ingest(&self, params: Value) -> BTreeMap<String, VideoRow> {
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
    pub(crate) fn frames(&self, params: Value) -> (BTreeMap<String, FrameIndexRow>, Vec<String>) {
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
    pub(crate) fn run_in_parts(&self, request: &Request) -> (Vec<MadePart>, Vec<String>) {
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

    pub(crate) fn request(&self, kind: &str, params: Value, output: &str) -> Request {
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

pub(crate) fn source(path: &Path) -> SourceFile {
    // Read in pieces, because the memory of this process counts for its children too.
    let digest =
        blake3::Hasher::new().update_reader(fs_err::File::open(path).expect("opened")).expect("read").finalize();
    let name = path.file_name().and_then(|name| name.to_str()).expect("a name");
    let size_bytes = fs_err::metadata(path).expect("there").len();
    SourceFile { path: name.into(), digest: digest.to_string(), size_bytes }
}

/// Fills in the defaults of parameters, as `pipe` does.
pub(crate) fn with_defaults(kind: &str, params: Value) -> Value {
    let contract = pipe_schemas::stages::contract(kind).expect("a kind");
    (contract.parse)(&params).expect("parameters").canonical
}

/// A worker process that handles several requests.
pub(crate) struct Worker {
    pub(crate) process: std::process::Child,
    stdin: std::process::ChildStdin,
    replies: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Worker {
    pub(crate) fn start() -> Self {
        let mut command = Command::new(WORKER);
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = command.spawn().expect("the worker starts");
        let stdin = process.stdin.take().expect("a pipe");
        let replies = BufReader::new(process.stdout.take().expect("a pipe")).lines();
        Self { process, stdin, replies }
    }

    /// Runs a request. Returns its last reply and the warnings before it.
    pub(crate) fn run(&mut self, request: Request) -> (Reply, Vec<String>) {
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

    pub(crate) fn finished(&mut self, request: Request) -> Result<Vec<String>, String> {
        match self.run(request) {
            (Reply::Finished { .. } | Reply::Made { .. }, warnings) => Ok(warnings),
            (other, _) => Err(format!("{other:?}")),
        }
    }

    pub(crate) fn planned(&mut self, request: Request) -> Vec<PlannedPart> {
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
