//! `ingest`: a folder of files becomes the `videos` table.

use crate::contract::{
    Check, Contract, InputPort, Numerics, OddNames, OutputPort, ParamError, Params, Parts, PortType, SourceSet, Tool,
    Worker, parse, schema,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Contract of `ingest`.
pub const CONTRACT: Contract = Contract {
    kind: "ingest",
    version: 4,
    summary: "probes or decodes every video of a folder: codec, size, frame rate, frame count, verdict",
    worker: Some(Worker::Data),
    open_ports: false,
    inputs: &[InputPort { name: "folder", port_type: PortType::Folder, required: false, or_param: Some("root") }],
    outputs: &[OutputPort { name: "videos", port_type: PortType::Videos, path: "videos.parquet" }],
    parts: Some(Parts::Independent),
    numerics: Numerics::Exact,
    check: Check::Needed(probe_only),
    tools: &[Tool::Ffmpeg],
    schema: schema::<IngestParams>,
    parse: parse::<IngestParams>,
};

/// Leaves out decoding.
fn probe_only(params: &mut serde_json::Value) {
    params["verify"] = "probe".into();
}

/// Parameters of `ingest`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct IngestParams {
    /// The folder; leave it out when the input `folder` is connected.
    // Where the files lie is no part of what they are: the key holds their names and contents.
    #[serde(skip_serializing)]
    pub root: Option<String>,
    /// Which files are videos, as globs below the folder.
    pub include: Vec<String>,
    /// Which of these are not, as globs.
    pub exclude: Vec<String>,
    /// How closely each file is looked at.
    pub verify: Verify,
    /// What a file may take before it counts as unusable.
    pub limits: DecodeLimits,
    /// What a file that can't be used as a video means.
    pub on_error: OnError,
}

/// How closely a file is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verify {
    /// Its first frame is decoded. What is wrong further on is found by `frames`.
    Probe,
    /// All frames are decoded, counted, and looked at for damage. `annotations` can then tell videos that look alike.
    Decode,
}

/// What a file may take. It is decoded in a process of its own; one that takes more is stopped, and counts as unusable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DecodeLimits {
    /// Processor time, in seconds; a frame may take a minute of it.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub cpu_secs: u64,
    /// Memory, in MiB.
    #[schemars(range(min = 256, max = 1_048_576))]
    pub memory_mb: u64,
}

impl Default for DecodeLimits {
    fn default() -> Self {
        Self { cpu_secs: 3600, memory_mb: 4096 }
    }
}

/// What to do with a file that is no readable video.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnError {
    /// Keep the row with its verdict, count it, go on without the file.
    Skip,
    /// Fail the stage, naming every such file.
    Fail,
}

impl Default for IngestParams {
    fn default() -> Self {
        let include = ["avi", "mp4", "mkv", "mov", "webm", "mpg", "mpeg", "m4v", "wmv", "flv", "3gp", "ts", "ogv"];
        // Cameras write capitals.
        let glob = |extension: &&str| format!("**/*.{{{extension},{}}}", extension.to_uppercase());
        Self {
            root: None,
            include: include.iter().map(glob).collect(),
            exclude: Vec::new(),
            verify: Verify::Probe,
            limits: DecodeLimits::default(),
            on_error: OnError::Skip,
        }
    }
}

impl Params for IngestParams {
    fn check(&self) -> Vec<ParamError> {
        if self.include.is_empty() {
            vec![ParamError {
                path: vec!["include".into()],
                message: "no glob, so no file would be a video".into(),
                help: "leave it out for the usual extensions".into(),
            }]
        } else {
            Vec::new()
        }
    }

    fn sources(&self) -> Vec<SourceSet> {
        let set = |root: &String| SourceSet {
            param: "root",
            root: root.into(),
            include: self.include.clone(),
            exclude: self.exclude.clone(),
            odd_names: OddNames::Told,
        };
        self.root.iter().map(set).collect()
    }
}
