//! [`build`]: from parameters to a network. [`zoo`]: the list of all families.

use crate::architecture::{Architecture, Inflation, Published, Small};
use crate::head::{Head, Logits};
use crate::huggingface::{HuggingFaceModel, NotInTransformers};
use crate::{ModelError, NameMap};
use pipe_graph::{Builder, ClipShape, Graph, GraphError};
use pipe_schemas::networks::{Backbone, ModelParams};

/// A family of the zoo with its example configurations.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The value of `backbone.type`, which identifies the family in [`FAMILIES`](pipe_schemas::networks::FAMILIES).
    pub type_name: &'static str,
    /// Small configurations for tests.
    pub small: Vec<Small<Backbone>>,
    /// Configurations with published figures.
    pub published: Vec<Published<Backbone>>,
}

/// Builds a network for clips of one shape.
///
/// # Shapes
/// - input: `[N, C, T, H, W]`, normalised; for 2-D networks, `T` is the number of all frames of a sample
/// - output: `[N, K]`, logits
///
/// # Errors
/// [`ModelError::NumClasses`] if the parameters set another number of classes, [`ModelError::Graph`] if the network does not fit
/// the clip, for example because it is too small.
pub fn build(params: &ModelParams, clip: ClipShape, num_classes: usize) -> Result<Graph, ModelError> {
    let ModelParams { backbone, cls_head, data_preprocessor: _ } = params;
    if let Some(asked) = cls_head.num_classes.map(|asked| asked as usize)
        && asked != num_classes
    {
        return Err(ModelError::NumClasses { asked, found: num_classes });
    }
    let name = name(backbone);
    let head = Head { num_classes, dropout_ratio: cls_head.dropout_ratio, init_std: cls_head.init_std };
    let build = || {
        let mut g = Builder::new(&name, clip)?;
        let Logits { output, classifier } = append(backbone, &mut g, &head)?;
        g.finish(output, classifier)
    };
    build().map_err(|source| {
        let ClipShape { frames, width, height, .. } = clip;
        ModelError::Graph { name, frames, width, height, source: Box::new(source) }
    })
}

impl Entry {
    fn of<T: Architecture + Into<Backbone>>(type_name: &'static str) -> Self {
        Self {
            type_name,
            small: T::small().into_iter().map(|small| small.map(Into::into)).collect(),
            published: T::published().into_iter().map(|published| published.map(Into::into)).collect(),
        }
    }
}

/// Declares the module of each family, and connects the families to the variants of [`Backbone`].
macro_rules! define_zoo {
    ($($module:ident: $($name:ident),+;)*) => {
        $(mod $module;)*

        fn name(backbone: &Backbone) -> String {
            match backbone { $($(Backbone::$name(family) => family.name(),)+)* }
        }

        fn append(backbone: &Backbone, g: &mut Builder, head: &Head) -> Result<Logits, GraphError> {
            match backbone { $($(Backbone::$name(family) => family.build(g, head),)+)* }
        }

        /// Returns the names that projects give to the tensors of a network: our own names first, then those of other projects.
        pub fn name_maps(backbone: &Backbone) -> Vec<NameMap> {
            match backbone { $($(Backbone::$name(family) => [vec![family.own_names()], family.name_maps()].concat(),)+)* }
        }

        /// Returns the names that tensors of a network have in files of a pretraining, by project.
        pub fn pretraining_maps(backbone: &Backbone) -> Vec<NameMap> {
            match backbone { $($(Backbone::$name(family) => family.pretraining_maps(),)+)* }
        }

        /// Returns the 2-D network from whose weights a network can start.
        pub(crate) fn inflation(backbone: &Backbone) -> Option<Inflation> {
            match backbone { $($(Backbone::$name(family) => family.inflation(),)+)* }
        }

        /// Returns the parameters that the `config.json` of Hugging Face calls otherwise: our name and theirs.
        pub(crate) fn config_names(backbone: &Backbone) -> &'static [(&'static str, &'static str)] {
            match backbone { $($(Backbone::$name(family) => family.config_names(),)+)* }
        }

        /// Returns the values in the `config.json` of Hugging Face that a network always has: the key and the value, as JSON.
        pub(crate) fn config_facts(backbone: &Backbone) -> &'static [(&'static str, &'static str)] {
            match backbone { $($(Backbone::$name(family) => family.config_facts(),)+)* }
        }

        /// Returns the model of transformers that computes the same for clips of one size; `None` if transformers does not have the
        /// family.
        pub fn huggingface_model(
            backbone: &Backbone,
            clip: ClipShape,
        ) -> Option<Result<HuggingFaceModel, NotInTransformers>> {
            match backbone { $($(Backbone::$name(family) => family.huggingface(clip),)+)* }
        }

        /// Returns whether the logits of a network depend on the order of the frames.
        pub fn uses_frame_order(backbone: &Backbone) -> bool {
            match backbone { $($(Backbone::$name(family) => family.uses_frame_order(),)+)* }
        }

        /// Returns all families, in the order of [`FAMILIES`](pipe_schemas::networks::FAMILIES).
        pub fn zoo() -> Vec<Entry> {
            vec![$($(Entry::of::<pipe_schemas::networks::$module::$name>(stringify!($name)),)+)*]
        }
    };
}

define_zoo! {
    resnet: ResNet, ResNetTSM;
    mobilenet_v2: MobileNetV2, MobileNetV2TSM;
    r3d: R3D, MC3, R2Plus1D;
    resnet_rnn: ResNetRNN;
    c3d: C3D;
    s3d: S3D;
    resnet3d: ResNet3d, ResNet3dSlowOnly;
    resnet3d_csn: ResNet3dCSN;
    resnet3d_slowfast: ResNet3dSlowFast;
    resnet2plus1d: ResNet2Plus1d;
    x3d: X3D;
    inception_v3: InceptionV3;
    mvit: MViT;
    swin3d: SwinTransformer3D;
    vision_transformer: VisionTransformer;
    timesformer: TimeSformer;
    vjepa2: VJEPA2;
    vivit: ViViT;
}
