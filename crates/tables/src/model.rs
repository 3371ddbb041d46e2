//! [`ModelFolder`]: the artifact of the stages `train` and `pretrained`.

use crate::{TableError, read_json, write_json};
use pipe_schemas::tables::ModelCard;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// A trained network.
///
/// ```text
/// model/model.json               ModelCard: the network, its classes, what its clips look like
/// model/checkpoint.safetensors   its tensors, running statistics included
/// model/weights.json             which of the published weights it started from were used
/// ```
///
/// This type reads and writes the JSON files. `pipe-weights` reads and writes [`checkpoint_path`](Self::checkpoint_path).
#[derive(Debug, Clone)]
pub struct ModelFolder {
    path: PathBuf,
}

impl ModelFolder {
    /// Returns the artifact at `path`. Each file is read when it is asked for.
    pub fn open(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Creates the folder and writes its JSON files; the caller writes the checkpoint.
    pub fn write(
        path: impl Into<PathBuf>,
        card: &ModelCard,
        weights_report: &impl Serialize,
    ) -> Result<Self, TableError> {
        let folder = Self::open(path);
        fs_err::create_dir_all(&folder.path)?;
        write_json(&folder.card_path(), card)?;
        write_json(&folder.path.join("weights.json"), weights_report)?;
        Ok(folder)
    }

    /// Reads the description of the network.
    pub fn card(&self) -> Result<ModelCard, TableError> {
        read_json(&self.card_path())
    }

    /// Returns the path of the tensors.
    pub fn checkpoint_path(&self) -> PathBuf {
        self.path.join("checkpoint.safetensors")
    }

    /// Returns the folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn card_path(&self) -> PathBuf {
        self.path.join("model.json")
    }
}
