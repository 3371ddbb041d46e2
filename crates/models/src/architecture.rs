//! [`Architecture`]: what the file of a network family implements.

use crate::NameMap;
use crate::head::{Head, Logits};
use crate::huggingface::{HuggingFaceModel, NotInTransformers};
use pipe_graph::{Builder, ClipShape, GraphError};
use pipe_schemas::networks::Backbone;

/// A network family. It is implemented for the family's parameters in `pipe_schemas::networks`.
pub(crate) trait Architecture: Sized {
    /// Whether the logits depend on the order of the frames, unless a parameter changes that.
    const USES_FRAME_ORDER: bool;

    /// Returns the network and its size, such as `tsm_resnet18`.
    fn name(&self) -> String;

    /// Returns whether the logits of this configuration depend on the order of the frames.
    fn uses_frame_order(&self) -> bool {
        Self::USES_FRAME_ORDER
    }

    /// Appends the whole network to its input.
    fn build(&self, g: &mut Builder, head: &Head) -> Result<Logits, GraphError>;

    /// Returns our own names: [`NameMap::same`] of the project that has the same names. [`NameMap::requires`] says which of its
    /// parameters tensors do not show.
    fn own_names(&self) -> NameMap;

    /// Returns the names of other projects that publish weights for this network.
    fn name_maps(&self) -> Vec<NameMap> {
        Vec::new()
    }

    /// Returns the names in files of a pretraining whose network has this one's encoder. They are read, and never written.
    fn pretraining_maps(&self) -> Vec<NameMap> {
        Vec::new()
    }

    /// Returns the 2-D network from whose weights this network can start; `None` if there is none.
    fn inflation(&self) -> Option<Inflation> {
        None
    }

    /// Returns parameters that the `config.json` of Hugging Face calls otherwise: our name and theirs. Parameters of the same name need
    /// no entry.
    fn config_names(&self) -> &'static [(&'static str, &'static str)] {
        &[]
    }

    /// Returns the values in the `config.json` of Hugging Face that the network always has: the key and the value, as JSON.
    fn config_facts(&self) -> &'static [(&'static str, &'static str)] {
        &[]
    }

    /// Returns the model of transformers that computes the same for clips of one size; `None` if transformers does not have the family.
    fn huggingface(&self, _clip: ClipShape) -> Option<Result<HuggingFaceModel, NotInTransformers>> {
        None
    }

    /// Returns small configurations that run in a fraction of a second. Together they cover every branch of the builder.
    fn small() -> Vec<Small<Self>>;

    /// Returns the published configurations with the figures that they must reproduce.
    fn published() -> Vec<Published<Self>>;
}

/// The 2-D network that a 3-D network is inflated from.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Inflation {
    /// The 2-D network.
    pub(crate) flat: Flat,
    /// The names of its tensors for those of the 3-D network. Those that it does not have are [`initial`](NameMap::initial).
    pub(crate) names: NameMap,
}

/// A 2-D network, as far as its tensors are concerned.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Flat {
    /// A network of the zoo.
    Network(Backbone),
    /// A network that has the tensors of the 3-D network, but kernels without frames, and smaller tables of relative positions.
    Derived {
        /// Its name in reports.
        name: &'static str,
        /// The names that projects give to its tensors, its own first.
        maps: Vec<NameMap>,
        /// How often the 3-D network has the rows of its tables of relative positions.
        table_repeats: usize,
    },
}

/// A small configuration for tests.
#[derive(Debug, Clone, PartialEq)]
pub struct Small<T> {
    /// The parameters.
    pub backbone: T,
    /// Clips that the network takes.
    pub clip: ClipShape,
}

/// A configuration with published figures.
#[derive(Debug, Clone, PartialEq)]
pub struct Published<T> {
    /// The parameters.
    pub backbone: T,
    /// The clips that `gmacs` is published for.
    pub clip: ClipShape,
    /// The classes that `num_params` is published for.
    pub num_classes: usize,
    /// The number of trained values.
    pub num_params: usize,
    /// Multiply-adds for one clip, in 10⁹; as published, so rounded to about three digits.
    pub gmacs: f64,
    /// The list of tensor names and shapes of the published weights, a file in `reference/weight-keys/`.
    pub weight_keys: Option<&'static str>,
}

impl<T> Small<T> {
    /// Returns the configuration with other parameters.
    pub(crate) fn map<U>(self, convert: impl FnOnce(T) -> U) -> Small<U> {
        Small { backbone: convert(self.backbone), clip: self.clip }
    }
}

impl<T> Published<T> {
    /// Returns the configuration with other parameters.
    pub(crate) fn map<U>(self, convert: impl FnOnce(T) -> U) -> Published<U> {
        let Self { backbone, clip, num_classes, num_params, gmacs, weight_keys } = self;
        Published { backbone: convert(backbone), clip, num_classes, num_params, gmacs, weight_keys }
    }
}
