//! [`PortType`]: what flows between stages, and the ports of a contract.

/// The type of an artifact that flows between stages; see [`PortType::fits`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PortType {
    /// A folder of files of any kind: videos, or annotation lists.
    Folder,
    /// The `videos` table.
    Videos,
    /// The `annotations` and `classes` tables.
    Annotations,
    /// The `classes` table alone.
    Classes,
    /// Frame shards with their index.
    Frames,
    /// The `samples` tables with classes and preprocessing.
    Samples,
    /// Clips as pixels, in shards.
    Clips,
    /// A trained network: graph, weights, classes, preprocessing.
    Model,
    /// The `training_log` table.
    TrainingLog,
    /// The `training_steps` table.
    TrainingSteps,
    /// Event files of TensorBoard.
    TensorBoard,
    /// The `predictions` table.
    Predictions,
    /// The `video_predictions` table: predictions of videos without labels.
    VideoPredictions,
    /// A JSON file of metrics.
    Metrics,
    /// A folder of tables, texts and pictures about predictions.
    Report,
    /// An ONNX file with its metadata.
    Onnx,
    /// A learning rate: a JSON file.
    LearningRate,
    /// The `lr_curve` table.
    LrCurve,
    /// The `heat_maps` table.
    HeatMaps,
    /// A picture for people.
    Picture,
    /// Inputs only: a model or an ONNX file.
    Network,
    /// Inputs and outputs of a `command`: fits every port; the stage that reads it checks the content.
    Any,
}

impl PortType {
    /// Returns the name in messages.
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
            Self::TrainingSteps => "training_steps",
            Self::TensorBoard => "tensorboard",
            Self::Predictions => "predictions",
            Self::VideoPredictions => "video_predictions",
            Self::Metrics => "metrics",
            Self::Report => "report",
            Self::Onnx => "onnx",
            Self::LearningRate => "learning_rate",
            Self::LrCurve => "lr_curve",
            Self::HeatMaps => "heat_maps",
            Self::Picture => "picture",
            Self::Network => "model or onnx",
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
            | Self::TrainingSteps
            | Self::TensorBoard
            | Self::Predictions
            | Self::VideoPredictions
            | Self::Metrics
            | Self::Report
            | Self::Onnx
            | Self::LearningRate
            | Self::LrCurve
            | Self::HeatMaps
            | Self::Picture
            | Self::Network
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
            | Self::TrainingSteps
            | Self::TensorBoard
            | Self::Predictions
            | Self::VideoPredictions
            | Self::Metrics
            | Self::Report
            | Self::Onnx
            | Self::LearningRate
            | Self::LrCurve
            | Self::HeatMaps
            | Self::Picture
            | Self::Network
            | Self::Any => false,
        }
    }

    /// Returns whether an output of this type may be connected to an input of type `wanted`.
    pub fn fits(self, wanted: Self) -> bool {
        match wanted {
            Self::Any => true,
            Self::Network => matches!(self, Self::Model | Self::Onnx | Self::Any),
            _ => self == wanted || self == Self::Any,
        }
    }
}

/// A port that a stage reads.
#[derive(Debug, Clone, Copy)]
pub struct InputPort {
    /// Name under `inputs:`.
    pub name: &'static str,
    /// The type of artifact that it reads.
    pub port_type: PortType,
    /// Whether it must be connected.
    pub required: bool,
    /// The parameter that names files outside the pipeline instead. Exactly one of the two must be given.
    pub or_param: Option<&'static str>,
}

/// An input that a parameter can replace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InputChoice {
    /// The name of the port.
    pub port: &'static str,
    /// The path of the parameter, such as `load_from.checkpoint`.
    pub param: &'static str,
    /// What help texts write for its value, such as `PATH`.
    pub value: &'static str,
    /// Whether the parameter is given.
    pub given: bool,
    /// Whether one of the two must be given. Both is an error in any case.
    pub required: bool,
}

/// A parameter that is the name of an input, which must be connected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedInput {
    /// The path of the parameter, such as `baseline`.
    pub param: &'static str,
    /// The name of the input: the value of the parameter.
    pub port: String,
    /// What the input must be, such as `a model or an ONNX file`.
    pub content: &'static str,
}

/// A parameter that is a list with one value for each connected input of some.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ValuesPerInput {
    /// The parameter.
    pub param: &'static str,
    /// Length of the list.
    pub num_values: usize,
    /// The names of the ports that count.
    pub ports: &'static [&'static str],
}

/// A port that a stage writes.
#[derive(Debug, Clone, Copy)]
pub struct OutputPort {
    /// Name, as in `inputs: { lists: clips.lists }`. The stage's name alone means the first port.
    pub name: &'static str,
    /// The type of artifact that it writes.
    pub port_type: PortType,
    /// File or folder below the stage's output folder.
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
