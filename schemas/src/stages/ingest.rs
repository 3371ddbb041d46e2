//! `ingest`: lists the videos of a folder in the `videos` table.

use crate::contract::{
    Check, Contract, InputPort, Numerics, OddNames, OutputPort, ParamError, Params, Parts, PortType, Selection,
    SourceSet, Tool, Worker, parse, schema,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Contract of `ingest`.
pub const CONTRACT: Contract = Contract {
    kind: "ingest",
    version: 6,
    summary: "lists the videos of a folder with codec, size, frame rate and frame count, and finds unusable files",
    worker: Some(Worker::Data),
    open_ports: None,
    inputs: &[InputPort { name: "folder", port_type: PortType::Folder, required: false, or_param: Some("root") }],
    outputs: &[OutputPort { name: "videos", port_type: PortType::Videos, path: "videos.parquet" }],
    parts: Some(Parts::Independent),
    numerics: Numerics::Exact,
    check: Check::Needed(probe_only),
    tools: &[Tool::Ffmpeg],
    schema: schema::<IngestParams>,
    parse: parse::<IngestParams>,
};

/// Makes `pipe check` fast: only the first frame of each video is decoded.
fn probe_only(params: &mut serde_json::Value) {
    params["verify"] = "probe".into();
}

/// Parameters of `ingest`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct IngestParams {
    /// The folder of videos. Leave it out if the input `folder` is connected.
    // The key contains the names and contents of the files, not their location.
    #[serde(skip_serializing)]
    pub root: Option<String>,
    /// Globs of the video files, relative to the folder; the letter case of extensions does not matter. Hidden files and folders,
    /// and those that systems leave behind (`._*`, `@eaDir`, `__MACOSX`), are left out unless a glob names them. The summary counts
    /// what is left out. Default: the extensions of the containers that can be read, such as `**/*.{avi,mp4,mts}`.
    pub include: Vec<String>,
    /// Globs of files to leave out, relative to the folder. Default: none.
    pub exclude: Vec<String>,
    /// How thoroughly each file is checked. Default: `probe`.
    pub verify: Verify,
    /// Limits of decoding one file. A file that exceeds them can't be used.
    pub limits: DecodeLimits,
    /// What to do with a file that is not a readable video. Default: `skip`.
    pub on_error: OnError,
    /// What to do with a video of which some frames are damaged, which `verify: decode` finds. Default: `use`.
    pub on_damage: OnDamage,
}

/// What to do with a video of which some frames are damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnDamage {
    /// Use the frames that can be decoded. The `videos` table has the verdict `damaged` and the number of damaged frames.
    Use,
    /// Leave the video out, with the verdict `rejected`.
    Skip,
}

/// The extensions of the containers that can be read, apart from those that other files have more often: `gif`, `ogg`.
pub const EXTENSIONS: [&str; 46] = [
    "264", "265", "3g2", "3gp", "asf", "avc", "avi", "divx", "dv", "f4v", "flv", "gxf", "h264", "h265", "hevc", "ivf",
    "m1v", "m2t", "m2ts", "m2v", "m4v", "mj2", "mk3d", "mkv", "mov", "mp4", "mpe", "mpeg", "mpg", "mpv", "mts", "mxf",
    "nut", "obu", "ogm", "ogv", "qt", "rm", "rmvb", "ts", "vc1", "vob", "webm", "wmv", "wtv", "y4m",
];

/// How thoroughly a file is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verify {
    /// Decodes the first frame. The stage `frames` finds damage further on.
    Probe,
    /// Decodes all frames, counts them and checks for damage. `annotations` needs this to find near-duplicate videos.
    Decode,
}

/// Limits of decoding one file. Files are decoded in separate processes; one that exceeds a limit is stopped, and the file
/// can't be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DecodeLimits {
    /// CPU time per file, in seconds. Decoding also stops after 60 seconds of CPU time without a new frame. Default: 3600.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub cpu_secs: u64,
    /// Memory, in MiB. Default: 4096.
    #[schemars(range(min = 256, max = 1_048_576))]
    pub memory_mb: u64,
}

impl Default for DecodeLimits {
    fn default() -> Self {
        Self { cpu_secs: 3600, memory_mb: 4096 }
    }
}

/// What to do with a file that is not a readable video.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnError {
    /// Continue without the file. The `videos` table records the reason, and the summary counts the file.
    Skip,
    /// Fail the stage and name the files.
    Fail,
}

impl Default for IngestParams {
    fn default() -> Self {
        Self {
            root: None,
            include: vec![format!("**/*.{{{}}}", EXTENSIONS.join(","))],
            exclude: Vec::new(),
            verify: Verify::Probe,
            limits: DecodeLimits::default(),
            on_error: OnError::Skip,
            on_damage: OnDamage::Use,
        }
    }
}

impl Params for IngestParams {
    fn check(&self) -> Vec<ParamError> {
        if self.include.is_empty() {
            vec![ParamError {
                path: vec!["include".into()],
                message: "the list of globs is empty, so no file matches".into(),
                help: "remove `include` to use the default extensions".into(),
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
            odd_names: OddNames::Listed,
            selection: Selection::Data,
        };
        self.root.iter().map(set).collect()
    }
}
