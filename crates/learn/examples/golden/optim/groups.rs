//! The learning rates and weight decays of the tensors of whole networks.

use super::remove_unmatched_keys;
use super::report::Differences;
use super::runs::{Group, compare_group, wrapper};
use crate::architectures::{Architecture, architectures};
use pipe_graph::{ClipShape, Graph};
use pipe_learn::{ParamGroup, ParamGroups, TrainedTensor};
use pipe_schemas::networks::ModelParams;
use pipe_schemas::stages::train::Constructor;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::error::Error;

/// The groups of a network. Parameters of the constructor are among `rest`, or in `paramwise_cfg`.
#[derive(Deserialize)]
pub(super) struct GroupsCase {
    model: String,
    #[serde(default)]
    constructor: Constructor,
    lr: f64,
    weight_decay: f64,
    paramwise_cfg: Option<Map<String, Value>>,
    /// By learning rate and weight decay.
    groups: Option<BTreeMap<String, Members>>,
    /// By tensor; not all need be listed.
    tensors: Option<BTreeMap<String, Group>>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// The tensors of a group.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Members {
    count: usize,
    #[serde(default)]
    first: Vec<String>,
    #[serde(default)]
    last: Vec<String>,
}

/// The settings of a network's tensors.
struct Found {
    tensors: Vec<TrainedTensor>,
    groups: ParamGroups,
    /// Positions by the name in the file.
    positions: BTreeMap<String, usize>,
}

impl GroupsCase {
    pub(super) fn measure(&self) -> Result<Differences, Box<dyn Error>> {
        let found = self.found()?;
        let mut differences = Differences::default();
        for (name, expected) in self.tensors.iter().flatten() {
            compare_group(&mut differences, name, found.group(name)?, expected);
        }
        if let Some(groups) = &self.groups {
            let mut num_tensors = 0;
            for (text, members) in groups {
                compare_members(&mut differences, text, members, &found)?;
                num_tensors += members.count;
            }
            differences.value("number of tensors", found.tensors.len() as f64, num_tensors as f64);
        }
        Ok(differences)
    }

    fn found(&self) -> Result<Found, Box<dyn Error>> {
        let Architecture { backbone, map, .. } = network(&self.model)?;
        let params = ModelParams { backbone: backbone.clone(), ..ModelParams::default() };
        let clip = ClipShape { channels: 3, frames: 16, height: 224, width: 224 };
        let graph = pipe_models::build(&params, clip, 400)?;
        let mut cfg = self.rest.clone();
        cfg.extend(self.paramwise_cfg.clone().unwrap_or_default());
        let mut fields = Map::new();
        let optimizer = json!({ "type": "SGD", "lr": self.lr, "weight_decay": self.weight_decay });
        fields.insert("optimizer".to_owned(), optimizer);
        fields.insert("paramwise_cfg".to_owned(), cfg.into());
        let tensors = TrainedTensor::of(&backbone, &graph);
        let mut wrapper = wrapper(fields, self.constructor)?;
        remove_unmatched_keys(&mut wrapper, &tensors);
        let groups = ParamGroups::new(&wrapper, &tensors)?;
        let positions = positions(&graph, &map, &tensors)?;
        Ok(Found { tensors, groups, positions })
    }
}

/// Returns the network that a text such as `TSM-R50 (MMAction2 names), 101 classes` means: the name of an architecture, with remarks.
fn network(text: &str) -> Result<Architecture, Box<dyn Error>> {
    let name = text.split([' ', ',', '(']).next().unwrap_or_default().to_lowercase().replace('-', "_");
    Ok(architectures(&name, [1, 3, 16, 224, 224])?.swap_remove(0))
}

/// Returns the positions of tensors by each name: ours, MMAction2's, and that of the file's project.
fn positions(
    graph: &Graph,
    map: &pipe_models::NameMap,
    tensors: &[TrainedTensor],
) -> Result<BTreeMap<String, usize>, Box<dyn Error>> {
    let names = |(position, tensor): (usize, &TrainedTensor)| -> Vec<(String, usize)> {
        tensor.names().map(|name| (name.to_owned(), position)).collect()
    };
    let mut positions: BTreeMap<String, usize> = tensors.iter().enumerate().flat_map(names).collect();
    for link in map.layout(graph)?.links {
        let Some(position) = link.ours.first().and_then(|ours| positions.get(&ours.name)).copied() else { continue };
        let names = link.theirs.into_iter().flat_map(|theirs| theirs.spellings);
        positions.extend(names.map(|name| (name, position)));
    }
    Ok(positions)
}

impl Found {
    fn group(&self, name: &str) -> Result<ParamGroup, Box<dyn Error>> {
        let position = self.positions.get(name).ok_or_else(|| format!("the network has no tensor `{name}`"))?;
        Ok(self.groups.groups()[*position])
    }
}

/// Compares the group `lr LR wd DECAY`: the number of its tensors, and the first and last of them.
fn compare_members(
    differences: &mut Differences,
    text: &str,
    members: &Members,
    found: &Found,
) -> Result<(), Box<dyn Error>> {
    let expected = match text.split(' ').collect::<Vec<_>>().as_slice() {
        ["lr", lr, "wd", decay] => Group { lr: lr.parse()?, weight_decay: decay.parse()? },
        _ => return Err(format!("`{text}` is not a group").into()),
    };
    let near = |found: f64, expected: f64| (found - expected).abs() <= 1e-9 * expected.abs();
    let is_member =
        |group: &&ParamGroup| near(group.lr, expected.lr) && near(group.weight_decay, expected.weight_decay);
    let count = found.groups.groups().iter().filter(is_member).count();
    differences.value(&format!("number of tensors of {text}"), count as f64, members.count as f64);
    for name in members.first.iter().chain(&members.last) {
        compare_group(differences, name, found.group(name)?, &expected);
    }
    Ok(())
}
