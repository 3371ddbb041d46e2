//! [`Comparison`]: whether a result that was made again equals the one that the store has, bit for bit or in its numbers.

use crate::environment::gives_equal_bits;
use pipe_cache::{CacheError, Digest, Store, Tree, TreeFile};
use pipe_schemas::{Numerics, Tolerance};
use pipe_stage::Environment;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// How two results were compared and what came out.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Comparison {
    /// All bits are equal.
    Identical,
    /// The results are of different environments, and all numbers in them are equal within the tolerance.
    WithinTolerance(Tolerance),
    /// The results differ.
    Different {
        /// `None` if bits were compared.
        tolerance: Option<Tolerance>,
        /// Where they differ first.
        place: String,
    },
}

/// Compares results. Tables and tensors are read by the data worker.
pub(super) struct Comparer<'a> {
    pub(super) store: &'a Store,
    pub(super) data_worker: &'a Path,
    pub(super) numerics: Numerics,
}

impl Comparer<'_> {
    /// Compares the result `two` with `one`; each comes with the environment in which it was made.
    pub(super) fn compare(
        &self,
        one: (Digest, &Environment),
        two: (Digest, &Environment),
    ) -> Result<Comparison, CacheError> {
        if one.0 == two.0 {
            return Ok(Comparison::Identical);
        }
        let tolerance = match self.numerics {
            Numerics::FloatingPoint(tolerance) if !gives_equal_bits(one.1, two.1) => Some(tolerance),
            Numerics::FloatingPoint(_) | Numerics::Exact | Numerics::Measured(_) => None,
        };
        let trees = (self.store.tree(one.0)?, self.store.tree(two.0)?);
        let views = (self.store.view(one.0), self.store.view(two.0));
        let place = self.difference((&trees.0, &trees.1), (&views.0, &views.1), tolerance);
        Ok(match (place, tolerance) {
            (Some(place), tolerance) => Comparison::Different { tolerance, place },
            (None, Some(tolerance)) => Comparison::WithinTolerance(tolerance),
            (None, None) => Comparison::Different { tolerance, place: "only the order of files".to_owned() },
        })
    }

    /// Returns which file of two outputs differs first and, for tables and tensors, where in it.
    fn difference(&self, trees: (&Tree, &Tree), views: (&Path, &Path), tolerance: Option<Tolerance>) -> Option<String> {
        let find =
            |tree: &Tree, path: &str| -> Option<TreeFile> { tree.files.iter().find(|file| file.path == path).cloned() };
        let mut paths: Vec<&str> = trees.0.files.iter().chain(&trees.1.files).map(|file| file.path.as_str()).collect();
        paths.sort_unstable();
        paths.dedup();
        paths.into_iter().find_map(|path| match (find(trees.0, path), find(trees.1, path)) {
            (Some(was), Some(is)) if was == is => None,
            (Some(_), None) => Some(format!("{path} is gone")),
            (None, _) => Some(format!("{path} is new")),
            (Some(_), Some(_)) => {
                let files = (views.0.join(path), views.1.join(path));
                let inside = self.difference_inside(&files, tolerance)?;
                Some(format!("{path}: {inside}\n{}\n{}", files.0.display(), files.1.display()))
            }
        })
    }

    /// Returns where two files with different bits differ; `None` if not beyond the tolerance.
    fn difference_inside(&self, files: &(PathBuf, PathBuf), tolerance: Option<Tolerance>) -> Option<String> {
        let format = files.0.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
        let asked = match tolerance {
            // The worker knows which files have numbers; it fails for others.
            Some(tolerance) => {
                let numbers = [tolerance.relative.to_string(), tolerance.absolute.to_string()];
                self.ask(&["--compare", &numbers[0], &numbers[1]], files)
            }
            None if ["parquet", "safetensors"].contains(&format) => {
                self.ask(&["--diff"], files).filter(|text| !text.is_empty())
            }
            None => None,
        };
        match asked {
            Some(text) => (!text.is_empty()).then_some(text),
            None => Some(bytes(&files.0, &files.1)),
        }
    }

    fn ask(&self, flags: &[&str], files: &(PathBuf, PathBuf)) -> Option<String> {
        let mut command = Command::new(self.data_worker);
        let output = command.args(flags).args([&files.0, &files.1]).stdin(Stdio::null()).output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        output.status.success().then(|| text.trim().to_owned())
    }
}

/// A figure that two results do not share.
pub(super) struct OtherFigure {
    pub(super) name: String,
    pub(super) was: f64,
    /// `None` if the second result does not have it.
    pub(super) is: Option<f64>,
}

/// Returns the first figure of `was` that differs from that of `is` by more than the tolerance.
pub(super) fn other_figure(
    was: &BTreeMap<String, f64>,
    is: &BTreeMap<String, f64>,
    tolerance: Tolerance,
) -> Option<OtherFigure> {
    was.iter().find_map(|(name, was)| {
        let is = is.get(name).copied();
        let differs = !is.is_some_and(|is| tolerance.accepts(*was, is));
        differs.then(|| OtherFigure { name: name.clone(), was: *was, is })
    })
}

fn bytes(one: &Path, two: &Path) -> String {
    let read = |path: &Path| fs_err::read(path).unwrap_or_default();
    let (one, two) = (read(one), read(two));
    match one.iter().zip(&two).position(|(one, two)| one != two) {
        Some(position) => format!("differs from byte {position} on, {} and {} bytes", one.len(), two.len()),
        None => format!("one is the beginning of the other, {} and {} bytes", one.len(), two.len()),
    }
}
