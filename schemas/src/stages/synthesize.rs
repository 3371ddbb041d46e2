//! `synthesize`: labelled clips whose class can be told only from motion.

use crate::contract::{
    Check, Contract, Numerics, OutputPort, ParamError, Params, PortType, Tool, Worker, parse, schema,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Contract of `synthesize`.
pub const CONTRACT: Contract = Contract {
    kind: "synthesize",
    version: 1,
    summary: "encodes labelled clips that differ in motion only, in the layout of UCF101",
    worker: Some(Worker::Data),
    open_ports: false,
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

/// A class of motion. The first and last frame of a clip say nothing about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Motion {
    /// Moves to the left, and comes in again on the right.
    MoveLeft,
    /// Moves to the right.
    MoveRight,
    /// Moves up.
    MoveUp,
    /// Moves down.
    MoveDown,
    /// Turns clockwise.
    RotateClockwise,
    /// Turns counter-clockwise.
    RotateCounterclockwise,
    /// Grows, and starts small again.
    Grow,
    /// Shrinks, and starts large again.
    Shrink,
}

/// Parameters of `synthesize`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SynthesizeParams {
    /// The classes; each name in CamelCase is a class folder, as in UCF101.
    pub classes: Vec<Motion>,
    /// Groups a class (`gNN`): one background, shape and colour each. UCF101 has 25.
    #[schemars(range(min = 2, max = 99))]
    pub groups: u32,
    /// Of these, the first so many are the test list, as in UCF101's split 1.
    #[schemars(range(min = 1, max = 98))]
    pub test_groups: u32,
    /// Clips a group (`cNN`).
    #[schemars(range(min = 1, max = 99))]
    pub clips_per_group: u32,
    /// Frames a clip.
    #[schemars(range(min = 2, max = 10_000))]
    pub frames_per_clip: u32,
    /// Frames a second.
    #[schemars(range(min = 1, max = 240))]
    pub fps: u32,
    /// Pixels, even.
    #[schemars(range(min = 16, max = 4096))]
    pub width_px: u32,
    /// Pixels, even.
    #[schemars(range(min = 16, max = 4096))]
    pub height_px: u32,
    /// What all draws derive from.
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
