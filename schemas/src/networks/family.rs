//! [`Family`]: what is published about a network family, and which of its parts are not trained.

use super::frozen_parts::FrozenParts;

/// A network family: the parameters of one `backbone.type`.
pub trait Family {
    /// The network in one line.
    const SUMMARY: &'static str;
    /// The paper: authors and year.
    const PAPER: &'static str;
    /// The published weights with the same tensor names.
    const WEIGHTS: &'static str;

    /// Returns the parts that are not trained. A family with a parameter of this name, such as `frozen_stages`, returns its value; the
    /// default is for those without.
    fn frozen_parts(&self) -> FrozenParts {
        FrozenParts::default()
    }
}

/// A row of the list of networks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FamilyInfo {
    /// The value of `backbone.type`.
    pub type_name: &'static str,
    /// See [`Family::SUMMARY`].
    pub summary: &'static str,
    /// See [`Family::PAPER`].
    pub paper: &'static str,
    /// See [`Family::WEIGHTS`].
    pub weights: &'static str,
}
