//! [`LoadFrom`]: published weights to start from.

use crate::contract::{OddNames, ParamError, Selection, SourceSet};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Published weights to start from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LoadFrom {
    /// A `.pth`, `.pt` or `.safetensors` file, or a folder with one or with shards and their index, as Hugging Face publishes them.
    /// Reading it runs no code of the file.
    // The key has the file's content, not its path.
    #[serde(skip_serializing)]
    #[serde(default)]
    pub checkpoint: String,
}

impl LoadFrom {
    pub(super) fn check(&self) -> Option<ParamError> {
        self.checkpoint.is_empty().then(|| ParamError {
            path: vec!["load_from".into(), "checkpoint".into()],
            message: "the path is empty".into(),
            help: "the path of a .pth, .pt or .safetensors file, or of a folder with one".into(),
        })
    }

    pub(super) fn source(&self) -> SourceSet {
        SourceSet {
            param: "load_from",
            root: self.checkpoint.clone().into(),
            include: Vec::new(),
            exclude: Vec::new(),
            odd_names: OddNames::Refused,
            selection: Selection::Exact,
        }
    }
}
