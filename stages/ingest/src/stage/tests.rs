use super::*;
use pipe_schemas::stages::ingest::Verify;
use pipe_stage::protocol::Input;
use pipe_testkit::{Bench, Making, input, older, part_in};
use pipe_video::{Encoder, EncoderParams};

fn encode(path: &Path, grey: u8) {
    let params = EncoderParams { width_px: 64, height_px: 48, fps: 25, quantizer: 2 };
    let mut encoder = Encoder::create(path, params).expect("created");
    for _ in 0..3 {
        encoder.write_rgb(&[grey; 64 * 48 * 3]).expect("written");
    }
    encoder.finish().expect("finished");
}

fn encode_noise(path: &Path, frames: u8) {
    let params = EncoderParams { width_px: 64, height_px: 48, fps: 25, quantizer: 2 };
    let mut encoder = Encoder::create(path, params).expect("created");
    for frame in 0..frames {
        let hash = blake3::Hasher::new().update(&[frame]).finalize_xof();
        let mut rgb = vec![0; 64 * 48 * 3];
        std::io::Read::read_exact(&mut { hash }, &mut rgb).expect("bytes");
        encoder.write_rgb(&rgb).expect("written");
    }
    encoder.finish().expect("finished");
}

/// Creates two videos, and two files that are not videos.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    fs_err::create_dir(folder.path().join("b")).expect("made");
    encode(&folder.path().join("b/x.avi"), 90);
    encode(&folder.path().join("y.avi"), 90);
    fs_err::write(folder.path().join("b/text.avi"), "text").expect("written");
    fs_err::write(folder.path().join("list.txt"), "text").expect("written");
    folder
}

type Outcome = (Result<Summary, String>, Vec<String>);

/// Runs the stage on the input `folder`.
fn run(folder: &Path, output: &Path, params: &IngestParams) -> Outcome {
    let files = ["b/text.avi", "b/x.avi", "list.txt", "y.avi"].map(|path| SourceFile {
        path: path.into(),
        digest: format!("digest of {path}"),
        size_bytes: fs_err::metadata(folder.join(path)).map_or(0, |metadata| metadata.len()),
    });
    run_on(&files, folder, output, params)
}

fn run_on(files: &[SourceFile], folder: &Path, output: &Path, params: &IngestParams) -> Outcome {
    let list = output.join("files.json");
    fs_err::write(&list, serde_json::to_vec(&files).expect("JSON")).expect("written");
    let folder = Input { files: Some(list), ..input(folder) };
    let ran = Bench::new(&Ingest, params, [("folder", folder)], 2).run(output);
    (ran.result.map_err(|error| error.chain().join(": ")), ran.warnings)
}

#[test]
fn each_matching_file_is_a_row() {
    let (folder, output) = (folder(), tempfile::tempdir().expect("a folder"));
    let (summary, warnings) = run(folder.path(), output.path(), &IngestParams::default());
    assert_eq!(summary.expect("made").lines, ["2 videos, 1 unreadable", "1 file or folder is left out: 1 .txt"]);
    let reason = "not a readable video container: Invalid data found when processing input";
    assert_eq!(warnings, [format!("1 of 3 files is not a readable video: b/text.avi ({reason})")]);
    let rows: Vec<VideoRow> = pipe_tables::read_rows(&output.path().join("videos.parquet")).expect("read");
    let ids: Vec<_> = rows.iter().map(|row| row.video_id.as_str()).collect();
    assert_eq!(ids, ["b/text", "b/x", "y"]);
    assert_eq!((rows[0].verdict, rows[0].reason.as_str()), (Verdict::Unreadable, reason));
    assert_eq!((rows[2].verdict, rows[2].width_px, rows[2].frames_declared), (Verdict::Ok, 64, 3));
    assert_eq!(rows[2].digest, "digest of y.avi");
}

#[test]
fn verify_decode_counts_frames_and_finds_copies() {
    let (folder, output) = (folder(), tempfile::tempdir().expect("a folder"));
    let names = ["b/x.avi", "b/z #;( 動.avi", "cut.avi", "y.avi"];
    let encoded = fs_err::read(folder.path().join("y.avi")).expect("read");
    fs_err::write(folder.path().join(names[1]), &encoded).expect("written");
    encode_noise(&folder.path().join(names[2]), 10);
    let noise = fs_err::read(folder.path().join(names[2])).expect("read");
    fs_err::write(folder.path().join(names[2]), &noise[..noise.len() * 6 / 10]).expect("written");
    let files = names.map(|path| SourceFile {
        path: path.into(),
        digest: blake3::hash(&fs_err::read(folder.path().join(path)).expect("read")).to_string(),
        size_bytes: 1,
    });
    let params = IngestParams { verify: Verify::Decode, ..IngestParams::default() };
    let (summary, warnings) = run_on(&files, folder.path(), output.path(), &params);
    assert_eq!(summary.expect("made").lines, ["3 videos, 2 duplicate, 1 truncated"]);
    let twins = "b/z #;( 動.avi (the same content as b/x.avi), y.avi (the same content as b/x.avi)";
    assert!(warnings[0].contains("1 of 4 files is not a readable video: cut.avi ("), "{warnings:?}");
    assert_eq!(warnings[1..], [format!("2 of 4 files with the same content as another file: {twins}")]);
    let rows: Vec<VideoRow> = pipe_tables::read_rows(&output.path().join("videos.parquet")).expect("read");
    let found: Vec<_> = rows.iter().map(|row| (row.verdict, row.frames_decoded)).collect();
    assert_eq!(found[..2], [(Verdict::Ok, Some(3)), (Verdict::Duplicate, Some(3))]);
    assert_eq!((found[2].0, found[3]), (Verdict::Truncated, (Verdict::Duplicate, Some(3))));
}

#[test]
fn only_new_files_are_examined() {
    let (media, space) = (folder(), tempfile::tempdir().expect("a folder"));
    let file = |path: &str, digest: &str| SourceFile { path: path.into(), digest: digest.into(), size_bytes: 1 };
    let bench = |files: &[SourceFile], name: &str| {
        let list = space.path().join(name);
        fs_err::write(&list, serde_json::to_vec(files).expect("JSON")).expect("written");
        let folder = Input { files: Some(list), ..input(media.path()) };
        Bench::new(&Ingest, &IngestParams::default(), [("folder", folder)], 2)
    };
    let mut files: Vec<_> = ["b/text.avi", "b/x.avi", "y.avi"].map(|path| file(path, path)).into();
    // Enough for every part, and for more than one file in some.
    files.extend((0..60).map(|number| file(&format!("{number}.avi"), &format!("digest {number}"))));
    files.iter().skip(3).for_each(|file| drop(fs_err::copy(media.path().join("y.avi"), media.path().join(&file.path))));
    let before = bench(&files, "before.json");
    let (then, old) = (before.plan().expect("planned"), before.make_all(&space.path().join("old")).expect("made"));
    // One file is new, one has other content and one is removed. The others are deleted below, so they can't be examined.
    encode(&media.path().join("new.avi"), 7);
    files.push(file("new.avi", "new"));
    files[3].digest = "another".into();
    files.remove(1);
    let after = bench(&files, "after.json");
    let clean = after.run(&space.path().join("clean"));
    let needed = ["new.avi", files[2].path.as_str()];
    for file in files.iter().filter(|file| !needed.contains(&file.path.as_str())) {
        fs_err::remove_file(media.path().join(&file.path)).expect("removed");
    }
    let part = |now: &PlannedPart| {
        let place = then.iter().position(|part| part.name == now.name).expect("as before");
        let old = older(&old[place], &then[place], now);
        MakePart { old, ..part_in(&space.path().join("new"), &now.name) }
    };
    let parts: Vec<MakePart> = after.plan().expect("planned").iter().map(part).collect();
    let made: Vec<MadePart> = parts.iter().map(MakePart::made).collect();
    let Making { result, finished } = after.make(MakeParts::independent(parts));
    result.expect("made");
    assert_eq!(finished.len(), made.len());
    let updated = after.assemble(&made, &space.path().join("updated"));
    assert_eq!((updated.lines(), &updated.warnings), (clean.lines(), &clean.warnings));
    let table = |name: &str| fs_err::read(space.path().join(name).join("videos.parquet")).expect("read");
    assert_eq!(table("updated"), table("clean"));
}

#[test]
fn a_verdict_that_depends_on_the_machine_is_not_reused() {
    let (media, space) = (folder(), tempfile::tempdir().expect("a folder"));
    let files = ["b/x.avi", "y.avi"].map(|path| SourceFile {
        path: path.into(),
        digest: format!("digest of {path}"),
        size_bytes: 1,
    });
    let list = space.path().join("files.json");
    fs_err::write(&list, serde_json::to_vec(&files).expect("JSON")).expect("written");
    let folder = Input { files: Some(list), ..input(media.path()) };
    let bench = Bench::new(&Ingest, &IngestParams::default(), [("folder", folder)], 1);
    let planned = bench.plan().expect("planned");
    let old = bench.make_all(&space.path().join("old")).expect("made");
    let killed = serde_json::json!({ "wrong": ["crashed", "the decoder crashed (SIGKILL)"] });
    let empty = serde_json::to_value(Found::default()).expect("JSON");
    for (made, planned) in old.iter().zip(&planned) {
        let notes: BTreeMap<_, _> = planned
            .items
            .keys()
            .map(|path| {
                let mut found = empty.clone();
                found["wrong"] = killed["wrong"].clone();
                (path, found)
            })
            .collect();
        fs_err::write(made.note("found.json"), serde_json::to_vec(&notes).expect("JSON")).expect("written");
    }
    let part = |(old, now): (&MadePart, &PlannedPart)| {
        let old = older(old, now, now);
        MakePart { old, ..part_in(&space.path().join("new"), &now.name) }
    };
    let parts: Vec<MakePart> = old.iter().zip(&planned).map(part).collect();
    let made: Vec<MadePart> = parts.iter().map(MakePart::made).collect();
    bench.make(MakeParts::independent(parts)).result.expect("made");
    let ran = bench.assemble(&made, &space.path().join("output"));
    assert_eq!(ran.lines(), ["2 videos"]);
}

#[test]
fn unusable_files_may_fail_the_stage() {
    let (folder, output) = (folder(), tempfile::tempdir().expect("a folder"));
    let params = IngestParams { on_error: OnError::Fail, ..IngestParams::default() };
    let error = run(folder.path(), output.path(), &params).0.expect_err("refused");
    assert!(error.starts_with("1 of 3 files is not a readable video: b/text.avi ("), "{error}");
    let params = IngestParams { exclude: vec!["**/text.*".into()], ..params };
    let lines = run(folder.path(), output.path(), &params).0.expect("made").lines;
    assert_eq!(lines, ["2 videos", "2 files or folders are left out: 1 .txt, 1 excluded"]);
}

#[test]
fn a_folder_without_videos_is_named() {
    let (folder, output) = (folder(), tempfile::tempdir().expect("a folder"));
    let params = IngestParams { include: vec!["**/*.mp4".into(), "*.mov".into()], ..IngestParams::default() };
    let error = run(folder.path(), output.path(), &params).0.expect_err("none");
    assert_eq!(error, format!("no file in {} matches **/*.mp4, *.mov", folder.path().display()));
    let params = IngestParams { include: vec!["b/t*.avi".into()], ..IngestParams::default() };
    let error = run(folder.path(), output.path(), &params).0.expect_err("none usable");
    assert!(error.starts_with("no file in "), "{error}");
}

#[test]
fn every_file_is_a_row_or_counted() {
    let (folder, output) = (folder(), tempfile::tempdir().expect("a folder"));
    let names = [
        "b/text.avi",
        "b/x.avi",
        "y.avi",
        "z.AVI",
        "list.txt",
        "notes.TXT",
        "b/clip.xyz",
        "README",
        "._y.avi",
        ".git/y.avi",
        "@eaDir/y.avi",
        "old/y.avi",
    ];
    let files = names.map(|path| SourceFile { path: path.into(), digest: path.into(), size_bytes: 1 });
    fs_err::copy(folder.path().join("y.avi"), folder.path().join("z.AVI")).expect("copied");
    let params = IngestParams { exclude: vec!["old/**".into()], ..IngestParams::default() };
    let (summary, _) = run_on(&files, folder.path(), output.path(), &params);
    let expect = [
        "3 videos, 1 unreadable",
        "8 files or folders are left out: 2 .txt, 1 .xyz, 1 excluded, 3 hidden or of a system, 1 without an extension",
    ];
    assert_eq!(summary.expect("made").lines, expect);
    let rows: Vec<VideoRow> = pipe_tables::read_rows(&output.path().join("videos.parquet")).expect("read");
    assert_eq!(names.len(), rows.len() + 8);
}

#[test]
fn every_extension_of_a_readable_container_is_included_in_any_letter_case() {
    let params = IngestParams::default();
    for name in ["a.mts", "a.MTS", "a.M4v", "a.asf", "a.vob", "a.m2ts", "a.mxf", "a.ogv", "a.3g2", "a.dv", "b/c.Mp4"] {
        let mut files = vec![SourceFile { path: name.into(), digest: String::new(), size_bytes: 1 }];
        assert!(keep_fitting(&mut files, &params).expect("globs").is_empty(), "{name}");
        assert_eq!(files.len(), 1, "{name}");
    }
}

#[test]
fn damaged_videos_are_used_or_rejected() {
    let (media, output) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    encode_noise(&media.path().join("a.avi"), 20);
    let mut bytes = fs_err::read(media.path().join("a.avi")).expect("read");
    // The header has the name of the chunks too.
    let frames = bytes.windows(4).position(|window| window == b"movi").expect("the frames");
    let names = bytes[frames..].windows(4).enumerate().filter(|(_, window)| *window == b"00dc");
    let chunks: Vec<usize> = names.map(|(at, _)| frames + at).collect();
    bytes[chunks[10] + 8..chunks[10] + 28].fill(0);
    fs_err::write(media.path().join("b.avi"), bytes).expect("written");
    let files = ["a.avi", "b.avi"].map(|path| SourceFile { path: path.into(), digest: path.into(), size_bytes: 1 });
    let check = |on_damage: OnDamage, line: &str, verdict: Verdict| {
        let params = IngestParams { verify: Verify::Decode, on_damage, ..IngestParams::default() };
        let (summary, warnings) = run_on(&files, media.path(), output.path(), &params);
        assert_eq!(summary.expect("made").lines, [line]);
        let rows: Vec<VideoRow> = pipe_tables::read_rows(&output.path().join("videos.parquet")).expect("read");
        assert_eq!((rows[0].verdict, rows[1].verdict), (Verdict::Ok, verdict));
        assert!(rows[1].reason.contains("at frame 10; "), "{}", rows[1].reason);
        assert!(warnings.len() == 1 && warnings[0].contains("b.avi"), "{warnings:?}");
    };
    check(OnDamage::Use, "2 videos, 1 damaged", Verdict::Damaged);
    check(OnDamage::Skip, "1 videos, 1 rejected as damaged", Verdict::Rejected);
}
