//! [`draft`]: a first pipeline file for a folder of videos, for `pipe init`.
//!
//! `survey` lists what is in the folder, `layout` recognises how it is labelled, and `template` writes the file. Where the labels are
//! not clear, the error says what was found; nothing is guessed.

mod layout;
mod survey;
mod template;

use layout::Layout;
use pipe_schemas::stages::ingest::EXTENSIONS;
use std::path::Path;
use survey::Survey;

/// Maximum number of files that a line names.
const MAX_NAMED: usize = 5;

/// A pipeline file that is not written yet.
#[derive(Debug, PartialEq, Eq)]
pub struct DraftFile {
    /// The name of the pipeline, made from the name of the folder.
    pub name: String,
    /// The content of the file.
    pub text: String,
    /// What was found in the folder, one line each.
    pub found: Vec<String>,
}

/// Why no pipeline file can be written for a folder.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the message of a variant says what its fields are")]
pub enum InitError {
    /// The folder can't be read; the message contains its path.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// There are no videos.
    #[error("{folder} contains no videos: no file name ends in one of {extensions}; {others} other files")]
    NoVideos {
        /// The folder that was examined, as given.
        folder: String,
        extensions: String,
        /// Number of files that are not videos.
        others: usize,
    },
    /// It is not clear how the videos are labelled.
    #[error(
        "it is not clear how the videos in {folder} are labelled: {found}; use one folder per class (`CLASS/VIDEO`, or \
         `train/CLASS/VIDEO` and `test/CLASS/VIDEO`), or lists with names that contain `train` and `val` or `test` and lines \
         `VIDEO CLASS`, or write `with: {{ format: … }}` of the stage `labels` yourself"
    )]
    Unclear {
        /// The folder that was examined, as given.
        folder: String,
        found: String,
    },
}

/// Returns a pipeline file for the videos and lists in `folder`.
pub fn draft(folder: &Path) -> Result<DraftFile, InitError> {
    let survey = Survey::of(folder)?;
    let shown = folder.display().to_string();
    if survey.videos.is_empty() {
        let extensions = EXTENSIONS.join(", ");
        return Err(InitError::NoVideos { folder: shown, extensions, others: survey.num_others });
    }
    let layout = Layout::of(&survey).map_err(|found| InitError::Unclear { folder: shown.clone(), found })?;
    let name = name(folder);
    let mut found = vec![count(survey.videos.len(), "video")];
    found.push(layout.found.clone());
    let unused = layout.unused(&survey);
    if !unused.is_empty() {
        let more = if unused.len() > MAX_NAMED { ", …" } else { "" };
        let names = unused.iter().take(MAX_NAMED).copied().collect::<Vec<_>>().join(", ");
        found.push(format!("not used: {}: {names}{more}", count(unused.len(), "text file")));
    }
    found.extend(survey.remarks());
    Ok(DraftFile { text: template::text(&name, &shown, &survey, &layout), name, found })
}

/// Returns a count with its noun.
fn count(count: usize, noun: &str) -> String {
    let plural = match (count, noun.strip_suffix("class")) {
        (1, _) => noun.to_owned(),
        (_, Some(_)) => format!("{noun}es"),
        (_, None) => format!("{noun}s"),
    };
    format!("{} {plural}", pipe_stage::grouped(count as u64))
}

/// Returns a name for the pipeline of a folder.
fn name(folder: &Path) -> String {
    let absolute = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    let last = absolute.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let fit = |letter: char| if letter.is_ascii_alphanumeric() || "_-".contains(letter) { letter } else { '_' };
    let name: String = last.chars().take(100).map(fit).collect();
    let name = name.trim_matches('_');
    if name.is_empty() { "pipeline".to_owned() } else { name.to_owned() }
}

#[cfg(test)]
mod tests;
