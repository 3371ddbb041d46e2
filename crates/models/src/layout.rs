//! [`Layout`]: how the tensors of a network correspond to those of a project's state dict.

use crate::name_map::{Axes, Counterpart, Part};
use crate::{MadeValue, NameMap};
use pipe_graph::{Graph, Param, Role};
use pipe_schemas::networks::Project;
use pipe_weights::{Dtype, Tensor, Wanted};
use std::collections::BTreeMap;

/// How the tensors of a network correspond to those of a project's state dict. [`NameMap::layout`] makes it.
#[derive(Debug, Clone, PartialEq)]
pub struct Layout {
    /// Groups of tensors that have the same values. Each tensor of the network is in one of them, or is made.
    pub links: Vec<Link>,
    /// Tensors of ours that the project does not have, and their values.
    pub made: Vec<(Param, MadeValue)>,
    /// Tensors of the project's state dict that have no information of their own, by name: step counters of batch normalisations (0),
    /// and tables of indices.
    pub derived: Vec<(String, Tensor)>,
}

/// Tensors of ours that are tensors of the project: both sides have the same values in row-major order, one tensor after the other.
#[derive(Debug, Clone, PartialEq)]
pub struct Link {
    /// Tensors of the network.
    pub ours: Vec<Ours>,
    /// Tensors of the project.
    pub theirs: Vec<Theirs>,
    /// Whether the tensors belong to the classifier.
    pub head: bool,
}

/// A tensor of the network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ours {
    /// Our name of the tensor.
    pub name: String,
    /// The sizes of all axes.
    pub shape: Vec<usize>,
    /// Whether training changes it.
    pub role: Role,
}

/// A tensor of a project's state dict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Theirs {
    /// The names that it may have: the one that is written, then others that are read. Empty for zeros that are never stored.
    pub spellings: Vec<String>,
    /// The sizes of all axes.
    pub shape: Vec<usize>,
    /// Whether it may be missing, and consists of zeros then.
    pub optional: bool,
}

/// A map that does not fit a network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the message of a variant says what its fields are")]
pub enum LayoutError {
    /// The map does not name a tensor.
    #[error("`{name}` has no name in {project}")]
    NoName { name: String, project: Project },
    /// A rule names a tensor that the network does not have.
    #[error("`{name}` belongs to the same tensor of {project} as `{with}`, but the network does not have it")]
    NoSibling {
        /// Our name, as the rule has it.
        name: String,
        /// The tensor that the rule was applied to.
        with: String,
        project: Project,
    },
    /// A tensor can't be divided into equal shares.
    #[error("`{name}` of {shape:?} can't be divided into the {count} tensors that {project} has")]
    Shares { name: String, shape: Vec<usize>, count: usize, project: Project },
    /// Two tensors of ours have the same name in the project.
    #[error("two tensors of the network are `{name}` in {project}")]
    Twice { name: String, project: Project },
}

impl NameMap {
    /// Applies the map to the tensors of a network.
    ///
    /// # Errors
    /// [`LayoutError`] if the map does not name all of them, or names several alike.
    pub fn layout(&self, graph: &Graph) -> Result<Layout, LayoutError> {
        let project = self.project;
        let params: BTreeMap<&str, (usize, &Param)> =
            graph.params.iter().enumerate().map(|(id, param)| (param.name.as_str(), (id, param))).collect();
        let mut layout = Layout { links: Vec::new(), made: Vec::new(), derived: self.index_tables().to_vec() };
        for param in &graph.params {
            let name = &param.name;
            let no_name = || LayoutError::NoName { name: name.clone(), project };
            match self.counterpart(name).ok_or_else(no_name)? {
                Counterpart::Made(value) => layout.made.push((param.clone(), value)),
                // The first tensor of a link stands for the others.
                Counterpart::Rule { ours, .. } if ours[0] != *name && params.contains_key(ours[0].as_str()) => {}
                Counterpart::Rule { ours, theirs, axes } => {
                    let find = |sibling: &String| {
                        let missing = || LayoutError::NoSibling { name: sibling.clone(), with: name.clone(), project };
                        params.get(sibling.as_str()).copied().ok_or_else(missing)
                    };
                    let found = ours.iter().map(find).collect::<Result<Vec<_>, _>>()?;
                    let head = found.iter().any(|(id, _)| is_head(graph, *id));
                    let ours: Vec<Ours> = found.iter().map(|(_, param)| Ours::of(param)).collect();
                    let theirs = shares(&ours, theirs, axes).ok_or_else(|| LayoutError::Shares {
                        name: name.clone(),
                        shape: param.shape.clone(),
                        count: ours.len(),
                        project,
                    })?;
                    layout.links.push(Link { ours, theirs, head });
                }
            }
        }
        layout.check_names(project)?;
        let counters: Vec<_> = layout.theirs().filter_map(counter).collect();
        layout.derived.extend(counters);
        Ok(layout)
    }
}

/// Returns the tensors of the project that together have the values of `ours`, or `None` if the rows can't be divided equally.
fn shares(ours: &[Ours], theirs: Vec<Part>, axes: Axes) -> Option<Vec<Theirs>> {
    let mut shape = ours[0].shape.clone();
    if ours.len() > 1 || theirs.len() > 1 {
        let rows: usize = ours.iter().map(|tensor| tensor.shape.first()).sum::<Option<usize>>()?;
        *shape.first_mut()? = rows.is_multiple_of(theirs.len()).then_some(rows / theirs.len())?;
    }
    let shape = axes.to_theirs(&shape);
    let of_part = |Part { spellings, optional }| Theirs { spellings, shape: shape.clone(), optional };
    Some(theirs.into_iter().map(of_part).collect())
}

/// Returns whether a tensor belongs to the classifier.
fn is_head(graph: &Graph, id: usize) -> bool {
    graph.head.iter().any(|head| head.0 == id)
}

/// Returns the step counter of the batch normalisation to which a tensor belongs.
fn counter(tensor: &Theirs) -> Option<(String, Tensor)> {
    let node = tensor.spellings.first()?.strip_suffix("running_mean")?;
    let zero = Tensor { shape: Vec::new(), dtype: Dtype::I64, bytes: 0_i64.to_le_bytes().into() };
    Some((format!("{node}num_batches_tracked"), zero))
}

impl Link {
    /// Returns the tensors of a checkpoint that belong to the link.
    pub(crate) fn wanted(&self) -> impl Iterator<Item = Wanted<'_>> {
        let head = self.head;
        self.theirs.iter().map(move |tensor| Wanted {
            names: &tensor.spellings,
            shape: &tensor.shape,
            head,
            optional: tensor.optional,
        })
    }
}

impl Layout {
    /// Returns the layout for our own names.
    pub fn own(graph: &Graph) -> Self {
        let link = |(id, param): (usize, &Param)| {
            let Param { name, shape, .. } = param;
            let theirs = Theirs { spellings: vec![name.clone()], shape: shape.clone(), optional: false };
            Link { ours: vec![Ours::of(param)], theirs: vec![theirs], head: is_head(graph, id) }
        };
        let links: Vec<Link> = graph.params.iter().enumerate().map(link).collect();
        let derived = links.iter().flat_map(|link| &link.theirs).filter_map(counter).collect();
        Self { links, made: Vec::new(), derived }
    }

    /// Returns all tensors of the project.
    pub fn theirs(&self) -> impl Iterator<Item = &Theirs> {
        self.links.iter().flat_map(|link| &link.theirs)
    }

    fn check_names(&self, project: Project) -> Result<(), LayoutError> {
        let mut names = std::collections::BTreeSet::new();
        match self.theirs().flat_map(|tensor| &tensor.spellings).find(|name| !names.insert(name.as_str())) {
            Some(name) => Err(LayoutError::Twice { name: name.clone(), project }),
            None => Ok(()),
        }
    }
}

impl Ours {
    fn of(param: &Param) -> Self {
        Self { name: param.name.clone(), shape: param.shape.clone(), role: param.role }
    }
}
