//! Entry point of fuzz targets: the steps that parse untrusted lists. Not part of the API.

use crate::error::AnnotationsError;
use crate::labels::resolve;
use crate::{formats, groups, split};
use pipe_schemas::stages::annotations::AnnotationsParams;
use pipe_stage::{Sources, StageError};

/// Parses lists up to class indices, and returns the number of entries.
///
/// # Errors
/// As the stage, before it joins the lists with the videos.
///
/// # Panics
/// If an entry has a class that does not exist.
pub fn parse_lists(params: &AnnotationsParams, sources: &Sources) -> Result<usize, StageError> {
    let parse = || -> Result<usize, AnnotationsError> {
        let (_, mut lists) = formats::read(params.format, params, sources, &[])?;
        groups::assign(&mut lists.rows, params.group.as_ref())?;
        split::assign(&mut lists.rows, params)?;
        let resolved = resolve(lists, params)?;
        let num_classes = resolved.classes.names.len();
        let mut classes = resolved.entries.iter().flat_map(|entry| &entry.classes);
        assert!(classes.all(|class| (*class as usize) < num_classes), "a class that does not exist");
        Ok(resolved.entries.len())
    };
    parse().map_err(AnnotationsError::into_stage_error)
}
