//! [`PretrainedError`]: why a checkpoint does not become a model.

use pipe_models::LoadError;
use std::path::PathBuf;

/// Why a checkpoint does not become a model.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the message of a variant says what its fields are")]
pub enum PretrainedError {
    /// The file system failed.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// The weights are those of another network, or not finite.
    #[error("can't use {}: {error}", path.display())]
    OtherWeights {
        /// The file or the folder.
        path: PathBuf,
        error: Box<LoadError>,
    },
    /// The names of the classes are given twice.
    #[error("both `label_map` and the input `classes` name the classes")]
    TwoClassLists,
    /// Nothing names the classes.
    #[error("nothing names the classes of {}", path.display())]
    NoClasses {
        /// The file or the folder.
        path: PathBuf,
    },
    /// A file of class names is invalid.
    #[error("{} does not name the classes: {message}", path.display())]
    LabelMap {
        path: PathBuf,
        /// What is wrong, with the line if the file has lines.
        message: String,
    },
    /// The rows of the input `classes` are not numbered from 0 without gaps.
    #[error("row {place} of classes.parquet has the class index {class_index}")]
    ClassIndex {
        /// The number of the row, counted from 0.
        place: usize,
        class_index: u32,
    },
    /// The number of classes is not that of the checkpoint.
    #[error("the classifier of {} has {}, but {source_of_names} names {named}", path.display(), classes(*found))]
    NumClasses {
        /// The file or the folder.
        path: PathBuf,
        found: usize,
        source_of_names: String,
        named: usize,
    },
    /// The checkpoint has no classifier for this network.
    #[error("{} has no classifier: the tensors {} are missing, or have another shape", path.display(), missing.join(", "))]
    NoClassifier {
        /// The file or the folder.
        path: PathBuf,
        missing: Vec<String>,
    },
}

fn classes(count: usize) -> String {
    if count == 1 { "1 class".to_owned() } else { format!("{count} classes") }
}
