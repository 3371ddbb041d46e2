//! [`inflate`]: the weights of a 2-D network for the 3-D network that is made from it (Carreira and Zisserman 2017).
//!
//! A convolution over frames repeats the 2-D one and divides by the number of repetitions, so that a clip of equal frames gives the
//! results of the frame, except where frames are padded. A table of relative positions is repeated for each distance in time. Everything
//! else is copied.

use crate::architecture::{Flat, Inflation};
use crate::layout::Layout;
use crate::load::{LoadError, named};
use crate::name_map::{Counterpart, NameMap};
use crate::state_dict::{Imported, StateDict};
use crate::zoo::{inflation, name_maps};
use crate::{LoadReport, ModelError, build};
use pipe_graph::{ClipShape, Graph, Param};
use pipe_schemas::networks::{Backbone, ModelParams, Project};
use pipe_weights::{Checkpoint, Tensor};
use std::collections::BTreeSet;

/// A checkpoint that can't be inflated to a network.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum InflateError {
    /// The network is not an inflated one.
    #[error("{network} is not inflated from a 2-D network")]
    NotInflated {
        /// The name of the network that was to be inflated.
        network: String,
    },
    /// A tensor has no shape that can be inflated.
    #[error("`{from}` of {found:?} can't be inflated to `{name}` of {expected:?}")]
    Shape {
        /// The name in the 2-D network.
        from: String,
        /// The shape in the 2-D network.
        found: Vec<usize>,
        /// The name in the 3-D network.
        name: String,
        /// The shape in the 3-D network.
        expected: Vec<usize>,
    },
    /// The 2-D network has no tensor for one of the 3-D network.
    #[error("the 2-D network has no tensor for `{name}`")]
    Missing {
        /// The name in the 3-D network.
        name: String,
    },
    /// The 2-D network can't be built.
    #[error("the 2-D network can't be built: {0}")]
    Model(ModelError),
}

impl InflateError {
    /// Returns what to do about it.
    pub(crate) fn help(&self, backbone: &str, load_from: &str) -> String {
        match self {
            Self::NotInflated { .. } => format!("leave out `{load_from}.inflate`"),
            Self::Shape { .. } | Self::Missing { .. } | Self::Model(_) => {
                format!("check that `{backbone}` is inflated from the network of these weights")
            }
        }
    }
}

/// Returns the tensors of the 2-D network that a network is inflated from, by the names that the 2-D network has itself.
///
/// # Errors
/// [`InflateError::NotInflated`] if there is none.
pub fn flat_layout(backbone: &Backbone, graph: &Graph) -> Result<Layout, InflateError> {
    let (flat, _, _) = flat_network(backbone, graph)?;
    Ok(Layout::own(&flat))
}

/// Images for which a 2-D network is built. Its tensors do not depend on it.
const IMAGE: ClipShape = ClipShape { channels: 3, frames: 1, height: 224, width: 224 };

/// Returns the 2-D network, the names that projects give to its tensors, and the names of its tensors for those of the 3-D network.
fn flat_network(backbone: &Backbone, graph: &Graph) -> Result<(Graph, Vec<NameMap>, NameMap), InflateError> {
    let network = graph.name.clone();
    let Inflation { flat, names } = inflation(backbone).ok_or(InflateError::NotInflated { network })?;
    match flat {
        Flat::Network(backbone) => {
            let params = ModelParams { backbone: backbone.clone(), ..ModelParams::default() };
            let flat = build(&params, IMAGE, 1).map_err(InflateError::Model)?;
            Ok((flat, name_maps(&backbone), names))
        }
        Flat::Derived { name, maps, table_repeats } => {
            let params = graph.params.iter().map(|param| flattened(param, &names, table_repeats));
            let params = params.collect::<Result<_, _>>()?;
            Ok((Graph { name: name.to_owned(), params, ..graph.clone() }, maps, names))
        }
    }
}

/// Returns the tensor of the 2-D network for one of the 3-D network.
fn flattened(param: &Param, names: &NameMap, table_repeats: usize) -> Result<Param, InflateError> {
    let mut shape = param.shape.clone();
    if shape.len() == 5 {
        shape.remove(2);
    } else if param.name.ends_with(TABLE) {
        shape[0] /= table_repeats;
    }
    Ok(Param { name: flat_name(param, names)?.ok_or_else(|| missing(param))?, shape, ..param.clone() })
}

/// The end of the name of a table of relative positions, whose rows are ordered by the distance in time, then in space.
const TABLE: &str = "relative_position_bias_table";

/// Returns the name in the 2-D network of a tensor of the 3-D network; `None` if the 2-D network does not have it.
fn flat_name(param: &Param, names: &NameMap) -> Result<Option<String>, InflateError> {
    match names.counterpart(&param.name).ok_or_else(|| missing(param))? {
        Counterpart::Rule { theirs, .. } => Ok(theirs.into_iter().flat_map(|part| part.spellings).next()),
        Counterpart::Made(_) => Ok(None),
    }
}

fn missing(param: &Param) -> InflateError {
    InflateError::Missing { name: param.name.clone() }
}

/// Takes the tensors of a network from a checkpoint of the 2-D network that it is inflated from. Tensors that the 2-D network does not
/// have, such as lateral connections, keep their initial values, as the classifier does.
pub(crate) fn inflate(
    backbone: &Backbone,
    graph: &Graph,
    checkpoint: Checkpoint,
    map: Option<Project>,
) -> Result<Imported, LoadError> {
    let (flat, maps, names) = flat_network(backbone, graph)?;
    let Imported { tensors: mut flat_tensors, report, unused_head } = named(maps, &flat, checkpoint, map)?;
    let mut tensors = StateDict::new();
    let (mut matched, mut reinitialised, mut used) = (Vec::new(), Vec::new(), BTreeSet::new());
    for (id, param) in graph.params.iter().enumerate() {
        let is_head = graph.head.iter().any(|head| head.0 == id);
        let from = if is_head { None } else { flat_name(param, &names)? };
        let Some(from) = from else {
            reinitialised.push(param);
            continue;
        };
        let tensor = flat_tensors.get(&from).ok_or_else(|| missing(param))?;
        tensors.insert(param.name.clone(), inflated(tensor, param, &from)?);
        used.insert(from);
        matched.push(param);
    }
    flat_tensors.retain(|name, _| !used.contains(name));
    let unused = [report.unused, unused_head, flat_tensors.into_keys().collect()].concat();
    let count = |params: &[&Param]| params.iter().map(|param| param.len() as u64).sum();
    let names = |params: &[&Param]| params.iter().map(|param| param.name.clone()).collect();
    let report = LoadReport {
        inflated_from: Some(flat.name),
        num_matched: matched.len(),
        num_made: 0,
        num_reinitialised: reinitialised.len(),
        num_unused: unused.len(),
        num_values: graph.params.iter().map(|param| param.len() as u64).sum(),
        num_values_matched: count(&matched),
        num_values_made: 0,
        num_values_reinitialised: count(&reinitialised),
        matched: names(&matched),
        made: Vec::new(),
        reinitialised: names(&reinitialised),
        unused,
        map: report.map,
        num_derived: report.num_derived,
        zeros: report.zeros,
        origin: report.origin,
    };
    Ok(Imported { tensors, report, unused_head: Vec::new() })
}

/// Returns a tensor with the shape of `param`: `[O, I, H, W]` becomes `[O, I', T, H, W]`, the rows of a table of relative positions are
/// repeated, and others stay. Input channels from `I` on are zeros: they are those of connections from elsewhere.
fn inflated(tensor: &Tensor, param: &Param, from: &str) -> Result<Tensor, InflateError> {
    if tensor.shape == param.shape {
        return Ok(tensor.clone());
    }
    if let ([rows, columns], [rows_3d, columns_3d]) = (tensor.shape.as_slice(), param.shape.as_slice())
        && from.ends_with(TABLE)
        && columns == columns_3d
        && rows_3d.is_multiple_of(*rows)
    {
        return Ok(Tensor::from_f32(param.shape.clone(), &tensor.to_f32().repeat(rows_3d / rows)));
    }
    let ([out, inputs, height, width], [out_3d, inputs_3d, frames, height_3d, width_3d]) =
        (tensor.shape.as_slice(), param.shape.as_slice())
    else {
        return Err(shape_error(tensor, param, from));
    };
    if [out, height, width] != [out_3d, height_3d, width_3d] || inputs > inputs_3d {
        return Err(shape_error(tensor, param, from));
    }
    let mut values = vec![0.0; param.len()];
    let area = height * width;
    for (index, kernel) in tensor.to_f32().chunks_exact(area.max(1)).enumerate() {
        let start = ((index / inputs) * inputs_3d + index % inputs) * frames * area;
        let taps = values[start..start + frames * area].chunks_exact_mut(area);
        for tap in taps {
            tap.iter_mut().zip(kernel).for_each(|(value, flat)| *value = flat / *frames as f32);
        }
    }
    Ok(Tensor::from_f32(param.shape.clone(), &values))
}

fn shape_error(tensor: &Tensor, param: &Param, from: &str) -> InflateError {
    let (name, expected) = (param.name.clone(), param.shape.clone());
    InflateError::Shape { from: from.to_owned(), found: tensor.shape.clone(), name, expected }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pipe_graph::{Init, Role};

    fn check(shape: &[usize], values: &[f32], to: &[usize], expect: Option<&[f32]>) {
        let init = Init::Constant(0.0);
        let param = Param { name: "conv".into(), shape: to.into(), role: Role::Weight, init };
        let from = if shape.len() == 2 { TABLE } else { "conv" };
        let found = inflated(&Tensor::from_f32(shape.into(), values), &param, from);
        assert_eq!(found.ok().map(|tensor| tensor.to_f32()).as_deref(), expect);
    }

    #[test]
    fn kernels_are_repeated_and_divided() {
        check(&[1, 1, 1, 2], &[3.0, 6.0], &[1, 1, 3, 1, 2], Some(&[1.0, 2.0, 1.0, 2.0, 1.0, 2.0]));
        check(&[1, 1, 1, 2], &[3.0, 6.0], &[1, 1, 1, 1, 2], Some(&[3.0, 6.0]));
        check(&[2, 1, 1, 1], &[3.0, 6.0], &[2, 2, 2, 1, 1], Some(&[1.5, 1.5, 0.0, 0.0, 3.0, 3.0, 0.0, 0.0]));
        check(&[2], &[3.0, 6.0], &[2], Some(&[3.0, 6.0]));
        check(&[2, 1], &[3.0, 6.0], &[4, 1], Some(&[3.0, 6.0, 3.0, 6.0]));
    }

    #[test]
    fn other_shapes_are_errors() {
        check(&[1, 1, 1, 2], &[3.0, 6.0], &[1, 1, 3, 2, 1], None);
        check(&[1, 2, 1, 1], &[3.0, 6.0], &[1, 1, 3, 1, 1], None);
        check(&[2], &[3.0, 6.0], &[3], None);
        check(&[2, 1], &[3.0, 6.0], &[3, 1], None);
    }
}
