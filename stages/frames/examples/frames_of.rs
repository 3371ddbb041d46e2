//! Measures the stage for `benches/data_frames.py`. Prints the number of frames, the CPU seconds, and the peak memory of the process
//! plus its largest helper in MiB.
//!
//! ```text
//! frames_of OUT FILE...          makes a shard as the stage does, with a helper: 341 x 256, JPEG of quality 90
//! frames_of --decode FILE...     only decodes
//! frames_of --files OUT FILE...  makes the same frames in this process, one file per frame
//! frames_of --code FILE...       counts only the encoding of planes of 341 x 256 as JPEG, not decoding and resizing
//! ```

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use nix::time::{ClockId, clock_gettime};
use pipe_pixels::JpegEncoder;
use pipe_schemas::stages::frames::{CONTRACT, FrameCoding, FrameResize, FramesParams};
use pipe_schemas::tables::{FrameIndexRow, Verdict, VideoRow};
use pipe_stage::protocol::{Grant, Input, MakePart, MakeParts, PROTOCOL_VERSION, Request, Task};
use pipe_stage::{Context, PartedStage, WorkerInfo, serve};
use pipe_stage_frames::{Frames, JOB};
use pipe_video::{Decoder, FrameScaler, Orientation};
use std::collections::BTreeMap;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

const SIZE_PX: (u32, u32) = (341, 256);
const QUALITY: u8 = 90;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

#[expect(clippy::print_stdout, clippy::print_stderr, reason = "a program prints its result")]
fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let files = || args[1..].iter().map(PathBuf::from).collect::<Vec<_>>();
    let measured = match args.first().map(String::as_str) {
        Some("--helper") => {
            let environment = |_: &pipe_stage::protocol::Request| pipe_stage::Environment::new();
            return serve(|| WorkerInfo { stages: Vec::new(), tools: BTreeMap::new(), jobs: vec![JOB], environment });
        }
        Some("--decode") => decode(&files()),
        Some("--files") if args.len() > 2 => write_files(Path::new(&args[1]), &files()[1..]),
        Some("--code") => code(&files()),
        Some(out) => make(Path::new(out), &files()),
        None => Err("frames_of OUT FILE...".into()),
    };
    match measured {
        Ok((frames, cpu_secs)) => println!("{frames} {cpu_secs} {}", peak_mib()),
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn decode(files: &[PathBuf]) -> Result<(u64, f64)> {
    let (start, mut frames) = (cpu_secs()?, 0);
    for file in files {
        for frame in Decoder::open(file)? {
            frame?;
            frames += 1;
        }
    }
    Ok((frames, cpu_secs()? - start))
}

fn code(files: &[PathBuf]) -> Result<(u64, f64)> {
    let (mut encoder, mut jpeg) = (JpegEncoder::new(QUALITY)?, Vec::new());
    let (mut frames, mut secs) = (0, 0.0);
    for file in files {
        let mut scaler = FrameScaler::new(SIZE_PX.0, SIZE_PX.1, Orientation::default())?;
        for frame in Decoder::open(file)? {
            let image = scaler.scale(&frame?)?;
            let start = cpu_secs()?;
            jpeg.clear();
            encoder.encode(image, &mut jpeg)?;
            secs += cpu_secs()? - start;
            frames += 1;
        }
    }
    Ok((frames, secs))
}

fn write_files(out: &Path, files: &[PathBuf]) -> Result<(u64, f64)> {
    let (mut encoder, mut jpeg) = (JpegEncoder::new(QUALITY)?, Vec::new());
    let (start, mut frames) = (cpu_secs()?, 0);
    for file in files {
        let folder = out.join(file.file_stem().ok_or("a file has no name")?);
        fs_err::create_dir_all(&folder)?;
        let mut scaler = FrameScaler::new(SIZE_PX.0, SIZE_PX.1, Orientation::default())?;
        for (number, frame) in Decoder::open(file)?.enumerate() {
            jpeg.clear();
            encoder.encode(scaler.scale(&frame?)?, &mut jpeg)?;
            fs_err::write(folder.join(format!("img_{:05}.jpg", number + 1)), &jpeg)?;
            frames += 1;
        }
    }
    Ok((frames, cpu_secs()? - start))
}

fn cpu_secs() -> Result<f64> {
    let now = clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID)?;
    Ok(now.num_nanoseconds() as f64 / 1e9)
}

fn make(out: &Path, files: &[PathBuf]) -> Result<(u64, f64)> {
    let folder = |name: &str| {
        fs_err::create_dir_all(out.join(name))?;
        std::io::Result::Ok(out.join(name))
    };
    let rows: Result<Vec<VideoRow>> = files.iter().map(|file| row(file)).collect();
    let table = out.join("videos.parquet");
    fs_err::create_dir_all(out)?;
    pipe_tables::write_rows(&table, &rows?)?;
    let (width_px, height_px) = SIZE_PX;
    let params = FramesParams {
        resize: FrameResize::Exact { width_px, height_px },
        encode: FrameCoding::Jpeg { quality: QUALITY },
        buckets: 1,
        ..FramesParams::default()
    };
    // The paths in the table are absolute, without the first slash.
    let videos = Input {
        path: table,
        digest: String::new(),
        files: None,
        media_root: Some("/".into()),
        left_out: BTreeMap::new(),
    };
    let request = Request {
        protocol: PROTOCOL_VERSION,
        id: 1,
        kind: CONTRACT.kind.into(),
        version: CONTRACT.version,
        task: Task::Plan,
        params: serde_json::to_value(&params)?,
        inputs: BTreeMap::from([("videos".to_owned(), videos)]),
        sources: BTreeMap::new(),
        output: folder("output")?,
        scratch: folder("scratch")?,
        downloads: folder("downloads")?,
        diagnostics: folder("diagnostics")?,
        grant: Grant::cpu(1),
    };
    let context = Context::new(request, Arc::default(), |_| ()).with_helper_program(std::env::current_exe()?);
    let stage = |error: pipe_stage::StageError| error.chain().join(": ");
    let part = MakePart { name: "00000".into(), folder: folder("part")?, old: None };
    let made = part.made();
    Frames.make(&context, &MakeParts::independent(vec![part])).map_err(stage)?;
    Frames.assemble(&context, &[made]).map_err(stage)?;
    let index: Vec<FrameIndexRow> = pipe_tables::read_rows(&out.join("output/frames/index.parquet"))?;
    let frames = index.iter().map(|row| u64::from(row.num_frames)).sum();
    let mut micros = 0;
    for who in [UsageWho::RUSAGE_SELF, UsageWho::RUSAGE_CHILDREN] {
        let usage = getrusage(who)?;
        micros += usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    }
    Ok((frames, micros as f64 / 1e6))
}

fn peak_mib() -> i64 {
    let peak = |who| getrusage(who).map_or(0, |usage| usage.max_rss() / 1024);
    peak(UsageWho::RUSAGE_SELF) + peak(UsageWho::RUSAGE_CHILDREN)
}

fn row(file: &Path) -> Result<VideoRow> {
    let file = file.canonicalize()?;
    let path = file.to_str().ok_or("a path is not UTF-8")?;
    // Read, not mapped: a mapped file counts as memory in use.
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(fs_err::File::open(&file)?)?;
    Ok(VideoRow {
        video_id: path.into(),
        path: path.trim_start_matches('/').into(),
        digest: hasher.finalize().to_string(),
        size_bytes: 0,
        codec: String::new(),
        width_px: 0,
        height_px: 0,
        fps_num: 0,
        fps_den: 1,
        frames_declared: 0,
        frames_decoded: None,
        mirrored: false,
        rotation: 0,
        sample_aspect_num: 1,
        sample_aspect_den: 1,
        hashes: Vec::new(),
        verdict: Verdict::Ok,
        reason: String::new(),
    })
}
