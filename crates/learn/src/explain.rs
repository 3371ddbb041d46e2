//! Where in a clip the evidence for a class is: class activation maps ([`CamMethod`]) and attention rollout ([`rollout()`]).
//!
//! [`Explanation`] makes heat maps of clips. The functions that it uses work on tensors of any origin.

mod cam;
mod feature_maps;
mod heat_map;
mod rollout;
mod tokens;

pub use cam::{CamMethod, ClassActivationMap, class_activation_map, min_max, upscale};
pub use feature_maps::{FeatureMap, default_layer, feature_map};
pub use heat_map::{ExplainError, ExplainMethod, Explanation, HeatMap};
pub use rollout::{HeadFusion, attention_with_residual, relevance_of_tokens, rollout};
