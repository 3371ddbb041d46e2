//! The protobuf messages, as far as they are used. Names, types and numbers of the fields are those of TensorBoard's
//! `event.proto`, `summary.proto` and `plugins/hparams/{api,plugin_data}.proto`.

use crate::HyperParameter;
use prost::{Message, Oneof};
use std::collections::BTreeMap;

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Event {
    #[prost(double, tag = "1")]
    pub(crate) wall_time: f64,
    #[prost(int64, tag = "2")]
    pub(crate) step: i64,
    #[prost(oneof = "What", tags = "3, 5")]
    pub(crate) what: Option<What>,
}

#[derive(Clone, PartialEq, Oneof)]
pub(crate) enum What {
    #[prost(string, tag = "3")]
    FileVersion(String),
    #[prost(message, tag = "5")]
    Summary(Summary),
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Summary {
    #[prost(message, repeated, tag = "1")]
    pub(crate) value: Vec<Value>,
}

/// A value of a tag: a scalar, an image or the data of a plugin.
#[derive(Clone, PartialEq, Message)]
#[expect(clippy::struct_field_names, reason = "names are those of the protobuf messages")]
pub(crate) struct Value {
    #[prost(string, tag = "1")]
    pub(crate) tag: String,
    #[prost(float, optional, tag = "2")]
    pub(crate) simple_value: Option<f32>,
    #[prost(message, optional, tag = "4")]
    pub(crate) image: Option<Image>,
    #[prost(message, optional, tag = "9")]
    pub(crate) metadata: Option<SummaryMetadata>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Image {
    #[prost(int32, tag = "1")]
    pub(crate) height: i32,
    #[prost(int32, tag = "2")]
    pub(crate) width: i32,
    #[prost(int32, tag = "3")]
    pub(crate) colorspace: i32,
    #[prost(bytes = "vec", tag = "4")]
    pub(crate) encoded_image_string: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct SummaryMetadata {
    #[prost(message, optional, tag = "1")]
    pub(crate) plugin_data: Option<PluginData>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct PluginData {
    #[prost(string, tag = "1")]
    pub(crate) plugin_name: String,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) content: Vec<u8>,
}

/// The data of the plugin `hparams`: `HParamsPluginData`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct HParams {
    #[prost(message, optional, tag = "2")]
    experiment: Option<Experiment>,
    #[prost(message, optional, tag = "3")]
    session_start_info: Option<SessionStart>,
    #[prost(message, optional, tag = "4")]
    session_end_info: Option<SessionEnd>,
}

#[derive(Clone, PartialEq, Message)]
struct Experiment {
    #[prost(message, repeated, tag = "4")]
    hparam_infos: Vec<HParamInfo>,
    #[prost(message, repeated, tag = "5")]
    metric_infos: Vec<MetricInfo>,
}

#[derive(Clone, PartialEq, Message)]
struct HParamInfo {
    #[prost(string, tag = "1")]
    name: String,
    /// 1: text, 2: flag, 3: number.
    #[prost(int32, tag = "4")]
    data_type: i32,
}

#[derive(Clone, PartialEq, Message)]
struct MetricInfo {
    #[prost(message, optional, tag = "1")]
    name: Option<MetricName>,
}

#[derive(Clone, PartialEq, Message)]
struct MetricName {
    #[prost(string, tag = "2")]
    tag: String,
}

#[derive(Clone, PartialEq, Message)]
struct SessionStart {
    #[prost(btree_map = "string, message", tag = "1")]
    hparams: BTreeMap<String, Parameter>,
}

#[derive(Clone, PartialEq, Message)]
struct SessionEnd {
    /// 1: success.
    #[prost(int32, tag = "1")]
    status: i32,
}

/// `google.protobuf.Value`.
#[derive(Clone, PartialEq, Message)]
struct Parameter {
    #[prost(oneof = "ParameterKind", tags = "2, 3, 4")]
    kind: Option<ParameterKind>,
}

#[derive(Clone, PartialEq, Oneof)]
enum ParameterKind {
    #[prost(double, tag = "2")]
    Number(f64),
    #[prost(string, tag = "3")]
    Text(String),
    #[prost(bool, tag = "4")]
    Flag(bool),
}

impl HParams {
    /// Returns the three messages that describe a run, with the ends of their tags.
    pub(crate) fn session(
        parameters: &BTreeMap<String, HyperParameter>,
        metrics: &[&str],
    ) -> [(&'static str, Self); 3] {
        const SUCCESS: i32 = 1;
        let info = |(name, value): (&String, &HyperParameter)| HParamInfo {
            name: name.clone(),
            data_type: match value {
                HyperParameter::Text(_) => 1,
                HyperParameter::Flag(_) => 2,
                HyperParameter::Number(_) => 3,
            },
        };
        let metric = |tag: &&str| MetricInfo { name: Some(MetricName { tag: (*tag).to_owned() }) };
        let experiment = Experiment {
            hparam_infos: parameters.iter().map(info).collect(),
            metric_infos: metrics.iter().map(metric).collect(),
        };
        let hparams = parameters.iter().map(|(name, value)| (name.clone(), Parameter::from(value))).collect();
        [
            ("experiment", Self { experiment: Some(experiment), ..Self::default() }),
            ("session_start_info", Self { session_start_info: Some(SessionStart { hparams }), ..Self::default() }),
            ("session_end_info", Self { session_end_info: Some(SessionEnd { status: SUCCESS }), ..Self::default() }),
        ]
    }
}

impl From<&HyperParameter> for Parameter {
    fn from(value: &HyperParameter) -> Self {
        let kind = match value {
            HyperParameter::Number(value) => ParameterKind::Number(*value),
            HyperParameter::Text(value) => ParameterKind::Text(value.clone()),
            HyperParameter::Flag(value) => ParameterKind::Flag(*value),
        };
        Self { kind: Some(kind) }
    }
}
