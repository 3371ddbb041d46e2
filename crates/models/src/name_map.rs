//! [`NameMap`]: the names that another project gives to the tensors of a network.
//!
//! A map is a list of rules; the first rule whose pattern fits a name of ours applies. A pattern is a name in which `#` stands for a
//! number and `*`, at its end, for the rest of the name. The patterns of a rule have the same placeholders in the same order.
//!
//! `layout.rs` applies a map to a network, `state_dict.rs` moves tensors. A map is written in the file of its family:
//!
//! ```text
//! NameMap::new(Project::Huggingface)
//!     .rule("backbone.blocks.#.norm1.*", "videomae.encoder.layer.#.layernorm_before.*")
//!     .rule("backbone.blocks.#.attn.q_bias", Part::named("….#.q_bias").or("….#.query.bias"))
//!     .concat("backbone.blocks.#.attn.qkv.weight", ["….#.query.weight", "….#.key.weight", "….#.value.weight"])
//!     .initial("backbone.pos_embed")
//! ```

mod pattern;

use pattern::{capture, fill};
use pipe_schemas::networks::Project;
use pipe_weights::{Dtype, Tensor};

/// The names of one project for the tensors of one network.
#[derive(Debug, Clone, PartialEq)]
pub struct NameMap {
    /// The project whose names these are.
    pub project: Project,
    /// Parameters of the network with other values than the project's network has. Tensors do not show the difference.
    pub conflicts: Vec<Conflict>,
    rules: Vec<Rule>,
    made: Vec<Made>,
    ignored: Vec<String>,
    index_tables: Vec<(String, Tensor)>,
}

/// A parameter of the network with another value than the network of the project has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// The parameter, such as `conv1_stride_t`.
    pub parameter: &'static str,
    /// The value in the network.
    pub found: String,
    /// Its value for weights of the project.
    pub expected: String,
}

/// Tensors of ours that are tensors of the project. On one side there is a single tensor; it consists of those of the other side, one
/// after the other along the first axis.
#[derive(Debug, Clone, PartialEq)]
struct Rule {
    ours: Vec<String>,
    theirs: Vec<Part>,
    axes: Axes,
}

/// A tensor of the project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The names that it may have. The first one is written, each is read.
    pub spellings: Vec<String>,
    /// Whether it may be missing, and consists of zeros then.
    pub optional: bool,
}

/// Axes of size 1 that the project has, and the network does not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Axes {
    /// At the start of the shape.
    pub before: usize,
    /// At the end of the shape.
    pub after: usize,
}

/// Tensors of ours that the project does not have.
#[derive(Debug, Clone, PartialEq)]
struct Made {
    pattern: String,
    value: MadeValue,
}

/// The value of a tensor that the project does not have.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum MadeValue {
    /// All elements have this value, which makes the network equal to the project's.
    Constant(f64),
    /// The value that a new network has, such as a table that follows from its sizes.
    Initial,
    /// The value that a new network has, and that training has to change, such as the classifier after a pretraining.
    Untrained,
}

/// What a map says about a tensor of ours.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Counterpart {
    /// It is a part of the link with these names. Names of ours come first.
    Rule { ours: Vec<String>, theirs: Vec<Part>, axes: Axes },
    /// The project does not have it.
    Made(MadeValue),
}

impl Part {
    /// Returns a tensor that always exists.
    #[must_use]
    pub fn named(name: impl Into<String>) -> Self {
        Self { spellings: vec![name.into()], optional: false }
    }

    /// Adds another name that the tensor may have in files; it is read, and never written.
    #[must_use]
    pub fn or(mut self, name: impl Into<String>) -> Self {
        self.spellings.push(name.into());
        self
    }

    /// Allows that the tensor is missing. It consists of zeros then.
    #[must_use]
    pub fn optional(self) -> Self {
        Self { optional: true, ..self }
    }

    /// Returns zeros that the project never stores, such as the bias of keys between those of queries and values.
    #[must_use]
    pub fn zeros() -> Self {
        Self { spellings: Vec::new(), optional: true }
    }

    fn fill(&self, values: &[&str]) -> Option<Self> {
        let spellings = self.spellings.iter().map(|pattern| fill(pattern, values)).collect::<Option<_>>()?;
        Some(Self { spellings, optional: self.optional })
    }
}

impl From<&str> for Part {
    fn from(name: &str) -> Self {
        Self::named(name)
    }
}

impl From<String> for Part {
    fn from(name: String) -> Self {
        Self::named(name)
    }
}

impl NameMap {
    /// Returns a map without rules.
    #[must_use]
    pub fn new(project: Project) -> Self {
        Self {
            project,
            conflicts: Vec::new(),
            rules: Vec::new(),
            made: Vec::new(),
            ignored: Vec::new(),
            index_tables: Vec::new(),
        }
    }

    /// Returns a map to equal names, for a project whose names are ours.
    #[must_use]
    pub fn same(project: Project) -> Self {
        Self::new(project).rule("*", "*")
    }

    /// Appends a rule: one tensor of ours is one of the project.
    #[must_use]
    pub fn rule(self, ours: impl Into<String>, theirs: impl Into<Part>) -> Self {
        self.rule_with_axes(ours, theirs, Axes::default())
    }

    /// Appends a rule for a linear layer that the project writes as a convolution over three axes of size 1.
    #[must_use]
    pub fn rule_as_conv3d(self, ours: impl Into<String>, theirs: impl Into<Part>) -> Self {
        self.rule_with_axes(ours, theirs, Axes { before: 0, after: 3 })
    }

    /// Appends a rule for a tensor that has more axes in the project, all of size 1.
    #[must_use]
    pub fn rule_with_axes(mut self, ours: impl Into<String>, theirs: impl Into<Part>, axes: Axes) -> Self {
        self.rules.push(Rule { ours: vec![ours.into()], theirs: vec![theirs.into()], axes });
        self
    }

    /// Appends a rule: one tensor of ours consists of equal shares along the first axis, which the project stores one by one.
    #[must_use]
    pub fn concat<const N: usize>(mut self, ours: impl Into<String>, theirs: [impl Into<Part>; N]) -> Self {
        let theirs = theirs.map(Into::into).into();
        self.rules.push(Rule { ours: vec![ours.into()], theirs, axes: Axes::default() });
        self
    }

    /// Appends a rule: one tensor of the project consists of several of ours along the first axis.
    #[must_use]
    pub fn split<const N: usize>(mut self, ours: [impl Into<String>; N], theirs: impl Into<Part>) -> Self {
        let ours = ours.map(Into::into).into();
        self.rules.push(Rule { ours, theirs: vec![theirs.into()], axes: Axes::default() });
        self
    }

    /// Appends a batch normalisation that changes nothing, for one that the project does not have.
    #[must_use]
    pub fn identity_norm(mut self, name: &str, eps: f64) -> Self {
        let values = [("weight", (1.0 + eps).sqrt()), ("bias", 0.0), ("running_mean", 0.0), ("running_var", 1.0)];
        let made = |(slot, value)| Made { pattern: format!("{name}.{slot}"), value: MadeValue::Constant(value) };
        self.made.extend(values.map(made));
        self
    }

    /// Appends tensors that the project does not store, and for which the values of a new network are right.
    #[must_use]
    pub fn initial(mut self, ours: impl Into<String>) -> Self {
        self.made.push(Made { pattern: ours.into(), value: MadeValue::Initial });
        self
    }

    /// Appends tensors that the project does not store, and that training has to change: they are reported as reinitialised.
    #[must_use]
    pub fn untrained(mut self, ours: impl Into<String>) -> Self {
        self.made.push(Made { pattern: ours.into(), value: MadeValue::Untrained });
        self
    }

    /// Appends tensors of the project that this network has no use for, such as the decoder of a pretraining. They are reported.
    #[must_use]
    pub fn ignored(mut self, theirs: impl Into<String>) -> Self {
        self.ignored.push(theirs.into());
        self
    }

    /// Appends a tensor of integers that the project stores, and that follows from sizes. It is written, and never read.
    #[must_use]
    pub fn index_table(mut self, theirs: impl Into<String>, shape: Vec<usize>, values: &[i64]) -> Self {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.index_tables.push((theirs.into(), Tensor { shape, dtype: Dtype::I64, bytes }));
        self
    }

    /// Says that the project's network has `expected` for a parameter that tensors do not show.
    #[must_use]
    pub fn requires<T: ToString + PartialEq>(mut self, parameter: &'static str, found: T, expected: T) -> Self {
        if found != expected {
            let (found, expected) = (found.to_string(), expected.to_string());
            self.conflicts.push(Conflict { parameter, found, expected });
        }
        self
    }

    /// Returns the tensors of integers that follow from sizes, by the project's names.
    pub(crate) fn index_tables(&self) -> &[(String, Tensor)] {
        &self.index_tables
    }

    /// Returns whether the network has no use for a tensor of the project.
    pub fn ignores(&self, theirs: &str) -> bool {
        self.ignored.iter().any(|pattern| capture(theirs, pattern).is_some())
    }

    /// Returns what a tensor of ours is in the project, or `None` if the map does not name it.
    pub(crate) fn counterpart(&self, ours: &str) -> Option<Counterpart> {
        if let Some(made) = self.made.iter().find(|made| capture(ours, &made.pattern).is_some()) {
            return Some(Counterpart::Made(made.value));
        }
        self.rules.iter().find_map(|rule| {
            let values = rule.ours.iter().find_map(|pattern| capture(ours, pattern))?;
            Some(Counterpart::Rule {
                ours: rule.ours.iter().map(|pattern| fill(pattern, &values)).collect::<Option<_>>()?,
                theirs: rule.theirs.iter().map(|part| part.fill(&values)).collect::<Option<_>>()?,
                axes: rule.axes,
            })
        })
    }
}

impl Axes {
    /// Returns the shape in the project of a tensor of ours.
    pub(crate) fn to_theirs(self, shape: &[usize]) -> Vec<usize> {
        let ones = |count| std::iter::repeat_n(1, count);
        ones(self.before).chain(shape.iter().copied()).chain(ones(self.after)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map() -> NameMap {
        NameMap::new(Project::Huggingface)
            .rule("layer#.*", "backbone.layer#.*")
            .rule("q_bias", Part::named("q_bias").or("query.bias"))
            .concat("qkv.#.weight", ["q.#.weight", "k.#.weight", "v.#.weight"])
            .split(["a.*", "b.*"], "ab.*")
            .identity_norm("norm", 1e-5)
            .initial("pos_embed")
            .ignored("decoder.*")
            .requires("stride", 1, 2)
            .requires("width", 4, 4)
    }

    fn theirs(name: &str) -> Option<Vec<Vec<String>>> {
        match map().counterpart(name)? {
            Counterpart::Rule { theirs, .. } => Some(theirs.into_iter().map(|part| part.spellings).collect()),
            Counterpart::Made(_) => None,
        }
    }

    #[test]
    fn a_rule_names_all_tensors_of_a_link() {
        assert_eq!(theirs("layer1.bn.weight"), Some(vec![vec!["backbone.layer1.bn.weight".to_owned()]]));
        assert_eq!(theirs("q_bias"), Some(vec![vec!["q_bias".to_owned(), "query.bias".to_owned()]]));
        let three = ["q.7.weight", "k.7.weight", "v.7.weight"].map(|name| vec![name.to_owned()]);
        assert_eq!(theirs("qkv.7.weight"), Some(three.into()));
        assert_eq!(theirs("qkv.weight"), None);
        let Some(Counterpart::Rule { ours, theirs, .. }) = map().counterpart("b.bias") else { panic!("a rule") };
        assert_eq!((ours, theirs), (vec!["a.bias".to_owned(), "b.bias".to_owned()], vec![Part::named("ab.bias")]));
    }

    #[test]
    fn tensors_that_the_project_does_not_have_are_made() {
        assert_eq!(map().counterpart("norm.running_var"), Some(Counterpart::Made(MadeValue::Constant(1.0))));
        assert_eq!(map().counterpart("pos_embed"), Some(Counterpart::Made(MadeValue::Initial)));
        assert_eq!(map().counterpart("norm.other"), None);
        assert!(map().ignores("decoder.0.weight") && !map().ignores("encoder.0.weight"));
    }

    #[test]
    fn parameters_that_tensors_do_not_show_are_compared() {
        let conflict = Conflict { parameter: "stride", found: "1".into(), expected: "2".into() };
        assert_eq!(map().conflicts, [conflict]);
    }
}
