//! [`Ingest`]: the implementation of the stage.

use crate::error::{IngestError, not_readable};
use crate::examine::{Examiner, Found};
use crate::ids::video_ids;
use crate::parts::{self, Notes};
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use pipe_schemas::stages::ingest::{CONTRACT, IngestParams, OnError};
use pipe_schemas::tables::{Verdict, VideoRow};
use pipe_stage::protocol::{Made, MadePart, MakePart, MakeParts, PlannedPart};
use pipe_stage::{Context, PartedStage, SourceFile, Sources, StageError, Summary};
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

/// The stage `ingest`.
pub struct Ingest;

impl PartedStage for Ingest {
    fn kind(&self) -> &'static str {
        CONTRACT.kind
    }

    fn plan(&self, context: &Context) -> Result<Vec<PlannedPart>, StageError> {
        let params = context.params()?;
        Ok(parts::parts(&sources(context, &params)?.files, &params))
    }

    fn make(&self, context: &Context, parts: &MakeParts) -> Result<Made, StageError> {
        let params: IngestParams = context.params()?;
        let sources = sources(context, &params)?;
        let by_part = parts::by_part(&sources.files);
        let mut work = Vec::with_capacity(parts.parts.len());
        for part in &parts.parts {
            let no_files = || StageError::message(format!("the part `{}` has no files", part.name));
            let files = by_part.get(&part.name).ok_or_else(no_files)?;
            work.push((part, files));
        }
        let maker = Maker {
            context,
            examiner: Examiner::new(context, params.verify, params.limits),
            root: &sources.root,
            on_error: params.on_error,
            total: work.iter().map(|(_, files)| files.len() as u64).sum(),
            done: AtomicU64::new(0),
        };
        let pool = context.thread_pool()?;
        // One part after the other, so that as many parts as possible are complete if the run is killed.
        pool.install(|| work.into_iter().try_for_each(|(part, files)| maker.make(part, files)))?;
        Ok(Made::All)
    }

    fn assemble(&self, context: &Context, parts: &[MadePart]) -> Result<Summary, StageError> {
        let params: IngestParams = context.params()?;
        let sources = sources(context, &params)?;
        let mut rows = rows(&sources, parts)?;
        mark_duplicates(&mut rows);
        let summary = judge(context, &params, &sources, &rows)?;
        pipe_tables::write_rows(&context.output(CONTRACT.outputs[0].path)?, &rows)?;
        Ok(summary)
    }
}

/// Returns the files to examine, at least one.
fn sources(context: &Context, params: &IngestParams) -> Result<Sources, StageError> {
    let mut sources = context.files("folder", "root")?;
    if context.optional_input("folder").is_some() {
        // The engine filters the files of `root`, but not those of an input folder.
        keep_fitting(&mut sources.files, params)?;
    }
    if sources.root.is_file() {
        return Err(StageError::from(IngestError::NotAFolder { root: sources.root })
            .with_help("set `root` to the folder, and `include` to the file"));
    }
    if sources.files.is_empty() {
        let (include, exclude) = (params.include.clone(), params.exclude.clone());
        return Err(StageError::from(IngestError::NoFiles { root: sources.root, include, exclude })
            .with_help("set `include` to other globs, or `root` to another folder"));
    }
    Ok(sources)
}

/// What all parts have in common.
struct Maker<'a> {
    context: &'a Context,
    examiner: Examiner<'a>,
    root: &'a Path,
    on_error: OnError,
    /// Number of files.
    total: u64,
    /// Number of finished files.
    done: AtomicU64,
}

impl Maker<'_> {
    fn make(&self, part: &MakePart, files: &[&SourceFile]) -> Result<(), StageError> {
        let mut known = match &part.old {
            Some(old) => parts::read(&old.made)?,
            None => Notes::new(),
        };
        let same = |path: &String| part.old.as_ref().is_some_and(|old| old.same_items.contains(path));
        known.retain(|path, found| same(path) && !found.may_pass());
        let examine = |file: &&SourceFile| {
            self.context.check_cancelled()?;
            let found = match known.get(&file.path) {
                Some(found) => found.clone(),
                None if file.has_odd_name() => Found::odd_name(),
                None => self.examiner.examine(&self.root.join(&file.path))?,
            };
            self.context.progress(self.done.fetch_add(1, Ordering::Relaxed) + 1, self.total, "videos");
            Ok((file.path.clone(), found))
        };
        let found = files.par_iter().map(examine).collect::<Result<Notes, StageError>>()?;
        if self.on_error == OnError::Fail && found.values().any(Found::may_pass) {
            // The part is not cached, so the next run tries again.
            return Err(unusable(&found));
        }
        parts::write(&found, part)?;
        self.context.part_finished(&part.name);
        Ok(())
    }
}

/// Returns an error that names the files that may be usable next time.
fn unusable(found: &Notes) -> StageError {
    let such: Vec<_> = found.iter().filter(|(_, found)| found.may_pass()).collect();
    let list: Vec<String> = such.iter().map(|(path, found)| format!("{path} ({})", found.reason())).collect();
    let (num_unusable, num_files) = (such.len(), found.len());
    StageError::from(IngestError::Unusable { num_unusable, num_files, list: list.join(", ") })
        .with_help("raise `limits`, add the files to `exclude`, or set `on_error: skip`")
}

/// Returns the rows of all files, sorted by `video_id`.
fn rows(sources: &Sources, parts: &[MadePart]) -> Result<Vec<VideoRow>, StageError> {
    let mut found = Notes::new();
    for part in parts {
        found.extend(parts::read(part)?);
    }
    let paths: Vec<_> = sources.files.iter().map(|file| file.path.as_str()).collect();
    let named = sources.files.iter().zip(video_ids(&paths));
    let row = |(file, video_id): (&SourceFile, String)| {
        let missing = || StageError::message(format!("no part has a result for {}", file.path));
        Ok(found.remove(&file.path).ok_or_else(missing)?.into_row(video_id, file))
    };
    let mut rows = named.map(row).collect::<Result<Vec<_>, StageError>>()?;
    rows.sort_by(|a, b| a.video_id.cmp(&b.video_id));
    Ok(rows)
}

fn keep_fitting(files: &mut Vec<SourceFile>, params: &IngestParams) -> Result<(), IngestError> {
    let (include, exclude) = (globs(&params.include)?, globs(&params.exclude)?);
    files.retain(|file| include.is_match(&file.path) && !exclude.is_match(&file.path));
    Ok(())
}

fn globs(patterns: &[String]) -> Result<GlobSet, globset::Error> {
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        set.add(GlobBuilder::new(pattern).literal_separator(true).build()?);
    }
    set.build()
}

/// Marks files with the same content as an earlier file.
fn mark_duplicates(rows: &mut [VideoRow]) {
    let mut first_paths = BTreeMap::new();
    for row in rows.iter_mut().filter(|row| row.verdict == Verdict::Ok) {
        if let Some(path) = first_paths.get(&row.digest) {
            (row.verdict, row.reason) = (Verdict::Duplicate, format!("the same content as {path}"));
        } else {
            first_paths.insert(row.digest.clone(), row.path.clone());
        }
    }
}

/// Reports files with a verdict other than `ok`, as `on_error` asks, and returns the summary.
fn judge(
    context: &Context,
    params: &IngestParams,
    sources: &Sources,
    rows: &[VideoRow],
) -> Result<Summary, StageError> {
    let (usable, unusable): (Vec<_>, Vec<_>) = rows.iter().partition(|row| row.verdict.is_usable());
    let (num_files, num_unusable) = (rows.len(), unusable.len());
    if num_unusable > 0 {
        let list = list(&unusable);
        if params.on_error == OnError::Fail {
            return Err(StageError::from(IngestError::Unusable { num_unusable, num_files, list })
                .with_help("add the files to `exclude`, or set `on_error: skip`"));
        }
        if usable.is_empty() {
            return Err(IngestError::NoneUsable { root: sources.root.clone(), num_files, list }.into());
        }
        context.warn(format!("{}: {list}", not_readable(num_unusable, num_files)));
    }
    let duplicate = (Verdict::Duplicate, "with the same content as another file");
    for (verdict, what) in [duplicate, (Verdict::Damaged, "with damaged frames")] {
        let such: Vec<_> = usable.iter().copied().filter(|row| row.verdict == verdict).collect();
        if !such.is_empty() {
            context.warn(format!("{} of {num_files} files {what}: {}", such.len(), list(&such)));
        }
    }
    Ok(Summary::line(summary(usable.len(), rows)))
}

/// Returns the number of usable videos, and the number of files per verdict other than `ok`.
fn summary(num_usable: usize, rows: &[VideoRow]) -> String {
    let mut counts: BTreeMap<Verdict, usize> = BTreeMap::new();
    for row in rows {
        *counts.entry(row.verdict).or_default() += 1;
    }
    let others = counts.iter().filter(|(verdict, _)| **verdict != Verdict::Ok);
    let others: String = others.map(|(verdict, count)| format!(", {count} {}", name(*verdict))).collect();
    format!("{num_usable} videos{others}")
}

fn name(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Ok => "ok",
        Verdict::Duplicate => "duplicate",
        Verdict::Damaged => "damaged",
        Verdict::Truncated => "truncated",
        Verdict::Undecodable => "undecodable",
        Verdict::NoVideoStream => "without video",
        Verdict::Unreadable => "unreadable",
        Verdict::OddName => "not named in UTF-8",
        Verdict::TimedOut => "timed out",
        Verdict::Crashed => "crashed the decoder",
    }
}

/// Returns the first ten files with their reasons, as one line.
fn list(rows: &[&VideoRow]) -> String {
    const SHOWN: usize = 10;
    let mut parts: Vec<_> = rows.iter().take(SHOWN).map(|row| format!("{} ({})", row.path, row.reason)).collect();
    if rows.len() > SHOWN {
        parts.push(format!("and {} more", rows.len() - SHOWN));
    }
    parts.join(", ")
}

#[cfg(test)]
mod tests {
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

    /// Makes two videos and two files that are none.
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

    /// Runs the stage on a folder that comes by the input `folder`.
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
        assert_eq!(summary.expect("made").lines, ["2 videos, 1 unreadable"]);
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
        files
            .iter()
            .skip(3)
            .for_each(|file| drop(fs_err::copy(media.path().join("y.avi"), media.path().join(&file.path))));
        let before = bench(&files, "before.json");
        let (then, old) = (before.plan().expect("planned"), before.make_all(&space.path().join("old")).expect("made"));
        // One is new, one has other content, one is gone; of the others no file is at hand.
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
        assert_eq!(run(folder.path(), output.path(), &params).0.expect("made").lines, ["2 videos"]);
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
}
