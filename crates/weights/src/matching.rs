//! [`match_weights`]: compares a checkpoint with the tensors of a network.

use crate::Checkpoint;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;

/// A tensor of a network.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// The name that it must have in the checkpoint.
    pub name: &'a str,
    /// The shape that it must have in the checkpoint.
    pub shape: &'a [usize],
    /// Whether it belongs to the classifier, which is initialised again for another number of classes.
    pub head: bool,
}

/// How the tensors of a network were initialised; the content of `weights.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadReport {
    /// The number of tensors loaded from the checkpoint.
    pub num_matched: usize,
    /// The number of tensors of the classifier that keep their initial values.
    pub num_reinitialised: usize,
    /// The number of tensors of the checkpoint that the network does not have; always 0, because others are an error.
    pub num_unused: usize,
    /// The number of step counters of batch normalisations (`num_batches_tracked`), which are ignored.
    pub num_batch_counters: usize,
    /// The names of the tensors loaded from the checkpoint.
    pub matched: Vec<String>,
    /// The names of the tensors that keep their initial values.
    pub reinitialised: Vec<String>,
}

/// A checkpoint that does not fit a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MatchError {
    /// All tensors that do not fit: those of the network in their order, then those that only the checkpoint has.
    pub mismatches: Vec<Mismatch>,
    /// The number of tensors that fit.
    pub num_matched: usize,
}

/// A tensor that does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mismatch {
    /// Only the network has the tensor.
    Missing {
        /// The name in the network.
        name: String,
        /// The closest name in the checkpoint that the network does not have.
        nearest: Option<String>,
    },
    /// Both have the tensor, with different shapes.
    Shape {
        /// The name in both.
        name: String,
        /// The shape in the network.
        expected: Vec<usize>,
        /// The shape in the checkpoint.
        found: Vec<usize>,
    },
    /// Only the checkpoint has the tensor.
    Unused {
        /// The name in the checkpoint.
        name: String,
        /// The closest name in the network that the checkpoint does not have.
        nearest: Option<String>,
    },
}

/// Compares a checkpoint with the tensors of a network.
///
/// Names and shapes must be equal, with one exception: if a tensor of the classifier is missing or has another shape, the whole
/// classifier keeps its initial values.
///
/// # Errors
/// [`MatchError`] with every tensor that does not fit.
pub fn match_weights(wanted: &[Wanted], checkpoint: &Checkpoint) -> Result<LoadReport, MatchError> {
    let names: BTreeSet<&str> = wanted.iter().map(|tensor| tensor.name).collect();
    let found = |tensor: &Wanted| checkpoint.tensors.get(tensor.name).map(|tensor| tensor.shape.as_slice());
    let new_head = wanted.iter().any(|tensor| tensor.head && found(tensor) != Some(tensor.shape));
    let extra = checkpoint.tensors.keys().map(String::as_str).filter(|name| !names.contains(name));
    let (counters, unused): (Vec<&str>, Vec<&str>) =
        extra.partition(|name| *name == "num_batches_tracked" || name.ends_with(".num_batches_tracked"));
    let missing: Vec<&str> = wanted.iter().filter(|tensor| found(tensor).is_none()).map(|tensor| tensor.name).collect();

    let (mut matched, mut reinitialised, mut mismatches) = (Vec::new(), Vec::new(), Vec::new());
    for tensor in wanted {
        let name = tensor.name.to_owned();
        match found(tensor) {
            _ if tensor.head && new_head => reinitialised.push(name),
            Some(shape) if shape == tensor.shape => matched.push(name),
            Some(shape) => {
                mismatches.push(Mismatch::Shape { name, expected: tensor.shape.into(), found: shape.into() });
            }
            None => mismatches.push(Mismatch::Missing { name, nearest: nearest(tensor.name, &unused) }),
        }
    }
    mismatches
        .extend(unused.iter().map(|name| Mismatch::Unused { name: (*name).into(), nearest: nearest(name, &missing) }));
    if !mismatches.is_empty() {
        return Err(MatchError { mismatches, num_matched: matched.len() });
    }
    Ok(LoadReport {
        num_matched: matched.len(),
        num_reinitialised: reinitialised.len(),
        num_unused: unused.len(),
        num_batch_counters: counters.len(),
        matched,
        reinitialised,
    })
}

/// Returns the candidate that is most similar to `name`, if it is at least half equal.
fn nearest(name: &str, candidates: &[&str]) -> Option<String> {
    let rated = candidates.iter().map(|candidate| (strsim::normalized_levenshtein(name, candidate), *candidate));
    let best = rated.max_by(|(a, _), (b, _)| a.total_cmp(b))?;
    (best.0 >= 0.5).then(|| best.1.to_owned())
}

impl std::error::Error for MatchError {}

impl fmt::Display for MatchError {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        let Self { mismatches, num_matched } = self;
        write!(out, "the weights do not fit the network: {num_matched} tensors match, {} do not", mismatches.len())?;
        for mismatch in mismatches {
            write!(out, "\n  {mismatch}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        let (text, nearest) = match self {
            Self::Missing { name, nearest } => (format!("{name} is not in the checkpoint"), nearest),
            Self::Unused { name, nearest } => (format!("{name} is not in the network"), nearest),
            Self::Shape { name, expected, found } => {
                return write!(out, "{name} is {found:?} in the checkpoint, {expected:?} in the network");
            }
        };
        match nearest {
            Some(nearest) => write!(out, "{text}; the nearest is {nearest}"),
            None => write!(out, "{text}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Tensor;

    const WANTED: [Wanted; 4] = [
        Wanted { name: "conv1.weight", shape: &[2, 1], head: false },
        Wanted { name: "bn1.running_mean", shape: &[2], head: false },
        Wanted { name: "fc.weight", shape: &[3, 2], head: true },
        Wanted { name: "fc.bias", shape: &[3], head: true },
    ];

    fn check(tensors: &[(&str, &[usize])]) -> Result<(Vec<String>, Vec<String>), String> {
        let zeros = |shape: &[usize]| Tensor::from_f32(shape.into(), &vec![0.0; shape.iter().product()]);
        let tensors = tensors.iter().map(|(name, shape)| ((*name).to_owned(), zeros(shape))).collect();
        match match_weights(&WANTED, &Checkpoint { tensors }) {
            Ok(report) => Ok((report.matched, report.reinitialised)),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn equal_names_and_shapes_match() {
        let all: &[(&str, &[usize])] = &[
            ("conv1.weight", &[2, 1]),
            ("bn1.running_mean", &[2]),
            ("bn1.num_batches_tracked", &[]),
            ("fc.weight", &[3, 2]),
            ("fc.bias", &[3]),
        ];
        let (matched, reinitialised) = check(all).expect("fits");
        assert_eq!((matched.len(), reinitialised.len()), (4, 0));
    }

    #[test]
    fn the_classifier_is_initialised_as_a_whole() {
        let expect = Ok((
            vec!["conv1.weight".to_owned(), "bn1.running_mean".to_owned()],
            vec!["fc.weight".to_owned(), "fc.bias".to_owned()],
        ));
        let base: [(&str, &[usize]); 2] = [("conv1.weight", &[2, 1]), ("bn1.running_mean", &[2])];
        let with = |more: &[(&'static str, &'static [usize])]| [&base[..], more].concat();
        assert_eq!(check(&with(&[("fc.weight", &[400, 2]), ("fc.bias", &[400])])), expect);
        assert_eq!(check(&with(&[("fc.weight", &[3, 2])])), expect);
        assert_eq!(check(&base), expect);
    }

    #[test]
    fn an_error_lists_every_other_mismatch() {
        let error =
            check(&[("conv1.conv.weight", &[2, 1]), ("bn1.running_mean", &[4]), ("x", &[1])]).expect_err("an error");
        assert_eq!(
            error,
            "the weights do not fit the network: 0 tensors match, 4 do not\n  \
             conv1.weight is not in the checkpoint; the nearest is conv1.conv.weight\n  \
             bn1.running_mean is [4] in the checkpoint, [2] in the network\n  \
             conv1.conv.weight is not in the network; the nearest is conv1.weight\n  \
             x is not in the network"
        );
    }
}
