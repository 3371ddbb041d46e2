//! `pipe init`.

mod view;

use super::Command;
use crate::error::CommandError;
use crate::exit::Code;
use fs_err as fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

/// Write a first pipeline file for a folder of videos
///
/// It looks at the videos, folders and lists, and recognises one folder per class, lists of UCF101, HMDB51, Kinetics, Something-Something
/// v2 and ActivityNet, lists of lines `VIDEO LABEL`, and tables. Nothing in the folder is changed, and no file is overwritten.
#[derive(Debug, clap::Args)]
pub(crate) struct Init {
    /// Folder with the videos and, if there are any, their lists
    #[arg(default_value = ".")]
    folder: PathBuf,
    /// File to write [default: the name of the folder, with `.yaml`, in the current folder]
    #[arg(long, short, value_name = "FILE")]
    file: Option<PathBuf>,
}

impl Command for Init {
    const NAME: &'static str = "init";

    fn run(self) -> Result<Code, CommandError> {
        let drafted = pipe_engine::draft(&self.folder).map_err(|error| CommandError::BadInput(error.into()))?;
        let path = self.file.unwrap_or_else(|| format!("{}.yaml", drafted.name).into());
        write_new(&path, &drafted.text)?;
        view::written(&path, &drafted);
        Ok(Code::Ok)
    }
}

/// Writes a file that does not exist yet.
fn write_new(path: &Path, text: &str) -> Result<(), CommandError> {
    let file = fs::OpenOptions::new().write(true).create_new(true).open(path);
    match file {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            let message = format!("{} exists and is not overwritten; choose another with --file FILE", path.display());
            Err(CommandError::bad_input(message))
        }
        file => Ok(file?.write_all(text.as_bytes())?),
    }
}
