//! [`Candidate`]: a network whose tensors a file has.

use super::file::{WeightsFile, printable};
use super::network::{Choice, published, type_name};
use crate::error::CommandError;
use pipe_engine::grouped;
use pipe_graph::Graph;
use pipe_models::{Conflict, Layout, NameMap, head_rows, integer_weights, name_maps, pretraining_maps, share};
use pipe_schemas::networks::{ModelParams, Project};
use pipe_weights::Checkpoint;
use serde_json::Value;

/// A network whose tensors a file has.
#[derive(Debug)]
pub(super) struct Candidate {
    /// The name of the graph, such as `tsn_resnet50`.
    pub(super) name: String,
    pub(super) choice: Choice,
    /// The number of classes of the file's classifier, or what is wrong with it; `None` if it has none, as after a pretraining.
    pub(super) num_classes: Result<Option<usize>, String>,
    /// Whose names the tensors have.
    pub(super) project: Project,
    /// The share of tensors that the file and the network have in common, from 0 to 1.
    pub(super) share: f64,
    /// What is wrong with the tensors of the network, if the file has all of them.
    pub(super) faults: Vec<String>,
}

impl Candidate {
    /// Returns whether all tensors of the file are those of the network.
    pub(super) fn is_complete(&self) -> bool {
        self.share >= 1.0
    }

    /// Adds the number of classes, and what is wrong with the tensors.
    fn with_details(mut self, layout: &Layout, checkpoint: &Checkpoint) -> Self {
        self.num_classes = num_classes(layout, checkpoint);
        if self.is_complete() {
            self.faults.extend(self.num_classes.clone().err());
            self.faults.extend(integers(layout, checkpoint));
        }
        if let Ok(Some(num_classes)) = self.num_classes {
            self.choice.num_classes = num_classes;
        }
        self
    }

    /// Returns the value of `--network` for this network: its name, or its type with the parameters that differ from the defaults.
    fn argument(&self) -> String {
        match Choice::named(&self.name, &[]) {
            Ok(choice) if choice.backbone == self.choice.backbone => self.name.clone(),
            Ok(_) | Err(_) => self.choice.arguments(),
        }
    }
}

/// Returns the published networks that have the largest share of the file's tensors, in the order of the zoo. Several networks can
/// have the same tensors, such as a ResNet with and without temporal shift. For a model that `pipe` made it is its network.
pub(super) fn candidates(file: &WeightsFile) -> Result<Vec<Candidate>, CommandError> {
    let known = match &file.card {
        Some(card) => made_by_pipe(&card.model)?,
        None => published_names()?,
    };
    Ok(closest(&known, &file.checkpoint))
}

/// A network with the names of a project.
struct Known {
    /// The name of the graph.
    name: String,
    choice: Choice,
    map: NameMap,
    layout: Layout,
}

/// Returns the published networks with the names of each project. Where the network of a project differs in parameters that tensors do
/// not show, such as strides, it is the network of the project.
fn published_names() -> Result<Vec<Known>, CommandError> {
    let mut known = Vec::new();
    for (name, choice) in published() {
        let graph = choice.graph()?;
        for map in readable_maps(&choice) {
            if map.conflicts.is_empty() {
                known.extend(Known::new(&name, &choice, &graph, map));
                continue;
            }
            let Some(theirs) = with_expected(&choice, &map.conflicts) else { continue };
            let graph = theirs.graph()?;
            let maps = readable_maps(&theirs).into_iter();
            let maps = maps.filter(|other| other.project == map.project && other.conflicts.is_empty());
            known.extend(maps.filter_map(|map| Known::new(&graph.name, &theirs, &graph, map)));
        }
    }
    Ok(known)
}

impl Known {
    /// Returns `None` if the names are not those of this configuration.
    fn new(name: &str, choice: &Choice, graph: &Graph, map: NameMap) -> Option<Self> {
        let layout = map.layout(graph).ok()?;
        Some(Self { name: name.to_owned(), choice: choice.clone(), map, layout })
    }
}

fn readable_maps(choice: &Choice) -> Vec<NameMap> {
    [name_maps(&choice.backbone), pretraining_maps(&choice.backbone)].concat()
}

/// Returns a network with the parameters that the network of a project has.
fn with_expected(choice: &Choice, conflicts: &[Conflict]) -> Option<Choice> {
    let mut backbone = serde_json::to_value(&choice.backbone).ok()?;
    for Conflict { parameter, expected, .. } in conflicts {
        let value = serde_json::from_str(expected).unwrap_or_else(|_| Value::from(expected.as_str()));
        backbone.as_object_mut()?.insert((*parameter).to_owned(), value);
    }
    Some(Choice { backbone: serde_json::from_value(backbone).ok()?, ..choice.clone() })
}

/// Returns the network of a model folder with the names that its tensors may have, our own first.
fn made_by_pipe(model: &ModelParams) -> Result<Vec<Known>, CommandError> {
    let choice = Choice::of(model.backbone.clone());
    let graph = choice.graph()?;
    let maps = readable_maps(&choice).into_iter().filter(|map| map.conflicts.is_empty());
    let maps = std::iter::once(NameMap::same(Project::Pipe)).chain(maps);
    Ok(maps.filter_map(|map| Known::new(&graph.name, &choice, &graph, map)).collect())
}

/// Returns the networks that have the largest share of the tensors.
fn closest(known: &[Known], checkpoint: &Checkpoint) -> Vec<Candidate> {
    let mut found: Vec<Candidate> = Vec::new();
    for Known { name, choice, map, layout } in known {
        let share = common(map, layout, checkpoint);
        let best = found.first().map_or(0.0, |candidate| candidate.share);
        if share > best {
            found.clear();
        }
        let is_new = found.iter().all(|known| known.choice.backbone != choice.backbone);
        if share > 0.0 && share >= best && is_new {
            let candidate = Candidate {
                name: name.clone(),
                choice: choice.clone(),
                num_classes: Ok(None),
                project: map.project,
                share,
                faults: Vec::new(),
            };
            found.push(candidate.with_details(layout, checkpoint));
        }
    }
    found
}

/// Returns a network with as many classes as the classifier of the file has rows.
pub(super) fn with_classes(choice: Choice, file: &WeightsFile) -> Result<Choice, CommandError> {
    let found = classes_in(&choice, file)?;
    let found = found.map_err(|fault| CommandError::failed(format!("{}: {fault}", file.path.display())))?;
    Ok(Choice { num_classes: found.unwrap_or(choice.num_classes), ..choice })
}

/// Returns the number of classes of the file's classifier, `None` if it has none, or what is wrong with it.
pub(super) fn classes_in(choice: &Choice, file: &WeightsFile) -> Result<Result<Option<usize>, String>, CommandError> {
    let graph = choice.graph()?;
    let layouts = name_maps(&choice.backbone).into_iter().filter_map(|map| map.layout(&graph).ok());
    let mut found = layouts.chain([Layout::own(&graph)]).map(|layout| num_classes(&layout, &file.checkpoint));
    Ok(found.find_map(Result::transpose).transpose())
}

/// Returns the share of tensors that a file and a network have in common: tensors that only one of them has count against it, unless
/// the names of the project say that they may be missing, or that the network has no use for them.
fn common(map: &NameMap, layout: &Layout, checkpoint: &Checkpoint) -> f64 {
    let (optional, required): (Vec<_>, Vec<_>) = layout.theirs().partition(|tensor| tensor.optional);
    let optional: Vec<&String> = optional.iter().flat_map(|tensor| &tensor.spellings).collect();
    let derived = layout.derived.iter().map(|(name, _)| name);
    let uncounted: Vec<&String> = derived.chain(optional).collect();
    let is_counted = |name: &String| !map.ignores(name) && !uncounted.iter().any(|known| ends_with(name, known));
    let in_file = checkpoint.tensors.keys().filter(|name| is_counted(name)).count();
    share(layout, checkpoint) * required.len() as f64 / required.len().max(in_file).max(1) as f64
}

/// Returns whether a name is `end`, or ends with it after a prefix such as `module.`.
fn ends_with(name: &str, end: &str) -> bool {
    name.strip_suffix(end).is_some_and(|before| before.is_empty() || before.ends_with('.'))
}

/// Returns the number of rows of the file's classifier, `None` if it has none, or what is wrong with it.
fn num_classes(layout: &Layout, checkpoint: &Checkpoint) -> Result<Option<usize>, String> {
    let found = head_rows(layout, checkpoint);
    let Some((_, rows)) = found.first() else { return Ok(None) };
    if found.iter().any(|(_, other)| other != rows) {
        let tensor = |(name, rows): &(String, usize)| format!("{} has {} rows", printable(name), grouped(*rows as u64));
        let tensors = found.iter().map(tensor).collect::<Vec<_>>().join(", ");
        return Err(format!("the tensors of the classifier disagree about the number of classes: {tensors}"));
    }
    if *rows == 0 { Err("the classifier has no classes: its tensors have 0 rows".to_owned()) } else { Ok(Some(*rows)) }
}

/// The maximum number of tensors that a fault names.
const MAX_NAMED: usize = 5;

/// Says which weights are integers, if there are any.
fn integers(layout: &Layout, checkpoint: &Checkpoint) -> Option<String> {
    let found = integer_weights(layout, checkpoint);
    let named = found.iter().take(MAX_NAMED).map(|(name, dtype)| format!("{} ({})", printable(name), dtype.name()));
    let named = named.collect::<Vec<_>>().join(", ");
    let more = if found.len() > MAX_NAMED { format!(", and {} more", found.len() - MAX_NAMED) } else { String::new() };
    (!found.is_empty()).then(|| format!("weights are integers, whose scales are unknown: {named}{more}"))
}

/// Returns the one network of a file, or an error that says why it is not clear.
pub(super) fn only(file: &WeightsFile) -> Result<Candidate, CommandError> {
    let mut candidates = candidates(file)?;
    let path = file.path.display();
    if candidates.len() > 1 && candidates.iter().all(Candidate::is_complete) {
        let names: Vec<String> = candidates.iter().map(Candidate::argument).collect();
        let names = names.join(", ");
        let message = format!("several networks have the tensors of {path}; choose one with `--network`: {names}");
        return Err(CommandError::bad_input(message));
    }
    candidates.truncate(1);
    match candidates.pop() {
        Some(candidate) if candidate.is_complete() => match candidate.faults.first() {
            Some(fault) => Err(CommandError::failed(format!("{path}: {fault}"))),
            None => Ok(candidate),
        },
        Some(Candidate { name, choice, share, .. }) => Err(CommandError::bad_input(format!(
            "no published network has the tensors of {path}; {name} is closest, with {:.1} % of them. Name the network with \
             `--network {} --set …` if its parameters differ from the published ones",
            100.0 * share,
            type_name(&choice.backbone)
        ))),
        None => Err(CommandError::bad_input(format!(
            "no published network has the tensors of {path}; name the network with `--network`"
        ))),
    }
}

#[cfg(test)]
mod tests;
