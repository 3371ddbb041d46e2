//! `annotations`: label lists, checked and joined with the `videos` table.

use crate::contract::{Contract, InputPort, OutputPort, Params, PortType, SourceSet, Worker, parse, schema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Contract of `annotations`.
pub const CONTRACT: Contract = Contract {
    kind: "annotations",
    version: 1,
    summary: "reads label lists, joins them with the videos, and checks both",
    worker: Some(Worker::Data),
    open_ports: false,
    inputs: &[
        InputPort { name: "videos", port_type: PortType::Videos, required: true, or_param: None },
        InputPort { name: "lists", port_type: PortType::Folder, required: false, or_param: Some("root") },
    ],
    outputs: &[
        OutputPort { name: "annotations", port_type: PortType::Annotations, path: "labels" },
        OutputPort { name: "classes", port_type: PortType::Classes, path: "labels/classes.parquet" },
        OutputPort { name: "report", port_type: PortType::Metrics, path: "report.json" },
    ],
    parts: None,
    tools: &[],
    schema: schema::<AnnotationsParams>,
    parse: parse::<AnnotationsParams>,
};

/// Parameters of `annotations`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AnnotationsParams {
    /// How the lists are written.
    pub format: AnnotationFormat,
    /// The folder of the lists; leave it out when the input `lists` is connected.
    #[serde(skip_serializing)]
    pub root: Option<String>,
    /// Which of the data set's official splits, from 1.
    #[schemars(range(min = 1, max = 3))]
    pub split: u32,
    /// A video that a list names and the folder lacks.
    pub missing: Severity,
    /// A video of the folder that no list names.
    pub unlabelled: Severity,
    /// The same group in the training and the test list.
    pub group_leakage: Severity,
    /// The same content under two names in the training and the test list.
    pub content_leakage: Severity,
}

/// A data set's way to write labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AnnotationFormat {
    /// `classInd.txt`, `trainlist0K.txt`, `testlist0K.txt`; labels from 1.
    Ucf101,
}

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The stage fails.
    Error,
    /// It is counted and shown.
    Warn,
    /// It is counted.
    Off,
}

impl Default for AnnotationsParams {
    fn default() -> Self {
        Self {
            format: AnnotationFormat::Ucf101,
            root: None,
            split: 1,
            missing: Severity::Error,
            unlabelled: Severity::Warn,
            group_leakage: Severity::Error,
            content_leakage: Severity::Error,
        }
    }
}

impl Params for AnnotationsParams {
    fn sources(&self) -> Vec<SourceSet> {
        let include = match self.format {
            AnnotationFormat::Ucf101 => vec![
                "classInd.txt".to_owned(),
                format!("trainlist0{}.txt", self.split),
                format!("testlist0{}.txt", self.split),
            ],
        };
        let set =
            |root: &String| SourceSet { param: "root", root: root.into(), include: include.clone(), exclude: vec![] };
        self.root.iter().map(set).collect()
    }
}
