//! [`Classes`]: the names of the classes, and what they were read from.

use crate::{PretrainedError, label_map};
use pipe_schemas::tables::ClassRow;
use pipe_stage::{Context, StageError};
use pipe_tables::read_rows;
use std::collections::BTreeMap;
use std::path::Path;

/// The maximum number of names in a warning.
const MAX_NAMED: usize = 5;

/// The names of the classes, and what they were read from.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Classes {
    /// Names by class index.
    pub(crate) names: Vec<String>,
    /// What names them, such as `label_map`.
    pub(crate) source: &'static str,
}

impl Classes {
    /// Reads the names from the input `classes` or from `label_map`, or else takes `own`, those in the folder of the checkpoint.
    pub(crate) fn read(context: &Context, checkpoint: &Path, own: Option<Vec<String>>) -> Result<Self, StageError> {
        let named = context.source("label_map")?;
        let classes = match (context.optional_input("classes"), named, &own) {
            (Some(_), Some(_), _) => {
                return Err(StageError::from(PretrainedError::TwoClassLists).with_help("remove one of the two"));
            }
            (Some(path), None, _) => Self { names: from_table(read_rows(path)?)?, source: "the input `classes`" },
            (None, Some(file), _) => Self { names: label_map::read(&file.root)?, source: "`label_map`" },
            (None, None, Some(names)) => Self { names: names.clone(), source: "its config.json" },
            (None, None, None) => {
                return Err(StageError::from(PretrainedError::NoClasses { path: checkpoint.into() }).with_help(
                    "set `label_map` to a file with the names in the order of the classifier, or connect `classes` to the \
                     stage `annotations`, as in `classes: labels.classes`",
                ));
            }
        };
        if let Some(text) = own.and_then(|own| difference(&own, &classes)) {
            context.warn(text);
        }
        if let Some(text) = shared_names(&classes.names) {
            context.warn(text);
        }
        Ok(classes)
    }
}

fn from_table(rows: Vec<ClassRow>) -> Result<Vec<String>, PretrainedError> {
    match rows.iter().enumerate().find(|(place, row)| row.class_index as usize != *place) {
        Some((place, row)) => Err(PretrainedError::ClassIndex { place, class_index: row.class_index }),
        None => Ok(rows.into_iter().map(|row| row.class_name).collect()),
    }
}

/// Returns a warning if the checkpoint names its classes differently. Hugging Face's placeholders `LABEL_0`, … name nothing.
fn difference(own: &[String], classes: &Classes) -> Option<String> {
    let Classes { names, source } = classes;
    let are_placeholders = own.iter().enumerate().all(|(index, name)| *name == format!("LABEL_{index}"));
    let differ = || (0..).zip(own.iter().zip(names)).filter(|(_, (own, named))| own != named);
    let (index, (own, named)): (usize, _) = differ().next().filter(|_| !are_placeholders)?;
    Some(format!(
        "{source} names {} of {} classes differently than the config.json of the checkpoint: class {index} is `{named}`, \
         there `{own}`",
        differ().count(),
        names.len()
    ))
}

/// Returns a warning if several classes have the same name.
fn shared_names(names: &[String]) -> Option<String> {
    let mut indices: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (index, name) in names.iter().enumerate() {
        indices.entry(name).or_default().push(index.to_string());
    }
    let shared: Vec<String> = indices
        .iter()
        .filter(|(_, indices)| indices.len() > 1)
        .map(|(name, indices)| format!("`{name}` (classes {})", indices.join(", ")))
        .collect();
    let more = if shared.len() > MAX_NAMED { format!(" and {} more", shared.len() - MAX_NAMED) } else { String::new() };
    let named = shared.iter().take(MAX_NAMED).cloned().collect::<Vec<_>>().join(", ");
    (!shared.is_empty()).then(|| format!("several classes have the same name: {named}{more}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn names_that_differ_from_the_checkpoint_are_reported() {
        let check = |own: &[&str], expect: Option<&str>| {
            let classes = Classes { names: names(&["a", "b", "c"]), source: "`label_map`" };
            assert_eq!(difference(&names(own), &classes).as_deref(), expect);
        };
        check(&["a", "b", "c"], None);
        check(&["LABEL_0", "LABEL_1", "LABEL_2"], None);
        check(&["a", "c", "b"], {
            Some(
                "`label_map` names 2 of 3 classes differently than the config.json of the checkpoint: class 1 is `b`, there `c`",
            )
        });
    }

    #[test]
    fn classes_with_the_same_name_are_reported() {
        assert_eq!(shared_names(&names(&["a", "b"])), None);
        let expect = "several classes have the same name: `a` (classes 0, 2)";
        assert_eq!(shared_names(&names(&["a", "b", "a"])).as_deref(), Some(expect));
    }
}
