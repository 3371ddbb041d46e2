//! [`Choice`]: a network that a user names, and the size of its clips.

use crate::error::CommandError;
use pipe_engine::{check_json, nearest};
use pipe_graph::{ClipShape, Graph};
use pipe_models::{ModelError, build, zoo};
use pipe_schemas::networks::{Backbone, FAMILIES, ModelParams, Project};
use pipe_schemas::stages::pretrained;
use serde_json::{Map, Value, json};

/// The clip of a network without published figures.
const USUAL: ClipShape = ClipShape { channels: 3, frames: 8, height: 224, width: 224 };

/// The classes of a network without published figures: those of Kinetics-400.
const USUAL_CLASSES: usize = 400;

/// A network with the clips and classes that it is shown for.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Choice {
    pub(super) backbone: Backbone,
    pub(super) clip: ClipShape,
    pub(super) num_classes: usize,
}

/// The size of a clip on the command line: frames, height and width.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ClipSize {
    frames: usize,
    height: usize,
    width: usize,
}

// The network of a file, for commands that recognise it otherwise.
#[derive(Debug, clap::Args)]
pub(super) struct NetworkArgs {
    /// Network of the weights: its published name, such as `tsn_resnet50`, or a `type` of `model.backbone` [default: it is recognised]
    #[arg(long, value_name = "NETWORK")]
    network: Option<String>,
    /// Set a parameter of the network's type; repeatable. Example: `--set depth=18`
    #[arg(long = "set", value_name = "PARAMETER=VALUE", requires = "network")]
    settings: Vec<String>,
    /// Whose names the tensors of the file have, such as `mmaction2` [default: it is recognised]
    #[arg(long, value_name = "PROJECT", value_parser = project)]
    pub(super) map: Option<Project>,
}

impl NetworkArgs {
    /// Returns whether any of them is given.
    pub(super) fn is_given(&self) -> bool {
        self.network.is_some() || self.map.is_some()
    }

    /// Returns the network that was named.
    pub(super) fn choice(&self) -> Result<Option<Choice>, CommandError> {
        self.network.as_ref().map(|name| Choice::named(name, &self.settings)).transpose()
    }
}

/// Parses the name of a project.
pub(super) fn project(text: &str) -> Result<Project, String> {
    let known = || Project::ALL.iter().map(|project| project.name());
    Project::ALL
        .into_iter()
        .find(|project| project.name() == text)
        .ok_or_else(|| format!("expected one of {}", known().collect::<Vec<_>>().join(", ")))
}

impl std::str::FromStr for ClipSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let sizes: Vec<Option<usize>> =
            text.split([',', 'x']).map(|size| size.trim().parse().ok().filter(|size| *size > 0)).collect();
        match sizes.as_slice() {
            [Some(frames), Some(height), Some(width)] => Ok(Self { frames: *frames, height: *height, width: *width }),
            _ => Err("expected frames, height and width in pixels, such as 8,224,224".to_owned()),
        }
    }
}

impl Choice {
    /// Returns the network that a user names: the name of a published network such as `tsn_resnet50`, or a `type` of
    /// `model.backbone` with `settings` such as `depth=18`.
    pub(super) fn named(name: &str, settings: &[String]) -> Result<Self, CommandError> {
        if let Some(family) = FAMILIES.iter().find(|family| family.type_name == name) {
            return Ok(Self::of(backbone(family.type_name, settings)?));
        }
        let published = published();
        let Some((_, choice)) = published.iter().find(|(known, _)| known == name).cloned() else {
            let known = FAMILIES.iter().map(|family| family.type_name);
            let known = known.chain(published.iter().map(|(name, _)| name.as_str()));
            let help = match nearest(name, known) {
                Some(nearest) => format!("did you mean `{nearest}`?"),
                None => format!(
                    "types are {}",
                    FAMILIES.iter().map(|family| family.type_name).collect::<Vec<_>>().join(", ")
                ),
            };
            return Err(CommandError::bad_input(format!("`{name}` is neither a file nor a network; {help}")));
        };
        if !settings.is_empty() {
            let message =
                format!("`{name}` is complete; change parameters of a type, such as `{}`", type_name(&choice.backbone));
            return Err(unknown("--set", &message));
        }
        Ok(choice)
    }

    /// Returns a network with the clips and classes that figures are published for, else with the usual ones.
    pub(super) fn of(backbone: Backbone) -> Self {
        let known = published();
        let same_type = |choice: &&Self| type_name(&choice.backbone) == type_name(&backbone);
        let choices = || known.iter().map(|(_, choice)| choice);
        let exact = choices().find(|choice| choice.backbone == backbone).or_else(|| choices().find(same_type));
        let (clip, num_classes) = exact.map_or((USUAL, USUAL_CLASSES), |choice| (choice.clip, choice.num_classes));
        Self { backbone, clip, num_classes }
    }

    /// Returns the network for clips of another size.
    pub(super) fn with_clip(self, size: Option<ClipSize>) -> Self {
        let Some(ClipSize { frames, height, width }) = size else { return self };
        Self { clip: ClipShape { frames, height, width, ..self.clip }, ..self }
    }

    /// Builds the graph.
    pub(super) fn graph(&self) -> Result<Graph, CommandError> {
        self.build().map_err(|error| CommandError::BadInput(Box::new(error)))
    }

    /// Builds the graph, or returns why the network does not fit its clips.
    pub(super) fn build(&self) -> Result<Graph, ModelError> {
        let params = ModelParams { backbone: self.backbone.clone(), ..ModelParams::default() };
        build(&params, self.clip, self.num_classes)
    }

    /// Returns the arguments after `--network` that name the network by its type, such as `ResNet3d --set conv1_stride_t=1`.
    pub(super) fn arguments(&self) -> String {
        let value = serde_json::to_value(&self.backbone).unwrap_or_default();
        let type_name = type_name(&self.backbone);
        // Some types have parameters without a default: then all are listed.
        let usual: Option<Backbone> = serde_json::from_value(json!({ "type": type_name })).ok();
        let usual = usual.and_then(|usual| serde_json::to_value(usual).ok()).unwrap_or_default();
        let entries = value.as_object().into_iter().flatten();
        let differing =
            entries.filter(|(key, value)| *key != "type" && !value.is_null() && usual.get(key) != Some(value));
        let settings = differing.map(|(key, value)| match value {
            Value::String(text) => format!(" --set {key}={text}"),
            other => format!(" --set {key}={other}"),
        });
        format!("{type_name}{}", settings.collect::<String>())
    }

    /// Returns the parameters as users write them: `{ type: ResNet, depth: 50, base_channels: 64 }`.
    pub(super) fn parameters(&self) -> String {
        let value = serde_json::to_value(&self.backbone).unwrap_or_default();
        let entries = value.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null());
        let entry = |(key, value): (&String, &Value)| match value {
            Value::String(text) => format!("{key}: {text}"),
            other => format!("{key}: {other}"),
        };
        format!("{{ {} }}", entries.map(entry).collect::<Vec<_>>().join(", "))
    }
}

fn unknown(what: &str, message: &str) -> CommandError {
    CommandError::bad_input(format!("{what}: {message}"))
}

/// Returns the value of `backbone.type`.
pub(super) fn type_name(backbone: &Backbone) -> String {
    let value = serde_json::to_value(backbone).unwrap_or_default();
    value["type"].as_str().unwrap_or_default().to_owned()
}

/// Returns all networks with published figures, with the names of their graphs.
pub(super) fn published() -> Vec<(String, Choice)> {
    let published = zoo().into_iter().flat_map(|entry| entry.published);
    let choices =
        published.map(|known| Choice { backbone: known.backbone, clip: known.clip, num_classes: known.num_classes });
    choices.filter_map(|choice| Some((choice.graph().ok()?.name, choice))).collect()
}

/// Returns the parameters of a type of networks, checked as in a pipeline file.
fn backbone(type_name: &str, settings: &[String]) -> Result<Backbone, CommandError> {
    let mut params = Map::from_iter([("type".to_owned(), Value::from(type_name))]);
    for setting in settings {
        let Some((key, value)) = setting.split_once('=') else {
            return Err(unknown("--set", &format!("expected PARAMETER=VALUE, found `{setting}`")));
        };
        let value = serde_json::from_str(value).unwrap_or_else(|_| value.into());
        params.insert(key.trim().to_owned(), value);
    }
    let params = Value::Object(params);
    let violations = check_json(pretrained::CONTRACT.schema(), &json!({ "model": { "backbone": &params } }));
    if let Some(violation) = violations.first() {
        let path = violation.path.get(2..).unwrap_or_default().join(".");
        let help = violation.help.as_ref().map_or(String::new(), |help| format!("; {help}"));
        let at = if path.is_empty() { String::new() } else { format!("`{path}`: ") };
        return Err(unknown(type_name, &format!("{at}{}{help}", violation.message)));
    }
    serde_json::from_value(params).map_err(|error| unknown(type_name, &error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_three_numbers() {
        assert_eq!("8,224,112".parse(), Ok(ClipSize { frames: 8, height: 224, width: 112 }));
        assert_eq!("8x224x112".parse::<ClipSize>(), "8, 224, 112".parse());
        for text in ["", "8,224", "8,0,224", "8,224,224,3", "a,b,c", "-1,2,3"] {
            assert!(text.parse::<ClipSize>().is_err(), "{text}");
        }
    }

    #[test]
    fn networks_are_named_by_type_or_by_their_published_name() {
        let choice = Choice::named("ResNet", &["depth=50".to_owned()]).expect("a network");
        assert_eq!(Choice::named("tsn_resnet50", &[]).expect("a network").backbone, choice.backbone);
        assert_eq!(choice.parameters(), "{ type: ResNet, depth: 50, base_channels: 64 }");
        for (name, settings) in
            [("ResNet", "depth=51"), ("ResNet", "dept=50"), ("ResNet", "depth"), ("tsn_resnet50", "depth=18")]
        {
            assert!(Choice::named(name, &[settings.to_owned()]).is_err(), "{name} {settings}");
        }
    }
}
