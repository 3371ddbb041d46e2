//! [`nearest`]: the known name that a misspelt name probably means.

/// Longer names are not compared: in a file made to hurt, that would take minutes.
const MAX_LETTERS: usize = 100;
/// Maximum number of known names that are compared.
const MAX_KNOWN: usize = 1000;

/// Returns the known name that `name` probably means: one with few typing errors, a prefix, a longer form or its initials.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let max_known = if name.len() <= MAX_LETTERS { MAX_KNOWN } else { 0 };
    let known = known.into_iter().filter(|known| known.len() <= MAX_LETTERS).take(max_known);
    let name = name.to_lowercase();
    let initials: String = name.split(['_', '-', ' ']).filter_map(|word| word.chars().next()).collect();
    let typos = |known: &str| strsim::damerau_levenshtein(&name, &known.to_lowercase());
    let rank = |known: &str| {
        let typos = typos(known);
        let lower = known.to_lowercase();
        if typos <= (name.chars().count().max(known.chars().count()) / 3).max(1) {
            Some((0, typos))
        } else if name.len() >= 3 && (lower.starts_with(&name) || (lower.len() >= 3 && name.starts_with(&lower))) {
            Some((1, typos))
        } else {
            (initials.len() > 1 && lower == initials).then_some((2, typos))
        }
    };
    // The first of several equally good names wins, so the result is deterministic.
    known.filter_map(|known| Some((rank(known)?, known))).min_by_key(|(rank, _)| *rank).map(|(_, k)| k)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn the_nearest_name_is_a_misspelling_a_prefix_or_initials() {
        let known = ["lr", "weight_decay", "test_groups", "groups"];
        assert_eq!(nearest("wieght_decay", known), Some("weight_decay"));
        assert_eq!(nearest("learning_rate", known), Some("lr"));
        assert_eq!(nearest("group", known), Some("groups"));
        assert_eq!(nearest("test", known), Some("test_groups"));
        assert_eq!(nearest("colour", known), None);
    }
}
