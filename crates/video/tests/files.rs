//! `probe`, `Decoder` and `Encoder` on generated videos, real clips and hostile files.

#![expect(clippy::disallowed_methods, reason = "tests may panic; their files, threads and times are their own")]

use pipe_testkit::{shared, skip};
use pipe_video::{
    DecodedFrame, Decoder, Encoder, EncoderParams, FrameCoder, FrameScaler, ImageFormat, Orientation, VideoError,
    VideoInfo, probe,
};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc;
use std::time::Duration;

/// A file that hangs fails its test with its name. No file needs a second.
const LIMIT: Duration = Duration::from_mins(1);

#[expect(clippy::print_stderr, reason = "people read the figures")]
fn print(text: &str) {
    eprintln!("{text}");
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs_err::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() { files.extend(files_below(&path)) } else { files.push(path) }
    }
    files.sort();
    files
}

/// Encodes grey frames, each lighter by 4 levels than the one before. `frames` is at most 58.
fn encode(path: &Path, frames: usize) {
    let params = EncoderParams { width_px: 64, height_px: 48, fps: 25, quantizer: 2 };
    let mut encoder = Encoder::create(path, params).expect("created");
    for frame in 0..frames {
        encoder.write_rgb(&[20 + 4 * frame as u8; 64 * 48 * 3]).expect("written");
    }
    encoder.finish().expect("finished");
}

/// Decodes a whole file, scales and encodes each frame. Returns the times and the result.
fn decode(path: &Path) -> (Vec<i64>, Result<(), VideoError>) {
    let mut times = Vec::new();
    let result = (|| {
        let decoder = Decoder::open(path)?;
        let orientation = decoder.info().orientation;
        let mut coder = FrameCoder::new(ImageFormat::Jpeg { quality: 90 }, 57, 43, orientation)?;
        let mut jpeg = Vec::new();
        for (index, frame) in decoder.enumerate() {
            let frame = frame?;
            assert_eq!(frame.frame_index(), index as u64);
            times.push(frame.pts_nanos());
            jpeg.clear();
            coder.encode(&frame, &mut jpeg)?;
            assert!(jpeg.starts_with(&[0xff, 0xd8]) && jpeg.ends_with(&[0xff, 0xd9]));
        }
        Ok(())
    })();
    assert!(times.is_sorted_by(|a, b| a < b), "{}", path.display());
    (times, result)
}

#[test]
fn an_encoded_video_can_be_probed_and_decoded() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("concat:ü b.avi");
    encode(&path, 30);
    let info = probe(&path).expect("a video");
    let expect = VideoInfo {
        codec: "mpeg4".into(),
        width_px: 64,
        height_px: 48,
        fps_num: 25,
        fps_den: 1,
        frames_declared: 30,
        orientation: Orientation::default(),
        sample_aspect: (1, 1),
    };
    assert_eq!(info, expect);
    let (times, result) = decode(&path);
    result.expect("decoded");
    assert_eq!(times, (0..30).map(|index| index * 40_000_000).collect::<Vec<_>>());
}

#[test]
fn grey_levels_are_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.avi");
    encode(&path, 58);
    let mut scaler = FrameScaler::new(32, 24, Orientation::default()).expect("a scaler");
    for (index, frame) in Decoder::open(&path).expect("opened").enumerate() {
        let image = scaler.scale(&frame.expect("decoded")).expect("scaled");
        let expect = 20 + 4 * index as u8;
        for (plane, expect) in [expect, 128, 128].into_iter().enumerate() {
            let wrong = image.planes[plane].iter().filter(|value| value.abs_diff(expect) > 3).count();
            assert_eq!(wrong, 0, "frame {index}, plane {plane}: {} for {expect}", image.planes[plane][0]);
        }
    }
}

#[test]
fn equal_frames_give_equal_bytes() {
    let folder = tempfile::tempdir().expect("a folder");
    let (one, two) = (folder.path().join("one.avi"), folder.path().join("two.avi"));
    encode(&one, 10);
    encode(&two, 10);
    let bytes = fs_err::read(one).expect("read");
    assert_eq!(bytes, fs_err::read(two).expect("read"));
    assert!(!bytes.windows(4).any(|window| window == b"Lavf"), "the file contains the version of the library");
}

#[test]
fn a_truncated_file_is_an_error() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.avi");
    encode(&path, 58);
    let bytes = fs_err::read(&path).expect("read");
    for percent in [60, 75, 90] {
        fs_err::write(&path, &bytes[..bytes.len() * percent / 100]).expect("written");
        decode(&path).1.expect_err("truncated");
    }
}

#[test]
fn a_file_that_is_not_a_video_is_an_error() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.avi");
    fs_err::write(&path, b"plain text\n").expect("written");
    match probe(&path) {
        Err(VideoError::Open { source }) => assert!(source.to_string().starts_with("Invalid data"), "{source}"),
        other => panic!("{other:?}"),
    }
    assert!(matches!(probe(folder.path()), Err(VideoError::Path)));
    assert!(matches!(probe(&folder.path().join("none")), Err(VideoError::Io(_))));
    // A playlist names another file, which must not be opened.
    let other = folder.path().join("b.avi");
    encode(&other, 3);
    fs_err::write(&path, "ffconcat version 1.0\nfile b.avi\n").expect("written");
    assert!(matches!(probe(&path), Err(VideoError::Open { .. })));
    fs_err::write(&path, "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nb.avi\n#EXT-X-ENDLIST\n").expect("written");
    assert!(matches!(probe(&path), Err(VideoError::Open { .. })));
}

/// Runs `work` on another thread, and panics after [`LIMIT`].
fn within_limit<T: Send + 'static>(path: &Path, work: impl FnOnce(&Path) -> T + Send + 'static) -> T {
    let (send, receive) = mpsc::channel();
    let owned = path.to_owned();
    std::thread::spawn(move || send.send(work(&owned)));
    receive.recv_timeout(LIMIT).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn hostile_files_neither_hang_nor_crash() {
    let Some(folder) = shared("data/hostile") else { return };
    let mut verdicts = Vec::new();
    for path in files_below(&folder) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let probed = within_limit(&path, probe);
        let (times, decoded) = within_limit(&path, decode);
        verdicts.push(format!("{name}: probe {probed:?}; {} frames, {decoded:?}", times.len()));
        assert!(decoded.is_err() || probed.is_ok(), "{name} can be decoded, but `probe` returns {probed:?}");
    }
    let verdict =
        |name: &str| verdicts.iter().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{name} is missing"));
    let check = |name: &str, expect: &str| assert!(verdict(name).contains(expect), "{}", verdict(name));
    check("derived_zero_bytes.mp4", "probe Err(NotAVideo(Empty");
    check("derived_text_named.mp4", "probe Err(Open");
    check("derived_jpeg_named.avi", "probe Err(NotAVideo(Image(\"JPEG\"");
    check("lfs_pointer_h264.mp4", "probe Err(NotAVideo(LfsPointer");
    check("exo_sample_latm.ts", "probe Err(NoVideoStream");
    check("exo_sample_with_opus_audio.mkv", "probe Err(NoVideoStream");
    check("mp4parse_invalid_userdata.mp4", "probe Err(Undecodable");
    check("derived_truncated_half.avi", "86 frames, Err(CutShort { frame_index: 86 })");
    check("derived_zeroed_middle.avi", "181");
    check("derived name with spaces", "20 frames, Ok");
    check("derived_one_frame.avi", "1 frames, Ok");
    check("exo_bear-vp9-odd-dimensions.webm", "30 frames, Ok");
    check("torchcodec_var_fps_video.mp4", "300 frames, Ok");
    check("decord_video_90.mov", "rotation: 90");
    check("decord_video_180.mov", "rotation: 180");
    check("mp4parse_video_rotation_90.mp4", "rotation: 90");
    if std::env::var_os("PIPE_SHOW_VERDICTS").is_some() {
        print(&format!("the verdicts are\n{}", verdicts.join("\n")));
    }
}

#[test]
fn real_clips_have_the_frames_that_they_declare() {
    let Some(folder) = shared("data/clips/ucf101") else { return };
    let files: Vec<_> =
        files_below(&folder).into_iter().filter(|path| path.extension().is_some_and(|e| e == "avi")).collect();
    assert!(!files.is_empty());
    for path in &files {
        let info = probe(path).expect("a video");
        assert_eq!((info.codec.as_str(), info.width_px, info.height_px), ("mpeg4", 320, 240));
        let (times, result) = decode(path);
        result.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        // One clip has a frame that repeats the one before without any data, which the decoder leaves out.
        let missing = info.frames_declared - times.len() as u64;
        assert!(missing <= 1, "{missing} frames of {} are missing", path.display());
    }
}

/// Returns the mean of each plane of a file's first frame.
fn mean_colour(path: &Path) -> [f64; 3] {
    let first: DecodedFrame = Decoder::open(path).expect("opened").next().expect("a frame").expect("decoded");
    let mut scaler = FrameScaler::new(first.width_px(), first.height_px(), Orientation::default()).expect("a scaler");
    let image = scaler.scale(&first).expect("scaled");
    image.planes.each_ref().map(|plane| plane.iter().map(|&value| f64::from(value)).sum::<f64>() / plane.len() as f64)
}

#[test]
fn colours_are_those_of_ffmpeg() {
    let Some(folder) = shared("data/hostile") else { return };
    // The expected values are from `ffmpeg -vf scale=in_range=…:out_range=full:in_color_matrix=…:out_color_matrix=bt601`.
    let check = |name: &str, expect: [f64; 3]| {
        let found = mean_colour(&folder.join(name));
        let close = found.iter().zip(expect).all(|(found, expect)| (found - expect).abs() < 0.6);
        assert!(close, "{name}: {found:?}, not {expect:?}");
    };
    // For this one they are computed from the matrices. FFmpeg converts by way of RGB, which clips colours that RGB does not have;
    // only the decoder of the JPEG file should do that.
    check("torchcodec_bt709_full_range.mp4", [125.38, 127.05, 125.70]);
    check("torchcodec_h264_10bits.mp4", [117.91, 132.12, 126.30]);
    check("exo_sample_av1.mp4", [148.65, 127.61, 130.81]);
    check("imageio_newtonscradle.gif", [194.46, 127.99, 128.00]);
}

/// Returns the `length` bytes of a tensor that `torch.save` wrote, uncompressed, in the entry `…/data/0`.
fn tensor(path: &Path, length: usize) -> Vec<u8> {
    let bytes = fs_err::read(path).expect("a tensor");
    let name = bytes.windows(7).position(|window| window == b"/data/0").expect("an entry");
    // A header of 30 bytes precedes the name. It ends with the lengths of the name and of the extra field after it.
    let header = bytes[..name].windows(4).rposition(|window| window == b"PK\x03\x04").expect("its header");
    let number = |at: usize| usize::from(u16::from_le_bytes([bytes[header + at], bytes[header + at + 1]]));
    let start = header + 30 + number(26) + number(28);
    bytes[start..start + length].to_vec()
}

#[test]
fn frames_are_those_of_torchcodec() {
    let (Some(clips), Some(hostile)) = (shared("data/clips/torchcodec_reference"), shared("data/hostile")) else {
        return;
    };
    let check = |video: &Path, frame_index: u64, reference: &Path| {
        let mut frames = Decoder::open(video).expect("opened").map(|frame| frame.expect("decoded"));
        let frame = frames.find(|frame| frame.frame_index() == frame_index).expect("there");
        let mut scaler =
            FrameScaler::new(frame.width_px(), frame.height_px(), Orientation::default()).expect("a scaler");
        let image = scaler.scale_rgb(&frame).expect("converted");
        let expect = tensor(reference, image.pixels.len());
        let distances = || image.pixels.iter().zip(&expect).map(|(found, expect)| found.abs_diff(*expect));
        let (largest, differing) = (distances().max(), distances().filter(|distance| *distance != 0).count());
        let name = video.display();
        assert_eq!(
            (largest, differing),
            (Some(0), 0),
            "frame {frame_index} of {name}: largest difference, and number of different bytes"
        );
    };
    let nasa = clips.join("nasa_13013.mp4");
    let reference = |name: &str| clips.join(format!("nasa_13013.mp4.{name}.pt"));
    check(&nasa, 0, &reference("stream3.frame000000"));
    check(&nasa, 15, &reference("stream3.frame000015"));
    check(&nasa, 180, &reference("time6.000000"));
    check(
        &hostile.join("torchcodec_av1_video.mkv"),
        10,
        &hostile.join("torchcodec_av1_video.mkv.stream0.frame000010.pt"),
    );
}

/// Writes one stream of a file to another, without decoding it.
fn copy_stream(from: &Path, stream_index: usize, to: &Path) -> Result<(), ffmpeg_next::Error> {
    ffmpeg_next::init()?;
    let mut input = ffmpeg_next::format::input(from)?;
    let mut output = ffmpeg_next::format::output(to)?;
    let stream = input.stream(stream_index).ok_or(ffmpeg_next::Error::StreamNotFound)?;
    let mut copy = output.add_stream(ffmpeg_next::codec::Id::None)?;
    copy.set_parameters(stream.parameters());
    copy.set_time_base(stream.time_base());
    output.write_header()?;
    let time_base = output.stream(0).ok_or(ffmpeg_next::Error::StreamNotFound)?.time_base();
    for (stream, mut packet) in input.packets() {
        if stream.index() == stream_index {
            packet.rescale_ts(stream.time_base(), time_base);
            packet.set_stream(0);
            packet.set_position(-1);
            packet.write_interleaved(&mut output)?;
        }
    }
    output.write_trailer()
}

#[test]
fn times_are_those_of_torchcodec() {
    let Some(folder) = shared("data/clips/torchcodec_reference") else { return };
    let nasa = folder.join("nasa_13013.mp4");
    let check = |video: &Path, stream: &str, num_frames: usize| {
        let json = fs_err::read(folder.join(format!("nasa_13013.mp4.{stream}.all_frames_info.json"))).expect("read");
        let expect: Vec<serde_json::Value> = serde_json::from_slice(&json).expect("JSON");
        let secs = |frame: usize, field: &str| -> f64 {
            expect[frame][field].as_str().expect("text").parse().expect("a number")
        };
        let (times, result) = decode(video);
        result.expect("decoded");
        assert_eq!((times.len(), expect.len()), (num_frames, num_frames), "{stream}");
        let (mut largest, mut largest_duration) = (0.0_f64, 0.0_f64);
        for (frame, nanos) in times.iter().enumerate() {
            largest = largest.max((*nanos as f64 / 1e9 - secs(frame, "pts_time")).abs());
            // A decoder returns no durations: a frame lasts until the next one.
            let Some(next) = times.get(frame + 1) else { continue };
            let duration_secs = (next - nanos) as f64 / 1e9;
            largest_duration = largest_duration.max((duration_secs - secs(frame, "duration_time")).abs());
        }
        // The reference is rounded to six digits, and our times are truncated to nanoseconds.
        assert!(largest.max(largest_duration) < 0.51e-6, "{stream}: {largest} and {largest_duration}");
        print(&format!(
            "{stream}, {num_frames} frames, times differ by {largest:.1e} s at most, durations by \
             {largest_duration:.1e} s"
        ));
    };
    check(&nasa, "stream3", 390);
    // The decoder selects the best of several streams, so the smaller one is copied to a file.
    let scratch = tempfile::tempdir().expect("a folder");
    let alone = scratch.path().join("stream0.mp4");
    copy_stream(&nasa, 0, &alone).expect("copied");
    let info = probe(&alone).expect("a video");
    assert_eq!((info.width_px, info.height_px, info.frames_declared), (320, 180, 325));
    check(&alone, "stream0", 325);
}

/// Returns the times of a stream's frames according to `ffprobe`, in seconds.
fn ffprobe(path: &Path, stream: &str) -> Option<Vec<Option<f64>>> {
    let mut command = Command::new("ffprobe");
    command.args(["-v", "quiet", "-threads", "1", "-select_streams", stream]);
    command.args(["-show_entries", "frame=best_effort_timestamp_time", "-of", "csv=p=0"]);
    let output = command.arg(format!("file:{}", path.display())).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    // Side data follows after a comma.
    let times = text.lines().filter_map(|line| line.split(',').next()).filter(|time| !time.is_empty());
    Some(times.map(|time| time.parse().ok()).collect())
}

#[test]
fn counts_and_times_are_those_of_ffprobe() {
    let Some(folder) = shared("data/clips") else { return };
    if Command::new("ffprobe").arg("-version").output().is_err() {
        return skip("no `ffprobe`");
    }
    let videos = ["avi", "mp4", "mkv", "webm", "mov"];
    let is_video = |path: &PathBuf| path.extension().is_some_and(|end| videos.iter().any(|video| end == *video));
    let files: Vec<PathBuf> = files_below(&folder).into_iter().filter(is_video).collect();
    assert!(files.len() > 50, "{}", files.len());
    let (mut num_frames, mut largest) = (0, 0.0_f64);
    for path in &files {
        let name = path.display();
        // The first stream of this file is a smaller version of the one that FFmpeg selects as the best.
        let stream = if path.ends_with("nasa_13013.mp4") { "3" } else { "v:0" };
        let expect = ffprobe(path, stream).expect("ffprobe runs");
        let frames = Decoder::open(path).unwrap_or_else(|error| panic!("{name}: {error}"));
        let time = |frame: Result<DecodedFrame, VideoError>| frame.map(|frame| frame.pts_nanos());
        let times: Result<Vec<i64>, VideoError> = frames.map(time).collect();
        let times = times.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(times.len(), expect.len(), "{name}");
        for (nanos, expect) in times.iter().zip(&expect) {
            let Some(expect) = expect else { continue };
            let error = (*nanos as f64 / 1e9 - expect).abs();
            assert!(error < 1e-6, "{name}: {nanos} instead of {expect}");
            largest = largest.max(error);
        }
        num_frames += times.len();
    }
    print(&format!("{} clips, {num_frames} frames, times differ by {largest} s at most", files.len()));
}
