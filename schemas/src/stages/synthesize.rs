//! `synthesize`: generates labelled clips with classes that differ only in motion.

use crate::contract::{
    Check, Contract, Numerics, OutputPort, ParamError, Params, PortType, Tool, Worker, parse, schema,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Contract of `synthesize`.
pub const CONTRACT: Contract = Contract {
    kind: "synthesize",
    version: 1,
    summary: "generates labelled clips that differ only in motion, in the layout of UCF101",
    worker: Some(Worker::Data),
    open_ports: None,
    inputs: &[],
    outputs: &[
        OutputPort { name: "videos", port_type: PortType::Folder, path: "videos" },
        OutputPort { name: "lists", port_type: PortType::Folder, path: "lists" },
    ],
    parts: None,
    numerics: Numerics::Exact,
    check: Check::Never,
    tools: &[Tool::Ffmpeg],
    schema: schema::<SynthesizeParams>,
    parse: parse::<SynthesizeParams>,
};

/// A class of motion. No single frame of a clip shows its class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Motion {
    /// Moves to the left, and appears again on the right.
    MoveLeft,
    /// Moves to the right.
    MoveRight,
    /// Moves up.
    MoveUp,
    /// Moves down.
    MoveDown,
    /// Rotates clockwise.
    RotateClockwise,
    /// Rotates counter-clockwise.
    RotateCounterclockwise,
    /// Grows to the largest size, and starts again with the smallest.
    Grow,
    /// Shrinks to the smallest size, and starts again with the largest.
    Shrink,
}

/// Parameters of `synthesize`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SynthesizeParams {
    /// The classes. Each name in CamelCase is the name of a folder, as in UCF101. Default: all eight.
    pub classes: Vec<Motion>,
    /// Number of groups per class (`gNN`). Each group has its own background, shape and colour. Default: 25, as in UCF101.
    #[schemars(range(min = 2, max = 99))]
    pub groups: u32,
    /// Number of groups in the test list, starting with the first. Default: 7, as in split 1 of UCF101.
    #[schemars(range(min = 1, max = 98))]
    pub test_groups: u32,
    /// Number of clips per group (`cNN`). Default: 2.
    #[schemars(range(min = 1, max = 99))]
    pub clips_per_group: u32,
    /// Number of frames per clip. Default: 32.
    #[schemars(range(min = 2, max = 10_000))]
    pub frames_per_clip: u32,
    /// Frames per second. Default: 25.
    #[schemars(range(min = 1, max = 240))]
    pub fps: u32,
    /// Width in pixels; even. Default: 160.
    #[schemars(range(min = 16, max = 4096))]
    pub width_px: u32,
    /// Height in pixels; even. Default: 120.
    #[schemars(range(min = 16, max = 4096))]
    pub height_px: u32,
    /// Seed of all random numbers. Default: 0.
    pub seed: u64,
}

impl Default for SynthesizeParams {
    fn default() -> Self {
        use Motion::{Grow, MoveDown, MoveLeft, MoveRight, MoveUp, RotateClockwise, RotateCounterclockwise, Shrink};
        Self {
            classes: vec![MoveLeft, MoveRight, MoveUp, MoveDown, RotateClockwise, RotateCounterclockwise, Grow, Shrink],
            groups: 25,
            test_groups: 7,
            clips_per_group: 2,
            frames_per_clip: 32,
            fps: 25,
            width_px: 160,
            height_px: 120,
            seed: 0,
        }
    }
}

impl Params for SynthesizeParams {
    fn check(&self) -> Vec<ParamError> {
        let mut errors = Vec::new();
        if self.test_groups >= self.groups {
            errors.push(ParamError {
                path: vec!["test_groups".into()],
                message: format!("{} test groups of {} leave none to train on", self.test_groups, self.groups),
                help: format!("at most {}", self.groups.saturating_sub(1)),
            });
        }
        let distinct: std::collections::BTreeSet<_> = self.classes.iter().collect();
        if self.classes.len() < 2 || distinct.len() != self.classes.len() {
            errors.push(ParamError {
                path: vec!["classes".into()],
                message: "needs two classes or more, each once".into(),
                help: "leave it out for all eight".into(),
            });
        }
        for (name, value) in [("width_px", self.width_px), ("height_px", self.height_px)] {
            if value % 2 != 0 {
                errors.push(ParamError {
                    path: vec![name.into()],
                    message: format!("{value} is odd; the encoder halves the chroma planes"),
                    help: format!("{} or {}", value - 1, value + 1),
                });
            }
        }
        errors
    }
}
