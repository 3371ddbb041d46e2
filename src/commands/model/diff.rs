//! `pipe model diff`.

mod view;

use super::file::WeightsFile;
use crate::args::Format;
use crate::commands::Command;
use crate::error::CommandError;
use crate::exit::Code;
use pipe_weights::{Checkpoint, Distance, Tensor, compare};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// Compare the tensors of two files: names, shapes, types and values
///
/// What training code puts before the names of one file only, such as `module.`, is removed. The exit code is 1 if anything
/// differs or can't be read.
#[derive(Debug, clap::Args)]
pub(crate) struct Diff {
    /// File or folder of weights
    a: PathBuf,
    /// File or folder to compare with
    b: PathBuf,
    /// Number of tensors to show of each kind of difference
    #[arg(long, value_name = "N", default_value_t = 10)]
    top: usize,
    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Text)]
    output: Format,
}

/// The differences of two files.
#[derive(Debug, Default)]
struct Differences {
    /// Tensors that only the first file has.
    only_a: Vec<(String, Tensor)>,
    /// Tensors that only the second file has.
    only_b: Vec<(String, Tensor)>,
    /// Tensors with different shapes.
    shapes: Vec<(String, Tensor, Tensor)>,
    /// Tensors of the same shape with different types of elements.
    types: Vec<(String, Tensor, Tensor)>,
    /// Tensors with different values, the largest relative difference first.
    values: Vec<(String, Distance)>,
    /// The number of tensors with equal names, shapes, types and values.
    num_equal: usize,
}

impl Command for Diff {
    const NAME: &'static str = "diff";

    fn run(self) -> Result<Code, CommandError> {
        let (a, b) = (WeightsFile::open(&self.a)?, WeightsFile::open(&self.b)?);
        let names = |file: &WeightsFile| file.checkpoint.tensors.keys().cloned().collect::<BTreeSet<String>>();
        let (names_a, names_b) = (names(&a), names(&b));
        let without = |file: WeightsFile, names: &BTreeSet<String>| {
            let checkpoint = file.checkpoint.without_prefixes(&names.iter().map(String::as_str).collect());
            WeightsFile { checkpoint, ..file }
        };
        let (a, b) = (without(a, &names_b), without(b, &names_a));
        let differences = Differences::between(&a.checkpoint, &b.checkpoint);
        if self.output == Format::Json {
            view::json(&a, &b, &differences);
        } else {
            view::text(&a, &b, &differences, self.top);
        }
        // Tensors that can't be read can't be compared; the notes of the files name them.
        let is_whole = |file: &WeightsFile| file.checkpoint.origin.unsupported.is_empty();
        let is_equal = differences.are_none() && is_whole(&a) && is_whole(&b);
        Ok(if is_equal { Code::Ok } else { Code::Failed })
    }
}

impl Differences {
    fn between(a: &Checkpoint, b: &Checkpoint) -> Self {
        let mut found = Self::default();
        for (name, one) in &a.tensors {
            let Some(two) = b.tensors.get(name) else {
                found.only_a.push((name.clone(), one.clone()));
                continue;
            };
            let Some(distance) = compare(one, two) else {
                found.shapes.push((name.clone(), one.clone(), two.clone()));
                continue;
            };
            let same_type = one.dtype == two.dtype;
            if !same_type {
                found.types.push((name.clone(), one.clone(), two.clone()));
            }
            if distance.num_different > 0 {
                found.values.push((name.clone(), distance));
            } else if same_type {
                found.num_equal += 1;
            }
        }
        let only_b = b.tensors.iter().filter(|(name, _)| !a.tensors.contains_key(*name));
        found.only_b = only_b.map(|(name, tensor)| (name.clone(), tensor.clone())).collect();
        found.values.sort_by(|(_, a), (_, b)| b.relative().total_cmp(&a.relative()));
        found
    }

    fn are_none(&self) -> bool {
        let Self { only_a, only_b, shapes, types, values, num_equal: _ } = self;
        only_a.is_empty() && only_b.is_empty() && shapes.is_empty() && types.is_empty() && values.is_empty()
    }
}
