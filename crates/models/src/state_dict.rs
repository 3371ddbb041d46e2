//! Moves state dicts between our names and those of a project: [`import`] and [`export`].

use crate::layout::{Layout, Link};
use crate::{LoadReport, MadeValue, NameMap};
use pipe_graph::Param;
use pipe_weights::{Checkpoint, Dtype, MatchError, Matching, Tensor, Wanted, match_weights};
use std::collections::BTreeMap;

/// Tensors by name.
pub type StateDict = BTreeMap<String, Tensor>;

/// The tensors of a network from a checkpoint.
#[derive(Debug, Clone, PartialEq)]
pub struct Imported {
    /// The tensors by our names, with the shapes of the network. Those that keep their initial values are not among them.
    pub tensors: StateDict,
    /// Which tensors were found.
    pub report: LoadReport,
    /// The checkpoint's names of the tensors of a classifier that was not taken, because it is one of other classes.
    pub unused_head: Vec<String>,
}

/// Takes the tensors of a network from a checkpoint with the names of a project.
///
/// `layout` is that of the network in `map`. Values and element types stay.
///
/// # Errors
/// [`MatchError`] with every tensor that does not fit, by the names of the project; see [`match_weights`].
pub fn import(map: &NameMap, layout: &Layout, checkpoint: Checkpoint) -> Result<Imported, MatchError> {
    let wanted: Vec<Wanted> = layout.links.iter().flat_map(Link::wanted).collect();
    let matching = match_weights(&wanted, &checkpoint, &|name| map.ignores(name))?;
    let Checkpoint { tensors: mut theirs, origin } = checkpoint;
    let mut import = Import::default();
    let mut found = matching.found.iter();
    for link in &layout.links {
        let names: Vec<Option<&String>> = found.by_ref().take(link.theirs.len()).map(Option::as_ref).collect();
        if !(link.head && matching.new_head) {
            let missing = link.theirs.iter().zip(&names).filter(|(_, name)| name.is_none());
            import.zeros.extend(missing.filter_map(|(tensor, _)| tensor.spellings.first().cloned()));
        }
        let parts = names.into_iter().map(|name| theirs.remove(name?)).collect();
        import.link(link, parts, matching.new_head);
    }
    for (param, value) in &layout.made {
        import.make(param, *value);
    }
    let Import { tensors, matched, made, reinitialised, zeros } = import;
    let Matching { unused, unused_head, num_derived, .. } = matching;
    let report = LoadReport {
        map: map.project,
        inflated_from: None,
        num_matched: matched.names.len(),
        num_made: made.names.len(),
        num_reinitialised: reinitialised.names.len(),
        num_unused: unused.len(),
        num_derived,
        num_values: matched.num_values + made.num_values + reinitialised.num_values,
        num_values_matched: matched.num_values,
        num_values_made: made.num_values,
        num_values_reinitialised: reinitialised.num_values,
        matched: matched.names,
        made: made.names,
        reinitialised: reinitialised.names,
        unused,
        zeros,
        origin,
    };
    Ok(Imported { tensors, report, unused_head })
}

/// Tensors of the network, counted.
#[derive(Debug, Default)]
struct Counted {
    names: Vec<String>,
    num_values: u64,
}

impl Counted {
    fn add(&mut self, name: &str, shape: &[usize]) {
        self.names.push(name.to_owned());
        self.num_values += shape.iter().product::<usize>() as u64;
    }
}

/// What an import has found so far.
#[derive(Debug, Default)]
struct Import {
    tensors: StateDict,
    matched: Counted,
    made: Counted,
    reinitialised: Counted,
    /// The project's names of tensors that are missing, and zeros.
    zeros: Vec<String>,
}

impl Import {
    /// Takes the tensors of a link. `parts` are those of the project; `None` for zeros.
    fn link(&mut self, link: &Link, parts: Vec<Option<Tensor>>, new_head: bool) {
        let counted = if link.head && new_head {
            &mut self.reinitialised
        } else if parts.iter().all(Option::is_none) {
            &mut self.made
        } else {
            &mut self.matched
        };
        link.ours.iter().for_each(|ours| counted.add(&ours.name, &ours.shape));
        if link.head && new_head {
            return;
        }
        let sizes = link.theirs.iter().map(|tensor| tensor.shape.iter().product());
        let (dtype, bytes) = joined(parts, sizes);
        let mut rest = bytes.as_slice();
        for ours in &link.ours {
            let (bytes, after) = rest.split_at(ours.shape.iter().product::<usize>() * dtype.size_bytes());
            rest = after;
            let tensor = Tensor { shape: ours.shape.clone(), dtype, bytes: bytes.into() };
            self.tensors.insert(ours.name.clone(), tensor);
        }
    }

    fn make(&mut self, param: &Param, value: MadeValue) {
        let counted = if value == MadeValue::Untrained { &mut self.reinitialised } else { &mut self.made };
        counted.add(&param.name, &param.shape);
        if let Some(values) = made_values(param, value) {
            self.tensors.insert(param.name.clone(), Tensor::from_f32(param.shape.clone(), &values));
        }
    }
}

/// Returns the values of a tensor that a project does not have; `None` if a new network draws them.
fn made_values(param: &Param, value: MadeValue) -> Option<Vec<f32>> {
    match value {
        MadeValue::Constant(value) => Some(vec![value as f32; param.len()]),
        MadeValue::Initial => param.fixed_values(),
        MadeValue::Untrained => None,
    }
}

/// The largest difference between a made value and a stored one: other programs compute sines with other rounding.
const MADE_TOLERANCE: f32 = 1e-6;

/// Joins tensors; `None` stands for `size` zeros. Different element types become 32-bit floats.
fn joined(parts: Vec<Option<Tensor>>, sizes: impl Iterator<Item = usize>) -> (Dtype, Vec<u8>) {
    let mut dtypes = parts.iter().flatten().map(|tensor| tensor.dtype);
    let first = dtypes.next().unwrap_or(Dtype::F32);
    let dtype = if dtypes.all(|dtype| dtype == first) { first } else { Dtype::F32 };
    let bytes = |(part, size): (Option<Tensor>, usize)| match part {
        Some(tensor) if tensor.dtype == dtype => tensor.bytes,
        Some(tensor) => Tensor::from_f32(tensor.shape.clone(), &tensor.to_f32()).bytes,
        None => vec![0; size * dtype.size_bytes()],
    };
    let parts: Vec<Vec<u8>> = parts.into_iter().zip(sizes).map(bytes).collect();
    (dtype, parts.concat())
}

/// A network's tensor that the project's state dict can't hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the message of a variant says what its fields are")]
pub enum ExportError {
    /// A tensor is missing.
    #[error("the network's tensor `{name}` is missing")]
    Missing { name: String },
    /// A tensor has another shape than the network.
    #[error("`{name}` is {found:?}, but {expected:?} in the network")]
    Shape { name: String, expected: Vec<usize>, found: Vec<usize> },
    /// The project has no place for values that differ from those that its network implies.
    #[error("{project} has no tensor for `{name}`, and its values are not those that a network of {project} implies")]
    NoPlace { name: String, project: pipe_schemas::networks::Project },
}

/// The state dict of a project.
#[derive(Debug, Clone, PartialEq)]
pub struct Exported {
    /// The tensors by the project's names, with those that follow from others ([`Layout::derived`]).
    pub tensors: StateDict,
    /// Our names of tensors that the project does not store, because its network computes them.
    pub left_out: Vec<String>,
}

/// Moves the tensors of a network to the names of a project. `layout` is that of the network in `map`. Values and element types stay.
///
/// # Errors
/// [`ExportError`] if a tensor is missing or has another shape, or if its values can't be expressed in the project.
pub fn export(map: &NameMap, layout: &Layout, ours: &StateDict) -> Result<Exported, ExportError> {
    let find = |name: &str, shape: &[usize]| {
        let tensor = ours.get(name).ok_or_else(|| ExportError::Missing { name: name.to_owned() })?;
        let (expected, found) = (shape.to_vec(), tensor.shape.clone());
        if expected == found { Ok(tensor) } else { Err(ExportError::Shape { name: name.to_owned(), expected, found }) }
    };
    let no_place = |name: &str| ExportError::NoPlace { name: name.to_owned(), project: map.project };
    let mut theirs = StateDict::new();
    for link in &layout.links {
        let parts = link.ours.iter().map(|tensor| Ok(Some(find(&tensor.name, &tensor.shape)?.clone())));
        let (dtype, bytes) = joined(parts.collect::<Result<_, _>>()?, link.ours.iter().map(|_| 0));
        let mut rest = bytes.as_slice();
        for tensor in &link.theirs {
            let (bytes, after) = rest.split_at(tensor.shape.iter().product::<usize>() * dtype.size_bytes());
            rest = after;
            let part = Tensor { shape: tensor.shape.clone(), dtype, bytes: bytes.into() };
            if let Some(name) = tensor.spellings.first() {
                theirs.insert(name.clone(), part);
            } else if part.to_f32().iter().any(|value| *value != 0.0) {
                return Err(no_place(&link.ours[0].name));
            }
        }
    }
    let mut left_out = Vec::new();
    for (param, value) in &layout.made {
        if let Some(values) = made_values(param, *value) {
            let found = find(&param.name, &param.shape)?.to_f32();
            if !found.iter().zip(&values).all(|(found, made)| (found - made).abs() <= MADE_TOLERANCE) {
                return Err(no_place(&param.name));
            }
        }
        left_out.push(param.name.clone());
    }
    theirs.extend(layout.derived.iter().cloned());
    Ok(Exported { tensors: theirs, left_out })
}

#[cfg(test)]
mod tests;
