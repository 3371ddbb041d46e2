//! [`similar`]: names for the message that a name does not exist.

use crate::trained_tensor::TrainedTensor;

/// Maximum number of names in a message.
const MAX_NAMES: usize = 3;

/// Returns the layers, or parts of names, that are most like `name`, best first.
pub(crate) fn similar(name: &str, tensors: &[TrainedTensor]) -> Vec<String> {
    nearest(name, tensors.iter().flat_map(TrainedTensor::names).flat_map(beginnings))
}

/// Returns the names that are most like `name`, best first.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let mut names: Vec<&str> = known.into_iter().collect();
    names.sort_unstable();
    names.dedup();
    let unlikeness = |known: &&str| {
        let likeness = strsim::normalized_damerau_levenshtein(name, known);
        // Ties are in alphabetical order.
        ((1.0 - likeness) * 1e9) as u64
    };
    names.sort_by_key(unlikeness);
    names.into_iter().take(MAX_NAMES).map(|name| format!("`{name}`")).collect()
}

/// Returns a name and all its beginnings that end before a dot.
fn beginnings(name: &str) -> impl Iterator<Item = &str> {
    name.match_indices('.').map(|(end, _)| &name[..end]).chain([name])
}
