//! [`ParamGroups`]: the learning rate and weight decay of each tensor, with the rules of MMEngine and MMAction2. Start at
//! [`ParamGroups::new`].

mod custom_keys;
mod default;
mod layer_decay;
mod swin;
mod tsm;

use crate::trained_tensor::TrainedTensor;
use pipe_schemas::stages::train::{Constructor, OptimWrapper};

/// The settings of a tensor.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ParamGroup {
    /// The learning rate before schedules.
    pub lr: f64,
    /// The weight decay.
    pub weight_decay: f64,
}

/// The settings of all tensors of a network that can be trained.
#[derive(Debug, Clone, PartialEq)]
pub struct ParamGroups {
    /// By tensor.
    groups: Vec<ParamGroup>,
    /// The distinct learning rates before schedules. The first is that of the optimiser.
    initial_rates: Vec<f64>,
}

/// Why the settings of tensors do not fit a network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the message of a variant says what its fields are")]
pub enum ParamGroupsError {
    /// A key of `custom_keys` is in no name.
    #[error(
        "no tensor of the network has `{key}` in its name, the key of `optim_wrapper.paramwise_cfg.custom_keys`; similar names are {}",
        similar.join(", ")
    )]
    UnknownKey {
        key: String,
        /// Names that are like the key.
        similar: Vec<String>,
    },
    /// A constructor has no rule for a tensor.
    #[error(
        "`{constructor}` has no rule for the tensor `{tensor}`: it is for networks of convolutions, linear layers and batch normalisations"
    )]
    NoRule { constructor: &'static str, tensor: String },
    /// A network for layer decay has no blocks, or has batch normalisations.
    #[error(
        "`{constructor}` is for `VisionTransformer` and `MViT`, networks of numbered blocks without batch normalisation"
    )]
    NoBlocks { constructor: &'static str },
}

impl ParamGroups {
    /// Returns the settings of `tensors`, those of a whole network in its order.
    ///
    /// # Errors
    /// [`ParamGroupsError`] if the rules do not fit the network.
    pub fn new(wrapper: &OptimWrapper, tensors: &[TrainedTensor]) -> Result<Self, ParamGroupsError> {
        let OptimWrapper { optimizer, constructor, paramwise_cfg, .. } = wrapper;
        // The stage replaces `auto` before it trains.
        let base = ParamGroup { lr: optimizer.lr().unwrap_or_default(), weight_decay: optimizer.weight_decay() };
        let Some(cfg) = paramwise_cfg else {
            return Ok(Self { groups: vec![base; tensors.len()], initial_rates: vec![base.lr] });
        };
        let groups = match constructor {
            Constructor::DefaultOptimWrapperConstructor => default::groups(cfg, base, tensors)?,
            Constructor::TSMOptimWrapperConstructor => tsm::groups(cfg, base, tensors)?,
            Constructor::LearningRateDecayOptimizerConstructor => layer_decay::groups(cfg, base, tensors)?,
            Constructor::SwinOptimWrapperConstructor => swin::groups(cfg, base, tensors)?,
        };
        let mut initial_rates = vec![base.lr];
        for group in &groups {
            if !initial_rates.iter().any(|rate| rate.to_bits() == group.lr.to_bits()) {
                initial_rates.push(group.lr);
            }
        }
        Ok(Self { groups, initial_rates })
    }

    /// Returns the settings by tensor.
    pub fn groups(&self) -> &[ParamGroup] {
        &self.groups
    }

    /// Returns the distinct learning rates before schedules. The first is that of the optimiser, even if no tensor has it.
    pub fn initial_rates(&self) -> &[f64] {
        &self.initial_rates
    }

    /// Returns, for each tensor, which of [`Self::initial_rates`] is its own.
    pub(crate) fn rate_indices(&self) -> Vec<usize> {
        let index =
            |group: &ParamGroup| self.initial_rates.iter().position(|rate| rate.to_bits() == group.lr.to_bits());
        self.groups.iter().map(|group| index(group).unwrap_or(0)).collect()
    }

    /// Describes the groups in the order of their first tensors; empty if there is only one.
    pub fn lines(&self) -> Vec<String> {
        let mut counts: Vec<(ParamGroup, usize)> = Vec::new();
        for group in &self.groups {
            match counts.iter_mut().find(|(known, _)| known == group) {
                Some((_, count)) => *count += 1,
                None => counts.push((*group, 1)),
            }
        }
        if counts.len() < 2 {
            return Vec::new();
        }
        let line = |(ParamGroup { lr, weight_decay }, count): (ParamGroup, usize)| {
            let tensors = if count == 1 { "1 tensor".to_owned() } else { format!("{count} tensors") };
            format!("lr {lr}, weight decay {weight_decay}: {tensors}")
        };
        counts.into_iter().map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trained_tensor::testing::network;

    /// Returns the settings by our names, for a learning rate of 1 and a weight decay of 1.
    fn groups(backbone: &str, wrapper: &str) -> Result<Vec<(String, f64, f64)>, String> {
        let optimizer = r#""optimizer": {"type": "SGD", "lr": 1.0, "weight_decay": 1.0}"#;
        let wrapper = serde_json::from_str(&format!("{{{optimizer}, {wrapper}}}")).expect("valid");
        let (backbone, graph) = network(backbone);
        let tensors = TrainedTensor::of(&backbone, &graph);
        let groups = ParamGroups::new(&wrapper, &tensors).map_err(|error| error.to_string())?;
        let row = |(tensor, group): (&TrainedTensor, &ParamGroup)| (tensor.name.clone(), group.lr, group.weight_decay);
        Ok(tensors.iter().zip(groups.groups()).map(row).collect())
    }

    /// Checks learning rate and weight decay of tensors.
    #[track_caller]
    fn check(backbone: &str, wrapper: &str, expect: &[(&str, f64, f64)]) {
        let found = groups(backbone, wrapper).expect("fits");
        for (name, lr, decay) in expect {
            let (_, found_lr, found_decay) = found.iter().find(|(known, ..)| known == name).expect("a tensor");
            let near = |found: f64, expected: f64| (found - expected).abs() < 1e-12;
            assert!(near(*found_lr, *lr) && near(*found_decay, *decay), "{name}: {found_lr}, {found_decay}");
        }
    }

    const MOBILENET: &str = r#"{"type": "MobileNetV2TSM"}"#;

    #[test]
    fn the_longest_key_decides_and_switches_the_multipliers_off() {
        let multipliers = r#""bias_lr_mult": 2, "bias_decay_mult": 3, "norm_decay_mult": 0, "dwconv_decay_mult": 0.5"#;
        let wrapper = format!(r#""paramwise_cfg": {{{multipliers}}}"#);
        let plain = [
            ("features.0.0.weight", 1.0, 1.0),
            ("features.0.1.weight", 1.0, 0.0),
            ("features.0.1.bias", 1.0, 0.0),
            // A depthwise convolution, and a pointwise one.
            ("features.1.conv.0.0.weight", 1.0, 0.5),
            ("features.1.conv.1.weight", 1.0, 1.0),
            ("classifier.1.bias", 2.0, 3.0),
        ];
        check(MOBILENET, &wrapper, &plain);
        let keys = r#""custom_keys": {"backbone": {"lr_mult": 0.1}, "features.0.": {"decay_mult": 7}, "cls_head": {}}"#;
        let wrapper = format!(r#""paramwise_cfg": {{{keys}, {multipliers}}}"#);
        let custom = [
            ("features.0.0.weight", 1.0, 7.0),
            ("features.0.1.bias", 1.0, 7.0),
            ("features.1.conv.0.0.weight", 0.1, 1.0),
            ("classifier.1.bias", 1.0, 1.0),
        ];
        check(MOBILENET, &wrapper, &custom);
        // Of keys of the same length the first in alphabetical order.
        let keys = r#""paramwise_cfg": {"custom_keys": {"weight": {"lr_mult": 5}, "featur": {"lr_mult": 4}}}"#;
        check(MOBILENET, keys, &[("features.0.0.weight", 4.0, 1.0), ("classifier.1.weight", 5.0, 1.0)]);
        let flat = r#""paramwise_cfg": {"flat_decay_mult": 0, "bias_decay_mult": 2}"#;
        check(MOBILENET, flat, &[("features.0.1.weight", 1.0, 0.0), ("features.0.1.bias", 1.0, 2.0)]);
    }

    #[test]
    fn networks_that_mmaction2_does_not_have_get_its_prefixes() {
        let keys = r#""paramwise_cfg": {"custom_keys": {"backbone": {"lr_mult": 0.1}, "cls_head": {"lr_mult": 10}}}"#;
        check(r#"{"type": "R3D"}"#, keys, &[("stem.0.weight", 0.1, 1.0), ("fc.weight", 10.0, 1.0)]);
    }

    #[test]
    fn tsm_has_no_decay_for_biases_and_normalisations() {
        let wrapper = |fc_lr5: bool| {
            format!(r#""constructor": "TSMOptimWrapperConstructor", "paramwise_cfg": {{"fc_lr5": {fc_lr5}}}"#)
        };
        let tsm = r#"{"type": "ResNetTSM", "depth": 18}"#;
        check(tsm, &wrapper(false), &[("fc.weight", 1.0, 1.0), ("fc.bias", 2.0, 0.0), ("bn1.bias", 1.0, 0.0)]);
        check(tsm, &wrapper(true), &[("fc.weight", 5.0, 1.0), ("fc.bias", 10.0, 0.0), ("conv1.weight", 1.0, 1.0)]);
        let error = groups(r#"{"type": "ResNetRNN", "depth": 18}"#, &wrapper(true)).expect_err("no rule");
        assert!(error.starts_with("`TSMOptimWrapperConstructor` has no rule for the tensor `rnn."), "{error}");
    }

    #[test]
    fn rates_fall_from_the_classifier_to_the_patches() {
        let wrapper = r#""constructor": "LearningRateDecayOptimizerConstructor", "paramwise_cfg": {"decay_rate": 0.5}"#;
        let vit = r#"{"type": "VisionTransformer", "img_size": 64, "num_frames": 16, "depth": 2, "embed_dims": 32, "num_heads": 2}"#;
        let of_vit = [
            ("backbone.patch_embed.projection.weight", 0.125, 1.0),
            ("backbone.blocks.0.attn.q_bias", 0.25, 0.0),
            ("backbone.blocks.1.attn.qkv.weight", 0.5, 1.0),
            ("cls_head.fc_cls.weight", 1.0, 1.0),
            ("cls_head.fc_cls.bias", 1.0, 0.0),
        ];
        check(vit, wrapper, &of_vit);
        let deeper = wrapper.replace("0.5}", r#"0.5, "num_layers": 3}"#);
        check(vit, &deeper, &[("backbone.blocks.1.attn.qkv.weight", 0.25, 1.0)]);
        let mvit = r#"{"type": "MViT", "version": "v2", "spatial_size": [64, 64]}"#;
        let scale = 0.5f64.powi(17);
        let of_mvit = [
            ("conv_proj.weight", scale, 1.0),
            ("pos_encoding.class_token", scale, 1.0),
            ("blocks.0.norm1.weight", 2.0 * scale, 0.0),
            ("blocks.15.attn.rel_pos_h", 0.5, 1.0),
            ("norm.weight", 1.0, 0.0),
        ];
        check(mvit, wrapper, &of_mvit);
        let error = groups(MOBILENET, wrapper).expect_err("no blocks");
        assert!(error.contains("is for `VisionTransformer` and `MViT`"), "{error}");
    }

    #[test]
    fn swin_multiplies_all_keys() {
        let wrapper = r#""constructor": "SwinOptimWrapperConstructor", "paramwise_cfg": {"custom_keys": {
            "relative_position_bias_table": {"decay_mult": 0}, "norm": {"decay_mult": 0}, "backbone": {"lr_mult": 0.1},
            "layers.0": {"lr_mult": 0.5}}}"#;
        let expect = [
            ("patch_embed.proj.weight", 0.1, 1.0),
            ("features.0.0.norm1.weight", 0.05, 0.0),
            ("features.2.0.attn.relative_position_bias_table", 0.1, 0.0),
            ("head.bias", 1.0, 1.0),
        ];
        check(r#"{"type": "SwinTransformer3D"}"#, wrapper, &expect);
    }
}
