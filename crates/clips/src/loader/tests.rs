use super::*;
use pipe_tables::frames::{EncodedFrame, INDEX_FILE, ShardWriter};
use pipe_tables::write_rows;
use std::fmt::Write as _;
use tempfile::TempDir;
use turbojpeg::{PixelFormat, Subsamp};

const SIZE: ClipSize = ClipSize { frames: 3, height: 24, width: 32 };

/// A frame of one colour, which says where it is from.
fn frame(video: u8, index: u8, width: usize, height: usize) -> EncodedFrame {
    let pixels = [video * 20, index * 10, 200].repeat(width * height);
    let image = turbojpeg::Image { pixels: &pixels[..], width, pitch: 3 * width, height, format: PixelFormat::RGB };
    let jpeg = turbojpeg::compress(image, 95, Subsamp::None).expect("a JPEG").to_vec();
    EncodedFrame { pts_nanos: i64::from(index) * 40_000_000, jpeg }
}

/// Writes videos `v0`, `v1`, … of the given frames into a shard.
fn shards(videos: &[Vec<EncodedFrame>], width: u32, height: u32) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let mut writer = ShardWriter::create(&folder.path().join("shard-00000.parquet")).expect("created");
    let mut index = Vec::new();
    for (number, frames) in videos.iter().enumerate() {
        let video_id = format!("v{number}");
        let row_group = writer.write_video(&video_id, frames, width, height).expect("written");
        index.push(FrameIndexRow {
            video_id,
            shard: "shard-00000.parquet".into(),
            row_group,
            num_frames: frames.len() as u32,
            width_px: width,
            height_px: height,
            fps: 25.0,
        });
    }
    writer.finish().expect("finished");
    write_rows(&folder.path().join(INDEX_FILE), &index).expect("written");
    folder
}

fn small_shards() -> TempDir {
    let video = |video| (0..10).map(|index| frame(video, index, 48, 40)).collect();
    shards(&(0..5).map(video).collect::<Vec<_>>(), 48, 40)
}

fn row(video: u32, frame_indices: &[u32]) -> SampleRow {
    SampleRow {
        epoch: 0,
        position: 0,
        video_id: format!("v{video}"),
        class_index: video,
        view: 0,
        frame_indices: frame_indices.into(),
        crop_x: 3.5,
        crop_y: 2.0,
        crop_width: 44.5,
        crop_height: 38.0,
        flip: video.is_multiple_of(2),
        ..SampleRow::default()
    }
}

fn rows(count: u32) -> Vec<SampleRow> {
    (0..count).map(|at| row(at % 5, &[at % 10, (at * 3) % 10, at % 10])).collect()
}

fn batches(folder: &TempDir, rows: Vec<SampleRow>, batch_size: usize, threads: usize) -> Vec<Batch> {
    let loader = Loader::open(folder.path()).expect("opened");
    let batches = loader.clips(rows, SIZE, batch_size, threads).expect("started");
    batches.collect::<Result<_, _>>().expect("loaded")
}

#[test]
fn clips_hold_the_frames_of_their_rows() {
    let folder = small_shards();
    let rows = rows(23);
    let found = batches(&folder, rows.clone(), 4, 2);
    assert_eq!(found.len(), 6);
    for batch in found {
        assert_eq!((batch.num_clips, batch.class_indices.len()), (batch.rows.len(), batch.rows.len()));
        let frame_bytes = 3 * SIZE.height * SIZE.width;
        let clips = batch.pixels.chunks_exact(SIZE.frames * frame_bytes);
        assert_eq!(clips.len(), batch.num_clips);
        for ((clip, row), class_index) in clips.zip(&rows[batch.rows.clone()]).zip(&batch.class_indices) {
            assert_eq!(*class_index, i64::from(row.class_index));
            for (frame, frame_index) in clip.chunks_exact(frame_bytes).zip(&row.frame_indices) {
                let expect = [row.class_index as u8 * 20, *frame_index as u8 * 10, 200];
                let near = |pixel: &[u8; 3]| pixel.iter().zip(expect).all(|(found, like)| found.abs_diff(like) <= 3);
                assert!(frame.as_chunks().0.iter().all(near), "{row:?}: {:?}", &frame[..3]);
            }
        }
    }
}

#[test]
fn threads_do_not_change_batches() {
    let folder = small_shards();
    let one = batches(&folder, rows(30), 7, 1);
    assert_eq!(one.iter().map(|batch| batch.rows.clone()).collect::<Vec<_>>(), [0..7, 7..14, 14..21, 21..28, 28..30]);
    for threads in [2, 3, 16] {
        assert!(one == batches(&folder, rows(30), 7, threads), "{threads} threads");
    }
    let single: Vec<u8> = batches(&folder, rows(30), 1, 3).into_iter().flat_map(|batch| batch.pixels).collect();
    assert!(single == one.into_iter().flat_map(|batch| batch.pixels).collect::<Vec<_>>());
}

#[test]
fn no_rows_are_no_batches() {
    assert_eq!(batches(&small_shards(), vec![], 4, 2), []);
    assert_eq!(batches(&small_shards(), rows(2), 100, 9).len(), 1);
}

#[test]
fn threads_end_with_the_iterator() {
    let folder = small_shards();
    let loader = Loader::open(folder.path()).expect("opened");
    let mut all = loader.clips(rows(5_000), SIZE, 8, 3).expect("started");
    let threads = all.threads.len();
    assert!(all.next().expect("a batch").is_ok());
    assert_eq!(threads, 3);
    assert!(all.requested <= 3 * 8, "{} rows were asked for", all.requested);
    drop(all); // joins
    assert_eq!(Arc::strong_count(&loader.shards), 1);
}

/// Returns the texts of the error and its causes, in one line.
fn text(error: &ClipError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(next) = cause {
        write!(text, ": {next}").expect("a string takes all");
        cause = next.source();
    }
    text
}

#[track_caller]
fn check_refused(row: SampleRow, expect: &str) {
    let folder = small_shards();
    let loader = Loader::open(folder.path()).expect("opened");
    let error = loader.clips(vec![rows(1).remove(0), row], SIZE, 2, 1).err().expect("refused");
    assert_eq!(text(&error), expect);
}

#[test]
fn rows_that_do_not_fit_are_refused_by_name() {
    check_refused(row(9, &[0, 1, 2]), "can't make a clip of `v9`: the frame shards do not have it");
    check_refused(row(1, &[0, 1]), "can't make a clip of `v1`: its row has 2 frames, not 3");
    check_refused(row(1, &[0, 10, 2]), "can't make a clip of `v1`: frame 10 is past its 10 frames");
    let wide = SampleRow { crop_width: 45.0, ..row(2, &[0, 1, 2]) };
    let expect = "can't make a clip of `v2`: its crop box 3.5,2 45x38 is not within the frame's 48x40 px";
    check_refused(wide, expect);
    let expect = "can't make a clip of `v2`: its crop box NaN,2 44.5x38 is not within the frame's 48x40 px";
    check_refused(SampleRow { crop_x: f32::NAN, ..row(2, &[0, 1, 2]) }, expect);
}

#[test]
fn batches_of_no_size_are_refused() {
    let folder = small_shards();
    let loader = Loader::open(folder.path()).expect("opened");
    for (size, batch_size) in [
        (SIZE, 0),
        (SIZE, usize::MAX),
        (ClipSize { width: 0, ..SIZE }, 1),
        (ClipSize { height: 1 << 20, width: 1 << 20, ..SIZE }, 1),
    ] {
        assert!(matches!(loader.clips(rows(1), size, batch_size, 1), Err(ClipError::BatchSize { .. })));
    }
}

#[test]
fn a_broken_frame_fails_its_batch_and_ends_the_iterator() {
    let mut videos: Vec<Vec<EncodedFrame>> =
        (0..2).map(|video| (0..10).map(|index| frame(video, index, 48, 40)).collect()).collect();
    videos[1][7].jpeg.truncate(200);
    let folder = shards(&videos, 48, 40);
    let loader = Loader::open(folder.path()).expect("opened");
    let mut rows = vec![row(0, &[0, 1, 2]); 10];
    rows[5] = row(1, &[6, 7, 8]);
    for threads in [1, 4] {
        let mut all = loader.clips(&rows[..], SIZE, 2, threads).expect("started");
        assert!(all.next().expect("a batch").is_ok() && all.next().expect("a batch").is_ok());
        let error = all.next().expect("an error").expect_err("row 5 is broken");
        assert!(text(&error).starts_with("can't make a clip of `v1`: frame 7 is no readable JPEG image"), "{error}");
        assert!(all.next().is_none());
    }
}

/// Returns what this process has used, all its threads together.
fn cpu_secs() -> f64 {
    const TICKS_PER_SEC: f64 = 100.0;
    let stat = fs_err::read_to_string("/proc/self/stat").expect("Linux");
    let fields = stat.rsplit_once(") ").expect("a name in brackets").1.split(' ');
    fields.skip(11).take(2).map(|ticks| ticks.parse::<f64>().expect("a number")).sum::<f64>() / TICKS_PER_SEC
}

/// Prints clips per second for TSN's usual sizes; run with `--ignored --nocapture`.
#[test]
#[ignore = "a measurement"]
#[expect(clippy::print_stderr, reason = "its result is for people")]
fn measure_clips_per_second() {
    let noisy = |video: u32, index: u32, width: usize, height: usize| {
        let mut draws = crate::Draws::new(u64::from(video), &[&index.to_string()]);
        let blocks: Vec<u8> = (0..(width / 8 + 1) * (height / 8 + 1) * 3).map(|_| draws.bits() as u8).collect();
        let at =
            |x: usize, y: usize, c: usize| blocks[((y / 8) * (width / 8 + 1) + x / 8) * 3 + c] / 2 + (x + y) as u8 / 8;
        let pixels: Vec<u8> =
            (0..height).flat_map(|y| (0..width).flat_map(move |x| (0..3).map(move |c| at(x, y, c)))).collect();
        let image = turbojpeg::Image { pixels: &pixels[..], width, pitch: 3 * width, height, format: PixelFormat::RGB };
        let jpeg = turbojpeg::compress(image, 90, Subsamp::Sub2x2).expect("a JPEG").to_vec();
        EncodedFrame { pts_nanos: i64::from(index), jpeg }
    };
    let videos: Vec<Vec<EncodedFrame>> =
        (0..8).map(|video| (0..70).map(|index| noisy(video, index, 341, 256)).collect()).collect();
    let jpeg_bytes = videos[0][0].jpeg.len();
    let folder = shards(&videos, 341, 256);
    let loader = Loader::open(folder.path()).expect("opened");
    let crop = |side: f32, at: u32| SampleRow {
        frame_indices: (0..8).map(|segment| (segment * 8 + at % 8) % 70).collect(),
        crop_x: 20.0,
        crop_y: 10.0,
        crop_width: side,
        crop_height: side,
        ..row(at % 8, &[])
    };
    for (name, side, out) in [("224 copied", 224.0, 224), ("240 to 224", 240.0, 224), ("240 to 112", 240.0, 112)] {
        let size = ClipSize { frames: 8, height: out, width: out };
        for threads in [1, 2] {
            let rows: Vec<SampleRow> = (0..400).map(|at| crop(side, at)).collect();
            let (start, cpu) = (std::time::Instant::now(), cpu_secs());
            let batches = loader.clips(rows, size, 8, threads).expect("started");
            let clips: usize = batches.map(|batch| batch.expect("loaded").num_clips).sum();
            let (each, each_cpu) = (start.elapsed().as_secs_f64() / clips as f64, (cpu_secs() - cpu) / clips as f64);
            eprintln!(
                "{name}, 8 JPEG of {jpeg_bytes} bytes, {threads} threads: {:.0} clips/s, {:.0} clips per CPU second",
                1.0 / each,
                1.0 / each_cpu
            );
        }
    }
}
