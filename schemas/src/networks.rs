//! The networks of the zoo: the parameters under `model:` of `train` and `pretrained`. Start at [`ModelParams`].
//!
//! A family has one file here with its parameters, and one in `pipe-models` with its graph. To add one, write `networks/NAME.rs`
//! and add a line to the list at the end of this file.

mod defaults;
mod family;
mod frozen_parts;
mod hidden_act;
mod image_size;
mod project;

pub use family::{Family, FamilyInfo};
pub use frozen_parts::FrozenParts;
pub use hidden_act::HiddenAct;
pub use image_size::ImageSize;
pub use project::Project;

use crate::contract::ParamError;
use crate::losses::Loss;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A network of the zoo.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ModelParams {
    /// The part of the network that turns pixels into features.
    pub backbone: Backbone,
    /// The part of the network that turns features into logits.
    pub cls_head: ClsHead,
    /// The normalisation of pixels before the network.
    pub data_preprocessor: DataPreprocessor,
}

/// The part of the network that turns features into logits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ClsHead {
    /// The number of classes; by default the number in the labels. A different number is an error.
    pub num_classes: Option<u32>,
    /// The share of features that dropout sets to 0 in training.
    #[schemars(range(min = 0.0, max = 0.99))]
    pub dropout_ratio: f64,
    /// The standard deviation of the classifier's initial weights.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub init_std: f64,
    /// How the predictions for the views of a video are averaged.
    pub average_clips: AverageClips,
    /// What training minimises. Default: `CrossEntropyLoss` for one label per video, `BCELossWithLogits` for several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loss_cls: Option<Loss>,
    /// The share of each label that is spread evenly over all classes. With several labels per video, every class gets it in addition.
    /// Default: 0.
    #[serde(skip_serializing_if = "is_zero")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub label_smooth_eps: f64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(value: &f64) -> bool {
    *value == 0.0
}

/// How the predictions for the views of a video are averaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AverageClips {
    /// The mean of probabilities.
    Prob,
    /// The mean of logits.
    Score,
}

/// The normalisation of pixels (0 to 255, RGB): `(x - mean) / std`. The default is ImageNet's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DataPreprocessor {
    /// The mean of each channel: red, green, blue.
    pub mean: [f64; 3],
    /// The standard deviation of each channel: red, green, blue.
    pub std: [f64; 3],
}

impl ModelParams {
    /// Returns violations that types can't express, at paths from `with:`.
    pub(crate) fn check(&self) -> Vec<ParamError> {
        let std = self.data_preprocessor.std.iter().enumerate().filter(|(_, std)| **std <= 0.0);
        let of_std = std.map(|(channel, std)| ParamError {
            path: ["model", "data_preprocessor", "std", &channel.to_string()].map(String::from).into(),
            message: format!("pixels cannot be divided by {std}"),
            help: "a number above 0".into(),
        });
        of_std.chain(self.cls_head.loss_cls.iter().flat_map(Loss::check)).collect()
    }
}

impl Default for ModelParams {
    fn default() -> Self {
        Self {
            backbone: resnet::ResNet::default().into(),
            cls_head: ClsHead::default(),
            data_preprocessor: DataPreprocessor::default(),
        }
    }
}

impl Default for ClsHead {
    fn default() -> Self {
        Self {
            num_classes: None,
            dropout_ratio: 0.4,
            init_std: 0.01,
            average_clips: AverageClips::Prob,
            loss_cls: None,
            label_smooth_eps: 0.0,
        }
    }
}

/// The constants of ImageNet, as torchvision and MMAction2 use them.
impl Default for DataPreprocessor {
    fn default() -> Self {
        Self { mean: [123.675, 116.28, 103.53], std: [58.395, 57.12, 57.375] }
    }
}

/// Declares the module of each family, [`Backbone`] as the enum over their parameters, and [`FAMILIES`].
macro_rules! define_families {
    ($($module:ident: $($name:ident),+;)*) => {
        $(pub mod $module;)*

        /// The part of the network that turns pixels into features.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
        #[serde(tag = "type")]
        #[expect(missing_docs, reason = "each variant is documented by its struct, and the JSON schema takes that text")]
        pub enum Backbone {
            $($($name($module::$name),)+)*
        }

        /// All network families, for lists and documentation.
        pub const FAMILIES: &[FamilyInfo] = &[$($(FamilyInfo {
            type_name: stringify!($name),
            summary: <$module::$name as Family>::SUMMARY,
            paper: <$module::$name as Family>::PAPER,
            weights: <$module::$name as Family>::WEIGHTS,
        },)+)*];

        impl Backbone {
            /// Returns the parts that are not trained.
            pub fn frozen_parts(&self) -> FrozenParts {
                match self { $($(Self::$name(params) => params.frozen_parts(),)+)* }
            }
        }

        $($(impl From<$module::$name> for Backbone {
            fn from(params: $module::$name) -> Self {
                Self::$name(params)
            }
        })+)*
    };
}

define_families! {
    resnet: ResNet, ResNetTSM;
    mobilenet_v2: MobileNetV2, MobileNetV2TSM;
    r3d: R3D, MC3, R2Plus1D;
    resnet_rnn: ResNetRNN;
    c3d: C3D;
    s3d: S3D;
    resnet3d: ResNet3d, ResNet3dSlowOnly;
    resnet3d_csn: ResNet3dCSN;
    resnet3d_slowfast: ResNet3dSlowFast;
    resnet2plus1d: ResNet2Plus1d;
    x3d: X3D;
    inception_v3: InceptionV3;
    mvit: MViT;
    swin3d: SwinTransformer3D;
    vision_transformer: VisionTransformer;
    timesformer: TimeSformer;
    vjepa2: VJEPA2;
    vivit: ViViT;
}
