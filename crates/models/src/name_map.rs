//! [`NameMap`]: the names that another project gives to the tensors of a network.
//!
//! A map is a list of rules; the first rule whose pattern fits a name renames it. A pattern is a name in which `#` stands for a number
//! and `*`, at its end, for the rest of the name. Both patterns of a rule have the same placeholders in the same order, so each rule
//! works in both directions.

/// The names of one project for the tensors of one network.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct NameMap {
    /// The project, such as `mmaction2`.
    pub source: &'static str,
    /// The rules; the first one that fits decides.
    pub rules: Vec<Rule>,
    /// Tensors of ours that the project does not have, and the value that makes the network equal to theirs.
    pub made: Vec<Made>,
}

/// One renaming.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    ours: String,
    theirs: String,
    /// Axes of size 1 that the project has at the end of the shape.
    extra_axes: usize,
}

/// A tensor that a checkpoint does not have.
#[derive(Debug, Clone, PartialEq)]
pub struct Made {
    /// Our name.
    pub name: String,
    /// The value of all elements.
    pub value: f64,
}

impl NameMap {
    /// Returns a map without rules.
    pub(crate) fn new(source: &'static str) -> Self {
        Self { source, ..Self::default() }
    }

    /// Appends a rule.
    pub(crate) fn rule(mut self, ours: impl Into<String>, theirs: impl Into<String>) -> Self {
        self.rules.push(Rule { ours: ours.into(), theirs: theirs.into(), extra_axes: 0 });
        self
    }

    /// Appends a rule for a linear layer that the project writes as a convolution over three axes of size 1.
    pub(crate) fn rule_as_conv3d(mut self, ours: impl Into<String>, theirs: impl Into<String>) -> Self {
        self.rules.push(Rule { ours: ours.into(), theirs: theirs.into(), extra_axes: 3 });
        self
    }

    /// Appends a batch normalisation that changes nothing, for one that the project does not have.
    pub(crate) fn identity_norm(mut self, name: &str, eps: f64) -> Self {
        let values = [("weight", (1.0 + eps).sqrt()), ("bias", 0.0), ("running_mean", 0.0), ("running_var", 1.0)];
        self.made.extend(values.map(|(slot, value)| Made { name: format!("{name}.{slot}"), value }));
        self
    }

    /// Returns the project's name and shape for a tensor of ours, or `None` if it has no such tensor.
    pub fn to_theirs(&self, name: &str, shape: &[usize]) -> Option<(String, Vec<usize>)> {
        if self.made.iter().any(|made| made.name == name) {
            return None;
        }
        let renamed = |rule: &Rule| Some((rename(name, &rule.ours, &rule.theirs)?, rule.extra_axes));
        let (name, extra_axes) = self.rules.iter().find_map(renamed)?;
        Some((name, shape.iter().copied().chain(std::iter::repeat_n(1, extra_axes)).collect()))
    }

    /// Returns our name for a tensor of the project, or `None` if the network has no such tensor.
    pub fn to_ours(&self, name: &str) -> Option<String> {
        self.rules.iter().find_map(|rule| rename(name, &rule.theirs, &rule.ours))
    }
}

/// Renames `name` from one pattern to the other, or returns `None` if it does not fit.
fn rename(name: &str, from: &str, to: &str) -> Option<String> {
    let mut found = capture(name, from)?.into_iter();
    let mut renamed = String::new();
    for character in to.chars() {
        match character {
            '#' | '*' => renamed.push_str(found.next()?),
            other => renamed.push(other),
        }
    }
    found.next().is_none().then_some(renamed)
}

/// Returns what the placeholders of a pattern stand for in `name`.
fn capture<'a>(mut name: &'a str, pattern: &str) -> Option<Vec<&'a str>> {
    let mut found = Vec::new();
    for character in pattern.chars() {
        let taken = match character {
            '*' => name.len(),
            '#' => match name.bytes().take_while(u8::is_ascii_digit).count() {
                0 => return None,
                digits => digits,
            },
            other => {
                name = name.strip_prefix(other)?;
                continue;
            }
        };
        let (value, rest) = name.split_at(taken);
        found.push(value);
        name = rest;
    }
    name.is_empty().then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map() -> NameMap {
        NameMap::new("other")
            .rule("layer#.#.bn#.*", "backbone.layer#.#.conv#.bn.*")
            .rule("layer4.*", "s5.*")
            .rule_as_conv3d("fc.weight", "head.weight")
            .identity_norm("norm", 1e-5)
    }

    #[test]
    fn names_are_renamed_in_both_directions() {
        for (ours, theirs) in [
            ("layer1.10.bn2.running_var", "backbone.layer1.10.conv2.bn.running_var"),
            ("layer4.0.x", "s5.0.x"),
            ("fc.weight", "head.weight"),
        ] {
            assert_eq!(map().to_theirs(ours, &[2]).map(|(name, _)| name).as_deref(), Some(theirs));
            assert_eq!(map().to_ours(theirs).as_deref(), Some(ours));
        }
    }

    #[test]
    fn names_that_no_rule_fits_have_no_counterpart() {
        for name in ["layer1.bn2.weight", "layerx.0.bn1.weight", "fc.weights", "norm.bias", ""] {
            assert_eq!(map().to_theirs(name, &[2]), None, "{name}");
        }
    }

    #[test]
    fn a_linear_layer_may_be_a_convolution_elsewhere() {
        assert_eq!(map().to_theirs("fc.weight", &[5, 4]), Some(("head.weight".to_owned(), vec![5, 4, 1, 1, 1])));
    }
}
