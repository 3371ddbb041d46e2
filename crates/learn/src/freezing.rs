//! [`Freezing`]: the tensors that are not trained, and the nodes that do not train.

use crate::similar::similar;
use crate::trained_tensor::TrainedTensor;
use pipe_graph::{Graph, Op, Role};
use pipe_schemas::networks::{Backbone, FrozenParts};
use pipe_schemas::stages::train::Freeze;
use std::collections::BTreeSet;

/// The part of a network that is not trained.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Freezing {
    /// Whether each tensor is kept as it is. Buffers never have gradients, and are not marked.
    pub(crate) frozen: Vec<bool>,
    /// Whether each node computes as at inference: batch normalisations use their running statistics and keep them, dropout is off.
    pub(crate) eval: Vec<bool>,
}

/// Why a network can't be frozen as asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the message of a variant says what its fields are")]
pub enum FreezeError {
    /// A pattern fits no tensor.
    #[error("no layer or tensor of the network fits `{pattern}` in `freeze.patterns`; similar names are {}", similar.join(", "))]
    NoMatch {
        pattern: String,
        /// Names that are like it.
        similar: Vec<String>,
    },
    /// Nothing is left to train.
    #[error("all tensors of the network are frozen")]
    NothingTrained,
}

impl Freezing {
    /// Returns what `freeze` and the parameters of `backbone` freeze.
    ///
    /// # Errors
    /// [`FreezeError`] if a pattern fits nothing, or everything is frozen.
    pub fn new(backbone: &Backbone, graph: &Graph, freeze: Option<&Freeze>) -> Result<Self, FreezeError> {
        let tensors = TrainedTensor::of(backbone, graph);
        let parts = backbone.frozen_parts();
        let mut names: BTreeSet<&str> = BTreeSet::new();
        if let Some(Freeze { only_head, patterns }) = freeze {
            if *only_head {
                let head: BTreeSet<&str> = graph.head.iter().map(|id| graph.params[id.0].name.as_str()).collect();
                names.extend(tensors.iter().map(|tensor| tensor.name.as_str()).filter(|name| !head.contains(name)));
            }
            for pattern in patterns {
                let fitting: Vec<&str> = fitting(pattern, &tensors).collect();
                if fitting.is_empty() {
                    return Err(FreezeError::NoMatch { pattern: pattern.clone(), similar: similar(pattern, &tensors) });
                }
                names.extend(fitting);
            }
        }
        let in_stages = tensors.iter().filter(|tensor| in_frozen_stage(tensor.mmaction2_name(), parts.frozen_stages));
        names.extend(in_stages.map(|tensor| tensor.name.as_str()));
        let mut freezing = Self::of_tensors(graph, &names);
        freezing.freeze_norms(graph, parts);
        let is_trained = |(param, frozen): (&pipe_graph::Param, &bool)| param.role != Role::Buffer && !frozen;
        if !graph.params.iter().zip(&freezing.frozen).any(is_trained) {
            return Err(FreezeError::NothingTrained);
        }
        Ok(freezing)
    }

    /// Freezes tensors, and the nodes that belong to them.
    fn of_tensors(graph: &Graph, names: &BTreeSet<&str>) -> Self {
        let frozen: Vec<bool> = graph.params.iter().map(|param| names.contains(param.name.as_str())).collect();
        let has_gradient = |id: usize| graph.params[id].role != Role::Buffer;
        let eval = |node: &pipe_graph::Node| {
            let mut own = node.params.iter().map(|param| param.id.0).filter(|id| has_gradient(*id)).peekable();
            if own.peek().is_some() {
                return own.all(|id| frozen[id]);
            }
            // Dropout belongs to the module in whose name its own begins.
            let Some((module, _)) = node.name.rsplit_once('.') else { return false };
            let in_module = |name: &str| name.strip_prefix(module).is_some_and(|rest| rest.starts_with('.'));
            let params = graph.params.iter().zip(&frozen);
            let mut siblings =
                params.filter(|(param, _)| param.role != Role::Buffer && in_module(&param.name)).peekable();
            siblings.peek().is_some() && siblings.all(|(_, frozen)| *frozen)
        };
        let eval = graph.nodes.iter().map(eval).collect();
        Self { frozen, eval }
    }

    /// Applies `norm_eval` and `partial_bn`.
    fn freeze_norms(&mut self, graph: &Graph, parts: FrozenParts) {
        let norms = graph.nodes.iter().enumerate().filter(|(_, node)| matches!(node.op, Op::BatchNorm(_)));
        for (count, (position, node)) in norms.enumerate() {
            let is_partial = parts.partial_bn && count > 0;
            self.eval[position] |= parts.norm_eval || is_partial;
            for id in node.params.iter().map(|param| param.id.0).filter(|_| is_partial) {
                self.frozen[id] |= graph.params[id].role != Role::Buffer;
            }
        }
    }

    /// Returns whether a node computes as at inference.
    pub fn is_eval(&self, node: usize) -> bool {
        self.eval.get(node).copied().unwrap_or(false)
    }

    /// Describes what is frozen; empty if nothing is.
    pub fn lines(&self, graph: &Graph) -> Vec<String> {
        let all = || graph.params.iter().zip(&self.frozen).filter(|(param, _)| param.role != Role::Buffer);
        let len = |(param, _): (&pipe_graph::Param, &bool)| param.len();
        let frozen = || all().filter(|(_, frozen)| **frozen);
        let (num_frozen, num_tensors) = (frozen().count(), all().count());
        let num_eval = |is_counted: fn(&Op) -> bool| {
            let counted = graph.nodes.iter().zip(&self.eval).filter(|(node, _)| is_counted(&node.op));
            counted.fold((0, 0), |(eval, all), (_, is_eval)| (eval + usize::from(*is_eval), all + 1))
        };
        let mut lines = Vec::new();
        if num_frozen > 0 {
            let share = 100.0 * frozen().map(len).sum::<usize>() as f64 / all().map(len).sum::<usize>().max(1) as f64;
            lines.push(format!("{num_frozen} of {num_tensors} tensors are frozen, {share:.1} % of the parameters"));
        }
        let (num_eval, num_norms) = num_eval(|op| matches!(op, Op::BatchNorm(_)));
        if num_eval > 0 {
            lines.push(format!("{num_eval} of {num_norms} batch normalisations keep their running statistics"));
        }
        lines
    }
}

/// Returns our names of the tensors that a pattern fits.
fn fitting<'a>(pattern: &'a str, tensors: &'a [TrainedTensor]) -> impl Iterator<Item = &'a str> {
    let fits = move |tensor: &&TrainedTensor| tensor.names().any(|name| fits(pattern, name));
    tensors.iter().filter(fits).map(|tensor| tensor.name.as_str())
}

/// Returns whether a pattern is a name, or its beginning up to a dot. `*` stands for any characters.
fn fits(pattern: &str, name: &str) -> bool {
    let ends = name.match_indices('.').map(|(end, _)| end).chain([name.len()]);
    ends.into_iter().any(|end| is_like(pattern, &name[..end]))
}

fn is_like(pattern: &str, name: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else { return pattern == name };
    let Some(name) = name.strip_prefix(start) else { return false };
    let mut ends = name.char_indices().map(|(end, _)| end).chain([name.len()]);
    ends.any(|end| is_like(rest, &name[end..]))
}

/// Returns whether a tensor of a backbone belongs to the stem or to one of the first `frozen_stages` stages, by its name in MMAction2.
fn in_frozen_stage(name: &str, frozen_stages: i32) -> bool {
    stage(name).is_some_and(|stage| i32::try_from(stage).is_ok_and(|stage| stage <= frozen_stages))
}

/// Returns the stage of a tensor, 0 for the stem.
fn stage(name: &str) -> Option<u32> {
    let name = name.strip_prefix("backbone.")?;
    let (first, rest) = name.split_once('.')?;
    match first {
        // The pathways of SlowFast.
        "slow_path" | "fast_path" => stage_of_layer(rest.split_once('.')?.0),
        // Stages of Swin count from 0.
        "layers" => rest.split_once('.')?.0.parse::<u32>().ok().map(|stage| stage + 1),
        other => stage_of_layer(other),
    }
}

fn stage_of_layer(layer: &str) -> Option<u32> {
    match layer {
        "conv1" | "conv1_s" | "conv1_t" | "patch_embed" => Some(0),
        // The last convolution of MobileNetV2 is its eighth stage.
        "conv2" => Some(8),
        // The connections from the fast pathway are frozen with the stage after them.
        "conv1_lateral" => Some(1),
        other => {
            let layer = other.strip_prefix("layer")?;
            match layer.strip_suffix("_lateral") {
                Some(before) => before.parse::<u32>().ok().map(|stage| stage + 1),
                None => layer.parse().ok(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trained_tensor::testing::network;

    /// Returns the frozen tensors, and the nodes that compute as at inference.
    fn frozen(backbone: &str, freeze: Option<&str>) -> (Vec<String>, Vec<String>) {
        let (backbone, graph) = network(backbone);
        let freeze: Option<Freeze> = freeze.map(|text| serde_json::from_str(text).expect("valid"));
        let freezing = Freezing::new(&backbone, &graph, freeze.as_ref()).expect("fits");
        let params = graph.params.iter().zip(&freezing.frozen).filter(|(_, frozen)| **frozen);
        let nodes = graph.nodes.iter().zip(&freezing.eval).filter(|(_, eval)| **eval);
        (params.map(|(param, _)| param.name.clone()).collect(), nodes.map(|(node, _)| node.name.clone()).collect())
    }

    /// Checks the number of frozen tensors, and which nodes compute as at inference.
    #[track_caller]
    fn check(backbone: &str, freeze: Option<&str>, num_frozen: usize, eval: &[&str], train: &[&str]) {
        let (params, nodes) = frozen(backbone, freeze);
        assert_eq!(params.len(), num_frozen, "{params:?}");
        let is_eval = |node: &&str| nodes.iter().any(|known| known == node);
        assert_eq!(eval.iter().filter(|node| !is_eval(node)).collect::<Vec<_>>(), [&""; 0], "not as at inference");
        assert_eq!(train.iter().filter(|node| is_eval(node)).collect::<Vec<_>>(), [&""; 0], "as at inference");
    }

    #[test]
    fn stages_of_each_family_are_frozen() {
        let resnet = |params: &str| format!(r#"{{"type": "ResNetTSM", "depth": 18, {params}}}"#);
        check(&resnet(r#""frozen_stages": -1"#), None, 0, &[], &["bn1"]);
        check(&resnet(r#""frozen_stages": 0"#), None, 3, &["bn1"], &["layer1.0.bn1"]);
        // A convolution and a batch normalisation are 3 tensors; the first layer has 4 pairs.
        check(&resnet(r#""frozen_stages": 1"#), None, 15, &["layer1.1.bn2"], &["layer2.0.bn1"]);
        check(&resnet(r#""frozen_stages": 4"#), None, 60, &["layer4.1.bn2"], &["dropout", "fc"]);
        let mobilenet = |stages: i32| format!(r#"{{"type": "MobileNetV2", "frozen_stages": {stages}}}"#);
        check(&mobilenet(1), None, 9, &["features.1.conv.0.1"], &["features.2.conv.0.1"]);
        check(&mobilenet(7), None, 153, &["features.17.conv.0.1"], &["features.18.1"]);
        check(&mobilenet(8), None, 156, &["features.18.1"], &["dropout"]);
        let x3d = r#"{"type": "X3D", "frozen_stages": 0}"#;
        check(x3d, None, 4, &["backbone.conv1_t.bn"], &["backbone.layer1.0.conv1.bn"]);
        // A convolution and a batch normalisation are 3 tensors: 1 pair in the stem, 3 blocks with 3 and one shortcut.
        let csn = r#"{"type": "ResNet3dCSN", "depth": 50, "base_channels": 8, "frozen_stages": 1}"#;
        let trained = ["backbone.layer2.0.conv1.bn"];
        check(csn, None, 3 * (1 + 3 * 3 + 1), &["backbone.conv1.bn", "backbone.layer1.2.conv3.bn"], &trained);
        let csn = r#"{"type": "ResNet3dCSN", "depth": 50, "base_channels": 8, "norm_eval": true}"#;
        check(csn, None, 0, &["backbone.conv1.bn", "backbone.layer4.2.conv3.bn"], &["backbone.conv1.conv"]);
        let swin = r#"{"type": "SwinTransformer3D", "frozen_stages": 1}"#;
        let (params, nodes) = frozen(swin, None);
        let outside = |name: &&String| {
            !["patch_embed.", "features.0.", "features.1."].iter().any(|start| name.starts_with(start))
        };
        assert_eq!(params.iter().find(outside), None);
        assert!(params.iter().any(|name| name.starts_with("features.1.")), "with the downsampling of the stage");
        assert!(nodes.iter().any(|name| name == "features.0.1.mlp.drop_path"));
        assert!(!nodes.iter().any(|name| name == "features.2.0.mlp.drop_path"));
        let slowfast = r#"{"type": "ResNet3dSlowFast", "frozen_stages": 1}"#;
        let eval = ["backbone.slow_path.conv1_lateral.conv", "backbone.fast_path.layer1.0.conv1.bn"];
        let (_, nodes) = frozen(slowfast, None);
        assert!(eval.iter().all(|name| nodes.iter().any(|node| node == name)), "{nodes:?}");
        assert!(!nodes.iter().any(|node| node == "backbone.slow_path.layer1_lateral.conv"));
    }

    #[test]
    fn normalisations_keep_their_statistics() {
        let resnet = |params: &str| format!(r#"{{"type": "ResNet", "depth": 18, {params}}}"#);
        check(&resnet(r#""norm_eval": true"#), None, 0, &["bn1", "layer4.1.bn2"], &["conv1", "dropout"]);
        // All but the first of 20, with scale and offset.
        check(&resnet(r#""partial_bn": true"#), None, 38, &["layer1.0.bn1", "layer4.1.bn2"], &["bn1", "conv1"]);
    }

    #[test]
    fn only_the_classifier_is_trained() {
        let vit = r#"{"type": "VisionTransformer", "img_size": 64, "num_frames": 16, "depth": 2, "embed_dims": 32, "num_heads": 2, "drop_path_rate": 0.1}"#;
        let (backbone, graph) = network(vit);
        let freeze = Freeze { only_head: true, ..Freeze::default() };
        let freezing = Freezing::new(&backbone, &graph, Some(&freeze)).expect("fits");
        let trained =
            graph.params.iter().zip(&freezing.frozen).filter(|(param, frozen)| param.role != Role::Buffer && !**frozen);
        assert_eq!(
            trained.map(|(param, _)| param.name.as_str()).collect::<Vec<_>>(),
            ["cls_head.fc_cls.weight", "cls_head.fc_cls.bias"]
        );
        let eval: Vec<&str> = graph
            .nodes
            .iter()
            .zip(&freezing.eval)
            .filter(|(_, eval)| **eval)
            .map(|(node, _)| node.name.as_str())
            .collect();
        let droppings: Vec<&str> = graph
            .nodes
            .iter()
            .filter(|node| matches!(node.op, Op::DropPath(_)))
            .map(|node| node.name.as_str())
            .collect();
        assert!(!droppings.is_empty() && droppings.iter().all(|node| eval.contains(node)), "{droppings:?} {eval:?}");
        assert!(
            graph
                .nodes
                .iter()
                .filter(|node| matches!(node.op, Op::Dropout(_)))
                .all(|node| !eval.contains(&node.name.as_str()))
        );
        let lines = freezing.lines(&graph);
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(lines[0].starts_with("30 of 32 tensors are frozen, 99.8 %"), "{lines:?}");
    }

    #[test]
    fn patterns_fit_names_and_their_beginnings() {
        let check =
            |pattern: &str, name: &str, expect: bool| assert_eq!(fits(pattern, name), expect, "{pattern} {name}");
        check("layer1", "layer1.0.conv1.weight", true);
        check("layer1", "layer10.0.conv1.weight", false);
        check("layer1.0.conv1.weight", "layer1.0.conv1.weight", true);
        check("layer1.0.conv1.weigh", "layer1.0.conv1.weight", false);
        check("layer*.bn1", "layer1.0.bn1.weight", true);
        check("layer*.bn1", "layer1.0.bn10.weight", false);
        check("*.bias", "fc.bias", true);
        check("*", "fc", true);
        check("", "fc", false);
    }

    #[test]
    fn stages_are_those_of_mmaction2() {
        let check = |name: &str, expect: Option<u32>| assert_eq!(stage(name), expect, "{name}");
        check("backbone.conv1.bn.weight", Some(0));
        check("backbone.conv1_s.conv.weight", Some(0));
        check("backbone.patch_embed.proj.weight", Some(0));
        check("backbone.layer3.0.conv1.conv.weight", Some(3));
        check("backbone.layers.2.blocks.0.norm1.weight", Some(3));
        check("backbone.conv2.conv.weight", Some(8));
        check("backbone.slow_path.layer2.0.conv1.conv.weight", Some(2));
        check("backbone.slow_path.conv1_lateral.conv.weight", Some(1));
        check("backbone.slow_path.layer3_lateral.conv.weight", Some(4));
        check("backbone.conv5.conv.weight", None);
        check("cls_head.fc_cls.weight", None);
    }
}
