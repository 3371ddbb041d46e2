//! [`Ingest`].

use crate::IngestError;
use crate::ids::video_ids;
use crate::verdict::{list, row};
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use pipe_schemas::stages::ingest::{CONTRACT, IngestParams, OnError};
use pipe_schemas::tables::{Verdict, VideoRow};
use pipe_stage::{Context, SourceFile, Sources, Stage, StageError, Summary};
use rayon::prelude::*;
use std::sync::atomic::{AtomicU64, Ordering};

/// The stage `ingest`.
pub struct Ingest;

impl Stage for Ingest {
    fn kind(&self) -> &'static str {
        CONTRACT.kind
    }

    fn run(&self, context: &Context) -> Result<Summary, StageError> {
        let params: IngestParams = context.params()?;
        let mut sources = context.files("folder", "root")?;
        if context.optional_input("folder").is_some() {
            // The engine has filtered `root`; an input folder comes whole.
            keep_fitting(&mut sources.files, &params)?;
        }
        if sources.files.is_empty() {
            let (include, exclude) = (params.include, params.exclude);
            return Err(StageError::from(IngestError::NoFiles { root: sources.root, include, exclude })
                .with_help("name other globs with `include:`, or another folder"));
        }
        let rows = probe(context, &sources)?;
        let summary = judge(context, &params, &sources, &rows)?;
        pipe_tables::write_rows(&context.output(CONTRACT.outputs[0].path)?, &rows)?;
        Ok(summary)
    }
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

/// Probes every file and returns the rows, sorted by `video_id`.
fn probe(context: &Context, sources: &Sources) -> Result<Vec<VideoRow>, StageError> {
    let paths: Vec<_> = sources.files.iter().map(|file| file.path.as_str()).collect();
    let named: Vec<_> = sources.files.iter().zip(video_ids(&paths)).collect();
    // A source that is one file is its own root.
    let path = |file: &SourceFile| {
        if sources.root.is_file() { sources.root.clone() } else { sources.root.join(&file.path) }
    };
    let (done, total) = (AtomicU64::new(0), named.len() as u64);
    let probe = |(file, video_id): (&SourceFile, String)| {
        context.check_cancelled()?;
        let row = row(video_id, file, pipe_video::probe(&path(file)));
        context.progress(done.fetch_add(1, Ordering::Relaxed) + 1, total, "videos", String::new);
        Ok(row)
    };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(context.threads()).build().map_err(IngestError::Threads)?;
    let rows: Result<Vec<_>, StageError> = pool.install(|| named.into_par_iter().map(probe).collect());
    let mut rows = rows?;
    rows.sort_by(|a, b| a.video_id.cmp(&b.video_id));
    Ok(rows)
}

/// Decides what unusable files mean.
fn judge(
    context: &Context,
    params: &IngestParams,
    sources: &Sources,
    rows: &[VideoRow],
) -> Result<Summary, StageError> {
    let unusable: Vec<_> = rows.iter().filter(|row| row.verdict != Verdict::Ok).collect();
    let num_usable = rows.len() - unusable.len();
    if unusable.is_empty() {
        return Ok(Summary::line(format!("{num_usable} videos")));
    }
    let (num_files, num_unusable, list) = (rows.len(), unusable.len(), list(&unusable));
    if params.on_error == OnError::Fail {
        return Err(StageError::from(IngestError::Unusable { num_unusable, num_files, list })
            .with_help("leave them out with `exclude:`, or write `on_error: skip`"));
    }
    if num_usable == 0 {
        return Err(IngestError::NoneUsable { root: sources.root.clone(), num_files, list }.into());
    }
    context.warn(format!("{num_unusable} of {num_files} files are no readable videos: {list}"));
    Ok(Summary::line(format!("{num_usable} videos, {num_unusable} unreadable")))
}
