use super::*;
use pipe_schemas::stages::frames::{FrameCoding, FrameResize, FrameSampling};
use pipe_schemas::tables::Verdict;
use pipe_stage::bucket;
use pipe_stage::protocol::{Input, MakePart};
use pipe_tables::frames::FrameShards;
use pipe_testkit::{Bench, Making, input, older, part_in};
use pipe_video::{Encoder, EncoderParams};
use serde_json::json;
use std::path::Path;
use tempfile::TempDir;

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
        frames_decoded: None,
        mirrored: false,
        rotation: 0,
        sample_aspect_num: 1,
        sample_aspect_den: 1,
        hashes: Vec::new(),
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

fn bench(media: &Path, table: &Path, rows: &[VideoRow], params: &FramesParams, threads: usize) -> Bench<'static> {
    pipe_tables::write_rows(table, rows).expect("written");
    let videos = Input { media_root: Some(media.into()), ..input(table) };
    Bench::new(&Frames, params, [("videos", videos)], threads)
}

type Outcome = (Result<Summary, String>, Vec<String>);

fn run(media: &Path, output: &Path, rows: &[VideoRow], params: &FramesParams, threads: usize) -> Outcome {
    let ran = bench(media, &output.join("videos.parquet"), rows, params, threads).run(output);
    (ran.result.map_err(|error| error.chain().join(": ")), ran.warnings)
}

#[test]
fn the_index_locates_the_frames() {
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
        assert_eq!(row.shard, format!("shard-{:05}.parquet", bucket(&row.video_id, 4)));
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
    let of_bucket = |wanted: u32| rows.iter().position(|row| bucket(&row.video_id, 2) == wanted);
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

/// Writes a stream of grey noise of which the bytes around the middle are lost, so that it has damaged frames.
fn damage_middle(path: &Path) {
    encode(path, 30);
    let mut bytes = fs_err::read(path).expect("read");
    let frame = bytes.windows(4).enumerate().filter(|(_, window)| *window == b"00dc").nth(15).expect("a frame").0;
    // The start of the data of a frame, after the name and the size of its chunk.
    bytes[frame + 8..frame + 28].fill(0);
    fs_err::write(path, bytes).expect("written");
}

#[test]
fn every_video_is_stored_or_counted_and_named() {
    let (media, output) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let mut rows = videos(media.path());
    let bytes = fs_err::read(media.path().join("f.avi")).expect("read");
    fs_err::write(media.path().join("f.avi"), &bytes[..bytes.len() * 6 / 10]).expect("written");
    rows[5] = row(media.path(), "f.avi");
    damage_middle(&media.path().join("d.avi"));
    rows[3] = row(media.path(), "d.avi");
    rows[0].verdict = Verdict::Unreadable;
    rows[1].verdict = Verdict::Rejected;
    let skip = FramesParams { on_error: OnError::Skip, buckets: 3, ..FramesParams::default() };
    let (summary, warnings) = run(media.path(), output.path(), &rows, &skip, 2);
    let line = summary.expect("made").lines.remove(0);
    assert!(
        line.starts_with("3 videos, ") && line.ends_with(", 1 damaged, 1 skipped, 2 unusable in `videos`"),
        "{line}"
    );
    let index = FrameShards::open(&output.path().join("frames")).expect("opened").index().len();
    assert_eq!(rows.len(), index + 1 + 2);
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(warnings[0].starts_with("skipped the video `f`: "), "{warnings:?}");
    assert!(warnings[1].starts_with("1 of 3 videos is damaged, and stored without the frames that are lost: `d` ("));
}

#[test]
fn pixels_become_square_if_that_is_asked_for() {
    let (media, output) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let check = |aspect: &str, square_pixels: bool, resize: FrameResize, expect: (u32, u32)| {
        write_y4m(&media.path().join("v.y4m"), aspect);
        let row = VideoRow { video_id: "v".into(), ..row(media.path(), "v.y4m") };
        let params = FramesParams { square_pixels, resize, ..FramesParams::default() };
        run(media.path(), output.path(), &[row], &params, 1).0.expect("made");
        let shards = FrameShards::open(&output.path().join("frames")).expect("opened");
        let row = &shards.index()[0];
        assert_eq!((row.width_px, row.height_px), expect, "{aspect} {square_pixels}");
        fs_err::remove_dir_all(output.path().join("frames")).expect("removed");
    };
    check("2:1", false, FrameResize::None, (16, 16));
    check("2:1", true, FrameResize::None, (32, 16));
    check("1:2", true, FrameResize::None, (8, 16));
    check("12:11", true, FrameResize::None, (17, 16)); // 17.45
    check("2:1", true, FrameResize::ShortSidePx(8), (16, 8));
    check("2:1", true, FrameResize::Exact { width_px: 20, height_px: 10 }, (20, 10));
    check("1:1", true, FrameResize::None, (16, 16));
    check("0:0", true, FrameResize::None, (16, 16));
}

#[test]
fn a_changed_file_fails_the_stage() {
    let (media, output) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let rows = videos(media.path());
    encode(&media.path().join("c.avi"), 9);
    let skip = FramesParams { on_error: OnError::Skip, ..FramesParams::default() };
    let error = run(media.path(), output.path(), &rows, &skip, 2).0.expect_err("changed");
    assert_eq!(error, "`c.avi` has changed since `ingest` read it");
    fs_err::remove_file(media.path().join("c.avi")).expect("removed");
    let error = run(media.path(), output.path(), &rows, &skip, 2).0.expect_err("gone");
    assert!(error.starts_with("`c.avi` can't be read: "), "{error}");
}

#[test]
fn quality_changes_the_bytes() {
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

#[test]
fn images_have_the_requested_format_and_size() {
    let media = tempfile::tempdir().expect("a folder");
    let rows = videos(media.path());
    let check = |encode: FrameCoding, resize: FrameResize, starts: &[u8], ends: &[u8]| {
        let output = tempfile::tempdir().expect("a folder");
        let params = FramesParams { encode, resize, sample: FrameSampling::Count(3), ..FramesParams::default() };
        run(media.path(), output.path(), &rows, &params, 2).0.expect("made");
        let shards = FrameShards::open(&output.path().join("frames")).expect("opened");
        assert_eq!(shards.index().len(), 6);
        for row in shards.index() {
            let images = shards.read(row, &[0, 1, 2]).expect("read");
            assert!(images.iter().all(|image| image.starts_with(starts) && image.ends_with(ends)), "{encode:?}");
            assert!(images[0] != images[1] && images[1] != images[2]);
        }
        (shards.index()[0].width_px, shards.index()[0].height_px)
    };
    let exact = FrameResize::Exact { width_px: 33, height_px: 17 };
    assert_eq!(check(FrameCoding::Jpeg { quality: 50 }, exact, &[0xff, 0xd8], &[0xff, 0xd9]), (33, 17));
    assert_eq!(check(FrameCoding::Png, FrameResize::None, b"\x89PNG", b"IEND\xae\x42\x60\x82"), (64, 48));
    assert_eq!(check(FrameCoding::Raw, exact, b"P6\n33 17\n255\n", &[]), (33, 17));
}

/// A bucket of five of the videos, `a` to `e`, and parts of it.
struct Bucketful {
    media: TempDir,
    folder: TempDir,
    rows: Vec<VideoRow>,
    params: FramesParams,
}

impl Bucketful {
    fn new() -> Self {
        let (media, folder) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
        let rows = videos(media.path());
        let params = FramesParams { buckets: 1, on_error: OnError::Skip, ..FramesParams::default() };
        Self { media, folder, rows: rows[..5].into(), params }
    }

    fn bench(&self, rows: &[VideoRow]) -> Bench<'static> {
        bench(self.media.path(), &self.folder.path().join("videos.parquet"), rows, &self.params, 2)
    }

    /// Makes the bucket of `rows` from scratch in a folder `name`.
    fn clean(&self, rows: &[VideoRow], name: &str) -> (PlannedPart, MadePart) {
        let bench = self.bench(rows);
        let made = bench.make_all(&self.folder.path().join(name)).expect("made");
        (bench.plan().expect("planned").remove(0), made[0].clone())
    }

    /// Makes the bucket of `rows` from an older version while only the files of `decoded` exist, and checks that it equals one
    /// made from scratch.
    fn check(&self, older_rows: &[VideoRow], rows: &[VideoRow], decoded: &[&str]) {
        let name = |kind| format!("{kind}-{}-{}", rows.len(), decoded.concat());
        let (then, old) = self.clean(older_rows, &name("old"));
        let (now, clean) = self.clean(rows, &name("clean"));
        let away = self.folder.path().join(name("away"));
        fs_err::create_dir(&away).expect("a folder");
        for row in rows.iter().filter(|row| !decoded.contains(&row.video_id.as_str())) {
            fs_err::rename(self.media.path().join(&row.path), away.join(&row.path)).expect("moved");
        }
        let mut part = part_in(&self.folder.path().join(name("updated")), &now.name);
        part.old = Some(older(&old, &then, &now).expect("fields are equal"));
        let updated = part.made();
        let Making { result, finished } = self.bench(rows).make(MakeParts::independent(vec![part]));
        result.expect("made");
        assert_eq!(finished, ["00000"]);
        for file in
            ["files/frames/shard-00000.parquet", "notes/index.parquet", "notes/skipped.json", "notes/damaged.json"]
        {
            let read = |part: &MadePart| fs_err::read(part.folder.join(file)).expect("read");
            assert!(read(&updated) == read(&clean), "{file} differs for {decoded:?}");
        }
        for entry in fs_err::read_dir(&away).expect("a folder") {
            let entry = entry.expect("an entry");
            fs_err::rename(entry.path(), self.media.path().join(entry.file_name())).expect("moved back");
        }
    }
}

#[test]
fn only_new_videos_of_a_bucket_are_decoded_with_the_bytes_of_a_clean_run() {
    let space = Bucketful::new();
    let four: Vec<VideoRow> = space.rows.iter().filter(|row| row.video_id != "c").cloned().collect();
    space.check(&four, &space.rows, &["c"]);
    space.check(&space.rows, &four, &[]);
    space.check(&space.rows, &space.rows, &[]);
    let mut changed = space.rows.clone();
    encode(&space.media.path().join("b2.avi"), 30);
    changed[1] = VideoRow { video_id: "b".into(), ..row(space.media.path(), "b2.avi") };
    space.check(&space.rows, &changed, &["b"]);
    space.check(&space.rows[..2], &changed, &["b", "c", "d", "e"]);
}

#[test]
fn a_skipped_video_is_not_decoded_again() {
    let mut space = Bucketful::new();
    let damage = |row_index: usize, rows: &mut [VideoRow]| {
        let path = space.media.path().join(&rows[row_index].path);
        let bytes = fs_err::read(&path).expect("read");
        fs_err::write(&path, &bytes[..bytes.len() * 6 / 10]).expect("written");
        rows[row_index] = row(space.media.path(), &rows[row_index].path);
    };
    let mut rows = space.rows.clone();
    damage(3, &mut rows);
    space.check(&rows[..4], &rows, &["e"]);
    // All videos are damaged: the part has no shard, but its next version has one.
    (0..5).filter(|index| *index != 3).for_each(|index| damage(index, &mut rows));
    let (then, old) = space.clean(&rows, "none");
    assert!(!old.file(FRAMES).exists());
    let ran = space.bench(&rows).assemble(std::slice::from_ref(&old), &space.folder.path().join("output"));
    assert_eq!(ran.error(), "none of the 5 videos could be decoded");
    assert_eq!(ran.warnings.len(), 5);
    encode(&space.media.path().join("e.avi"), 9);
    rows[4] = row(space.media.path(), "e.avi");
    let now = space.bench(&rows).plan().expect("planned").remove(0);
    let old = older(&old, &then, &now).expect("fields are equal");
    assert_eq!(old.same_items.len(), 4);
    let part = MakePart { old: Some(old), ..part_in(&space.folder.path().join("one"), &now.name) };
    let made = part.made();
    space.bench(&rows).make(MakeParts::independent(vec![part])).result.expect("made");
    assert_eq!(Notes::read(&made).expect("notes").index.len(), 1);
    // With `on_error: fail`, the skipped video fails the stage.
    space.params.on_error = OnError::Fail;
    let ran = space.bench(&rows).assemble(&[made], &space.folder.path().join("fails"));
    assert!(ran.error().starts_with("the video `a` can't be used: "), "{}", ran.error());
}

#[test]
fn the_key_of_a_part_contains_only_its_own_videos() {
    let media = tempfile::tempdir().expect("a folder");
    let rows = videos(media.path());
    let table = media.path().join("videos.parquet");
    let plan = |rows: &[VideoRow], params: &FramesParams| {
        bench(media.path(), &table, rows, params, 1).plan().expect("planned")
    };
    let params = FramesParams { buckets: 64, ..FramesParams::default() };
    let parts = plan(&rows, &params);
    assert_eq!(parts.len(), 6);
    let named = |video: &str| format!("{:05}", bucket(video, 64));
    let part = parts.iter().find(|part| part.name == named("b")).expect("the bucket of `b`");
    let fields: Vec<String> = part.fields.iter().map(|(path, value)| format!("{}={value}", path.join("."))).collect();
    let expect = [
        "with.sample=\"all\"",
        "with.resize.short_side_px=256",
        "with.square_pixels=false",
        "with.encode.jpeg.quality=90",
        "with.limits.cpu_secs=3600",
        "with.limits.memory_mb=4096",
    ];
    assert_eq!(fields[0], format!("bucket={}", part.name));
    assert_eq!(fields[1..], expect);
    assert_eq!(part.items.iter().collect::<Vec<_>>(), [(&"b".to_owned(), &format!("{} avi", rows[1].digest))]);

    // None of these columns is in the key.
    let mut moved = rows.clone();
    for row in &mut moved {
        row.path = format!("elsewhere/{}", row.path);
        row.codec = "another name".into();
    }
    let skip = FramesParams { on_error: OnError::Skip, ..params.clone() };
    assert_eq!(plan(&moved, &skip), parts);
    // A video that `ingest` could not open is left out; the other parts do not change.
    let mut fewer = rows.clone();
    fewer[1].verdict = Verdict::Undecodable;
    let others: Vec<_> = parts.iter().filter(|part| part.name != named("b")).cloned().collect();
    assert_eq!(plan(&fewer, &params), others);
    // Another parameter changes the keys of all parts, and no older version can be used.
    let sharper = FramesParams { encode: FrameCoding::Jpeg { quality: 91 }, ..params };
    assert!(plan(&rows, &sharper).iter().zip(&parts).all(|(new, old)| new.fields != old.fields));
}

#[test]
fn finished_parts_are_reported_when_another_fails() {
    let media = tempfile::tempdir().expect("a folder");
    let rows = videos(media.path());
    fs_err::remove_file(media.path().join("d.avi")).expect("removed");
    let folder = tempfile::tempdir().expect("a folder");
    let bench = bench(media.path(), &folder.path().join("videos.parquet"), &rows, &FramesParams::default(), 1);
    let parts: Vec<_> = bench.plan().expect("planned").iter().map(|part| part_in(folder.path(), &part.name)).collect();
    let failing = format!("{:05}", bucket("d", 64));
    let Making { result, finished } = bench.make(MakeParts::independent(parts));
    let error = result.expect_err("gone").chain().join(": ");
    assert!(error.starts_with("`d.avi` can't be read: "), "{error}");
    assert!(!finished.contains(&failing), "{finished:?}");
    for name in &finished {
        let part = MadePart { name: name.clone(), folder: folder.path().join(name), state: None };
        assert_eq!(Notes::read(&part).expect("notes").index.len(), 1);
    }
    let unknown = MakeParts::independent(vec![part_in(folder.path(), "99999")]);
    let error = bench.make(unknown).result.expect_err("unknown").chain().join(": ");
    assert_eq!(error, "bucket 99999 has no usable video");
}

/// Writes an uncompressed video of two frames, with bytes that do not depend on an encoder.
fn write_y4m(path: &Path, aspect: &str) {
    let mut bytes = format!("YUV4MPEG2 W16 H16 F25:1 Ip A{aspect} C420jpeg\n").into_bytes();
    for frame in 0..2u8 {
        bytes.extend(b"FRAME\n");
        bytes.extend((0..=255u8).map(|at| at.wrapping_mul(3).wrapping_add(40 * frame)));
        bytes.extend([[90 + frame; 64], [170; 64]].concat());
    }
    fs_err::write(path, bytes).expect("written");
}

/// If this test fails, raise the version of the contract, because existing stores contain other bytes.
#[test]
fn bytes_change_only_with_the_version() {
    // The versions for which the digests below hold. Other versions change the key, and may change the bytes.
    let versions = format!("{} jpeg {}", pipe_video::ffmpeg_version(), pipe_pixels::libjpeg_turbo_version());
    if versions != "5.1.9-0+deb12u1 avutil 57.28.100 avcodec 59.37.100 avformat 59.27.100 swscale 6.7.100 jpeg 3.1.0" {
        return;
    }
    let (media, output) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    write_y4m(&media.path().join("v.y4m"), "1:1");
    let row = VideoRow { video_id: "v".into(), ..row(media.path(), "v.y4m") };
    let resize = FrameResize::Exact { width_px: 39, height_px: 21 };
    let params = FramesParams { resize, buckets: 1, ..FramesParams::default() };
    let (summary, _) = run(media.path(), output.path(), &[row], &params, 1);
    assert_eq!(summary.expect("made").lines, ["1 videos, 2 frames, 1 MB"]);
    let digest = |name: &str| {
        let bytes = fs_err::read(output.path().join("frames").join(name)).expect("read");
        blake3::hash(&bytes).to_hex()[..16].to_owned()
    };
    let found = json!({
        "version": CONTRACT.version,
        "shard": digest("shard-00000.parquet"),
        "index": digest("index.parquet"),
    });
    assert_eq!(found, json!({ "version": 7, "shard": "36bbc5a68721dca5", "index": "293a63f43c739386" }));
}
