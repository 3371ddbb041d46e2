//! [`recognise`]: whose names the tensors of a checkpoint have.

use crate::layout::{Layout, LayoutError, Link, Theirs};
use crate::zoo::{name_maps, pretraining_maps};
use crate::{Conflict, NameMap};
use pipe_graph::Graph;
use pipe_schemas::networks::{Backbone, Project};
use pipe_weights::{Checkpoint, Dtype, Origin, Tensor, UnsupportedTensor};
use std::collections::BTreeSet;

/// A checkpoint with the names of a project.
#[derive(Debug, Clone, PartialEq)]
pub struct Recognised {
    /// The names of the project.
    pub map: NameMap,
    /// What these names are in the network.
    pub layout: Layout,
    /// The share of the project's tensors that the checkpoint has, from 0 to 1; one of another shape counts half.
    pub share: f64,
    /// The checkpoint without what training code puts before the names.
    pub checkpoint: Checkpoint,
}

/// A checkpoint whose names can't be used for a network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the message of a variant says what its fields are")]
pub enum RecogniseError {
    /// The project does not publish the network.
    #[error("there are no names of {asked} for this network, only of {}", list(known))]
    NoMap {
        /// The project that was asked for.
        asked: Project,
        /// The projects that have names for the network.
        known: Vec<Project>,
    },
    /// The network of the project has other parameters, which tensors do not show.
    #[error("the names are those of {project}, whose network has {}", conflicts(of))]
    Conflict {
        project: Project,
        of: Vec<Conflict>,
        /// Whether `pipe` writes the same names, so that the checkpoint may be one that it trained with these parameters.
        own: bool,
    },
    /// Several projects have the same names, for networks with other parameters.
    #[error("the names are those of {}, whose networks differ in parameters that tensors do not show", list(projects))]
    Ambiguous { projects: Vec<Project> },
    /// A map does not fit the network.
    #[error(transparent)]
    Layout(#[from] LayoutError),
}

impl RecogniseError {
    /// Returns what to do about it, where parameters of the network are below `backbone`, such as `model.backbone`, and `map` is the
    /// parameter that chooses a project.
    pub fn help(&self, backbone: &str, map: &str) -> String {
        match self {
            Self::NoMap { known, .. } => format!("set `{map}` to {}, or leave it out", list(known)),
            Self::Conflict { of, own, .. } => {
                let set = |conflict: &Conflict| format!("`{backbone}.{}: {}`", conflict.parameter, conflict.expected);
                let set = of.iter().map(set).collect::<Vec<_>>().join(" and ");
                let trained = "if the weights were trained with the parameters as they are";
                if *own { format!("set {set}; or, {trained}, `{map}: pipe`") } else { format!("set {set}") }
            }
            Self::Ambiguous { projects } => format!("set `{map}` to {}", list(projects)),
            Self::Layout(_) => format!("leave out `{map}`"),
        }
    }
}

fn list(projects: &[Project]) -> String {
    let names: Vec<&str> = projects.iter().map(|project| project.name()).collect();
    match names.as_slice() {
        [before @ .., last] if !before.is_empty() => format!("{} or {last}", before.join(", ")),
        names => names.concat(),
    }
}

fn conflicts(of: &[Conflict]) -> String {
    let text = |conflict: &Conflict| {
        format!("`{}: {}` where the parameters have {}", conflict.parameter, conflict.expected, conflict.found)
    };
    of.iter().map(text).collect::<Vec<_>>().join(" and ")
}

/// Finds the project whose names for this network the checkpoint has, and removes prefixes from the names. `asked` sets the project.
///
/// If no project has the names, the map is that of our own names, and [`import`](crate::import) reports what does not fit.
///
/// # Errors
/// [`RecogniseError`] if the project's network has parameters of other values, if it is unclear which project it is, or if there are
/// no names of the one that is asked for.
pub fn recognise(
    backbone: &Backbone,
    graph: &Graph,
    checkpoint: Checkpoint,
    asked: Option<Project>,
) -> Result<Recognised, RecogniseError> {
    recognise_among(readable_maps(backbone), graph, checkpoint, asked)
}

/// Returns the names that tensors of a network may have in a file: those of [`name_maps`], then those of a pretraining.
pub(crate) fn readable_maps(backbone: &Backbone) -> Vec<NameMap> {
    [name_maps(backbone), pretraining_maps(backbone)].concat()
}

/// Finds the one of the maps, our own first, whose names a checkpoint has; see [`recognise`].
pub(crate) fn recognise_among(
    known: Vec<NameMap>,
    graph: &Graph,
    checkpoint: Checkpoint,
    asked: Option<Project>,
) -> Result<Recognised, RecogniseError> {
    let own = || NameMap::same(Project::Pipe);
    let maps: Vec<NameMap> = match asked {
        None => known,
        Some(Project::Pipe) => vec![own()],
        Some(asked) => {
            let (maps, others): (Vec<_>, Vec<_>) = known.into_iter().partition(|map| map.project == asked);
            if maps.is_empty() {
                let known = others.iter().map(|map| map.project).collect();
                return Err(RecogniseError::NoMap { asked, known });
            }
            maps
        }
    };
    let own_project = maps.first().map(|map| map.project);
    let names = outline(&checkpoint);
    let mut best: Vec<(NameMap, Layout, f64)> = Vec::new();
    for map in maps {
        let Some(layout) = layout(&map, graph, asked)? else { continue };
        let share = share(&layout, &names);
        let leader = best.first().map_or(-1.0, |(_, _, share)| *share);
        if share > leader {
            best.clear();
        }
        if share >= leader {
            best.push((map, layout, share));
        }
    }
    let projects: Vec<Project> = best.iter().map(|(map, ..)| map.project).collect();
    let differ = best.windows(2).any(|pair| pair[0].0.conflicts != pair[1].0.conflicts);
    let (map, layout, share) = match best.into_iter().next() {
        Some((_, _, share)) if share == 0.0 && asked.is_none() => (own(), Layout::own(graph), share),
        Some(_) if differ => return Err(RecogniseError::Ambiguous { projects }),
        Some(best) => best,
        None => (own(), Layout::own(graph), 0.0),
    };
    // With few of the names it is another network, which `import` reports.
    if !map.conflicts.is_empty() && (share > 0.5 || asked.is_some()) {
        let own = asked.is_none() && Some(map.project) == own_project;
        return Err(RecogniseError::Conflict { project: map.project, of: map.conflicts, own });
    }
    let checkpoint = checkpoint.without_prefixes(&names_of(&layout));
    Ok(Recognised { map, layout, share, checkpoint })
}

/// Returns the layout of a network in a map. A map that does not fit the network as it is configured has none, unless it was asked for.
fn layout(map: &NameMap, graph: &Graph, asked: Option<Project>) -> Result<Option<Layout>, LayoutError> {
    match map.layout(graph) {
        Ok(layout) => Ok(Some(layout)),
        Err(_) if asked.is_none() => Ok(None),
        Err(error) => Err(error),
    }
}

/// Returns the share of a layout's tensors that a checkpoint has, from 0 to 1. A tensor of another shape counts half, unless it belongs to
/// the classifier, whose shape depends on the classes.
pub fn share(layout: &Layout, checkpoint: &Checkpoint) -> f64 {
    let checkpoint = outline(checkpoint).without_prefixes(&names_of(layout));
    let found = |tensor: &Theirs| tensor.spellings.iter().find_map(|name| checkpoint.tensors.get(name));
    let (mut num_tensors, mut sum) = (0, 0.0);
    for (link, tensor) in layout.links.iter().flat_map(|link| link.theirs.iter().map(move |tensor| (link, tensor))) {
        num_tensors += usize::from(!tensor.optional);
        sum += match found(tensor) {
            _ if tensor.optional => 0.0,
            Some(found) if link.head || found.shape == tensor.shape => 1.0,
            Some(_) => 0.5,
            None => 0.0,
        };
    }
    if num_tensors == 0 { 0.0 } else { sum / num_tensors as f64 }
}

/// Returns the tensors that a checkpoint has for the classifier of a layout: their names without prefixes, and their numbers of rows.
pub fn head_rows(layout: &Layout, checkpoint: &Checkpoint) -> Vec<(String, usize)> {
    let found = found(layout, checkpoint, |link| link.head);
    found.into_iter().map(|(name, tensor)| (name, tensor.shape.first().copied().unwrap_or(0))).collect()
}

/// Returns the tensors that a checkpoint has for a layout with integers instead of floating-point numbers: their names without prefixes.
pub fn integer_weights(layout: &Layout, checkpoint: &Checkpoint) -> Vec<(String, Dtype)> {
    let found = found(layout, checkpoint, |_| true).into_iter().map(|(name, tensor)| (name, tensor.dtype));
    found.filter(|(_, dtype)| !dtype.is_float()).collect()
}

/// Returns the tensors that a checkpoint has for some links, without values.
fn found(layout: &Layout, checkpoint: &Checkpoint, is_asked: impl Fn(&Link) -> bool) -> Vec<(String, Tensor)> {
    let mut tensors = outline(checkpoint).without_prefixes(&names_of(layout)).tensors;
    let asked = layout.links.iter().filter(|link| is_asked(link)).flat_map(|link| &link.theirs);
    asked.filter_map(|tensor| tensor.spellings.iter().find_map(|name| tensors.remove_entry(name))).collect()
}

/// Returns the tensors of a layout that a file has in a form that can't be read. Their names may have prefixes.
pub(crate) fn unsupported(layout: &Layout, origin: &Origin) -> Vec<UnsupportedTensor> {
    let is_name = |name: &str, known: &str| {
        name.strip_suffix(known).is_some_and(|before| before.is_empty() || before.ends_with('.'))
    };
    let names = names_of(layout);
    let is_wanted = |tensor: &&UnsupportedTensor| names.iter().any(|known| is_name(&tensor.name, known));
    origin.unsupported.iter().filter(is_wanted).cloned().collect()
}

/// Returns all names that tensors of a layout may have.
fn names_of(layout: &Layout) -> BTreeSet<&str> {
    layout.theirs().flat_map(|tensor| &tensor.spellings).map(String::as_str).collect()
}

/// Returns the names and shapes of a checkpoint, without values.
fn outline(checkpoint: &Checkpoint) -> Checkpoint {
    let Checkpoint { tensors, origin } = checkpoint;
    let empty = |tensor: &Tensor| Tensor { shape: tensor.shape.clone(), dtype: tensor.dtype, bytes: Vec::new() };
    let tensors = tensors.iter().map(|(name, tensor)| (name.clone(), empty(tensor))).collect();
    Checkpoint { tensors, origin: origin.clone() }
}
