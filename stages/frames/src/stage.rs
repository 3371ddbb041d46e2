//! [`Frames`].

use crate::FramesError;
use crate::shards::{Made, Maker, by_bucket};
use pipe_schemas::stages::frames::{CONTRACT, FramesParams};
use pipe_schemas::tables::{FrameIndexRow, Verdict, VideoRow};
use pipe_stage::{Context, Stage, StageError, Summary, grouped};
use pipe_tables::frames::INDEX_FILE;
use std::error::Error;
use std::sync::atomic::AtomicU64;

/// The stage `frames`.
pub struct Frames;

impl Stage for Frames {
    fn kind(&self) -> &'static str {
        CONTRACT.kind
    }

    fn run(&self, context: &Context) -> Result<Summary, StageError> {
        let params: FramesParams = context.params()?;
        let mut videos: Vec<VideoRow> = pipe_tables::read_rows(context.input("videos")?)?;
        let num_videos = videos.len();
        videos.retain(|video| video.verdict == Verdict::Ok);
        if videos.is_empty() {
            return Err(FramesError::NoVideos { num_videos }.into());
        }
        videos.sort_by(|a, b| a.video_id.cmp(&b.video_id));
        let index_path = context.output(&format!("{}/{INDEX_FILE}", CONTRACT.outputs[0].path))?;
        let maker = Maker {
            context,
            params: &params,
            media_root: context.media_root("videos")?,
            folder: index_path.parent().unwrap_or(&index_path).to_owned(),
            total: videos.len() as u64,
            done: AtomicU64::new(0),
        };
        let buckets = by_bucket(&videos, params.buckets);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(context.threads()).build();
        let made = pool.map_err(FramesError::Threads)?.install(|| maker.make_all(&buckets))?;
        let (index, summary) = gather(context, made);
        if index.is_empty() {
            return Err(FramesError::NoneDecoded { num_videos: videos.len() }.into());
        }
        pipe_tables::write_rows(&index_path, &index)?;
        Ok(summary)
    }
}

/// Joins what became of the buckets; each skipped video is a warning.
fn gather(context: &Context, made: Vec<Made>) -> (Vec<FrameIndexRow>, Summary) {
    let (mut index, mut skipped, mut size_bytes) = (Vec::new(), Vec::new(), 0);
    for part in made {
        index.extend(part.index);
        skipped.extend(part.skipped);
        size_bytes += part.size_bytes;
    }
    index.sort_by(|a, b| a.video_id.cmp(&b.video_id));
    skipped.sort_by(|a, b| a.0.cmp(&b.0));
    for (video_id, reason) in &skipped {
        let cause = reason.source().map(|cause| format!(" ({cause})")).unwrap_or_default();
        context.warn(format!("skipped the video `{video_id}`: {reason}{cause}"));
    }
    let num_frames: u64 = index.iter().map(|row| u64::from(row.num_frames)).sum();
    let megabytes = size_bytes.div_ceil(1_000_000);
    let made = format!("{} videos, {} frames, {megabytes} MB", index.len(), grouped(num_frames));
    let line = if skipped.is_empty() { made } else { format!("{made}, {} skipped", skipped.len()) };
    (index, Summary::line(line))
}

#[cfg(test)]
mod tests {
    use super::*;
    use pipe_schemas::stages::frames::{FrameCoding, FrameResize, FrameSampling};
    use pipe_schemas::stages::ingest::OnError;
    use pipe_stage::protocol::Input;
    use pipe_tables::frames::FrameShards;
    use pipe_testkit::run_stage;
    use pipe_video::{Encoder, EncoderParams};
    use std::path::Path;

    /// Encodes `frames` frames of a growing bar.
    fn encode(path: &Path, frames: usize) {
        let params = EncoderParams { width_px: 64, height_px: 48, fps: 25, quantizer: 2 };
        let mut encoder = Encoder::create(path, params).expect("created");
        for frame in 0..frames {
            let rgb: Vec<u8> = (0..64 * 48).flat_map(|at| [if at % 64 < 4 * frame { 255 } else { 20 }; 3]).collect();
            encoder.write_rgb(&rgb).expect("written");
        }
        encoder.finish().expect("finished");
    }

    fn row(folder: &Path, name: &str) -> VideoRow {
        let bytes = fs_err::read(folder.join(name)).expect("read");
        VideoRow {
            video_id: name.trim_end_matches(".avi").into(),
            path: name.into(),
            digest: blake3::hash(&bytes).to_hex().to_string(),
            size_bytes: bytes.len() as u64,
            codec: "mpeg4".into(),
            width_px: 64,
            height_px: 48,
            fps_num: 25,
            fps_den: 1,
            frames_declared: 0,
            rotation: 0,
            verdict: Verdict::Ok,
            reason: String::new(),
        }
    }

    /// Makes videos `a` to `f` of 5 to 10 frames, with their table.
    fn videos(folder: &Path) -> Vec<VideoRow> {
        let names = ["a", "b", "c", "d", "e", "f"];
        let make = |(index, name): (usize, &&str)| {
            encode(&folder.join(format!("{name}.avi")), 5 + index);
            row(folder, &format!("{name}.avi"))
        };
        names.iter().enumerate().map(make).collect()
    }

    type Outcome = (Result<Summary, String>, Vec<String>);

    fn run(media: &Path, output: &Path, rows: &[VideoRow], params: &FramesParams, threads: usize) -> Outcome {
        let table = output.join("videos.parquet");
        pipe_tables::write_rows(&table, rows).expect("written");
        let input = Input { path: table, digest: String::new(), files: None, media_root: Some(media.into()) };
        let ran = run_stage(&Frames, params, [("videos", input)], output, threads);
        (ran.result.map_err(|error| error.chain().join(": ")), ran.warnings)
    }

    #[test]
    fn frames_lie_where_the_index_says() {
        let (media, output) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
        let rows = videos(media.path());
        let params = FramesParams { resize: FrameResize::ShortSidePx(24), buckets: 4, ..FramesParams::default() };
        let (summary, warnings) = run(media.path(), output.path(), &rows, &params, 2);
        assert_eq!(summary.expect("made").lines, ["6 videos, 45 frames, 1 MB"]);
        assert!(warnings.is_empty(), "{warnings:?}");
        let shards = FrameShards::open(&output.path().join("frames")).expect("opened");
        for (index, row) in shards.index().iter().enumerate() {
            assert_eq!((row.num_frames as usize, row.width_px, row.height_px), (5 + index, 32, 24));
            assert!((row.fps - 25.0).abs() < 1e-9, "{}", row.fps);
            assert_eq!(row.shard, format!("shard-{:05}.parquet", crate::shards::bucket(&row.video_id, 4)));
            let jpegs = shards.read(row, &[0, row.num_frames - 1]).expect("read");
            assert!(jpegs.iter().all(|jpeg| jpeg.starts_with(&[0xff, 0xd8]) && jpeg.ends_with(&[0xff, 0xd9])));
            assert_ne!(jpegs[0], jpegs[1]);
        }
    }

    #[test]
    fn bytes_depend_neither_on_threads_nor_on_other_buckets() {
        let media = tempfile::tempdir().expect("a folder");
        let rows = videos(media.path());
        let params = FramesParams { buckets: 2, ..FramesParams::default() };
        let files = |rows: &[VideoRow], threads: usize| {
            let output = tempfile::tempdir().expect("a folder");
            run(media.path(), output.path(), rows, &params, threads).0.expect("made");
            let read = |name: &str| fs_err::read(output.path().join("frames").join(name)).expect("read");
            ["index.parquet", "shard-00000.parquet", "shard-00001.parquet"].map(read)
        };
        let all = files(&rows, 1);
        assert_eq!(all, files(&rows, 4));
        let of_bucket = |wanted: u32| rows.iter().position(|row| crate::shards::bucket(&row.video_id, 2) == wanted);
        let mut fewer = rows.clone();
        fewer.remove(of_bucket(0).expect("one there"));
        let fewer = files(&fewer, 2);
        assert_ne!(all[1], fewer[1]);
        assert_eq!(all[2], fewer[2]);
    }

    #[test]
    fn sampling_leaves_frames_out() {
        let (media, output) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
        let rows = videos(media.path());
        let params = FramesParams { sample: FrameSampling::Fps(12.5), ..FramesParams::default() };
        run(media.path(), output.path(), &rows, &params, 2).0.expect("made");
        let shards = FrameShards::open(&output.path().join("frames")).expect("opened");
        let counts: Vec<_> = shards.index().iter().map(|row| row.num_frames).collect();
        assert_eq!(counts, [3, 3, 4, 4, 5, 5]);
        assert!((shards.index()[5].fps - 12.5).abs() < 1e-9);
    }

    #[test]
    fn damaged_videos_fail_or_are_skipped_with_a_warning() {
        let (media, output) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
        let mut rows = videos(media.path());
        let bytes = fs_err::read(media.path().join("f.avi")).expect("read");
        fs_err::write(media.path().join("f.avi"), &bytes[..bytes.len() * 6 / 10]).expect("written");
        rows[5] = row(media.path(), "f.avi");
        let skip = FramesParams { on_error: OnError::Skip, ..FramesParams::default() };
        let (summary, warnings) = run(media.path(), output.path(), &rows, &skip, 2);
        assert_eq!(summary.expect("made").lines, ["5 videos, 35 frames, 1 MB, 1 skipped"]);
        assert!(warnings.len() == 1 && warnings[0].contains("`f`"), "{warnings:?}");
        let (summary, _) = run(media.path(), output.path(), &rows, &FramesParams::default(), 2);
        let error = summary.expect_err("damaged");
        assert!(error.contains("the video `f` can't be used: "), "{error}");
    }

    #[test]
    fn a_file_that_changed_stops_the_stage() {
        let (media, output) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
        let rows = videos(media.path());
        encode(&media.path().join("c.avi"), 9);
        let skip = FramesParams { on_error: OnError::Skip, ..FramesParams::default() };
        let error = run(media.path(), output.path(), &rows, &skip, 2).0.expect_err("changed");
        assert_eq!(error, "`c.avi` has changed since `ingest` saw it");
        fs_err::remove_file(media.path().join("c.avi")).expect("removed");
        let error = run(media.path(), output.path(), &rows, &skip, 2).0.expect_err("gone");
        assert!(error.starts_with("`c.avi` can't be read: "), "{error}");
    }

    #[test]
    fn quality_decides_bytes() {
        let media = tempfile::tempdir().expect("a folder");
        let rows = videos(media.path());
        let size = |quality: u8| {
            let output = tempfile::tempdir().expect("a folder");
            let params = FramesParams { encode: FrameCoding::Jpeg { quality }, buckets: 1, ..FramesParams::default() };
            run(media.path(), output.path(), &rows, &params, 2).0.expect("made");
            fs_err::metadata(output.path().join("frames/shard-00000.parquet")).expect("there").len()
        };
        assert!(size(95) > size(30));
    }
}
