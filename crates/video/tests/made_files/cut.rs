//! Cut files: each is found, wherever it is cut, and no whole file is called cut.

use crate::make::{MPEG4, Recipe, make, moving};
use crate::print;
use ffmpeg_next::codec::Id;
use ffmpeg_next::format::Pixel;
use pipe_testkit::skip;
use pipe_video::Decoder;
use std::path::Path;

/// Containers and codecs that declare how long they are, each with the header that a writer who can seek puts first.
const CUT: &[(&str, Recipe)] = &[
    ("avi", MPEG4),
    ("mp4", Recipe { muxer: "mp4", codec: Id::H264, options: FIRST, b_frames: 2, ..MPEG4 }),
    ("mov", Recipe { muxer: "mov", codec: Id::MJPEG, pixel: Pixel::YUVJ420P, options: FIRST, ..MPEG4 }),
    ("3gp", Recipe { muxer: "3gp", codec: Id::H263, options: FIRST, ..MPEG4 }),
    ("mkv", Recipe { muxer: "matroska", b_frames: 2, ..MPEG4 }),
    ("ffv1.mkv", Recipe { muxer: "matroska", codec: Id::FFV1, ..MPEG4 }),
    ("webm", Recipe { muxer: "webm", codec: Id::VP8, ..MPEG4 }),
    ("vp9.webm", Recipe { muxer: "webm", codec: Id::VP9, ..MPEG4 }),
    ("flv", Recipe { muxer: "flv", codec: Id::FLV1, ..MPEG4 }),
    ("wmv", Recipe { muxer: "asf", codec: Id::WMV2, ..MPEG4 }),
    ("ogv", Recipe { muxer: "ogg", codec: Id::THEORA, ..MPEG4 }),
    ("mxf", Recipe { muxer: "mxf", codec: Id::MPEG2VIDEO, ..MPEG4 }),
];
const FIRST: &[(&str, &str)] = &[("movflags", "+faststart")];

/// Returns the number of frames and the reason why a file is not intact, if there is one.
fn decoded(path: &Path) -> (usize, Option<String>) {
    let mut decoder = match Decoder::open(path) {
        Ok(decoder) => decoder,
        Err(error) => return (0, Some(error.to_string())),
    };
    let mut frames = 0;
    for frame in decoder.by_ref() {
        match frame {
            Ok(_) => frames += 1,
            Err(error) => return (frames, Some(error.to_string())),
        }
    }
    (frames, (!decoder.damage().is_none()).then(|| decoder.damage().to_string()))
}

/// Returns the position and the size of each packet of a file.
fn packets(path: &Path) -> Vec<(usize, usize)> {
    let mut input = ffmpeg_next::format::input(path).expect("a video");
    let place = |packet: &ffmpeg_next::Packet| (packet.position().max(0) as usize, packet.size());
    let mut places: Vec<_> = input.packets().map(|(_, packet)| place(&packet)).collect();
    places.sort_unstable();
    places
}

#[test]
fn every_cut_file_is_found_and_no_whole_file_is_called_cut() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut num_cut, mut missed) = (0, Vec::new());
    for (name, recipe) in CUT {
        let path = folder.path().join(format!("whole.{name}"));
        if let Err(error) = make(&path, recipe, moving) {
            skip(&format!("FFmpeg can't write {name}: {error}"));
            continue;
        }
        assert_eq!(decoded(&path), (recipe.frames, None), "the whole {name}");
        let (bytes, packets) = (fs_err::read(&path).expect("read"), packets(&path));
        let cut = folder.path().join(format!("cut.{name}"));
        for percent in [30, 45, 60, 80, 95] {
            let (position, size) = packets[packets.len() * percent / 100];
            for (place, length) in [("between", position), ("within", position + size / 2)] {
                fs_err::write(&cut, &bytes[..length]).expect("written");
                let (frames, reason) = decoded(&cut);
                num_cut += 1;
                if reason.is_none() {
                    missed.push(format!("{name} cut {place} frames at {percent} %: {frames} frames, no reason"));
                }
            }
        }
    }
    print(&format!("{num_cut} cut files, {} missed\n{}", missed.len(), missed.join("\n")));
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}
