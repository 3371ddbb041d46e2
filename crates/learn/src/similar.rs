//! [`similar`]: names for the message that a name does not exist.

use crate::trained_tensor::TrainedTensor;

/// Maximum number of names in a message.
const MAX_NAMES: usize = 3;

/// Returns the layers, or parts of names, that are most like `name`, best first.
pub(crate) fn similar(name: &str, tensors: &[TrainedTensor]) -> Vec<String> {
    let mut names: Vec<&str> = tensors.iter().flat_map(TrainedTensor::names).flat_map(beginnings).collect();
    names.sort_unstable();
    names.dedup();
    let likeness = |known: &&str| {
        let distance = strsim::normalized_damerau_levenshtein(name, known);
        // Ties are in alphabetical order.
        ((1.0 - distance) * 1e9) as u64
    };
    names.sort_by_key(likeness);
    names.into_iter().take(MAX_NAMES).map(|name| format!("`{name}`")).collect()
}

/// Returns a name and all its beginnings that end before a dot.
fn beginnings(name: &str) -> impl Iterator<Item = &str> {
    name.match_indices('.').map(|(end, _)| &name[..end]).chain([name])
}
