//! `pretrained`: a published checkpoint becomes a model, without training.

use crate::contract::{
    Check, Contract, InputChoice, InputPort, Numerics, OutputPort, ParamError, Params, PortType, SourceSet, Worker,
    parse, schema,
};
use crate::networks::ModelParams;
use crate::stages::train::LoadFrom;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Contract of `pretrained`.
pub const CONTRACT: Contract = Contract {
    kind: "pretrained",
    version: 1,
    summary: "makes a model from a published checkpoint without training, to evaluate or export it",
    worker: Some(Worker::Torch),
    open_ports: None,
    inputs: &[
        InputPort { name: "samples", port_type: PortType::Samples, required: true, or_param: None },
        InputPort { name: "weights", port_type: PortType::Folder, required: false, or_param: None },
        InputPort { name: "classes", port_type: PortType::Classes, required: false, or_param: None },
    ],
    outputs: &[OutputPort { name: "model", port_type: PortType::Model, path: "model" }],
    parts: None,
    numerics: Numerics::Exact,
    check: Check::Never,
    tools: &[],
    schema: schema::<PretrainedParams>,
    parse: parse::<PretrainedParams>,
};

/// Parameters of `pretrained`.
///
/// The classes of the network come from the input `classes`, from `label_map`, or from the `config.json` of a folder as Hugging Face
/// publishes it. Their order must be that of the rows of the network's classifier.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PretrainedParams {
    /// The network of the checkpoint, as in `train`.
    pub model: ModelParams,
    /// The checkpoint, as in `train`. Its path is left out if the input `weights` is connected to a stage that fetches the file.
    pub load_from: Option<LoadFrom>,
    /// A file that names the classes in the order of the checkpoint: one name per line; lines of `number name`; or JSON: a list of
    /// names, or a map between numbers and names. Numbers count from 0.
    // The key has the file's content, not its path.
    #[serde(skip_serializing)]
    pub label_map: Option<String>,
}

impl Params for PretrainedParams {
    fn check(&self) -> Vec<ParamError> {
        let mut errors = self.model.check();
        errors.extend(self.load_from.iter().flat_map(LoadFrom::check));
        errors.extend(self.load_from.iter().filter(|load_from| load_from.inflate).map(|_| ParamError {
            path: vec!["load_from".into(), "inflate".into()],
            message: "weights of a 2-D network have no classifier for this network".into(),
            help: "train it: `uses: train` with the same `load_from`".into(),
        }));
        errors.extend(self.label_map.as_ref().filter(|path| path.is_empty()).map(|_| ParamError {
            path: vec!["label_map".into()],
            message: "the path is empty".into(),
            help: "the path of a file with the names of the classes".into(),
        }));
        errors
    }

    fn input_choices(&self) -> Vec<InputChoice> {
        let given = self.label_map.is_some();
        let weights = self.load_from.clone().unwrap_or_default().input_choice();
        vec![weights, InputChoice { port: "classes", param: "label_map", value: "PATH", given, required: false }]
    }

    fn sources(&self) -> Vec<SourceSet> {
        let label_map = self.label_map.iter().map(|path| SourceSet::of_file("label_map", path));
        self.load_from.iter().filter_map(LoadFrom::source).chain(label_map).collect()
    }
}
