//! `frames`: videos become image files in Parquet shards.

use crate::contract::{
    Check, Contract, InputPort, Numerics, OutputPort, ParamError, Params, Parts, PortType, Tool, Worker, parse, schema,
};
use crate::stages::ingest::{DecodeLimits, OnError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Contract of `frames`.
pub const CONTRACT: Contract = Contract {
    kind: "frames",
    version: 4,
    summary: "decodes, samples, resizes and codes frames into Parquet shards",
    worker: Some(Worker::Data),
    open_ports: false,
    inputs: &[InputPort { name: "videos", port_type: PortType::Videos, required: true, or_param: None }],
    outputs: &[OutputPort { name: "frames", port_type: PortType::Frames, path: "frames" }],
    parts: Some(Parts::Independent),
    numerics: Numerics::Exact,
    check: Check::Never,
    tools: &[Tool::Ffmpeg, Tool::LibjpegTurbo],
    schema: schema::<FramesParams>,
    parse: parse::<FramesParams>,
};

/// Parameters of `frames`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct FramesParams {
    /// Which frames are kept.
    pub sample: FrameSampling,
    /// How large they are stored.
    pub resize: FrameResize,
    /// How they are coded.
    pub encode: FrameCoding,
    /// Shards; a video's shard is `blake3(video_id) mod buckets`, so that an added video touches one.
    #[schemars(range(min = 1, max = 4096))]
    pub buckets: u32,
    /// What a video may take before it counts as unusable.
    pub limits: DecodeLimits,
    /// What a video that can't be decoded means.
    pub on_error: OnError,
}

/// Which frames of a video are kept.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum FrameSampling {
    /// Every frame.
    All,
    /// So many a second, by presentation time; never more than the video has.
    Fps(f64),
    /// Every n-th frame.
    Stride(u32),
    /// So many, from the middles of as many equal parts of the video; all of a video that has no more. Frames are decoded
    /// twice, because containers do not always tell the truth about their number.
    Count(u32),
}

/// How large frames are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum FrameResize {
    /// As decoded.
    None,
    /// The short side has so many pixels, the long one `int(old * scale + 0.5)`; never enlarged.
    ShortSidePx(u32),
    /// This size, whatever the shape.
    Exact {
        /// Columns, as displayed.
        #[schemars(range(min = 1, max = 16_384))]
        width_px: u32,
        /// Rows, as displayed.
        #[schemars(range(min = 1, max = 16_384))]
        height_px: u32,
    },
}

/// How frames are coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum FrameCoding {
    /// JPEG, 4:2:0.
    Jpeg {
        /// libjpeg's quality.
        #[schemars(range(min = 1, max = 100))]
        quality: u8,
    },
    /// PNG: the decoded colours without loss. Ten times as large.
    Png,
    /// Uncompressed RGB, as PPM files. Twice as large as PNG, and the quickest to read.
    Raw,
}

impl Default for FramesParams {
    fn default() -> Self {
        Self {
            sample: FrameSampling::All,
            resize: FrameResize::ShortSidePx(256),
            encode: FrameCoding::Jpeg { quality: 90 },
            buckets: 64,
            limits: DecodeLimits::default(),
            on_error: OnError::Fail,
        }
    }
}

impl Params for FramesParams {
    fn check(&self) -> Vec<ParamError> {
        let above_0 = |path: [&str; 2], value: f64| {
            let right = value.is_finite() && value > 0.0;
            (!right).then(|| ParamError {
                path: path.map(String::from).into(),
                message: format!("{value} is not above 0"),
                help: "a number above 0".into(),
            })
        };
        let sample = match self.sample {
            FrameSampling::All => None,
            FrameSampling::Fps(fps) => above_0(["sample", "fps"], fps),
            FrameSampling::Stride(stride) => above_0(["sample", "stride"], f64::from(stride)),
            FrameSampling::Count(count) => above_0(["sample", "count"], f64::from(count)),
        };
        let resize = match self.resize {
            FrameResize::None | FrameResize::Exact { .. } => None,
            FrameResize::ShortSidePx(side) => above_0(["resize", "short_side_px"], f64::from(side)),
        };
        sample.into_iter().chain(resize).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_and_sizes_must_be_above_0() {
        let check = |sample, resize, expect: &[&str]| {
            let params = FramesParams { sample, resize, ..FramesParams::default() };
            let found: Vec<String> = params.check().into_iter().map(|error| error.path.join(".")).collect();
            assert_eq!(found, expect);
        };
        check(FrameSampling::Fps(0.5), FrameResize::ShortSidePx(1), &[]);
        check(FrameSampling::Fps(0.0), FrameResize::None, &["sample.fps"]);
        check(FrameSampling::Fps(f64::NAN), FrameResize::ShortSidePx(0), &["sample.fps", "resize.short_side_px"]);
        check(FrameSampling::Stride(0), FrameResize::None, &["sample.stride"]);
        check(FrameSampling::Count(0), FrameResize::None, &["sample.count"]);
    }
}
