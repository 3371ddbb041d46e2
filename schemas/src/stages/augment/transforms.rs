//! [`Transform`]: the steps from stored frames to what the network sees. Each has a file of its own.

mod aug_mix;
mod center_crop;
mod color_jitter;
mod flip;
mod multi_scale_crop;
mod rand_augment;
mod random_crop;
mod random_erasing;
mod random_rescale;
mod random_resized_crop;
mod resize;
mod ten_crop;
mod three_crop;

pub use random_erasing::EraseMode;
pub use resize::Scale;

use super::InvalidField;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The parameters of one transform.
trait TransformParams {
    /// Returns whether two clips of the same frames may come out different.
    fn is_random(&self) -> bool;

    /// Returns whether it changes the values of pixels, rather than which part of the frame is shown and at which size.
    fn changes_pixels(&self) -> bool;

    /// Returns the class indices that the parameters name.
    fn class_indices(&self) -> Vec<u32> {
        Vec::new()
    }

    /// Checks what the JSON schema can't express: ranges whose ends depend on each other.
    fn check(&self) -> Result<(), InvalidField> {
        Ok(())
    }
}

macro_rules! transforms {
    ($($module:ident::$name:ident),+ $(,)?) => {
        $(pub use $module::$name;)+

        /// A step from stored frames to what the network sees. Names and parameters are those of MMAction2; `RandAugment`
        /// and `AugMix` follow pytorchvideo.
        ///
        /// Transforms that crop, scale and mirror come first; they cost a single resampling together. Those that change the
        /// values of pixels (`ColorJitter`, `RandAugment`, `AugMix`, `RandomErasing`) come after them.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
        #[serde(tag = "type", deny_unknown_fields)]
        #[expect(missing_docs, reason = "each variant is documented where its parameters are")]
        pub enum Transform {
            $($name($name),)+
        }

        impl Transform {
            fn params(&self) -> &dyn TransformParams {
                match self {
                    $(Self::$name(params) => params,)+
                }
            }
        }

        $(impl From<$name> for Transform {
            fn from(params: $name) -> Self {
                Self::$name(params)
            }
        })+
    };
}

transforms! {
    resize::Resize,
    random_rescale::RandomRescale,
    random_crop::RandomCrop,
    center_crop::CenterCrop,
    random_resized_crop::RandomResizedCrop,
    multi_scale_crop::MultiScaleCrop,
    flip::Flip,
    three_crop::ThreeCrop,
    ten_crop::TenCrop,
    color_jitter::ColorJitter,
    rand_augment::RandAugment,
    aug_mix::AugMix,
    random_erasing::RandomErasing,
}

impl Transform {
    /// Returns whether it changes the values of pixels, rather than which part of the frame is shown and at which size.
    pub fn changes_pixels(&self) -> bool {
        self.params().changes_pixels()
    }

    /// Returns the class indices that its parameters name, which must be classes of the labels.
    pub fn class_indices(&self) -> Vec<u32> {
        self.params().class_indices()
    }

    pub(super) fn is_random(&self) -> bool {
        self.params().is_random()
    }

    pub(super) fn check(&self) -> Result<(), InvalidField> {
        self.params().check()
    }
}

/// Returns whether a range of positive numbers is not empty.
fn is_range([low, high]: [f64; 2]) -> bool {
    0.0 < low && low <= high && high.is_finite()
}
