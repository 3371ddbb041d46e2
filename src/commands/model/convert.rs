//! `pipe model convert`.

mod view;

use super::file::{WeightsFile, unsupported};
use super::network::{Choice, NetworkArgs, project};
use super::recognise::{only, with_classes};
use crate::args::Format;
use crate::commands::Command;
use crate::error::CommandError;
use crate::exit::Code;
use pipe_models::{LoadOptions, LoadReport, NameMap, StateDict, export, load, name_maps};
use pipe_schemas::networks::Project;
use pipe_weights::{write_safetensors, write_torch};
use std::path::{Path, PathBuf};

/// Write weights in another format or with the names of another project
///
/// `--to safetensors` and `--to pth` keep the names. A project, such as `torchvision`, renames, splits and joins tensors so that its
/// own class loads the file. Values stay, bit for bit, except the step counters of batch normalisations, which start at 0.
#[derive(Debug, clap::Args)]
pub(crate) struct Convert {
    /// File or folder of weights
    file: PathBuf,
    /// Format or project: safetensors, pth, pipe, torchvision, mmaction2, pytorchvideo, pyslowfast, huggingface or original
    #[arg(long, value_parser = Target::parse)]
    to: Target,
    /// File to write; `.safetensors` or `.pth` decides the format [default: in the current folder, named after the input and the project]
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    network: NetworkArgs,
    /// Overwrite the file if it exists
    #[arg(long)]
    force: bool,
    /// Output format of the report
    #[arg(long, value_enum, default_value_t = Format::Text)]
    output: Format,
}

/// What a file is converted to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    /// The same names in a safetensors file.
    Safetensors,
    /// The same names in a file of `torch.save`.
    Torch,
    /// The names of a project.
    Project(Project),
}

/// The format of the written file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FileFormat {
    Safetensors,
    Torch,
}

impl Target {
    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "safetensors" => Ok(Self::Safetensors),
            "pth" => Ok(Self::Torch),
            _ => project(text).map(Self::Project).map_err(|error| format!("{error}, safetensors or pth")),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Safetensors => "safetensors",
            Self::Torch => "pth",
            Self::Project(project) => project.name(),
        }
    }

    /// Returns the format in which the target is published.
    fn format(self) -> FileFormat {
        match self {
            Self::Safetensors | Self::Project(Project::Pipe | Project::Huggingface) => FileFormat::Safetensors,
            Self::Torch
            | Self::Project(
                Project::Torchvision
                | Project::Mmaction2
                | Project::Pytorchvideo
                | Project::Pyslowfast
                | Project::Original,
            ) => FileFormat::Torch,
        }
    }

    /// Returns the key under which the project's files have the state dict.
    fn container(self) -> Option<&'static str> {
        match self {
            Self::Project(Project::Mmaction2) => Some("state_dict"),
            Self::Project(Project::Pytorchvideo | Project::Pyslowfast) => Some("model_state"),
            Self::Project(Project::Pipe | Project::Torchvision | Project::Huggingface | Project::Original)
            | Self::Safetensors
            | Self::Torch => None,
        }
    }
}

/// The tensors to write.
struct Converted {
    tensors: StateDict,
    /// The network, if names were changed.
    network: Option<String>,
    /// Tensors of the network that the project does not store.
    left_out: Vec<String>,
    /// Tensors of the file that the network has no use for.
    unused: Vec<String>,
    /// The number of step counters that start at 0, whatever the file has.
    num_counters: usize,
}

impl Command for Convert {
    const NAME: &'static str = "convert";

    fn run(self) -> Result<Code, CommandError> {
        let keeps_names = matches!(self.to, Target::Safetensors | Target::Torch);
        if keeps_names && self.network.is_given() {
            let message = format!("`--to {}` keeps the names: leave out `--network` and `--map`", self.to.name());
            return Err(CommandError::bad_input(message));
        }
        let (path, format) = self.target_file()?;
        let file = WeightsFile::open(&self.file)?;
        if let Some(unsupported) = unsupported(&file) {
            return Err(CommandError::failed(format!("{}: {unsupported}", file.path.display())));
        }
        let converted = match self.to {
            Target::Safetensors | Target::Torch => same_names(file),
            Target::Project(project) => renamed(&file, project, &self.network)?,
        };
        let container = self.to.container().filter(|_| format == FileFormat::Torch);
        write(&path, format, &converted.tensors, container, self.force)?;
        view::written(&path, self.to.name(), &converted, self.output == Format::Json);
        Ok(Code::Ok)
    }
}

impl Convert {
    /// Returns the file to write and its format.
    fn target_file(&self) -> Result<(PathBuf, FileFormat), CommandError> {
        let path = self.out.clone().unwrap_or_else(|| {
            let stem = self.file.file_stem().unwrap_or_default().to_string_lossy();
            let (suffix, extension) = match (self.to, self.to.format()) {
                (Target::Safetensors | Target::Torch, FileFormat::Safetensors) => (String::new(), "safetensors"),
                (Target::Safetensors | Target::Torch, FileFormat::Torch) => (String::new(), "pth"),
                (Target::Project(project), FileFormat::Safetensors) => (format!("-{project}"), "safetensors"),
                (Target::Project(project), FileFormat::Torch) => (format!("-{project}"), "pth"),
            };
            // Not beside the input, which may be a result in a store, where the next run removes other files.
            PathBuf::from(format!("{stem}{suffix}.{extension}"))
        });
        let extension = path.extension().map(|extension| extension.to_string_lossy().to_lowercase());
        let format = match extension.as_deref() {
            Some("safetensors") => FileFormat::Safetensors,
            Some("pth" | "pt" | "bin") => FileFormat::Torch,
            _ => {
                let message = format!("{}: the name must end with .safetensors or .pth", path.display());
                return Err(CommandError::bad_input(message));
            }
        };
        if matches!(self.to, Target::Safetensors | Target::Torch) && format != self.to.format() {
            let message = format!("`--to {}` and the name {} are different formats", self.to.name(), path.display());
            return Err(CommandError::bad_input(message));
        }
        check_place(&path)?;
        if path.exists() && !self.force {
            let message =
                format!("{} exists; `--force` overwrites it, `--out FILE` writes another file", path.display());
            return Err(CommandError::bad_input(message));
        }
        Ok((path, format))
    }
}

/// Checks that a file can be in this place.
fn check_place(path: &Path) -> Result<(), CommandError> {
    if path.is_dir() {
        return Err(CommandError::bad_input(format!("{} is a folder; name a file", path.display())));
    }
    match path.parent().filter(|folder| !folder.as_os_str().is_empty() && !folder.is_dir()) {
        Some(folder) => Err(CommandError::bad_input(format!("the folder {} does not exist", folder.display()))),
        None => Ok(()),
    }
}

fn same_names(file: WeightsFile) -> Converted {
    let tensors = file.checkpoint.tensors;
    Converted { tensors, network: None, left_out: Vec::new(), unused: Vec::new(), num_counters: 0 }
}

/// Moves the tensors of the file's network to the names of a project.
fn renamed(file: &WeightsFile, project: Project, args: &NetworkArgs) -> Result<Converted, CommandError> {
    let choice = match args.choice()? {
        Some(choice) => with_classes(choice, file)?,
        None => only(file)?.choice,
    };
    let graph = choice.graph()?;
    let map = map_of(&choice, project)?;
    let options = LoadOptions { map: args.map, config: file.config.clone(), ..LoadOptions::default() };
    let loaded = load(&choice.backbone, &graph, file.checkpoint.clone(), &options).map_err(|error| {
        CommandError::failed(format!("{} is not a file of {}: {error}", file.path.display(), graph.name))
    })?;
    if !loaded.report.reinitialised.is_empty() {
        return Err(CommandError::failed(format!("{}: {}", file.path.display(), bad_classifier(&loaded.report))));
    }
    let layout = map.layout(&graph)?;
    let exported = export(&map, &layout, &loaded.tensors)?;
    let num_counters = layout.derived.iter().filter(|(name, _)| name.ends_with("num_batches_tracked")).count();
    Ok(Converted {
        num_counters,
        tensors: exported.tensors,
        network: Some(graph.name),
        left_out: exported.left_out,
        unused: loaded.report.unused,
    })
}

/// Returns why the classifier of a file can't be used.
pub(in crate::commands::model) fn bad_classifier(report: &LoadReport) -> String {
    format!("tensors of the classifier are missing or have other shapes: {}", report.reinitialised.join(", "))
}

/// Returns the names of a project for a network.
fn map_of(choice: &Choice, project: Project) -> Result<NameMap, CommandError> {
    let maps = name_maps(&choice.backbone);
    let known: Vec<&str> = maps.iter().map(|map| map.project.name()).collect();
    let known = known.join(", ");
    if project == Project::Pipe {
        return Ok(NameMap::same(Project::Pipe));
    }
    let Some(map) = maps.into_iter().find(|map| map.project == project) else {
        let message =
            format!("{project} has no names for the network {}; known are pipe, {known}", choice.parameters());
        return Err(CommandError::bad_input(message));
    };
    if let Some(conflict) = map.conflicts.first() {
        let message = format!(
            "the network of {project} has `{}: {}`, and this one {}: its class would compute something else",
            conflict.parameter, conflict.expected, conflict.found
        );
        return Err(CommandError::bad_input(message));
    }
    Ok(map)
}

/// Writes a file under another name, and renames it when it is complete.
fn write(
    path: &Path,
    format: FileFormat,
    tensors: &StateDict,
    container: Option<&str>,
    force: bool,
) -> Result<(), CommandError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let partial = folder.join(format!(".{name}.{}.partial", std::process::id()));
    let written = match format {
        FileFormat::Safetensors => write_safetensors(&partial, tensors),
        FileFormat::Torch => write_torch(&partial, tensors, container),
    };
    let finished = written.map_err(CommandError::from).and_then(|()| {
        fs_err::File::open(&partial)?.sync_all()?;
        // A link fails if the file exists, a rename replaces it.
        if force {
            fs_err::rename(&partial, path)?;
        } else {
            fs_err::hard_link(&partial, path)?;
        }
        Ok(())
    });
    // After a rename there is nothing to remove.
    let _ = fs_err::remove_file(&partial);
    finished
}
