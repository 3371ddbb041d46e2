//! [`TableFile`]: the Parquet file of all rows, which is written at the end.

use super::WrongArgument;
use pipe_schemas::tables::VideoPredictionRow;
use pipe_stage::StageError;
use pipe_tables::{TableError, write_rows};
use std::io;
use std::path::{Path, PathBuf};

/// The rows of a Parquet file that is not written yet.
#[derive(Debug)]
pub(super) struct TableFile {
    path: PathBuf,
    /// The rows so far, in any order of the videos.
    pub(super) rows: Vec<VideoPredictionRow>,
}

impl TableFile {
    /// Returns a table without rows. A file of this name is not changed before [`Self::write`].
    ///
    /// # Errors
    /// If the file can't be written.
    pub(super) fn new(path: &Path) -> Result<Self, WrongArgument> {
        check(path).map_err(|error| WrongArgument(format!("{} can't be written: {error}", path.display())))?;
        // What a link leads to is replaced, and the link stays.
        let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        Ok(Self { path, rows: Vec::new() })
    }

    /// Writes the rows, sorted by video. Until all are written, a file of this name keeps its content.
    pub(super) fn write(mut self) -> Result<(), StageError> {
        self.rows.sort_by(|a, b| a.video_id.cmp(&b.video_id)); // stable: windows stay in their order
        let partial = partial(&self.path);
        let written = write_rows(&partial, &self.rows).map_err(|error| match error {
            TableError::Parquet { source, .. } => source.to_string(),
            error => error.to_string(),
        });
        let renamed = written.and_then(|()| fs_err::rename(&partial, &self.path).map_err(|error| error.to_string()));
        renamed.map_err(|error| {
            // It may not exist.
            let _ = fs_err::remove_file(&partial);
            StageError::message(format!("{} can't be written: {error}", self.path.display()))
        })
    }
}

/// Checks that a file can be written, without changing it.
fn check(path: &Path) -> io::Result<()> {
    if let Ok(metadata) = path.metadata() {
        if !metadata.is_file() {
            return Err(io::Error::other("it is not a file"));
        }
        std::fs::OpenOptions::new().write(true).open(path)?;
    }
    let partial = partial(&path.canonicalize().unwrap_or_else(|_| path.to_owned()));
    fs_err::File::create(&partial)?;
    fs_err::remove_file(&partial)
}

/// Returns the path of a file before it is complete: in the same folder, and hidden.
fn partial(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{}.partial", std::process::id()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use pipe_schemas::tables::Verdict;
    use pipe_tables::read_rows;

    #[test]
    fn files_are_checked_first_and_replaced_last() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        fs_err::create_dir(path("dir.parquet")).expect("a folder");
        for (name, expect) in [("dir.parquet", "it is not a file"), ("none/x.parquet", "No such file")] {
            let error = TableFile::new(&path(name)).expect_err("not a file").to_string();
            assert!(error.contains("can't be written: ") && error.contains(expect), "{error}");
        }
        fs_err::write(path("x.parquet"), "old").expect("written");
        fs_err::os::unix::fs::symlink("x.parquet", path("link.parquet")).expect("a link");
        let mut table = TableFile::new(&path("link.parquet")).expect("a table");
        let row = |video: &str| VideoPredictionRow::without(video, Verdict::Unreadable, "gone".into());
        table.rows = vec![row("b"), row("a")];
        assert_eq!(fs_err::read_to_string(path("x.parquet")).expect("read"), "old");
        table.write().expect("written");
        assert_eq!(read_rows::<VideoPredictionRow>(&path("x.parquet")).expect("read"), [row("a"), row("b")]);
        assert!(path("link.parquet").is_symlink());
        assert_eq!(fs_err::read_dir(folder.path()).expect("read").count(), 3, "nothing else is left");
    }
}
