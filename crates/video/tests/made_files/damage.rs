//! Damaged containers: frames after the damage are decoded, and the damage is counted at the frame where it is.

use crate::make::{MPEG4, Recipe, make, moving};
use ffmpeg_next::codec::Id;
use pipe_video::{Damage, Decoder, NotAVideo, VideoError, probe};
use std::path::Path;

const STREAM: Recipe = Recipe { muxer: "mpegts", codec: Id::MPEG2VIDEO, frames: 10, ..MPEG4 };
const PACKET: usize = 188;

/// Returns the times of the frames, what was passed over, and how the file ended.
fn decode(path: &Path) -> (Vec<i64>, Damage, Option<VideoError>) {
    let mut decoder = Decoder::open(path).expect("opened");
    let (mut times, mut error) = (Vec::new(), None);
    for frame in decoder.by_ref() {
        match frame {
            Ok(frame) => times.push(frame.pts_nanos()),
            Err(found) => error = Some(found),
        }
    }
    (times, decoder.damage().clone(), error)
}

#[test]
fn joined_streams_are_decoded_to_the_end() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.ts");
    make(&path, &STREAM, moving).expect("made");
    let bytes = fs_err::read(&path).expect("read");
    for copies in [1, 2, 3] {
        fs_err::write(&path, bytes.repeat(copies)).expect("written");
        let (times, _, error) = decode(&path);
        assert!(error.is_none(), "{error:?}");
        assert_eq!(times.len(), 10 * copies);
        assert!(times.is_sorted_by(|a, b| a < b));
    }
}

#[test]
fn a_lost_packet_of_a_stream_is_counted_and_costs_one_frame_at_most() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.ts");
    let recipe = Recipe { frames: 20, ..STREAM };
    make(&path, &recipe, moving).expect("made");
    let bytes = fs_err::read(&path).expect("read");
    let (times, damage, error) = decode(&path);
    assert!(times.len() == 20 && damage.is_none() && error.is_none(), "{damage} {error:?}");
    // Packets of the video that start no frame, in the middle.
    let is_video = |packet: &[u8]| packet[1] & 0x40 == 0 && packet[1] & 0x1f == 1 && packet[2] == 0;
    let lost: Vec<usize> = (0..bytes.len() / PACKET).filter(|at| is_video(&bytes[at * PACKET..])).collect();
    for at in [lost[lost.len() / 4], lost[lost.len() / 2], lost[lost.len() * 3 / 4]] {
        let kept = [&bytes[..at * PACKET], &bytes[(at + 1) * PACKET..]].concat();
        fs_err::write(&path, kept).expect("written");
        let (times, damage, error) = decode(&path);
        assert!(error.is_none() && times.len() >= 19, "{} frames, {error:?}", times.len());
        assert!(!damage.is_none(), "packet {at}");
        assert!(damage.first_frame_index().is_some_and(|index| (1..19).contains(&index)), "{damage}");
    }
}

#[test]
fn a_cut_frame_has_its_number_in_presentation_order() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.mp4");
    let recipe = Recipe { muxer: "mp4", b_frames: 2, frames: 30, options: &[("movflags", "+faststart")], ..MPEG4 };
    make(&path, &recipe, moving).expect("made");
    let mut input = ffmpeg_next::format::input(&path).expect("a video");
    let packets: Vec<_> = input
        .packets()
        .map(|(_, packet)| (packet.position() as usize, packet.size(), packet.pts().expect("a time")))
        .collect();
    assert!(!packets.is_sorted_by_key(|packet| packet.2), "frames refer to later ones");
    let bytes = fs_err::read(&path).expect("read");
    for cut in 9..21 {
        let (position, size, pts) = packets[cut];
        fs_err::write(&path, &bytes[..position + size / 2]).expect("written");
        let (times, _, error) = decode(&path);
        let expect = packets[..cut].iter().filter(|packet| packet.2 < pts).count() as u64;
        assert_eq!(times.len(), cut, "all frames before the cut are decoded");
        match error {
            Some(VideoError::CutShort { frame_index }) => assert_eq!(frame_index, expect, "packet {cut}"),
            other => panic!("packet {cut}: {other:?}"),
        }
    }
}

#[test]
fn an_encrypted_video_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.mp4");
    let options = &[
        ("encryption_scheme", "cenc-aes-ctr"),
        ("encryption_key", "76a6c65c5ea762046bd749a2e632ccbb"),
        ("encryption_kid", "a7e61c373e219033c21091fa607bf3b8"),
    ];
    make(&path, &Recipe { muxer: "mp4", frames: 5, options, ..MPEG4 }, moving).expect("made");
    let error = match probe(&path) {
        Err(VideoError::Undecodable { source, .. }) => *source,
        other => panic!("{other:?}"),
    };
    assert!(matches!(error, VideoError::Encrypted), "{error:?}");
}

#[test]
fn an_empty_file_and_a_pointer_are_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.mp4");
    let check = |bytes: &[u8], expect: NotAVideo| {
        fs_err::write(&path, bytes).expect("written");
        match probe(&path) {
            Err(VideoError::NotAVideo(found)) => assert_eq!(found, expect),
            other => panic!("{other:?}"),
        }
    };
    check(b"", NotAVideo::Empty);
    check(b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n", NotAVideo::LfsPointer);
    check(b"\xff\xd8\xff\xe0\0\x10JFIF\0", NotAVideo::Image("JPEG"));
}
