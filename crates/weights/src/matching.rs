//! [`match_weights`]: compares a checkpoint with the tensors of a network.

use crate::{Checkpoint, Origin};
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
    /// The number of values of all tensors of the network.
    pub num_values: u64,
    /// The number of those that were loaded from the checkpoint.
    pub num_values_matched: u64,
    /// The names of the tensors loaded from the checkpoint.
    pub matched: Vec<String>,
    /// The names of the tensors that keep their initial values.
    pub reinitialised: Vec<String>,
    /// Where in the file the tensors were found.
    pub origin: Origin,
}

impl LoadReport {
    /// Returns the report in short lines.
    pub fn lines(&self) -> Vec<String> {
        let Self { num_matched, num_reinitialised, num_unused, reinitialised, num_values, num_values_matched, .. } =
            self;
        let names = if reinitialised.is_empty() { String::new() } else { format!(" ({})", reinitialised.join(", ")) };
        let mut lines = vec![format!(
            "{num_matched} tensors matched, {num_reinitialised} reinitialised{names}, {num_unused} unused"
        )];
        if num_values_matched < num_values {
            let percent = 100.0 * *num_values_matched as f64 / *num_values as f64;
            lines.push(format!("{percent:.1} % of the network's values are from the checkpoint"));
        }
        lines.extend(self.origin.notes());
        lines
    }
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
    let (mut num_values, mut num_values_matched) = (0, 0);
    let mut num_missing = 0;
    for tensor in wanted {
        let name = tensor.name.to_owned();
        let count = tensor.shape.iter().product::<usize>() as u64;
        num_values += count;
        match found(tensor) {
            _ if tensor.head && new_head => reinitialised.push(name),
            Some(shape) if shape == tensor.shape => {
                matched.push(name);
                num_values_matched += count;
            }
            Some(shape) => {
                mismatches.push(Mismatch::Shape { name, expected: tensor.shape.into(), found: shape.into() });
            }
            None => {
                num_missing += 1;
                let nearest = (num_missing <= MAX_NAMED).then(|| nearest(tensor.name, &unused)).flatten();
                mismatches.push(Mismatch::Missing { name, nearest });
            }
        }
    }
    for (at, name) in unused.iter().enumerate() {
        let nearest = (at < MAX_NAMED).then(|| nearest(name, &missing)).flatten();
        mismatches.push(Mismatch::Unused { name: (*name).into(), nearest });
    }
    if !mismatches.is_empty() {
        return Err(MatchError { mismatches, num_matched: matched.len() });
    }
    Ok(LoadReport {
        num_matched: matched.len(),
        num_reinitialised: reinitialised.len(),
        num_unused: unused.len(),
        num_batch_counters: counters.len(),
        num_values,
        num_values_matched,
        matched,
        reinitialised,
        origin: checkpoint.origin.clone(),
    })
}

/// The maximum number of tensors of each kind that an error names, and with which a nearest name is looked up.
const MAX_NAMED: usize = 3;
/// The maximum number of names that are compared with one name.
const MAX_COMPARED: usize = 5_000;

/// Returns the candidate that is most similar to `name`, if it is at least half equal.
fn nearest(name: &str, candidates: &[&str]) -> Option<String> {
    let rated = candidates
        .iter()
        .take(MAX_COMPARED)
        .map(|candidate| (strsim::normalized_levenshtein(name, candidate), *candidate));
    let best = rated.max_by(|(a, _), (b, _)| a.total_cmp(b))?;
    (best.0 >= 0.5).then(|| best.1.to_owned())
}

impl std::error::Error for MatchError {}

/// The number of tensors that do not fit, then a line for each kind of mismatch that occurs, with some examples.
impl fmt::Display for MatchError {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        let Self { mismatches, num_matched } = self;
        write!(out, "the weights do not fit the network: {num_matched} tensors match, {} do not", mismatches.len())?;
        let is_shape = |mismatch: &&Mismatch| matches!(mismatch, Mismatch::Shape { .. });
        let is_missing = |mismatch: &&Mismatch| matches!(mismatch, Mismatch::Missing { .. });
        let is_unused = |mismatch: &&Mismatch| matches!(mismatch, Mismatch::Unused { .. });
        let kinds: [(&str, Vec<&Mismatch>); 3] = [
            ("of another shape", mismatches.iter().filter(is_shape).collect()),
            ("not in the checkpoint", mismatches.iter().filter(is_missing).collect()),
            ("not in the network", mismatches.iter().filter(is_unused).collect()),
        ];
        for (text, of_kind) in kinds.iter().filter(|(_, of_kind)| !of_kind.is_empty()) {
            let examples: Vec<String> = of_kind.iter().take(MAX_NAMED).map(ToString::to_string).collect();
            let count = of_kind.len();
            let more = if count > MAX_NAMED { format!("; and {} more", count - MAX_NAMED) } else { String::new() };
            write!(out, "\n  {count} {text}: {}{more}", examples.join("; "))?;
        }
        Ok(())
    }
}

/// The name, and what is particular to it.
impl fmt::Display for Mismatch {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Missing { name, nearest: Some(nearest) } => write!(out, "{name} (the checkpoint has {nearest})"),
            Self::Unused { name, nearest: Some(nearest) } => write!(out, "{name} (the network has {nearest})"),
            Self::Missing { name, nearest: None } | Self::Unused { name, nearest: None } => write!(out, "{name}"),
            Self::Shape { name, expected, found } => {
                write!(out, "{name} is {found:?} in the checkpoint, {expected:?} in the network")
            }
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
        match match_weights(&WANTED, &Checkpoint { tensors, ..Checkpoint::default() }) {
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
             1 of another shape: bn1.running_mean is [4] in the checkpoint, [2] in the network\n  \
             1 not in the checkpoint: conv1.weight (the checkpoint has conv1.conv.weight)\n  \
             2 not in the network: conv1.conv.weight (the network has conv1.weight); x"
        );
    }

    #[test]
    fn an_error_is_short_however_many_tensors_do_not_fit() {
        let names: Vec<String> = (0..200).map(|number| format!("block.{number}.weight")).collect();
        let wanted: Vec<Wanted> = names.iter().map(|name| Wanted { name, shape: &[1], head: false }).collect();
        let tensors = names.iter().map(|name| (format!("{name}_v"), Tensor::from_f32(vec![1], &[0.0]))).collect();
        let checkpoint = Checkpoint { tensors, ..Checkpoint::default() };
        let error = match_weights(&wanted, &checkpoint).expect_err("an error").to_string();
        assert_eq!(error.lines().count(), 3, "{error}");
        let expect = "block.0.weight (the checkpoint has block.0.weight_v); block.1.weight (the checkpoint has block.1.weight_v)";
        assert!(error.contains(expect) && error.contains("; and 197 more\n"), "{error}");
    }

    #[test]
    fn the_report_has_the_share_of_values() {
        let tensors = [("conv1.weight", vec![2, 1]), ("bn1.running_mean", vec![2])];
        let zeros = |shape: Vec<usize>| Tensor::from_f32(shape.clone(), &vec![0.0; shape.iter().product()]);
        let tensors = tensors.into_iter().map(|(name, shape)| (name.to_owned(), zeros(shape))).collect();
        let report = match_weights(&WANTED, &Checkpoint { tensors, ..Checkpoint::default() }).expect("fits");
        assert_eq!((report.num_values, report.num_values_matched), (13, 4));
        let expect = [
            "2 tensors matched, 2 reinitialised (fc.weight, fc.bias), 0 unused",
            "30.8 % of the network's values are from the checkpoint",
        ];
        assert_eq!(report.lines(), expect);
    }
}
