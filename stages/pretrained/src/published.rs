//! [`Published`]: the checkpoint, and how its tensors come into the network.

use crate::PretrainedError;
use crate::classes::Classes;
use pipe_learn::Network;
use pipe_models::{LoadOptions, LoadReport, Recognised, load, recognise};
use pipe_schemas::networks::Backbone;
use pipe_schemas::stages::pretrained::PretrainedParams;
use pipe_stage::{Context, SourceFile, Sources, StageError};
use pipe_weights::{Checkpoint, FileDigests, HfConfig, WeightsError};
use std::path::PathBuf;

/// A published checkpoint.
pub(crate) struct Published {
    /// The file or the folder.
    pub(crate) path: PathBuf,
    /// The files of the folder, below it; `None` for a file.
    files: Option<Vec<String>>,
    /// How it is read, with the `config.json` of the folder.
    options: LoadOptions,
}

impl Published {
    /// Finds the checkpoint, checks its digest and reads the configuration beside it.
    pub(crate) fn find(context: &Context, params: &PretrainedParams) -> Result<Self, StageError> {
        let Sources { root, files } = context.files("weights", "load_from")?;
        let (path, files) = match files.as_slice() {
            [] => return Err(PretrainedError::NoCheckpoint { path: root }.into()),
            [SourceFile { path, .. }] => (if root.is_dir() { root.join(path) } else { root }, None),
            several => (root, Some(several.iter().map(|file| file.path.clone()).collect())),
        };
        let load_from = params.load_from.clone().unwrap_or_default();
        let mut found = Self { path, files, options: LoadOptions { map: load_from.map, ..LoadOptions::default() } };
        if let Some(expected) = load_from.digest {
            found.check_digest(expected)?;
        }
        if let Some(files) = found.names() {
            found.options.config = HfConfig::of_folder(&found.path, &files)?;
        }
        Ok(found)
    }

    fn check_digest(&self, expected: String) -> Result<(), StageError> {
        let path = self.path.clone();
        if self.files.is_some() {
            return Err(StageError::from(PretrainedError::DigestOfFolder { path }).with_help(
                "name the file of weights itself in `load_from.checkpoint`, or leave out `load_from.digest`",
            ));
        }
        let found = FileDigests::of(&path)?;
        if found.contain(&expected) {
            return Ok(());
        }
        Err(StageError::from(PretrainedError::OtherDigest { path, expected, found }).with_help(
            "the file is another version, or its download is damaged: get it again, or correct `load_from.digest`",
        ))
    }

    fn names(&self) -> Option<Vec<&str>> {
        self.files.as_ref().map(|files| files.iter().map(String::as_str).collect())
    }

    /// Returns the names of the classes in the folder's `config.json`.
    pub(crate) fn classes(&self) -> Option<Vec<String>> {
        self.options.config.as_ref().and_then(|config| config.labels.clone())
    }

    fn open(&self) -> Result<Checkpoint, WeightsError> {
        match self.names() {
            Some(files) => Checkpoint::open_folder(&self.path, &files),
            None => Checkpoint::open(&self.path),
        }
    }

    /// Loads every tensor of the network.
    pub(crate) fn load(
        &self,
        backbone: &Backbone,
        network: &mut Network,
        classes: &Classes,
    ) -> Result<LoadReport, StageError> {
        let loaded = load(backbone, network.graph(), self.open()?, &self.options).map_err(|error| {
            let help = error.help("model.backbone", "load_from");
            let (path, error) = (self.path.clone(), Box::new(error));
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
        let (path, named) = (self.path.clone(), classes.names.len());
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
        let checkpoint = self.open().ok()?;
        let Recognised { layout, checkpoint, .. } =
            recognise(backbone, network.graph(), checkpoint, self.options.map).ok()?;
        let mut names = layout.links.iter().filter(|link| link.head).flat_map(|link| &link.theirs);
        let tensor = names.find_map(|tensor| tensor.spellings.iter().find_map(|name| checkpoint.tensors.get(name)))?;
        tensor.shape.first().copied()
    }
}
