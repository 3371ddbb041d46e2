//! [`Transform`]: a step from stored frames to what the network sees.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A step from stored frames to what the network sees. Names and parameters are those of MMAction2, `RandAugment` and
/// `AugMix` those of pytorchvideo.
///
/// Steps that cut, scale and mirror come first, in their order; they cost one resampling together. Those that change
/// pixels, from `ColorJitter` on, come after them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", deny_unknown_fields)]
pub enum Transform {
    /// Scales the whole frame.
    Resize {
        /// To which size.
        scale: Scale,
    },
    /// Scales the short side to a length drawn from a range, the aspect is kept.
    RandomRescale {
        /// The shortest and the longest it may become, in pixels.
        scale_range: [u32; 2],
    },
    /// Cuts a square at a uniform offset.
    RandomCrop {
        /// Its side in pixels.
        #[schemars(range(min = 1, max = 4096))]
        size: u32,
    },
    /// Cuts a square from the middle.
    CenterCrop {
        /// Its side in pixels.
        #[schemars(range(min = 1, max = 4096))]
        crop_size: u32,
    },
    /// Cuts a box of random area and aspect.
    RandomResizedCrop {
        /// Share of the frame's area.
        #[serde(default = "area_range")]
        area_range: [f64; 2],
        /// Width over height.
        #[serde(default = "aspect_ratio_range")]
        aspect_ratio_range: [f64; 2],
    },
    /// Cuts a box at one of several scales (TSN).
    MultiScaleCrop {
        /// Side in pixels of the square that follows.
        #[schemars(range(min = 1, max = 4096))]
        input_size: u32,
        /// Sides as shares of the short side.
        #[serde(default = "multi_scales")]
        scales: Vec<f64>,
        /// How far apart width's and height's positions in `scales` may be.
        #[serde(default = "one")]
        max_wh_scale_gap: u32,
        /// Takes any offset, not one of the fixed ones.
        #[serde(default)]
        random_crop: bool,
        /// Offsets to choose from: 5, the corners and the middle, or 13 (TSM).
        #[serde(default = "five")]
        num_fixed_crops: u32,
    },
    /// Mirrors left and right.
    Flip {
        /// How often.
        #[serde(default = "half")]
        #[schemars(range(min = 0.0, max = 1.0))]
        flip_ratio: f64,
        /// From a class to the one that its mirror image belongs to, by class index: what is pushed from left to right is
        /// pushed from right to left in the mirror.
        #[serde(default)]
        flip_label_map: BTreeMap<String, u32>,
    },
    /// Takes three views: left or top, right or bottom, middle.
    ThreeCrop {
        /// The side in pixels.
        #[schemars(range(min = 1, max = 4096))]
        crop_size: u32,
    },
    /// Takes ten views: the four corners and the middle, each followed by its mirror image.
    TenCrop {
        /// The side in pixels.
        #[schemars(range(min = 1, max = 4096))]
        crop_size: u32,
    },
    /// Changes brightness, contrast, saturation and hue, in an order drawn with them; the same for all frames of a clip.
    ColorJitter {
        /// The factor lies this far from 1 at most.
        #[serde(default = "half")]
        #[schemars(range(min = 0.0, max = 1.0))]
        brightness: f64,
        /// Likewise.
        #[serde(default = "half")]
        #[schemars(range(min = 0.0, max = 1.0))]
        contrast: f64,
        /// Likewise.
        #[serde(default = "half")]
        #[schemars(range(min = 0.0, max = 1.0))]
        saturation: f64,
        /// The hue moves by this share of the circle at most.
        #[serde(default = "tenth")]
        #[schemars(range(min = 0.0, max = 0.5))]
        hue: f64,
    },
    /// Does `num_layers` of fourteen operations, no two the same, each with probability `prob`.
    RandAugment {
        /// How strong they are, from 0 to 10; each is drawn around it.
        #[serde(default = "nine")]
        #[schemars(range(min = 0.0, max = 10.0))]
        magnitude: f64,
        /// Standard deviation of that draw.
        #[serde(default = "half")]
        #[schemars(range(min = 0.0, max = 10.0))]
        magnitude_std: f64,
        /// Operations to choose.
        #[serde(default = "two")]
        #[schemars(range(min = 1, max = 14))]
        num_layers: u32,
        /// How often a chosen one is done.
        #[serde(default = "half")]
        #[schemars(range(min = 0.0, max = 1.0))]
        prob: f64,
    },
    /// Blends the clip with chains of operations on it.
    AugMix {
        /// The strongest that an operation may be, from 0.1 to 10.
        #[serde(default = "three")]
        #[schemars(range(min = 0.1, max = 10.0))]
        magnitude: f64,
        /// Of the Beta and Dirichlet distributions of shares.
        #[serde(default = "whole")]
        #[schemars(range(min = 0.01, max = 100.0))]
        alpha: f64,
        /// Chains.
        #[serde(default = "three_chains")]
        #[schemars(range(min = 1, max = 16))]
        width: u32,
        /// Operations in each chain; 0 draws 1 to 3 for each.
        #[serde(default)]
        #[schemars(range(min = 0, max = 16))]
        depth: u32,
    },
    /// Fills a box, the same one in all frames.
    RandomErasing {
        /// How often.
        #[serde(default = "half")]
        #[schemars(range(min = 0.0, max = 1.0))]
        erase_prob: f64,
        /// Least share of the area.
        #[serde(default = "fiftieth")]
        #[schemars(range(min = 0.0, max = 1.0))]
        min_area_ratio: f64,
        /// Largest share of the area.
        #[serde(default = "third")]
        #[schemars(range(min = 0.0, max = 1.0))]
        max_area_ratio: f64,
        /// Height over width.
        #[serde(default = "erased_aspects")]
        aspect_range: [f64; 2],
        /// What it is filled with.
        #[serde(default)]
        mode: EraseMode,
        /// Red, green and blue for `mode: const`.
        #[serde(default = "grey")]
        fill_color: [u8; 3],
    },
}

/// What an erased box is filled with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EraseMode {
    /// One colour.
    #[default]
    Const,
    /// A random colour for each pixel of each frame.
    Rand,
}

/// A size to scale to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Scale {
    /// The short side has so many pixels, the aspect is kept.
    ShortSidePx(u32),
    /// Exactly width by height.
    Exact([u32; 2]),
}

/// Field, message and help.
type Misfit = (&'static str, String, &'static str);

impl Transform {
    /// Returns whether it changes pixels and leaves them where they are.
    pub fn changes_pixels(&self) -> bool {
        matches!(
            self,
            Self::ColorJitter { .. } | Self::RandAugment { .. } | Self::AugMix { .. } | Self::RandomErasing { .. }
        )
    }

    pub(super) fn is_random(&self) -> bool {
        match self {
            Self::Resize { .. } | Self::CenterCrop { .. } | Self::ThreeCrop { .. } | Self::TenCrop { .. } => false,
            Self::Flip { flip_ratio, .. } => *flip_ratio > 0.0 && *flip_ratio < 1.0,
            Self::RandomRescale { .. }
            | Self::RandomCrop { .. }
            | Self::RandomResizedCrop { .. }
            | Self::MultiScaleCrop { .. }
            | Self::ColorJitter { .. }
            | Self::RandAugment { .. }
            | Self::AugMix { .. }
            | Self::RandomErasing { .. } => true,
        }
    }

    /// Returns what is wrong with numbers that fit their own range, but not each other.
    pub(super) fn misfit(&self) -> Option<Misfit> {
        const ORDER: &str = "0 < low <= high";
        let rises = |[low, high]: [f64; 2]| 0.0 < low && low <= high && high.is_finite();
        match self {
            Self::RandomResizedCrop { area_range: [low, high], .. } if !(rises([*low, *high]) && *high <= 1.0) => {
                Some(("area_range", format!("[{low}, {high}] is no range of shares"), "0 < low <= high <= 1"))
            }
            Self::RandomResizedCrop { aspect_ratio_range: [low, high], .. } if !rises([*low, *high]) => {
                Some(("aspect_ratio_range", format!("[{low}, {high}] is no range of aspects"), ORDER))
            }
            Self::RandomErasing { aspect_range: [low, high], .. } if !rises([*low, *high]) => {
                Some(("aspect_range", format!("[{low}, {high}] is no range of aspects"), ORDER))
            }
            Self::RandomErasing { min_area_ratio, max_area_ratio, .. } if min_area_ratio > max_area_ratio => Some((
                "min_area_ratio",
                format!("{min_area_ratio} is above `max_area_ratio`, {max_area_ratio}"),
                "min_area_ratio <= max_area_ratio",
            )),
            Self::RandomRescale { scale_range: [low, high] } if *low == 0 || low > high || *high > 65_535 => {
                Some(("scale_range", format!("[{low}, {high}] is no range of pixels"), "0 < low <= high <= 65535"))
            }
            Self::MultiScaleCrop { num_fixed_crops, .. } if ![5, 13].contains(num_fixed_crops) => {
                Some(("num_fixed_crops", format!("there are no {num_fixed_crops} fixed crops"), "5 or 13"))
            }
            Self::Flip { flip_label_map, .. } => {
                let wrong = flip_label_map.keys().find(|class| class.parse::<u32>().is_err())?;
                Some(("flip_label_map", format!("`{wrong}` is no class index"), "for example { 86: 87, 87: 86 }"))
            }
            _ => None,
        }
    }
}

fn one() -> u32 {
    1
}

fn two() -> u32 {
    2
}

fn three_chains() -> u32 {
    3
}

fn five() -> u32 {
    5
}

fn half() -> f64 {
    0.5
}

fn tenth() -> f64 {
    0.1
}

fn fiftieth() -> f64 {
    0.02
}

fn third() -> f64 {
    1.0 / 3.0
}

fn whole() -> f64 {
    1.0
}

fn three() -> f64 {
    3.0
}

fn nine() -> f64 {
    9.0
}

fn erased_aspects() -> [f64; 2] {
    [3.0 / 10.0, 10.0 / 3.0]
}

fn grey() -> [u8; 3] {
    [128; 3]
}

fn area_range() -> [f64; 2] {
    [0.08, 1.0]
}

fn aspect_ratio_range() -> [f64; 2] {
    [3.0 / 4.0, 4.0 / 3.0]
}

fn multi_scales() -> Vec<f64> {
    vec![1.0, 0.875, 0.75, 0.66]
}
