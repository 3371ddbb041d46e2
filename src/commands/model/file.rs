//! [`WeightsFile`]: a file or folder of weights that a user names.

use crate::error::CommandError;
use crate::render::text;
pub(super) use crate::render::text::printable;
use fs_err as fs;
use pipe_schemas::tables::ModelCard;
use pipe_weights::{Checkpoint, HfConfig};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The maximum number of tensors that a message names.
const MAX_NAMED: usize = 5;

/// A file or folder of weights that a user names.
pub(super) struct WeightsFile {
    pub(super) path: PathBuf,
    pub(super) checkpoint: Checkpoint,
    /// The `config.json` of a folder as Hugging Face publishes it.
    pub(super) config: Option<HfConfig>,
    /// The description of the network, if it is a model that `pipe` made.
    pub(super) card: Option<ModelCard>,
}

impl WeightsFile {
    /// Opens a `.pth`, `.pt` or `.safetensors` file, a folder as Hugging Face publishes it, or a model that `pipe` made.
    pub(super) fn open(path: &Path) -> Result<Self, CommandError> {
        let of = |checkpoint, card| Self { path: path.into(), checkpoint, config: None, card };
        if !path.is_dir() {
            return Ok(of(Checkpoint::open(path)?, None));
        }
        // The output of a stage has the model in a folder.
        let model = [path.join("model"), path.into()].into_iter().find(|folder| folder.join("model.json").is_file());
        if let Some(folder) = model {
            let card: ModelCard = serde_json::from_slice(&fs::read(folder.join("model.json"))?).map_err(|error| {
                CommandError::failed(format!(
                    "{} is not a model of `pipe`: {error}",
                    folder.join("model.json").display()
                ))
            })?;
            if !card.pruning.is_empty() {
                return Err(CommandError::failed(format!(
                    "channels were removed from the network in {}: its tensors do not have the shapes of a published network; use the stages \
                     `evaluate`, `export` or `train`",
                    folder.display()
                )));
            }
            return Ok(of(Checkpoint::open(&folder.join("checkpoint.safetensors"))?, Some(card)));
        }
        let mut names = Vec::new();
        for entry in fs::read_dir(path)? {
            // Files whose names are not UTF-8 are not weights.
            names.extend(entry?.file_name().into_string());
        }
        names.sort();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let config = HfConfig::of_folder(path, &names)?;
        Ok(Self { config, ..of(Checkpoint::open_folder(path, &names)?, None) })
    }

    /// Returns the number of values, and their size in bytes.
    pub(super) fn size(&self) -> (u64, u64) {
        let tensors = || self.checkpoint.tensors.values();
        let num_values = tensors().map(|tensor| tensor.shape.iter().product::<usize>() as u64).sum();
        (num_values, tensors().map(|tensor| tensor.bytes.len() as u64).sum())
    }

    /// Returns the number of tensors by the type of their elements, such as `262 f32, 52 i64`.
    pub(super) fn types(&self) -> String {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for tensor in self.checkpoint.tensors.values() {
            *counts.entry(tensor.dtype.name()).or_default() += 1;
        }
        counts.iter().map(|(name, count)| format!("{count} {name}")).collect::<Vec<_>>().join(", ")
    }
}

/// Says which tensors of a file can't be read, if there are any.
pub(super) fn unsupported(file: &WeightsFile) -> Option<String> {
    let tensors = &file.checkpoint.origin.unsupported;
    let named = tensors.iter().take(MAX_NAMED).map(|tensor| printable(&tensor.to_string()));
    let named = named.collect::<Vec<_>>().join(", ");
    let more =
        if tensors.len() > MAX_NAMED { format!(", and {} more", tensors.len() - MAX_NAMED) } else { String::new() };
    let count = text::count(tensors.len() as u64, "tensor");
    (!tensors.is_empty()).then(|| format!("{count} can't be read, only dense ones of real numbers: {named}{more}"))
}

/// Returns a shape as `64x3x7x7`, or `scalar`.
pub(super) fn shape_text(shape: &[usize]) -> String {
    if shape.is_empty() {
        return "scalar".to_owned();
    }
    shape.iter().map(usize::to_string).collect::<Vec<_>>().join("x")
}
