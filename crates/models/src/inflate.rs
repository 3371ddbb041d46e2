//! [`inflate`]: the weights of a 2-D network for the 3-D network that is made from it (Carreira and Zisserman 2017).
//!
//! A convolution over frames repeats the 2-D one and divides by the number of repetitions, so that a clip of equal frames gives the
//! results of the frame, except where frames are padded. Everything else is copied.

use crate::architecture::Inflation;
use crate::load::{LoadError, named};
use crate::name_map::Counterpart;
use crate::state_dict::{Imported, StateDict};
use crate::zoo::inflation;
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
        /// The network.
        network: String,
    },
    /// A tensor has no shape that can be inflated.
    #[error("`{from}` of {found:?} can't be inflated to `{name}` of {expected:?}")]
    Shape {
        /// The name in the 2-D network.
        from: String,
        /// Its shape.
        found: Vec<usize>,
        /// The name in the 3-D network.
        name: String,
        /// Its shape.
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

/// Returns the 2-D network that a network is inflated from; `None` if there is none.
pub fn inflated_from(backbone: &Backbone) -> Option<Backbone> {
    inflation(backbone).map(|inflation| inflation.from)
}

/// Images for which the 2-D network is built. Its tensors do not depend on it.
const IMAGE: ClipShape = ClipShape { channels: 3, frames: 1, height: 224, width: 224 };

/// Takes the tensors of a network from a checkpoint of the 2-D network that it is inflated from. Tensors that the 2-D network does not
/// have, such as lateral connections, keep their initial values, as the classifier does.
pub(crate) fn inflate(
    backbone: &Backbone,
    graph: &Graph,
    checkpoint: Checkpoint,
    map: Option<Project>,
) -> Result<Imported, LoadError> {
    let network = graph.name.clone();
    let Inflation { from, names } = inflation(backbone).ok_or(InflateError::NotInflated { network })?;
    let params = ModelParams { backbone: from.clone(), ..ModelParams::default() };
    let flat = build(&params, IMAGE, 1).map_err(InflateError::Model)?;
    let Imported { tensors: mut flat_tensors, report } = named(&from, &flat, checkpoint, map)?;
    let mut tensors = StateDict::new();
    let (mut matched, mut reinitialised, mut used) = (Vec::new(), Vec::new(), BTreeSet::new());
    for (id, param) in graph.params.iter().enumerate() {
        let is_head = graph.head.iter().any(|head| head.0 == id);
        let missing = || InflateError::Missing { name: param.name.clone() };
        match names.counterpart(&param.name).filter(|_| !is_head) {
            Some(Counterpart::Rule { theirs, .. }) => {
                let from = theirs.first().and_then(|part| part.spellings.first()).ok_or_else(missing)?;
                let tensor = flat_tensors.get(from).ok_or_else(missing)?;
                tensors.insert(param.name.clone(), inflated(tensor, param, from)?);
                used.insert(from.clone());
                matched.push(param);
            }
            Some(Counterpart::Made(_)) => reinitialised.push(param),
            None if is_head => reinitialised.push(param),
            None => return Err(missing().into()),
        }
    }
    flat_tensors.retain(|name, _| !used.contains(name));
    let unused = [report.unused, report.reinitialised, flat_tensors.into_keys().collect()].concat();
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
        origin: report.origin,
    };
    Ok(Imported { tensors, report })
}

/// Returns a tensor with the shape of `param`: `[O, I, H, W]` becomes `[O, I', T, H, W]`, and others stay. Input channels from `I` on are
/// zeros: they are those of connections from elsewhere.
fn inflated(tensor: &Tensor, param: &Param, from: &str) -> Result<Tensor, InflateError> {
    if tensor.shape == param.shape {
        return Ok(tensor.clone());
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
        let found = inflated(&Tensor::from_f32(shape.into(), values), &param, "conv");
        assert_eq!(found.ok().map(|tensor| tensor.to_f32()).as_deref(), expect);
    }

    #[test]
    fn kernels_are_repeated_and_divided() {
        check(&[1, 1, 1, 2], &[3.0, 6.0], &[1, 1, 3, 1, 2], Some(&[1.0, 2.0, 1.0, 2.0, 1.0, 2.0]));
        check(&[1, 1, 1, 2], &[3.0, 6.0], &[1, 1, 1, 1, 2], Some(&[3.0, 6.0]));
        check(&[2, 1, 1, 1], &[3.0, 6.0], &[2, 2, 2, 1, 1], Some(&[1.5, 1.5, 0.0, 0.0, 3.0, 3.0, 0.0, 0.0]));
        check(&[2], &[3.0, 6.0], &[2], Some(&[3.0, 6.0]));
    }

    #[test]
    fn other_shapes_are_errors() {
        check(&[1, 1, 1, 2], &[3.0, 6.0], &[1, 1, 3, 2, 1], None);
        check(&[1, 2, 1, 1], &[3.0, 6.0], &[1, 1, 3, 1, 1], None);
        check(&[2], &[3.0, 6.0], &[3], None);
    }
}
