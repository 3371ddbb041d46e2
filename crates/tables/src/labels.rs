//! [`LabelsFolder`]: the artifact of the stage `annotations`.

use crate::{TableError, read_json, read_rows, write_json, write_rows};
use pipe_schemas::tables::{AnnotationRow, ClassRow, Labelling};
use std::path::{Path, PathBuf};

/// The labels of a data set.
///
/// ```text
/// labels/annotations.parquet   AnnotationRow: one row per label
/// labels/classes.parquet       ClassRow
/// labels/labelling.json        Labelling
/// ```
#[derive(Debug, Clone)]
pub struct LabelsFolder {
    path: PathBuf,
}

impl LabelsFolder {
    /// Returns the artifact at `path`. Each file is read when it is asked for.
    pub fn open(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Creates the folder and writes all of its files.
    pub fn write(
        path: impl Into<PathBuf>,
        annotations: &[AnnotationRow],
        classes: &[ClassRow],
        labelling: Labelling,
    ) -> Result<Self, TableError> {
        let folder = Self::open(path);
        fs_err::create_dir_all(&folder.path)?;
        write_rows(&folder.annotations_path(), annotations)?;
        write_rows(&folder.classes_path(), classes)?;
        write_json(&folder.labelling_path(), &labelling)?;
        Ok(folder)
    }

    /// Reads the labels, sorted as [`AnnotationRow`] says.
    pub fn annotations(&self) -> Result<Vec<AnnotationRow>, TableError> {
        read_rows(&self.annotations_path())
    }

    /// Reads the classes, sorted by index.
    pub fn classes(&self) -> Result<Vec<ClassRow>, TableError> {
        read_rows(&self.classes_path())
    }

    /// Reads whether a video may have several labels.
    pub fn labelling(&self) -> Result<Labelling, TableError> {
        read_json(&self.labelling_path())
    }

    /// Returns the folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn annotations_path(&self) -> PathBuf {
        self.path.join("annotations.parquet")
    }

    fn classes_path(&self) -> PathBuf {
        self.path.join("classes.parquet")
    }

    fn labelling_path(&self) -> PathBuf {
        self.path.join("labelling.json")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pipe_schemas::stages::annotations::CONTRACT;

    #[test]
    fn what_is_written_is_read_back() {
        let folder = tempfile::tempdir().expect("a folder");
        let classes = [ClassRow { class_index: 0, class_name: "Archery".into() }];
        let written = LabelsFolder::write(folder.path().join("labels"), &[], &classes, Labelling::MultiLabel);
        let labels = LabelsFolder::open(written.expect("written").path());
        assert_eq!(labels.annotations().expect("read"), []);
        assert_eq!(labels.classes().expect("read"), classes);
        assert_eq!(labels.labelling().expect("read"), Labelling::MultiLabel);
        assert_eq!(fs_err::read_to_string(labels.labelling_path()).expect("read"), "\"multi_label\"\n");
    }

    /// The contract offers the classes as an output of their own.
    #[test]
    fn the_port_of_the_classes_is_the_file_of_the_folder() {
        let port = |name: &str| {
            let found = CONTRACT.outputs.iter().find(|port| port.name == name);
            PathBuf::from(found.unwrap_or_else(|| panic!("no output `{name}`")).path)
        };
        assert_eq!(port("classes"), LabelsFolder::open(port("annotations")).classes_path());
    }
}
