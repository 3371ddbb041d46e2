//! [`load`]: the tensors of a network from a checkpoint of any project.

use crate::config::{ConfigConflict, check_config};
use crate::inflate::{InflateError, inflate};
use crate::name_map::NameMap;
use crate::recognise::{RecogniseError, Recognised, readable_maps, recognise_among, unsupported};
use crate::state_dict::{Imported, import};
use pipe_graph::Graph;
use pipe_schemas::networks::{Backbone, Project};
use pipe_weights::{Checkpoint, HfConfig, MatchError, UnsupportedTensor, not_finite};

/// How a checkpoint is read.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LoadOptions {
    /// Whose names the tensors have; by default it is recognised.
    pub map: Option<Project>,
    /// Whether the checkpoint is that of the 2-D network from which this one is inflated.
    pub inflate: bool,
    /// The `config.json` beside the checkpoint.
    pub config: Option<HfConfig>,
}

/// A checkpoint that can't be loaded into a network.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[expect(missing_docs, reason = "the message of a variant says what its fields are")]
pub enum LoadError {
    /// The network's parameters differ from those beside the checkpoint.
    #[error(transparent)]
    Config(#[from] ConfigConflict),
    /// The names can't be used for the network.
    #[error(transparent)]
    Recognise(#[from] RecogniseError),
    /// The file has tensors of the network that can't be read.
    #[error("{} can't be read: only dense tensors of real numbers are supported", unsupported_list(tensors))]
    Unsupported { tensors: Vec<UnsupportedTensor> },
    /// Other tensors than those of the classifier do not fit.
    #[error("{mismatches}{}", compared(*map, notes))]
    Match {
        map: Project,
        /// Where in the file the tensors were found.
        notes: Vec<String>,
        /// The tensors that do not fit.
        mismatches: MatchError,
    },
    /// The checkpoint can't be inflated to the network.
    #[error(transparent)]
    Inflate(#[from] InflateError),
    /// Tensors contain NaN or infinity.
    #[error("NaN or infinity in {}", not_finite_list(tensors))]
    NotFinite {
        /// Our names, with the number of such values and of all values.
        tensors: Vec<(String, usize, usize)>,
    },
}

/// The maximum number of tensors that an error names.
const MAX_NAMED: usize = 5;

fn not_finite_list(tensors: &[(String, usize, usize)]) -> String {
    let named = tensors.iter().take(MAX_NAMED).map(|(name, bad, all)| format!("{name} ({bad} of {all} values)"));
    let count = tensors.len();
    let more = if count > MAX_NAMED { format!(", and {} more tensors", count - MAX_NAMED) } else { String::new() };
    format!("{}{more}", named.collect::<Vec<_>>().join(", "))
}

fn unsupported_list(tensors: &[UnsupportedTensor]) -> String {
    let named = tensors.iter().take(MAX_NAMED).map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let count = tensors.len();
    let more = if count > MAX_NAMED { format!(", and {} more tensors", count - MAX_NAMED) } else { String::new() };
    format!("{named}{more}")
}

/// Says with what the tensors were compared, as the last line of an error.
fn compared(map: Project, notes: &[String]) -> String {
    let names = if map == Project::Pipe { "the network's own names".to_owned() } else { format!("the names of {map}") };
    let notes: String = notes.iter().map(|note| format!("; {note}")).collect();
    format!("\n  they were compared with {names}{notes}")
}

/// Takes the tensors of a network from a checkpoint: recognises whose names they have, renames, joins and splits them, and makes those
/// that the project does not have. `graph` is the network of `backbone`.
///
/// # Errors
/// [`LoadError`] if anything but the classifier does not fit, or if values are not finite.
pub fn load(
    backbone: &Backbone,
    graph: &Graph,
    checkpoint: Checkpoint,
    options: &LoadOptions,
) -> Result<Imported, LoadError> {
    if let Some(config) = &options.config {
        check_config(backbone, config)?;
    }
    let imported = if options.inflate {
        inflate(backbone, graph, checkpoint, options.map)?
    } else {
        named(readable_maps(backbone), graph, checkpoint, options.map)?
    };
    let tensors = not_finite(&imported.tensors);
    if tensors.is_empty() { Ok(imported) } else { Err(LoadError::NotFinite { tensors }) }
}

/// Takes the tensors of a network whose tensors have the names of one of the maps, our own first.
pub(crate) fn named(
    maps: Vec<NameMap>,
    graph: &Graph,
    checkpoint: Checkpoint,
    map: Option<Project>,
) -> Result<Imported, LoadError> {
    let Recognised { map, layout, checkpoint, .. } = recognise_among(maps, graph, checkpoint, map)?;
    let tensors = unsupported(&layout, &checkpoint.origin);
    if !tensors.is_empty() {
        return Err(LoadError::Unsupported { tensors });
    }
    let notes = checkpoint.origin.notes();
    import(&map, &layout, checkpoint).map_err(|mismatches| LoadError::Match { map: map.project, notes, mismatches })
}

impl LoadError {
    /// Returns what to do about it, where parameters of the network are below `backbone`, such as `model.backbone`, and those of the
    /// checkpoint below `load_from`.
    pub fn help(&self, backbone: &str, load_from: &str) -> String {
        match self {
            Self::Config(conflict) => conflict.help(backbone),
            Self::Recognise(error) => error.help(backbone, &format!("{load_from}.map")),
            Self::Unsupported { .. } => {
                "save these tensors again as dense 32-bit floats, for example with `to_dense()`, `dequantize()` or `float()` of PyTorch"
                    .to_owned()
            }
            Self::Match { .. } => format!("check that `{backbone}` is the network of these weights"),
            Self::Inflate(error) => error.help(backbone, load_from),
            Self::NotFinite { .. } => {
                "the training that wrote the file diverged, or the file is damaged: use another checkpoint".to_owned()
            }
        }
    }
}
