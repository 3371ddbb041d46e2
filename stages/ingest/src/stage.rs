//! [`Ingest`]: the implementation of the stage.

use crate::error::{IngestError, not_readable};
use crate::examine::{Examiner, Found};
use crate::ids::video_ids;
use crate::parts::{self, Notes};
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use pipe_schemas::data_files::{
    EXCLUDED, LEFT_BEHIND, extension_name, is_left_behind, left_out_line, with_lower_case_extension,
};
use pipe_schemas::stages::ingest::{CONTRACT, IngestParams, OnDamage, OnError};
use pipe_schemas::tables::{Verdict, VideoRow};
use pipe_stage::protocol::{Made, MadePart, MakePart, MakeParts, PlannedPart};
use pipe_stage::{Context, PartedStage, SourceFile, Sources, StageError, Summary};
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::ffi::OsStr;
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
        if params.on_damage == OnDamage::Skip {
            reject_damaged(&mut rows);
        }
        let line = judge(context, &params, &sources, &rows)?;
        let left_out = left_out_line(&num_left_out(context, &params)?);
        pipe_tables::write_rows(&context.output(CONTRACT.outputs[0].path)?, &rows)?;
        Ok(Summary::lines([line].into_iter().chain(left_out).collect()))
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

/// Returns the numbers of files that are not examined, by what they are.
fn num_left_out(context: &Context, params: &IngestParams) -> Result<BTreeMap<String, u64>, StageError> {
    if context.optional_input("folder").is_some() {
        return Ok(keep_fitting(&mut context.files("folder", "root")?.files, params)?);
    }
    Ok(context.left_out("root"))
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

/// Keeps the files of an input folder that the engine would list for `root`. Returns the number of the others by what they are.
fn keep_fitting(files: &mut Vec<SourceFile>, params: &IngestParams) -> Result<BTreeMap<String, u64>, IngestError> {
    let (include, exclude) = (globs(&params.include)?, globs(&params.exclude)?);
    let matches = |globs: &GlobSet, path: &Path| {
        globs.is_match(path) || with_lower_case_extension(path).is_some_and(|path| globs.is_match(path))
    };
    let named: Vec<&str> = params.include.iter().flat_map(|glob| glob.split('/')).collect();
    let is_named = |name: &OsStr| named.iter().any(|part| OsStr::new(part) == name);
    let mut left_out = BTreeMap::new();
    files.retain(|file| {
        let path = Path::new(&file.path);
        let what = if path.iter().any(|name| is_left_behind(name) && !is_named(name)) && !file.has_odd_name() {
            LEFT_BEHIND.to_owned()
        } else if matches(&exclude, path) {
            EXCLUDED.to_owned()
        } else if !matches(&include, path) {
            extension_name(path)
        } else {
            return true;
        };
        *left_out.entry(what).or_default() += 1;
        false
    });
    Ok(left_out)
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

/// Makes damaged videos unusable.
fn reject_damaged(rows: &mut [VideoRow]) {
    for row in rows.iter_mut().filter(|row| row.verdict == Verdict::Damaged) {
        row.verdict = Verdict::Rejected;
    }
}

/// Reports files with a verdict other than `ok`, as `on_error` asks, and returns the line of the summary.
fn judge(context: &Context, params: &IngestParams, sources: &Sources, rows: &[VideoRow]) -> Result<String, StageError> {
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
    Ok(summary(usable.len(), rows))
}

/// Returns the number of usable videos, and the number of files per verdict other than `ok`.
fn summary(num_usable: usize, rows: &[VideoRow]) -> String {
    let mut counts: BTreeMap<Verdict, usize> = BTreeMap::new();
    for row in rows {
        *counts.entry(row.verdict).or_default() += 1;
    }
    let others = counts.iter().filter(|(verdict, _)| **verdict != Verdict::Ok);
    let others: String = others.map(|(verdict, count)| format!(", {count} {}", verdict.name())).collect();
    format!("{num_usable} videos{others}")
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
mod tests;
