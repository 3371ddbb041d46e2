//! The ends of paths, joined by polars: [`common_keys`]. The only module of this crate that uses polars.

use crate::paths;
use polars::prelude::{JoinValidation, NamedFrom, PolarsResult, Series, SeriesJoin};
use std::collections::HashMap;

/// All ends of many paths, each once.
pub(super) struct Suffixes<'a> {
    keys: Vec<&'a str>,
    /// One per key.
    paths: Vec<PathsWithEnd>,
}

/// Positions of the paths with an end, in order.
#[derive(Debug, Default)]
pub(super) struct PathsWithEnd {
    /// Paths that are the end.
    pub(super) whole: Vec<usize>,
    /// Paths with a folder before it.
    pub(super) ending: Vec<usize>,
}

/// The paths of both sides with the same end.
pub(super) struct KeyPair<'p> {
    pub(super) listed: &'p PathsWithEnd,
    pub(super) known: &'p PathsWithEnd,
}

impl<'a> Suffixes<'a> {
    /// Returns the ends of `paths`; those without a path have none.
    pub(super) fn of(paths: impl Iterator<Item = Option<&'a str>>) -> Self {
        let mut found = Self { keys: Vec::new(), paths: Vec::new() };
        let mut positions: HashMap<&str, usize> = HashMap::new();
        for (path, text) in paths.enumerate().filter_map(|(path, text)| Some((path, text?))) {
            for key in paths::suffixes(text) {
                let position = *positions.entry(key).or_insert_with(|| {
                    found.keys.push(key);
                    found.paths.push(PathsWithEnd::default());
                    found.keys.len() - 1
                });
                let with_end = &mut found.paths[position];
                let paths = if key.len() == text.len() { &mut with_end.whole } else { &mut with_end.ending };
                paths.push(path);
            }
        }
        found
    }
}

/// Joins the ends of both sides, and returns the common ones from the longest to the shortest.
///
/// Each side has each end once: thousands of equal names on both sides would make millions of pairs. A data frame's `join` would
/// be compiled here once more, with all types of columns; the join of two series is compiled in polars.
pub(super) fn common_keys<'p>(listed: &'p Suffixes<'_>, known: &'p Suffixes<'_>) -> PolarsResult<Vec<KeyPair<'p>>> {
    let [left, right] = [listed, known].map(|side| Series::new("end".into(), &side.keys));
    let ((left, right), _) = left.hash_join_inner(&right, JoinValidation::ManyToMany, false)?;
    let mut rows: Vec<(usize, usize)> = left.into_iter().zip(right).map(|(l, r)| (l as usize, r as usize)).collect();
    rows.sort_unstable_by_key(|(left, _)| (std::cmp::Reverse(listed.keys[*left].len()), *left));
    Ok(rows
        .into_iter()
        .map(|(left, right)| KeyPair { listed: &listed.paths[left], known: &known.paths[right] })
        .collect())
}
