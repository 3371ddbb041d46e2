//! [`Candidate`]: a network whose tensors a file has.

use super::file::WeightsFile;
use super::network::{Choice, published, type_name};
use crate::error::CommandError;
use pipe_models::{Layout, NameMap, name_maps, pretraining_maps, share};
use pipe_schemas::networks::{ModelParams, Project};
use pipe_weights::Checkpoint;

/// A network whose tensors a file has.
#[derive(Debug)]
pub(super) struct Candidate {
    /// The name of the graph, such as `tsn_resnet50`.
    pub(super) name: String,
    pub(super) choice: Choice,
    /// The number of classes of the file's classifier; `None` if it has none, as after a pretraining.
    pub(super) num_classes: Option<usize>,
    /// Whose names the tensors have.
    pub(super) project: Project,
    /// The share of tensors that the file and the network have in common, from 0 to 1.
    pub(super) share: f64,
}

impl Candidate {
    /// Returns whether all tensors of the file are those of the network.
    pub(super) fn is_complete(&self) -> bool {
        self.share >= 1.0
    }
}

/// Returns the published networks that have the largest share of the file's tensors, in the order of the zoo. Several networks can
/// have the same tensors, such as a ResNet with and without temporal shift. For a model that `pipe` made it is its network.
pub(super) fn candidates(file: &WeightsFile) -> Result<Vec<Candidate>, CommandError> {
    let known = match &file.card {
        Some(card) => vec![made_by_pipe(&card.model, &file.checkpoint)?],
        None => published(),
    };
    let mut found: Vec<Candidate> = Vec::new();
    for (name, choice) in known {
        let graph = choice.graph()?;
        let known = [name_maps(&choice.backbone), pretraining_maps(&choice.backbone)].concat();
        let maps = known.into_iter().filter(|map| map.conflicts.is_empty());
        let own = file.card.is_some().then(|| NameMap::same(Project::Pipe));
        for map in own.into_iter().chain(maps) {
            let Ok(layout) = map.layout(&graph) else { continue };
            let (project, share) = (map.project, common(&map, &layout, &file.checkpoint));
            let best = found.first().map_or(0.0, |candidate| candidate.share);
            if share > best {
                found.clear();
            }
            let is_new = found.iter().all(|known| known.choice.backbone != choice.backbone);
            if share > 0.0 && share >= best && is_new {
                let num_classes = num_classes(&layout, &file.checkpoint);
                let choice = Choice { num_classes: num_classes.unwrap_or(choice.num_classes), ..choice.clone() };
                found.push(Candidate { name: name.clone(), choice, num_classes, project, share });
            }
        }
    }
    Ok(found)
}

/// Returns the network of a model folder, with the name of its graph.
fn made_by_pipe(model: &ModelParams, checkpoint: &Checkpoint) -> Result<(String, Choice), CommandError> {
    let choice = Choice::of(model.backbone.clone());
    let graph = choice.graph()?;
    let num_classes = num_classes(&Layout::own(&graph), checkpoint).unwrap_or(choice.num_classes);
    Ok((graph.name, Choice { num_classes, ..choice }))
}

/// Returns a network with as many classes as the classifier of the file has rows.
pub(super) fn with_classes(choice: Choice, file: &WeightsFile) -> Result<Choice, CommandError> {
    let found = classes_in(&choice, file)?;
    Ok(Choice { num_classes: found.unwrap_or(choice.num_classes), ..choice })
}

/// Returns the number of classes of the file's classifier, or `None` if it has none.
pub(super) fn classes_in(choice: &Choice, file: &WeightsFile) -> Result<Option<usize>, CommandError> {
    let graph = choice.graph()?;
    let layouts = name_maps(&choice.backbone).into_iter().filter_map(|map| map.layout(&graph).ok());
    let layouts: Vec<Layout> = layouts.chain([Layout::own(&graph)]).collect();
    Ok(layouts.iter().find_map(|layout| num_classes(layout, &file.checkpoint)))
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

/// Returns the number of rows of the file's classifier.
fn num_classes(layout: &Layout, checkpoint: &Checkpoint) -> Option<usize> {
    let head = || layout.links.iter().filter(|link| link.head).flat_map(|link| &link.theirs);
    let names: Vec<&String> = head().flat_map(|tensor| &tensor.spellings).collect();
    let named = |fits: fn(&str, &str) -> bool| {
        checkpoint.tensors.iter().find(|(name, _)| names.iter().any(|known| fits(name, known)))
    };
    let found = named(|name, known| name == known).or_else(|| named(ends_with));
    found.and_then(|(_, tensor)| tensor.shape.first().copied()).filter(|rows| *rows > 0)
}

/// Returns the one network of a file, or an error that says why it is not clear.
pub(super) fn only(file: &WeightsFile) -> Result<Candidate, CommandError> {
    let mut candidates = candidates(file)?;
    let path = file.path.display();
    if candidates.len() > 1 && candidates.iter().all(Candidate::is_complete) {
        let names: Vec<&str> = candidates.iter().map(|candidate| candidate.name.as_str()).collect();
        let names = names.join(", ");
        let message = format!("several networks have the tensors of {path}; choose one with `--network`: {names}");
        return Err(CommandError::bad_input(message));
    }
    candidates.truncate(1);
    match candidates.pop() {
        Some(candidate) if candidate.is_complete() => Ok(candidate),
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
