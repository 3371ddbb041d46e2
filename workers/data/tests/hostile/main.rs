//! Runs the real worker on hostile and damaged files, as `pipe` does: `ingest`, then `frames`.

mod damaged;
mod killed;
mod space;

use pipe_schemas::tables::Verdict;
use pipe_testkit::{repository, shared, skip};
use pipe_video::{Encoder, EncoderParams};
use serde_json::json;
use space::Space;
use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};

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
