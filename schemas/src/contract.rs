//! [`Contract`]: everything that the engine knows about a stage kind.

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

mod numerics;
mod port;

pub use numerics::{Numerics, Tolerance};
pub use port::{InputChoice, InputPort, NamedInput, Output, OutputPort, PortType, ValuesPerInput};

/// The executable that runs a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Worker {
    /// `pipe-data-worker`: FFmpeg, polars.
    Data,
    /// `pipe-torch-worker`: libtorch, ONNX Runtime, OpenVINO.
    Torch,
    /// `pipe-infer-worker`: FFmpeg, ONNX Runtime, OpenVINO.
    Infer,
}

impl Worker {
    /// Returns the executable's file name.
    pub fn program(self) -> &'static str {
        match self {
            Self::Data => "pipe-data-worker",
            Self::Torch => "pipe-torch-worker",
            Self::Infer => "pipe-infer-worker",
        }
    }
}

/// A library whose version determines bytes, as the worker reports it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Tool {
    /// FFmpeg: libavcodec, libavformat, libswscale.
    Ffmpeg,
    /// libjpeg-turbo.
    LibjpegTurbo,
    /// libtorch.
    Libtorch,
    /// ONNX Runtime.
    OnnxRuntime,
    /// OpenVINO.
    OpenVino,
}

impl Tool {
    /// Returns the key under which a worker reports the version.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ffmpeg => "ffmpeg",
            Self::LibjpegTurbo => "libjpeg-turbo",
            Self::Libtorch => "libtorch",
            Self::OnnxRuntime => "onnxruntime",
            Self::OpenVino => "openvino",
        }
    }
}

/// Files from outside the pipeline that determine a stage's output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceSet {
    /// The parameter that names them: `root`, `load_from`.
    pub param: &'static str,
    /// A folder, or one file. Relative paths are relative to the folder `pipe` runs in.
    pub root: PathBuf,
    /// Globs below a folder; empty means every file.
    pub include: Vec<String>,
    /// Globs left out.
    pub exclude: Vec<String>,
    /// How files with a name that is not UTF-8 are handled.
    pub odd_names: OddNames,
    /// What the globs select.
    pub selection: Selection,
}

impl SourceSet {
    /// Returns the set of one file.
    pub fn of_file(param: &'static str, file: &str) -> Self {
        Self {
            param,
            root: file.into(),
            include: Vec::new(),
            exclude: Vec::new(),
            odd_names: OddNames::Refused,
            selection: Selection::Exact,
        }
    }
}

/// What the globs of a [`SourceSet`] select.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Selection {
    /// Data: hidden files and those of systems are left out, unless a glob names them, and the letter case of extensions does not
    /// matter. The stage learns how many files were left out.
    Data,
    /// Every file that a glob matches.
    Exact,
}

/// How a source file with a path that is not UTF-8 is handled: no list, table or parameter can contain its path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OddNames {
    /// The stage fails.
    Refused,
    /// The stage receives it under a unique text instead of its path, and does not open it.
    Listed,
}

/// A violation that types can't express, at a path such as `train.sampler.clip_len`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParamError {
    /// Steps from `with:`; list positions are written as numbers.
    pub path: Vec<String>,
    /// The violation, as a lower-case fragment.
    pub message: String,
    /// Valid values, or how to fix it.
    pub help: String,
}

/// The typed parameters of a stage kind.
///
/// Implementations are plain structs with `serde(default, deny_unknown_fields)`, so that omitting a parameter equals writing its
/// default.
pub trait Params: Serialize + DeserializeOwned + schemars::JsonSchema {
    /// Returns violations that types can't express: ranges that depend on each other, choices that exclude each other.
    fn check(&self) -> Vec<ParamError> {
        Vec::new()
    }

    /// Returns the files outside the pipeline that the stage reads.
    fn sources(&self) -> Vec<SourceSet> {
        Vec::new()
    }

    /// Returns the parameters that determine the output; `None` if all do.
    fn keyed(&self) -> Option<Value> {
        None
    }

    /// Returns outputs that are not in the contract; for stages with open ports.
    fn outputs(&self) -> Vec<Output> {
        Vec::new()
    }

    /// Returns the inputs that a parameter can replace, as far as that depends on the parameters.
    fn input_choices(&self) -> Vec<InputChoice> {
        Vec::new()
    }

    /// Returns inputs that the stage does not read with these parameters, even if the contract requires them.
    fn unread_inputs(&self) -> &'static [&'static str] {
        &[]
    }

    /// Returns the inputs that some values of a parameter require and others do not, each with the parameter: if that has a mistake, nothing
    /// is known about the input.
    fn conditional_inputs(&self) -> &'static [(&'static str, &'static str)] {
        &[]
    }

    /// Returns a parameter that is the name of an input, which must be connected; for stages with open ports.
    fn named_input(&self) -> Option<NamedInput> {
        None
    }

    /// Returns a parameter with one value for each connected input of some; `None` if there is none, or it is not given.
    fn values_per_input(&self) -> Option<ValuesPerInput> {
        None
    }

    /// Returns the parameter that sets how many classes the labels have, and the number; `None` if the labels decide.
    fn num_classes(&self) -> Option<(&'static str, u32)> {
        None
    }

    /// Returns how many epochs of samples the stage draws; `None` if it draws none.
    fn epochs_drawn(&self) -> Option<u32> {
        None
    }

    /// Returns the parameter that sets how many epochs of samples the stage reads, and the number; `None` if the samples decide.
    fn epochs_read(&self) -> Option<(&'static str, u32)> {
        None
    }
}

/// How a stage is divided into parts. Each part has its own key and result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parts {
    /// Parts do not depend on each other, such as the shards of `frames`.
    Independent,
    /// Each part starts from the state of the previous one, such as the epochs of `train`.
    Chain,
}

impl Parts {
    /// Returns what messages call the parts.
    pub const fn noun(self) -> &'static str {
        match self {
            Self::Independent => "parts",
            Self::Chain => "epochs",
        }
    }
}

/// What `pipe check` does with a stage. It does not decode whole videos, download, train or start programs of the user.
#[derive(Debug, Clone, Copy)]
pub enum Check {
    /// It does not run. If the store has its result, other stages can read that.
    Never,
    /// It runs if a stage that runs for its findings needs it. If the store does not have its result, it runs with quick
    /// parameters.
    Needed(MakeQuick),
    /// It runs for its findings; with quick parameters if its inputs were made with quick parameters.
    Findings(MakeQuick),
}

/// Changes parameters, with defaults filled in, to those of a quick check.
pub type MakeQuick = fn(&mut Value);

/// Everything that the engine knows about a stage kind.
#[derive(Debug)]
pub struct Contract {
    /// The word after `uses:`.
    pub kind: &'static str,
    /// Raised when equal inputs give other bytes than before.
    pub version: u32,
    /// Description in one line, for `pipe stages` and the README.
    pub summary: &'static str,
    /// The worker that runs it; `None` if the stage's parameters name a program.
    pub worker: Option<Worker>,
    /// The type of the inputs that a stage names itself, if it may; a command also names outputs, and source globs beside `with:`.
    pub open_ports: Option<PortType>,
    /// Input ports.
    pub inputs: &'static [InputPort],
    /// Output ports; the first is the main port.
    pub outputs: &'static [OutputPort],
    /// How it is divided into parts; `None` if it is made in one go.
    pub parts: Option<Parts>,
    /// Whether the bytes of its result depend on the machine.
    pub numerics: Numerics,
    /// How `pipe check` handles it.
    pub check: Check,
    /// The libraries whose versions are in its key.
    pub tools: &'static [Tool],
    /// The JSON schema of its parameters.
    pub schema: fn() -> Value,
    /// Parses parameters that fit the schema; see [`Parsed`].
    pub parse: fn(&Value) -> Result<Parsed, serde_json::Error>,
}

impl Contract {
    /// Returns the JSON schema of its parameters. It is generated once per process.
    pub fn schema(&self) -> &'static Value {
        static MADE: Mutex<BTreeMap<&str, &Value>> = Mutex::new(BTreeMap::new());
        let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
        made.entry(self.kind).or_insert_with(|| Box::leak(Box::new((self.schema)())))
    }

    /// Returns what a stage may name as further inputs, such as `any model or onnx`.
    pub fn open_inputs(&self) -> Option<String> {
        self.open_ports.map(|port_type| match port_type {
            PortType::Any => port_type.name().to_owned(),
            port_type => format!("any {}", port_type.name()),
        })
    }
}

/// Parameters after parsing.
#[derive(Debug, Clone)]
pub struct Parsed {
    /// The parameters with every default filled in: what the worker receives.
    pub canonical: Value,
    /// The parameters that determine the output; `None` if all do.
    pub keyed: Option<Value>,
    /// Violations that types can't express.
    pub errors: Vec<ParamError>,
    /// Files from outside the pipeline that the stage reads.
    pub sources: Vec<SourceSet>,
    /// Outputs that are not in the contract.
    pub outputs: Vec<Output>,
    /// Inputs that a parameter can replace, beside those that the contract names.
    pub input_choices: Vec<InputChoice>,
    /// Inputs that the stage does not read.
    pub unread_inputs: &'static [&'static str],
    /// Inputs that some values of a parameter require and others do not, and the parameter.
    pub conditional_inputs: &'static [(&'static str, &'static str)],
    /// A parameter that is the name of an input.
    pub named_input: Option<NamedInput>,
    /// A parameter with one value for each connected input of some.
    pub values_per_input: Option<ValuesPerInput>,
    /// The parameter that sets how many classes the labels have, and the number.
    pub num_classes: Option<(&'static str, u32)>,
    /// Number of epochs of samples that the stage draws.
    pub epochs_drawn: Option<u32>,
    /// The parameter that sets how many epochs of samples the stage reads, and the number.
    pub epochs_read: Option<(&'static str, u32)>,
}

/// Parses `value` as `P`; the function behind [`Contract::parse`].
pub fn parse<P: Params>(value: &Value) -> Result<Parsed, serde_json::Error> {
    let params = P::deserialize(value)?;
    Ok(Parsed {
        canonical: serde_json::to_value(&params)?,
        keyed: params.keyed(),
        errors: params.check(),
        sources: params.sources(),
        outputs: params.outputs(),
        input_choices: params.input_choices(),
        unread_inputs: params.unread_inputs(),
        conditional_inputs: params.conditional_inputs(),
        named_input: params.named_input(),
        values_per_input: params.values_per_input(),
        num_classes: params.num_classes(),
        epochs_drawn: params.epochs_drawn(),
        epochs_read: params.epochs_read(),
    })
}

/// Returns the JSON schema of `P`; the function behind [`Contract::schema`].
pub fn schema<P: Params>() -> Value {
    schemars::schema_for!(P).to_value()
}
