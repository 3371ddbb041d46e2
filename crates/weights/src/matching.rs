//! [`match_weights`]: compares a checkpoint with the tensors of a network.

use crate::{Checkpoint, Dtype};
use std::collections::BTreeSet;
use std::fmt;

/// A tensor that a network takes from a checkpoint.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// The names that it may have in the checkpoint, the preferred one first. Without a name it is never there.
    pub names: &'a [String],
    /// The shape that it must have in the checkpoint.
    pub shape: &'a [usize],
    /// Whether it belongs to the classifier, which is initialised again for another number of classes.
    pub head: bool,
    /// Whether it may be missing.
    pub optional: bool,
}

/// A checkpoint that fits a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matching {
    /// The name in the checkpoint of each wanted tensor; `None` for an optional one that is missing, and for those of a new classifier.
    pub found: Vec<Option<String>>,
    /// Whether the classifier of the checkpoint is not used, because it is missing, incomplete or of another shape.
    pub new_head: bool,
    /// The names of the tensors of that classifier.
    pub unused_head: Vec<String>,
    /// The names of tensors that the network does not need: those that `ignored` accepts.
    pub unused: Vec<String>,
    /// The number of tensors without information: step counters of batch normalisations and tables of indices.
    pub num_derived: usize,
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
    /// Both have the tensor, but the checkpoint has integers, such as those of a quantised network, whose scales are elsewhere.
    Integers {
        /// The name in both.
        name: String,
        /// The type in the checkpoint.
        found: Dtype,
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
/// Names and shapes must be equal, with two exceptions: if a tensor of the classifier is missing or has another shape, the whole
/// classifier keeps its initial values; and tensors of the checkpoint that `ignored` accepts are not used. All elements must be
/// floating-point numbers.
///
/// # Errors
/// [`MatchError`] with every tensor that does not fit.
pub fn match_weights(
    wanted: &[Wanted],
    checkpoint: &Checkpoint,
    ignored: &dyn Fn(&str) -> bool,
) -> Result<Matching, MatchError> {
    let fits: Vec<Fit> = wanted.iter().map(|tensor| Fit::of(tensor, checkpoint)).collect();
    let pairs = || wanted.iter().zip(&fits);
    let new_head = pairs().any(|(tensor, fit)| tensor.head && matches!(fit, Fit::OtherShape(..) | Fit::Missing));
    let needed: Vec<(&Wanted, &Fit)> = pairs().filter(|(tensor, _)| !(tensor.head && new_head)).collect();
    let missing: Vec<&str> =
        pairs().filter(|(_, fit)| **fit == Fit::Missing).map(|(tensor, _)| tensor.name()).collect();

    let names: BTreeSet<&str> = fits.iter().filter_map(Fit::name).collect();
    let extra = checkpoint.tensors.keys().map(String::as_str).filter(|name| !names.contains(name));
    let (derived, extra): (Vec<&str>, Vec<&str>) = extra.partition(|name| is_derived(name));
    let (unused, unknown): (Vec<&str>, Vec<&str>) = extra.into_iter().partition(|name| ignored(name));

    let mut mismatches = Vec::new();
    let mut num_missing = 0;
    for (tensor, fit) in &needed {
        match fit {
            Fit::Equal(_) | Fit::Absent => {}
            Fit::OtherShape(name, found) => {
                let (name, expected, found) = ((*name).to_owned(), tensor.shape.into(), (*found).into());
                mismatches.push(Mismatch::Shape { name, expected, found });
            }
            Fit::Integers(name, found) => {
                mismatches.push(Mismatch::Integers { name: (*name).to_owned(), found: *found });
            }
            Fit::Missing => {
                num_missing += 1;
                let nearest = (num_missing <= MAX_NAMED).then(|| nearest(tensor.name(), &unknown)).flatten();
                mismatches.push(Mismatch::Missing { name: tensor.name().to_owned(), nearest });
            }
        }
    }
    for (at, name) in unknown.iter().enumerate() {
        let nearest = (at < MAX_NAMED).then(|| nearest(name, &missing)).flatten();
        mismatches.push(Mismatch::Unused { name: (*name).into(), nearest });
    }
    if !mismatches.is_empty() {
        let num_matched = needed.iter().filter(|(_, fit)| matches!(fit, Fit::Equal(_))).count();
        return Err(MatchError { mismatches, num_matched });
    }
    let taken = |(tensor, fit): (&Wanted, &Fit)| match fit {
        Fit::Equal(name) if !(tensor.head && new_head) => Some((*name).to_owned()),
        Fit::Equal(_) | Fit::Absent | Fit::OtherShape(..) | Fit::Integers(..) | Fit::Missing => None,
    };
    let replaced = pairs().filter(|(tensor, _)| tensor.head && new_head).filter_map(|(_, fit)| fit.name());
    Ok(Matching {
        found: pairs().map(taken).collect(),
        new_head,
        unused_head: replaced.map(str::to_owned).collect(),
        unused: unused.into_iter().map(str::to_owned).collect(),
        num_derived: derived.len(),
    })
}

/// How a checkpoint has a tensor.
#[derive(Debug, PartialEq)]
enum Fit<'a> {
    /// Under this name, with the shape of the network.
    Equal(&'a str),
    /// It is not there, and need not be.
    Absent,
    /// Under this name, with this shape instead.
    OtherShape(&'a str, &'a [usize]),
    /// Under this name, with the shape of the network and integers of this type.
    Integers(&'a str, Dtype),
    Missing,
}

impl<'a> Fit<'a> {
    fn of(tensor: &Wanted<'a>, checkpoint: &'a Checkpoint) -> Self {
        let find = |name: &'a String| Some((name.as_str(), checkpoint.tensors.get(name)?));
        match tensor.names.iter().find_map(find) {
            Some((name, found)) if found.shape != tensor.shape => Self::OtherShape(name, &found.shape),
            Some((name, found)) if !found.dtype.is_float() => Self::Integers(name, found.dtype),
            Some((name, _)) => Self::Equal(name),
            None if tensor.optional => Self::Absent,
            None => Self::Missing,
        }
    }

    /// Returns the name in the checkpoint.
    fn name(&self) -> Option<&'a str> {
        match self {
            Self::Equal(name) | Self::OtherShape(name, _) | Self::Integers(name, _) => Some(name),
            Self::Absent | Self::Missing => None,
        }
    }
}

impl Wanted<'_> {
    fn name(&self) -> &str {
        self.names.first().map_or("", String::as_str)
    }
}

/// Returns whether a tensor follows from others or from sizes: step counters of batch normalisations, and Swin's tables of indices.
fn is_derived(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or(name);
    ["num_batches_tracked", "relative_position_index"].contains(&last)
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
        let is_integers = |mismatch: &&Mismatch| matches!(mismatch, Mismatch::Integers { .. });
        let is_missing = |mismatch: &&Mismatch| matches!(mismatch, Mismatch::Missing { .. });
        let is_unused = |mismatch: &&Mismatch| matches!(mismatch, Mismatch::Unused { .. });
        let kinds: [(&str, Vec<&Mismatch>); 4] = [
            ("of another shape", mismatches.iter().filter(is_shape).collect()),
            ("of integers instead of floating-point numbers", mismatches.iter().filter(is_integers).collect()),
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
            Self::Integers { name, found } => write!(out, "{name} is {}", found.name()),
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

    /// Matches four tensors; returns the names that are found, and whether the classifier is new.
    fn check(tensors: &[(&str, &[usize])]) -> Result<(Vec<String>, bool), String> {
        let names = ["conv1.weight", "bn1.running_mean", "fc.weight", "fc.bias"].map(|name| [name.to_owned()]);
        let shapes: [&[usize]; 4] = [&[2, 1], &[2], &[3, 2], &[3]];
        let wanted: Vec<Wanted> =
            (0..4).map(|at| Wanted { names: &names[at], shape: shapes[at], head: at >= 2, optional: false }).collect();
        match match_weights(&wanted, &checkpoint(tensors), &|name| name.starts_with("decoder.")) {
            Ok(matching) => {
                assert_eq!(matching.found.len(), 4);
                Ok((matching.found.into_iter().flatten().collect(), matching.new_head))
            }
            Err(error) => Err(error.to_string()),
        }
    }

    fn checkpoint(tensors: &[(&str, &[usize])]) -> Checkpoint {
        let zeros = |shape: &[usize]| Tensor::from_f32(shape.into(), &vec![0.0; shape.iter().product()]);
        let tensors = tensors.iter().map(|(name, shape)| ((*name).to_owned(), zeros(shape))).collect();
        Checkpoint { tensors, ..Checkpoint::default() }
    }

    #[test]
    fn weights_that_are_integers_do_not_match() {
        let [conv, head] = ["conv1.weight", "fc.bias"].map(|name| [name.to_owned()]);
        let wanted = [
            Wanted { names: &conv, shape: &[2, 1], head: false, optional: false },
            Wanted { names: &head, shape: &[3], head: true, optional: false },
        ];
        let mut found = checkpoint(&[("conv1.weight", &[2, 1]), ("fc.bias", &[3])]);
        let counter = Tensor { shape: vec![], dtype: Dtype::I64, bytes: vec![0; 8] };
        found.tensors.insert("bn1.num_batches_tracked".to_owned(), counter);
        assert!(match_weights(&wanted, &found, &|_| false).is_ok());
        for (name, dtype) in [("conv1.weight", Dtype::I8), ("fc.bias", Dtype::U8)] {
            let mut found = found.clone();
            let tensor = found.tensors.get_mut(name).expect("a tensor");
            *tensor = Tensor { shape: tensor.shape.clone(), dtype, bytes: vec![0; tensor.shape.iter().product()] };
            let error = match_weights(&wanted, &found, &|_| false).expect_err("integers").to_string();
            let expect = format!("1 of integers instead of floating-point numbers: {name} is {}", dtype.name());
            assert!(error.ends_with(&expect), "{error}");
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
        let (found, new_head) = check(all).expect("fits");
        assert_eq!((found.len(), new_head), (4, false));
    }

    #[test]
    fn the_classifier_is_initialised_as_a_whole() {
        let expect = Ok((vec!["conv1.weight".to_owned(), "bn1.running_mean".to_owned()], true));
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
        let names: Vec<[String; 1]> = (0..200).map(|number| [format!("block.{number}.weight")]).collect();
        let wanted = |names| Wanted { names, shape: &[1], head: false, optional: false };
        let wanted: Vec<Wanted> = names.iter().map(|names| wanted(names)).collect();
        let tensors = names.iter().map(|[name]| (format!("{name}_v"), Tensor::from_f32(vec![1], &[0.0]))).collect();
        let checkpoint = Checkpoint { tensors, ..Checkpoint::default() };
        let error = match_weights(&wanted, &checkpoint, &|_| false).expect_err("an error").to_string();
        assert_eq!(error.lines().count(), 3, "{error}");
        let expect = "block.0.weight (the checkpoint has block.0.weight_v); block.1.weight (the checkpoint has block.1.weight_v)";
        assert!(error.contains(expect) && error.contains("; and 197 more\n"), "{error}");
    }

    #[test]
    fn other_spellings_are_found_and_optional_tensors_may_be_missing() {
        let names = [vec!["q_bias".to_owned(), "query.bias".to_owned()], vec!["key.bias".to_owned()], vec![]];
        let wanted = |(at, names)| Wanted { names, shape: &[2], head: false, optional: at > 0 };
        let wanted: Vec<Wanted> = names.iter().map(Vec::as_slice).enumerate().map(wanted).collect();
        let check = |tensors: &[(&str, &[usize])]| match_weights(&wanted, &checkpoint(tensors), &|_| false);
        let found = |tensors: &[(&str, &[usize])]| check(tensors).expect("fits").found;
        assert_eq!(found(&[("query.bias", &[2])]), [Some("query.bias".to_owned()), None, None]);
        let both = [Some("q_bias".to_owned()), Some("key.bias".to_owned()), None];
        assert_eq!(found(&[("q_bias", &[2]), ("key.bias", &[2])]), both);
        let error = check(&[("query.bias", &[3]), ("key.bias", &[2])]).expect_err("another shape").to_string();
        assert!(error.contains("query.bias is [3] in the checkpoint, [2] in the network"), "{error}");
        let error = check(&[("q_bias", &[2]), ("query.bias", &[2])]).expect_err("twice").to_string();
        assert!(error.contains("1 not in the network: query.bias"), "{error}");
    }

    #[test]
    fn tensors_that_are_not_needed_are_named() {
        let all: &[(&str, &[usize])] = &[
            ("conv1.weight", &[2, 1]),
            ("bn1.running_mean", &[2]),
            ("fc.weight", &[3, 2]),
            ("fc.bias", &[3]),
            ("decoder.norm", &[3]),
        ];
        assert_eq!(check(all).expect("fits").0.len(), 4);
        let matching = match_weights(&[], &checkpoint(&all[4..]), &|name| name == "decoder.norm").expect("fits");
        assert_eq!(matching.unused, ["decoder.norm"]);
        let error = match_weights(&[], &checkpoint(&all[4..]), &|_| false).expect_err("not ignored").to_string();
        assert!(error.contains("1 not in the network: decoder.norm"), "{error}");
    }
}
