//! [`Annotations`]: reads lists and videos, checks, and writes the labels.

use crate::error::AnnotationsError;
use crate::join::{Joined, join};
use crate::report::report;
use crate::ucf101::{ListFile, Lists, parse};
use fs_err as fs;
use pipe_schemas::stages::annotations::{AnnotationFormat, AnnotationsParams, CONTRACT, Severity};
use pipe_schemas::tables::{AnnotationRow, ClassRow, VideoRow};
use pipe_stage::{Context, Sources, Stage, StageError, Summary};
use pipe_tables::{read_rows, write_rows};
use std::path::Path;

/// A label list of a million videos has less.
const MAX_LIST_BYTES: u64 = 256 << 20;

/// The stage `annotations`.
pub struct Annotations;

impl Stage for Annotations {
    fn kind(&self) -> &'static str {
        CONTRACT.kind
    }

    fn run(&self, context: &Context) -> Result<Summary, StageError> {
        let params: AnnotationsParams = context.params()?;
        let sources = context.files("lists", "root")?;
        let lists = match params.format {
            AnnotationFormat::Ucf101 => read_ucf101(&sources, params.split),
        };
        let lists = lists.map_err(AnnotationsError::into_stage_error)?;
        context.check_cancelled()?;
        let videos: Vec<VideoRow> = read_rows(context.input("videos")?)?;
        let joined = join(&lists.entries, &videos).map_err(AnnotationsError::from)?;
        let report = report(&params, &lists, &joined);
        let findings = report.messages(Severity::Error);
        if !findings.is_empty() {
            return Err(AnnotationsError::Findings { findings }.into_stage_error());
        }
        report.messages(Severity::Warn).into_iter().for_each(|text| context.warn(text));
        write(&context.output("labels")?, &lists, &joined)?;
        let mut json = serde_json::to_string_pretty(&report)?;
        json.push('\n');
        fs::write(context.output("report.json")?, json)?;
        Ok(Summary::line(report.summary()))
    }
}

fn read_ucf101(sources: &Sources, split: u32) -> Result<Lists, AnnotationsError> {
    let names = ["classInd.txt".to_owned(), format!("trainlist0{split}.txt"), format!("testlist0{split}.txt")];
    let files = names.iter().map(|name| read_list(sources, name)).collect::<Result<Vec<_>, _>>()?;
    let file = |position: usize| ListFile { name: &names[position], bytes: &files[position] };
    parse(file(0), file(1), file(2)).map_err(|problems| AnnotationsError::Lists { problems })
}

/// Reads the one file called `name`, in whichever folder below the root it lies.
fn read_list(sources: &Sources, name: &str) -> Result<Vec<u8>, AnnotationsError> {
    let root = sources.root.clone();
    let mut found = sources.files.iter().filter(|file| file.path.rsplit('/').next() == Some(name));
    let Some(file) = found.next() else {
        return Err(AnnotationsError::NoFile { root, name: name.into() });
    };
    if let Some(second) = found.next() {
        let (first, second) = (file.path.clone(), second.path.clone());
        return Err(AnnotationsError::TwoFiles { root, name: name.into(), first, second });
    }
    if file.size_bytes > MAX_LIST_BYTES {
        return Err(AnnotationsError::TooLarge { path: file.path.clone(), size_bytes: file.size_bytes });
    }
    Ok(fs::read(root.join(&file.path))?)
}

fn write(folder: &Path, lists: &Lists, joined: &Joined) -> Result<(), StageError> {
    let rows = lists.entries.iter().zip(&joined.matches).map(|(entry, found)| AnnotationRow {
        video_id: found.video_id.clone().unwrap_or_else(|| entry.video_id().to_owned()),
        split: entry.split,
        class_index: entry.class_index,
        group: entry.group.clone(),
        present: found.present,
        source_file: entry.file.clone(),
        source_line: entry.line,
    });
    let mut rows: Vec<AnnotationRow> = rows.collect();
    rows.sort_by(|a, b| (a.split, &a.video_id).cmp(&(b.split, &b.video_id)));
    let classes: Vec<ClassRow> = (0..)
        .zip(&lists.classes)
        .map(|(class_index, class_name)| ClassRow { class_index, class_name: class_name.clone() })
        .collect();
    fs::create_dir_all(folder)?;
    write_rows(&folder.join("annotations.parquet"), &rows)?;
    write_rows(&folder.join("classes.parquet"), &classes)?;
    Ok(())
}

#[cfg(test)]
mod tests;
