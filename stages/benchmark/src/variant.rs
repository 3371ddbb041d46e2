//! [`Variant`]: a model folder or an ONNX file, opened.

use crate::BenchmarkError;
use pipe_clips::{Batches, ClipSize, Takes};
use pipe_infer::{InferenceEngine, Libraries, SessionOptions, load};
use pipe_learn::{Network, Normalisation, TrainedModel, predict_clips};
use pipe_predict::{Classifier, ExportedModel, PredictError, logits_of_batches};
use pipe_schemas::networks::AverageClips;
use pipe_schemas::tables::Labelling;
use pipe_stage::StageError;
use pipe_tables::ModelFolder;
use std::path::Path;
use std::sync::Arc;

/// A variant that is ready to run.
pub(crate) struct Variant {
    classes: Vec<String>,
    labelling: Labelling,
    clip_size: ClipSize,
    pub(crate) average_clips: AverageClips,
    pub(crate) facts: Facts,
    runs: Runs,
}

/// What is known of a variant without running it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Facts {
    /// The engine and its version.
    pub(crate) engine: String,
    pub(crate) size_bytes: u64,
    pub(crate) num_params: Option<u64>,
    pub(crate) macs: Option<u64>,
}

/// What runs it.
enum Runs {
    Libtorch(Box<Network>, Normalisation),
    Engine(Box<Classifier>),
}

/// Returns whether an input is a model folder; an error if it is not an ONNX file either.
pub(crate) fn is_model(name: &str, path: &Path) -> Result<bool, BenchmarkError> {
    if path.is_dir() && ModelFolder::open(path).checkpoint_path().is_file() {
        Ok(true)
    } else if path.is_file() {
        Ok(false)
    } else {
        Err(BenchmarkError::NotAVariant { name: name.to_owned(), path: path.into() })
    }
}

/// Returns the facts of a model folder.
fn facts_of_model(path: &Path, model: &TrainedModel) -> Result<Facts, StageError> {
    let graph = model.network.graph();
    Ok(Facts {
        engine: format!("libtorch {}", option_env!("LIBTORCH_VERSION").unwrap_or("unknown")),
        size_bytes: fs_err::metadata(ModelFolder::open(path).checkpoint_path())?.len(),
        num_params: Some(graph.num_params() as u64),
        macs: Some(graph.macs()),
    })
}

impl Variant {
    /// Opens a model folder.
    pub(crate) fn model(path: &Path) -> Result<Self, StageError> {
        let model = TrainedModel::open(path)?;
        Ok(Self {
            classes: model.card.classes.clone(),
            labelling: model.card.preprocessing.labelling,
            clip_size: model.clip_size(),
            average_clips: model.card.model.cls_head.average_clips,
            facts: facts_of_model(path, &model)?,
            runs: Runs::Libtorch(Box::new(model.network.for_inference()?), model.normalisation()),
        })
    }

    /// Opens an ONNX file on an engine. An engine that is missing, or that refuses the file, is the inner error, with what is known.
    pub(crate) fn exported(
        name: &str,
        path: &Path,
        engine: InferenceEngine,
        libraries: &Libraries,
        threads: usize,
    ) -> Result<Result<Self, (Facts, PredictError)>, StageError> {
        let unusable = |source| BenchmarkError::File { name: name.to_owned(), source };
        let model = Arc::new(ExportedModel::open(path).map_err(unusable)?);
        let number = |key: &str| model.file.metadata().get(key).and_then(|text| text.parse().ok());
        let mut facts = Facts {
            engine: engine.name().to_owned(),
            size_bytes: fs_err::metadata(path)?.len(),
            num_params: number("num_params"),
            macs: number("macs"),
        };
        let loaded = match load(engine, libraries) {
            Ok(loaded) => loaded,
            Err(error) => return Ok(Err((facts, error.into()))),
        };
        facts.engine = loaded.title();
        Ok(match Classifier::new(Arc::clone(&model), loaded.as_ref(), SessionOptions::threads(threads)) {
            Ok(classifier) => Ok(Self {
                classes: model.metadata.labels.clone(),
                labelling: model.metadata.labelling,
                clip_size: model.clip_size,
                average_clips: model.metadata.average_clips,
                facts,
                runs: Runs::Engine(Box::new(classifier)),
            }),
            Err(error) => Err((facts, error)),
        })
    }

    /// Returns what it takes; `name` stands for it in messages.
    pub(crate) fn takes<'a>(&'a self, name: &'a str) -> Takes<'a> {
        Takes { name, clip_size: self.clip_size, labelling: self.labelling, classes: &self.classes }
    }

    /// Returns the logits of each clip. `after_batch` is called with the number of clips done; its error ends the work.
    pub(crate) fn logits(
        &mut self,
        batches: Batches,
        after_batch: impl FnMut(usize) -> Result<(), StageError>,
    ) -> Result<Vec<Vec<f32>>, StageError> {
        match &mut self.runs {
            Runs::Libtorch(network, normalisation) => {
                predict_clips(network, normalisation, self.clip_size, batches, after_batch)
            }
            Runs::Engine(classifier) => logits_of_batches(classifier, batches, after_batch),
        }
    }
}
