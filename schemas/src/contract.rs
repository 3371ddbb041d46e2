//! [`Contract`]: all that the engine knows of a stage kind.

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

/// What flows along an edge; see [`PortType::fits`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PortType {
    /// A folder of files, not looked into: videos, or annotation lists.
    Folder,
    /// The `videos` table.
    Videos,
    /// The `annotations` and `classes` tables.
    Annotations,
    /// The `classes` table alone.
    Classes,
    /// Frame shards with their index.
    Frames,
    /// The `samples` tables with the classes and the preprocessing they were drawn for.
    Samples,
    /// Clips as pixels, in shards.
    Clips,
    /// A trained network: graph, weights, classes, preprocessing.
    Model,
    /// The `training_log` table.
    TrainingLog,
    /// The `predictions` table.
    Predictions,
    /// A JSON file of figures.
    Metrics,
    /// An ONNX file with its metadata.
    Onnx,
    /// A picture for people.
    Picture,
    /// What a `command` takes and gives: it fits everywhere, and whoever reads it finds out what it is.
    Any,
}

impl PortType {
    /// Returns the word users read in messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Folder => "folder",
            Self::Videos => "videos",
            Self::Annotations => "annotations",
            Self::Classes => "classes",
            Self::Frames => "frames",
            Self::Samples => "samples",
            Self::Clips => "clips",
            Self::Model => "model",
            Self::TrainingLog => "training_log",
            Self::Predictions => "predictions",
            Self::Metrics => "metrics",
            Self::Onnx => "onnx",
            Self::Picture => "picture",
            Self::Any => "any",
        }
    }

    /// Returns whether a stage that reads it receives a list of the files in it, with their digests.
    pub fn lists_files(self) -> bool {
        self.may_hold_media()
    }

    /// Returns whether it is a folder in which videos can lie.
    pub fn may_hold_media(self) -> bool {
        match self {
            Self::Folder => true,
            Self::Videos
            | Self::Annotations
            | Self::Classes
            | Self::Frames
            | Self::Samples
            | Self::Clips
            | Self::Model
            | Self::TrainingLog
            | Self::Predictions
            | Self::Metrics
            | Self::Onnx
            | Self::Picture
            | Self::Any => false,
        }
    }

    /// Returns whether it contains paths of videos, so that a stage that reads it also needs the folder with the videos.
    pub fn refers_to_media(self) -> bool {
        match self {
            Self::Videos => true,
            Self::Folder
            | Self::Annotations
            | Self::Classes
            | Self::Frames
            | Self::Samples
            | Self::Clips
            | Self::Model
            | Self::TrainingLog
            | Self::Predictions
            | Self::Metrics
            | Self::Onnx
            | Self::Picture
            | Self::Any => false,
        }
    }

    /// Returns whether an output of this type may be connected to an input of type `wanted`.
    pub fn fits(self, wanted: Self) -> bool {
        self == wanted || self == Self::Any || wanted == Self::Any
    }
}

/// The executable that runs a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Worker {
    /// `pipe-data-worker`: FFmpeg, polars.
    Data,
    /// `pipe-torch-worker`: libtorch, ONNX Runtime.
    Torch,
}

impl Worker {
    /// Returns the executable's file name.
    pub fn program(self) -> &'static str {
        match self {
            Self::Data => "pipe-data-worker",
            Self::Torch => "pipe-torch-worker",
        }
    }
}

/// A library whose version decides bytes, as the worker reports it.
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
}

impl Tool {
    /// Returns the key under which a worker reports the version.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ffmpeg => "ffmpeg",
            Self::LibjpegTurbo => "libjpeg-turbo",
            Self::Libtorch => "libtorch",
            Self::OnnxRuntime => "onnxruntime",
        }
    }
}

/// A port that a stage reads.
#[derive(Debug, Clone, Copy)]
pub struct InputPort {
    /// Its name under `inputs:`.
    pub name: &'static str,
    /// What fits.
    pub port_type: PortType,
    /// Whether the stage can't do without.
    pub required: bool,
    /// The parameter that names files outside the pipeline in its place; one of the two must be given, not both.
    pub or_param: Option<&'static str>,
}

/// A port that a stage writes.
#[derive(Debug, Clone, Copy)]
pub struct OutputPort {
    /// Its name, as in `inputs: { lists: clips.lists }`; the first port is the one meant by the stage's name alone.
    pub name: &'static str,
    /// What it is.
    pub port_type: PortType,
    /// The file or folder inside the stage's output folder.
    pub path: &'static str,
}

/// An output of one stage: a port of its contract, or one that its parameters name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// As in [`OutputPort::name`].
    pub name: String,
    /// As in [`OutputPort::port_type`].
    pub port_type: PortType,
    /// As in [`OutputPort::path`].
    pub path: String,
}

impl From<&OutputPort> for Output {
    fn from(port: &OutputPort) -> Self {
        Self { name: port.name.to_owned(), port_type: port.port_type, path: port.path.to_owned() }
    }
}

/// Files from outside the pipeline that decide a stage's output.
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
    /// What a file among them means whose name is not UTF-8.
    pub odd_names: OddNames,
}

/// What a source file means whose path is not UTF-8: no list, table or parameter can name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OddNames {
    /// The stage can't run.
    Refused,
    /// The stage is told of it, under a path that says so and that no file has, and does not open it.
    Told,
}

/// What is wrong with parameters beyond their types, at a path such as `train.sampler.clip_len`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParamError {
    /// Steps from `with:`; list positions are written as numbers.
    pub path: Vec<String>,
    /// What is wrong, as a lower-case fragment.
    pub message: String,
    /// What would be right.
    pub help: String,
}

/// The typed parameters of a stage kind.
///
/// Implementations are plain structs with `serde(default, deny_unknown_fields)`, so that leaving a parameter out equals
/// writing its default.
pub trait Params: Serialize + DeserializeOwned + schemars::JsonSchema {
    /// Returns what types can't say: ranges that depend on each other, choices that exclude each other.
    fn check(&self) -> Vec<ParamError> {
        Vec::new()
    }

    /// Returns the files outside the pipeline that the stage will read.
    fn sources(&self) -> Vec<SourceSet> {
        Vec::new()
    }

    /// Returns what of the parameters decides the output, where that is not all of them.
    fn keyed(&self) -> Option<Value> {
        None
    }

    /// Returns the outputs that the contract does not name; for stages with open ports.
    fn outputs(&self) -> Vec<Output> {
        Vec::new()
    }

    /// Returns the inputs that the stage does without for these parameters, whatever the contract says.
    fn unread_inputs(&self) -> &'static [&'static str] {
        &[]
    }
}

/// How a stage is made of parts that are keyed, kept and made one by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parts {
    /// Each by itself, such as the shards of `frames`.
    Independent,
    /// Each from the one before, such as the epochs of `train`.
    Chain,
}

/// Whether the bytes of a stage's result depend on the machine.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Numerics {
    /// Equal keys give equal bytes on every machine.
    Exact,
    /// Equal keys give equal bytes in the same environment only: processor, number of compute threads, device. Results of
    /// two environments are compared numerically, with this tolerance.
    FloatingPoint(Tolerance),
}

/// How much two numbers may differ that count as equal.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tolerance {
    /// Share of the larger of the two absolute values.
    pub relative: f64,
    /// Added to that; what numbers near zero may differ by.
    pub absolute: f64,
}

impl Tolerance {
    /// Returns whether two numbers count as equal. NaN equals NaN.
    pub fn accepts(&self, one: f64, two: f64) -> bool {
        let most = self.absolute + self.relative * one.abs().max(two.abs());
        one == two || (one.is_nan() && two.is_nan()) || (one - two).abs() <= most
    }
}

impl fmt::Display for Tolerance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} relative + {} absolute", self.relative, self.absolute)
    }
}

/// What `pipe check` does with a stage. It decodes no whole video, downloads nothing, trains nothing and starts no program of the
/// user's.
#[derive(Debug, Clone, Copy)]
pub enum Check {
    /// It is not run; if the store has its result, that can be read.
    Never,
    /// It is run where a stage needs it that is run for its findings. If the store lacks its result, it is run with its
    /// parameters made quick.
    Needed(MakeQuick),
    /// It is run for its findings; with its parameters made quick where it reads what was made so.
    Findings(MakeQuick),
}

/// Changes parameters, with defaults filled in, to those of a quick look.
pub type MakeQuick = fn(&mut Value);

/// All that the engine knows of a stage kind.
#[derive(Debug)]
pub struct Contract {
    /// The word after `uses:`.
    pub kind: &'static str,
    /// Raised whenever the same inputs give other bytes.
    pub version: u32,
    /// One line for `pipe stages` and the README.
    pub summary: &'static str,
    /// Who runs it; `None` where the stage itself names a program.
    pub worker: Option<Worker>,
    /// Whether a stage names its own ports, of type [`PortType::Any`], and source globs beside `with:`.
    pub open_ports: bool,
    /// What it reads.
    pub inputs: &'static [InputPort],
    /// What it writes; the first is the main port.
    pub outputs: &'static [OutputPort],
    /// How it is made of parts, if it is.
    pub parts: Option<Parts>,
    /// Whether the bytes of its result depend on the machine.
    pub numerics: Numerics,
    /// What `pipe check` does with it.
    pub check: Check,
    /// The libraries whose versions belong to its key.
    pub tools: &'static [Tool],
    /// The JSON schema of its parameters.
    pub schema: fn() -> Value,
    /// Parses parameters that fit the schema; see [`Parsed`].
    pub parse: fn(&Value) -> Result<Parsed, serde_json::Error>,
}

impl Contract {
    /// Returns the JSON schema of its parameters, made once a process.
    pub fn schema(&self) -> &'static Value {
        static MADE: Mutex<BTreeMap<&str, &Value>> = Mutex::new(BTreeMap::new());
        let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
        made.entry(self.kind).or_insert_with(|| Box::leak(Box::new((self.schema)())))
    }
}

/// Parameters after parsing.
#[derive(Debug, Clone)]
pub struct Parsed {
    /// The parameters with every default filled in: what the worker receives.
    pub canonical: Value,
    /// What of them decides the output, where that is not all of them.
    pub keyed: Option<Value>,
    /// What is wrong beyond types.
    pub errors: Vec<ParamError>,
    /// What the stage reads from outside the pipeline.
    pub sources: Vec<SourceSet>,
    /// What it writes besides the ports of its contract.
    pub outputs: Vec<Output>,
    /// Inputs that it does without.
    pub unread_inputs: &'static [&'static str],
}

/// Parses `value` as `P`; what [`Contract::parse`] points at.
pub fn parse<P: Params>(value: &Value) -> Result<Parsed, serde_json::Error> {
    let params = P::deserialize(value)?;
    Ok(Parsed {
        canonical: serde_json::to_value(&params)?,
        keyed: params.keyed(),
        errors: params.check(),
        sources: params.sources(),
        outputs: params.outputs(),
        unread_inputs: params.unread_inputs(),
    })
}

/// Returns the JSON schema of `P`; what [`Contract::schema`] points at.
pub fn schema<P: Params>() -> Value {
    schemars::schema_for!(P).to_value()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_within_the_tolerance_count_as_equal() {
        let tolerance = Tolerance { relative: 0.01, absolute: 0.001 };
        let check = |one: f64, two: f64, expect: bool| {
            assert_eq!(tolerance.accepts(one, two), expect, "{one} {two}");
            assert_eq!(tolerance.accepts(two, one), expect, "{two} {one}");
        };
        check(100.0, 101.0, true);
        check(100.0, 101.1, false);
        check(0.0, 0.001, true);
        check(0.0, 0.0011, false);
        check(-1.0, 1.0, false);
        check(f64::NAN, f64::NAN, true);
        check(f64::NAN, 1.0, false);
        check(f64::INFINITY, f64::INFINITY, true);
    }
}
