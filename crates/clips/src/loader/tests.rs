use super::*;
use pipe_schemas::tables::FrameIndexRow;
use pipe_tables::frames::{EncodedFrame, INDEX_FILE, ShardWriter};
use pipe_tables::write_rows;
use std::fmt::Write as _;
use tempfile::TempDir;
use turbojpeg::{PixelFormat, Subsamp};

const SIZE: ClipSize = ClipSize { frames: 3, height: 24, width: 32 };

/// Returns a frame of one color, which identifies its video and position.
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
fn clips_contain_the_frames_of_their_rows() {
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

/// A clip is blended the same whether its partner is in its batch or not.
#[test]
fn blending_does_not_depend_on_batches() {
    let folder = small_shards();
    let mut rows: Vec<SampleRow> =
        rows(20).into_iter().enumerate().map(|(at, row)| SampleRow { position: at as u32, ..row }).collect();
    for (at, partner) in [(0, 3), (3, 1), (5, 19), (19, 5), (7, 8)] {
        rows[at].mix_position = Some(partner);
        rows[at].mix_share = 0.25;
    }
    rows[3].mix_box = vec![4, 6, 8, 24 - 6];
    rows[8].pixel_ops = r#"["invert",{"erase":[[0,0,5,5],{"noise":7}]}]"#.into();
    let all = |batch_size, threads| batches(&folder, rows.clone(), batch_size, threads);
    let alone = all(1, 3);
    let together = all(20, 2).remove(0);
    assert!(together.pixels == alone.iter().flat_map(|batch| batch.pixels.clone()).collect::<Vec<_>>());
    assert!(together.pixels == all(8, 1).into_iter().flat_map(|batch| batch.pixels).collect::<Vec<_>>());
    assert_eq!(alone.iter().map(|batch| batch.mix_class_indices[0]).collect::<Vec<_>>(), together.mix_class_indices);
    assert_eq!(together.mix_class_indices[..8], [3, 1, 2, 1, 4, 4, 1, 3]);
    assert_eq!(together.mix_shares[..4], [0.25, 0.0, 0.0, 0.25]);
    // Red is 20 for each video: the clip of video 0 with a quarter of video 3.
    let red = |clip: usize, at: usize| together.pixels[clip * SIZE.frames * SIZE.height * SIZE.width * 3 + 3 * at];
    assert!(red(0, 0).abs_diff(15) <= 3 && red(3, 0).abs_diff(60) <= 3, "{} {}", red(0, 0), red(3, 0));
    assert!(red(3, 6 * 32 + 4).abs_diff(20) <= 3 && red(8, 23 * 32).abs_diff(255 - 60) <= 3);
}

/// Labels are blended like one-hot vectors, with the share of the other clip.
#[test]
fn several_labels_are_targets() {
    let folder = small_shards();
    let mut rows: Vec<SampleRow> =
        rows(4).into_iter().enumerate().map(|(at, row)| SampleRow { position: at as u32, ..row }).collect();
    rows[0].more_class_indices = vec![2, 4]; // besides 0
    rows[1].mix_position = Some(0);
    rows[1].mix_share = 0.25;
    rows[2].mix_position = Some(0);
    rows[2].mix_share = 0.5;
    let loader = Loader::open(folder.path()).expect("opened");
    let clips = |rows: &[SampleRow]| loader.clips(rows, SIZE, 3, 2).expect("started");
    let found: Vec<Batch> = clips(&rows).with_targets(5).expect("classes").collect::<Result<_, _>>().expect("loaded");
    let expect = [
        [1.0, 0.0, 1.0, 0.0, 1.0],
        [0.25, 0.75, 0.25, 0.0, 0.25],
        [0.5, 0.0, 1.0, 0.0, 0.5], // both have 2
        [0.0, 0.0, 0.0, 1.0, 0.0],
    ];
    assert_eq!(found.iter().flat_map(|batch| batch.targets.clone()).collect::<Vec<_>>(), expect.concat());
    assert!(clips(&rows).all(|batch| batch.expect("loaded").targets.is_empty()));
    let error = clips(&rows).with_targets(4).err().expect("refused");
    assert_eq!(text(&error), "can't make a clip of `v0`: its label 4 is not one of the 4 classes, counted from 0");
}

/// A part of a table gives the same clips as the whole table, even if they are blended with rows outside the part.
#[test]
fn a_part_of_a_table_gives_the_same_clips() {
    let folder = small_shards();
    let mut rows: Vec<SampleRow> =
        rows(20).into_iter().enumerate().map(|(at, row)| SampleRow { position: at as u32, ..row }).collect();
    for (at, partner) in [(6, 2), (7, 8), (8, 19), (9, 6)] {
        (rows[at].mix_position, rows[at].mix_share) = (Some(partner), 0.25);
    }
    let loader = Loader::open(folder.path()).expect("opened");
    let whole = batches(&folder, rows.clone(), 20, 2).remove(0);
    let clip_bytes = whole.pixels.len() / 20;
    for (range, batch_size) in [(5..13, 3), (0..20, 7), (6..10, 4), (19..20, 2), (4..4, 2)] {
        let part = loader.clips_of(rows.clone().into(), range.clone(), SIZE, batch_size, 2).expect("started");
        let found: Vec<Batch> = part.collect::<Result<_, _>>().expect("loaded");
        assert_eq!(found.len(), range.len().div_ceil(batch_size));
        assert!(found.iter().flat_map(|batch| batch.rows.clone()).eq(range.clone()));
        let pixels: Vec<u8> = found.into_iter().flat_map(|batch| batch.pixels).collect();
        assert!(pixels == whole.pixels[range.start * clip_bytes..range.end * clip_bytes], "{range:?}");
    }
}

#[test]
fn an_empty_table_gives_no_batches() {
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
    assert!(all.requested <= 3 * 8, "{} rows were requested", all.requested);
    drop(all); // joins
    assert_eq!(Arc::strong_count(&loader.shards), 1);
}

/// Returns the messages of the error and its causes in one line.
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
fn invalid_rows_are_refused_with_their_video() {
    check_refused(row(9, &[0, 1, 2]), "can't make a clip of `v9`: it is not in the frame shards");
    check_refused(row(1, &[0, 1]), "can't make a clip of `v1`: its row has 2 frames, expected 3");
    check_refused(row(1, &[0, 10, 2]), "can't make a clip of `v1`: frame 10 does not exist: it has 10 frames");
    let wide = SampleRow { crop_width: 45.0, ..row(2, &[0, 1, 2]) };
    let expect = "can't make a clip of `v2`: its crop of 45x38 at 3.5,2 is outside the frame of 48x40 px";
    check_refused(wide, expect);
    let expect = "can't make a clip of `v2`: `[{\"posterize\":9}]` can't be applied to a clip of 32x24 px";
    check_refused(SampleRow { pixel_ops: r#"[{"posterize":9}]"#.into(), ..row(2, &[0, 1, 2]) }, expect);
    let expect = "can't make a clip of `v2`: it is blended with the clip at position 9, which is not in this table";
    check_refused(SampleRow { mix_position: Some(9), ..row(2, &[0, 1, 2]) }, expect);
    let expect = "can't make a clip of `v2`: its crop of 44.5x38 at NaN,2 is outside the frame of 48x40 px";
    check_refused(SampleRow { crop_x: f32::NAN, ..row(2, &[0, 1, 2]) }, expect);
}

#[test]
fn empty_and_oversized_batches_are_refused() {
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
        assert!(text(&error).starts_with("can't make a clip of `v1`: frame 7 is not a readable JPEG image"), "{error}");
        assert!(all.next().is_none());
    }
}
