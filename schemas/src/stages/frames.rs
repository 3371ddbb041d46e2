//! `frames`: stores the frames of videos as image files in Parquet shards.

use crate::contract::{
    Check, Contract, InputPort, Numerics, OutputPort, ParamError, Params, Parts, PortType, Tool, Worker, parse, schema,
};
use crate::stages::ingest::{DecodeLimits, OnError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Contract of `frames`.
pub const CONTRACT: Contract = Contract {
    kind: "frames",
    version: 7,
    summary: "decodes videos and stores their frames as images in Parquet shards",
    worker: Some(Worker::Data),
    open_ports: None,
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
    /// Which frames of a video to keep. Default: `all`.
    pub sample: FrameSampling,
    /// The size at which frames are stored. Default: `short_side_px: 256`.
    pub resize: FrameResize,
    /// Whether frames with pixels that are not square are widened or narrowed until they are, before `resize`. With false,
    /// frames keep their coded size, as with torchcodec, decord and MMAction2. Default: false.
    pub square_pixels: bool,
    /// The image format of stored frames. Default: JPEG of quality 90.
    pub encode: FrameCoding,
    /// Number of shards. A video goes to the shard `blake3(video_id) mod buckets`, so an added video changes only one shard.
    /// Default: 64.
    #[schemars(range(min = 1, max = 4096))]
    pub buckets: u32,
    /// Limits of decoding one video. A video that exceeds them can't be used.
    pub limits: DecodeLimits,
    /// What to do with a video that can't be decoded. Default: `fail`.
    pub on_error: OnError,
}

/// How the frames of a video become image files: `frames/recipe.json`. An exported network contains it, so that predictions see the
/// same pixels as training and evaluation.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FrameRecipe {
    /// See [`FramesParams::sample`].
    pub sample: FrameSampling,
    /// See [`FramesParams::resize`].
    pub resize: FrameResize,
    /// See [`FramesParams::square_pixels`].
    pub square_pixels: bool,
    /// See [`FramesParams::encode`].
    pub encode: FrameCoding,
}

impl FramesParams {
    /// Returns the parameters that determine the stored frames.
    pub fn recipe(&self) -> FrameRecipe {
        let Self { sample, resize, square_pixels, encode, buckets: _, limits: _, on_error: _ } = *self;
        FrameRecipe { sample, resize, square_pixels, encode }
    }
}

/// Which frames of a video to keep.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum FrameSampling {
    /// Every frame.
    All,
    /// Number of frames per second, by presentation time. A video never gets more frames than it has.
    Fps(f64),
    /// Every n-th frame, starting with the first.
    Stride(u32),
    /// Number of frames per video: the middle frames of as many equal parts, or all frames of a shorter video. Videos are
    /// decoded twice, because the number of frames that a container declares may be wrong.
    Count(u32),
}

/// The size at which frames are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum FrameResize {
    /// The size of the video.
    None,
    /// Length of the short side in pixels. The long side becomes `int(old * scale + 0.5)`. Frames are never enlarged.
    ShortSidePx(u32),
    /// A fixed size; the aspect ratio is not kept.
    Exact {
        /// Width as displayed, in pixels.
        #[schemars(range(min = 1, max = 16_384))]
        width_px: u32,
        /// Height as displayed, in pixels.
        #[schemars(range(min = 1, max = 16_384))]
        height_px: u32,
    },
}

/// The image format of stored frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum FrameCoding {
    /// JPEG with 4:2:0 chroma subsampling.
    Jpeg {
        /// Quality as in libjpeg, from 1 to 100.
        #[schemars(range(min = 1, max = 100))]
        quality: u8,
    },
    /// PNG: lossless RGB, about ten times as large as JPEG.
    Png,
    /// Uncompressed RGB as PPM files: about twice as large as PNG, and the fastest to read.
    Raw,
}

impl Default for FramesParams {
    fn default() -> Self {
        Self {
            sample: FrameSampling::All,
            resize: FrameResize::ShortSidePx(256),
            square_pixels: false,
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
                message: format!("must be above 0, but is {value}"),
                help: "write a number above 0".into(),
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
