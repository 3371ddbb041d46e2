//! The parts of the stage, the fields of their keys, and the file that a part leaves: [`Notes`].

use crate::IngestError;
use crate::examine::Found;
use pipe_schemas::stages::ingest::IngestParams;
use pipe_stage::protocol::{MadePart, MakePart, PlannedPart};
use pipe_stage::{SourceFile, StageError, bucket, content_of, json_fields};
use serde_json::json;
use std::collections::BTreeMap;

/// Number of parts: enough that a killed run loses little, and few enough that recording them is cheap.
const PARTS: u32 = 16;

const NOTES: &str = "found.json";

/// The results for the files of a part, by path.
pub(crate) type Notes = BTreeMap<String, Found>;

/// Groups files by the name of their part.
pub(crate) fn by_part(files: &[SourceFile]) -> BTreeMap<String, Vec<&SourceFile>> {
    let mut sorted: BTreeMap<String, Vec<&SourceFile>> = BTreeMap::new();
    for file in files {
        sorted.entry(format!("{:02}", bucket(&file.path, PARTS))).or_default().push(file);
    }
    sorted
}

/// Returns the parts; the table in the crate's documentation lists what their keys contain.
pub(crate) fn parts(files: &[SourceFile], params: &IngestParams) -> Vec<PlannedPart> {
    let IngestParams { verify, limits, root: _, include: _, exclude: _, on_error: _, on_damage: _ } = params;
    let with = json!({ "verify": verify, "limits": limits });
    let part = |(name, files): (String, Vec<&SourceFile>)| {
        let mut fields = vec![(vec!["bucket".to_owned()], name.clone())];
        fields.extend(json_fields(&["with"], &with));
        let items = files.into_iter().map(|file| (file.path.clone(), content_of(&file.digest, &file.path)));
        PlannedPart { name, fields, items: items.collect() }
    };
    by_part(files).into_iter().map(part).collect()
}

/// Reads the notes of a part.
pub(crate) fn read(part: &MadePart) -> Result<Notes, StageError> {
    let path = part.note(NOTES);
    let notes = serde_json::from_slice(&fs_err::read(&path)?);
    Ok(notes.map_err(|source| IngestError::Notes { path, source })?)
}

/// Writes the notes of a part.
pub(crate) fn write(notes: &Notes, part: &MakePart) -> Result<(), StageError> {
    let mut text = serde_json::to_vec(notes)?;
    text.push(b'\n');
    Ok(fs_err::write(part.note(NOTES)?, text)?)
}
