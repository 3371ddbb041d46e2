//! [`Published`]: the checkpoint, and how its tensors come into the network.

use crate::PretrainedError;
use crate::classes::Classes;
use pipe_learn::Network;
use pipe_models::{LoadOptions, LoadReport, Recognised, load, recognise};
use pipe_schemas::networks::Backbone;
use pipe_schemas::stages::pretrained::PretrainedParams;
use pipe_stage::{Context, Sources, StageError};
use pipe_weights::{SourceError, WeightsSource};

/// A published checkpoint.
pub(crate) struct Published {
    pub(crate) source: WeightsSource,
    /// How it is read, with the `config.json` of a folder.
    options: LoadOptions,
}

impl Published {
    /// Finds the checkpoint, checks its digest and reads the configuration beside it.
    pub(crate) fn find(context: &Context, params: &PretrainedParams) -> Result<Self, StageError> {
        let Sources { root, files } = context.files("weights", "load_from")?;
        let names: Vec<&str> = files.iter().map(|file| file.path.as_str()).collect();
        let source = WeightsSource::new(root, &names).map_err(source_error)?;
        let load_from = params.load_from.clone().unwrap_or_default();
        if let Some(expected) = load_from.digest {
            source.check_digest(&expected).map_err(source_error)?;
        }
        let options = LoadOptions { map: load_from.map, config: source.config()?, ..LoadOptions::default() };
        Ok(Self { source, options })
    }

    /// Returns the names of the classes in the folder's `config.json`.
    pub(crate) fn classes(&self) -> Option<Vec<String>> {
        self.options.config.as_ref().and_then(|config| config.labels.clone())
    }

    /// Loads every tensor of the network.
    pub(crate) fn load(
        &self,
        backbone: &Backbone,
        network: &mut Network,
        classes: &Classes,
    ) -> Result<LoadReport, StageError> {
        let loaded = load(backbone, network.graph(), self.source.open().map_err(source_error)?, &self.options)
            .map_err(|error| {
                let help = error.help("model.backbone", "load_from");
                let (path, error) = (self.source.path().into(), Box::new(error));
                StageError::from(PretrainedError::OtherWeights { path, error }).with_help(help)
            })?;
        if !loaded.report.reinitialised.is_empty() {
            return Err(self.other_classifier(backbone, network, classes, loaded.report.reinitialised));
        }
        network.set(&loaded.tensors);
        Ok(loaded.report)
    }

    /// Returns why the classifier of the checkpoint is not that of the network, which keeps the values of `missing`.
    fn other_classifier(
        &self,
        backbone: &Backbone,
        network: &Network,
        classes: &Classes,
        missing: Vec<String>,
    ) -> StageError {
        let (path, named) = (self.source.path().into(), classes.names.len());
        if let Some(found) = self.classifier_rows(backbone, network).filter(|rows| *rows != named) {
            let source_of_names = classes.source.to_owned();
            return StageError::from(PretrainedError::NumClasses { path, found, source_of_names, named })
                .with_help("name the classes that the network was trained with, in their order");
        }
        StageError::from(PretrainedError::NoClassifier { path, missing })
            .with_help("a network without a classifier must be trained first: use the stage `train` with `load_from`")
    }

    /// Returns the rows of the checkpoint's classifier, if it has one.
    fn classifier_rows(&self, backbone: &Backbone, network: &Network) -> Option<usize> {
        let checkpoint = self.source.open().ok()?;
        let Recognised { layout, checkpoint, .. } =
            recognise(backbone, network.graph(), checkpoint, self.options.map).ok()?;
        let mut names = layout.links.iter().filter(|link| link.head).flat_map(|link| &link.theirs);
        let tensor = names.find_map(|tensor| tensor.spellings.iter().find_map(|name| checkpoint.tensors.get(name)))?;
        tensor.shape.first().copied()
    }
}

/// Adds what to do about it.
fn source_error(error: impl Into<SourceError>) -> StageError {
    let error = error.into();
    let help = error.help();
    StageError::from(error).with_optional_help(help)
}
