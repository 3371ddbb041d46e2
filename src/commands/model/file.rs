//! [`WeightsFile`]: a file or folder of weights that a user names.

use crate::error::CommandError;
use fs_err as fs;
use pipe_schemas::tables::ModelCard;
use pipe_weights::{Checkpoint, Dtype, HfConfig};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

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
            *counts.entry(dtype_name(tensor.dtype)).or_default() += 1;
        }
        counts.iter().map(|(name, count)| format!("{count} {name}")).collect::<Vec<_>>().join(", ")
    }
}

/// Returns the name of a type of elements in lower case, such as `f32`.
pub(super) fn dtype_name(dtype: Dtype) -> &'static str {
    match dtype {
        Dtype::Bool => "bool",
        Dtype::U8 => "u8",
        Dtype::I8 => "i8",
        Dtype::I16 => "i16",
        Dtype::I32 => "i32",
        Dtype::I64 => "i64",
        Dtype::F16 => "f16",
        Dtype::BF16 => "bf16",
        Dtype::F32 => "f32",
        Dtype::F64 => "f64",
    }
}

/// Returns a shape as `64x3x7x7`, or `scalar`.
pub(super) fn shape_text(shape: &[usize]) -> String {
    if shape.is_empty() {
        return "scalar".to_owned();
    }
    shape.iter().map(usize::to_string).collect::<Vec<_>>().join("x")
}

/// Returns a name without characters that a terminal would execute.
pub(super) fn printable(name: &str) -> String {
    name.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
