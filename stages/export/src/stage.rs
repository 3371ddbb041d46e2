//! [`Export`]: the stage itself.

use crate::ExportError;
use crate::axes::{self, free_axes};
use crate::card::Card;
use crate::huggingface::{self, Folder};
use crate::parity::{Axes, Comparison};
use pipe_clips::{Batch, Loader, TestSamples, TestSamplesError};
use pipe_graph::onnx;
use pipe_infer::{Engine, InferError, ModelFile, OnnxRuntime, Session, SessionOptions};
use pipe_learn::{COMPUTE_THREADS, LearnError, TrainedModel, pin_threads, predict_clips};
use pipe_schemas::ExportMetadata;
use pipe_schemas::stages::export::{ExportParams, Parity};
use pipe_schemas::tables::{MissingCounts, SampleRow, Split};
use pipe_stage::{Context, Stage, StageError, Summary, size_text};
use pipe_tables::frames::read_recipe;
use pipe_tables::{SamplesFolder, read_json, write_json};
use pipe_weights::write_safetensors;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Number of views per forward pass. The last pass may have fewer, which also checks that the batch axis is dynamic.
const BATCH_SIZE: usize = 4;

/// The stage `export`.
pub struct Export {
    /// The shared library of ONNX Runtime.
    pub onnx_runtime: PathBuf,
    /// Version of libtorch, for the model card.
    pub libtorch: &'static str,
}

impl Stage for Export {
    fn kind(&self) -> &'static str {
        pipe_schemas::stages::export::CONTRACT.kind
    }

    fn run(&self, context: &Context) -> Result<Summary, StageError> {
        pin_threads();
        let params: ExportParams = context.params()?;
        let runtime = OnnxRuntime::load(&self.onnx_runtime).map_err(|error| {
            let help = error.help().unwrap_or_default();
            StageError::from(error).with_help(help)
        })?;
        let model = TrainedModel::open(context.input("model")?)?;
        let path = context.output("model.onnx")?;
        let possible = free_axes(&model)?;
        let written = if params.dynamic_axes { possible } else { onnx::FreeAxes::default() };
        let metadata = metadata(context, &model)?;
        let size_bytes = write_onnx(&model, &path, &metadata, written)?;

        let options = SessionOptions::threads(COMPUTE_THREADS as usize);
        let mut session = runtime.open(&ModelFile::read(&path).map_err(InferError::File)?, options)?;
        let comparison = compare(context, &params, &model, session.as_mut())?;
        let axes = Axes { written: axes::names(written), possible: axes::names(possible) };
        let parity = comparison.finish(params.tolerance, runtime.title(), axes)?;
        write_json(&context.output("parity.json")?, &parity)?;
        write_safetensors(&context.output("model.safetensors")?, &model.network.tensors())?;
        let folder = huggingface::write(context, &model, metadata.stored_frames.resize)?;
        let card = card(context, &model, &metadata, &parity, &folder, self.libtorch)?;
        fs_err::write(context.output("README.md")?, card)?;
        Ok(Summary::line(format!(
            "{}, differs from libtorch by {:.1e} on {} of {} test views, logits up to {:.1}",
            size_text(size_bytes as u64),
            parity.max_abs_diff,
            parity.num_views,
            parity.num_test_views,
            parity.max_abs_logit
        ))
        .with_figures([("max_abs_logit", parity.max_abs_logit), ("top1_agreement", parity.top1_agreement)]))
    }
}

/// Returns the metadata of the file, with the digests of the inputs.
fn metadata(context: &Context, model: &TrainedModel) -> Result<ExportMetadata, StageError> {
    let recipe = read_recipe(context.input("frames")?)?;
    let mut metadata = ExportMetadata::new(&model.card, &model.network.graph().name, recipe);
    for port in pipe_schemas::stages::export::CONTRACT.inputs {
        // In tests, inputs have no digest.
        if let Some(digest) = context.input_digest(port.name).filter(|digest| !digest.is_empty()) {
            metadata.made_from.insert(port.name.to_owned(), digest.to_owned());
        }
    }
    Ok(metadata)
}

fn write_onnx(
    model: &TrainedModel,
    path: &Path,
    metadata: &ExportMetadata,
    axes: onnx::FreeAxes,
) -> Result<usize, StageError> {
    let network = model.network.with_folded_tables()?;
    let tensors = network.tensors();
    let values = |param: &pipe_graph::Param| tensors.get(&param.name).map(pipe_weights::Tensor::to_f32);
    let mut entries = metadata.entries()?;
    let graph = model.network.graph();
    entries.insert("num_params".to_owned(), graph.num_params().to_string());
    entries.insert("macs".to_owned(), graph.macs().to_string());
    let bytes = onnx::write_with_axes(network.graph(), values, &entries, axes)?;
    fs_err::write(path, &bytes)?;
    Ok(bytes.len())
}

/// Returns the model card.
fn card(
    context: &Context,
    model: &TrainedModel,
    metadata: &ExportMetadata,
    parity: &Parity,
    folder: &Folder,
    libtorch: &str,
) -> Result<String, StageError> {
    let samples = SamplesFolder::open(context.input("samples")?);
    let views = samples.test()?;
    let videos: BTreeSet<_> = views.iter().map(SampleRow::sample).collect();
    let weights = context.input("model")?.join("weights.json");
    let card = Card {
        model,
        weights: if weights.exists() { Some(read_json(&weights)?) } else { None },
        metrics: context.optional_input("metrics").map(read_json).transpose()?,
        num_test: [views.len(), videos.len()],
        num_train: if model.card.preprocessing.epochs > 0 { samples.num_clips(0).ok() } else { None },
        missing: MissingCounts::of(&samples.missing()?, Split::Test),
        made_from: &metadata.made_from,
        parity,
        folder,
        libtorch,
    };
    Ok(card.text())
}

/// Runs both runtimes on test views.
fn compare(
    context: &Context,
    params: &ExportParams,
    model: &TrainedModel,
    session: &mut dyn Session,
) -> Result<Comparison, StageError> {
    let with_help = StageError::explained(TestSamplesError::help);
    let samples = TestSamples::read(context.input("samples")?).map_err(&with_help)?;
    samples.check_clips(model.takes("the model")).map_err(with_help)?;
    let rows = samples.spread(params.parity_views as usize);
    let total = rows.len() as u64;
    let loader = Loader::open(context.input("frames")?)?;
    let mut comparison = Comparison::of(samples.rows.len() as u64);
    for batch in loader.clips(rows, model.clip_size(), BATCH_SIZE, context.threads())? {
        let batch = batch?;
        let done = batch.rows.end as u64;
        let exported = run_onnx(model, session, &batch)?;
        let reference = predict_clips::<LearnError>(
            &model.network,
            &model.normalisation(),
            model.clip_size(),
            std::iter::once(Ok(batch)),
            |_| Ok(()),
        )?;
        for (reference, exported) in reference.iter().zip(&exported) {
            comparison.add(reference, exported);
        }
        context.progress(done, total, "views");
        context.check_cancelled()?;
    }
    Ok(comparison)
}

/// Returns the logits of each clip from ONNX Runtime.
fn run_onnx(model: &TrainedModel, session: &mut dyn Session, batch: &Batch) -> Result<Vec<Vec<f32>>, StageError> {
    let (size, num_clips, num_classes) = (model.clip_size(), batch.num_clips, model.card.classes.len());
    let shape = [num_clips, 3, size.frames, size.height, size.width];
    let values = model.normalisation().values(batch, size);
    let (found, logits) = session.run(onnx::INPUT, shape, values)?;
    if found != [num_clips as i64, num_classes as i64] {
        return Err(ExportError::Shape { num_clips, num_classes, found }.into());
    }
    Ok(logits.chunks_exact(num_classes).map(<[f32]>::to_vec).collect())
}
