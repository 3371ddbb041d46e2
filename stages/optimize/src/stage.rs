//! [`Optimize`]: the stage itself.

use crate::OptimizeError;
use crate::calibrate::quantize;
use crate::compare::{compare, test_samples};
use crate::prune::{Pruned, prune};
use pipe_graph::onnx::{self, Form, HalfType};
use pipe_graph::passes::Quantization;
use pipe_infer::{Engine, InferError, ModelFile, OnnxRuntime, SessionOptions};
use pipe_learn::{COMPUTE_THREADS, Network, TrainedModel, WeightsReport, pin_threads};
use pipe_schemas::ExportMetadata;
use pipe_schemas::stages::optimize::{Comparison, Int8Report, NetworkSize, OptimizeParams, OptimizeReport, Quantize};
use pipe_stage::{Context, Stage, StageError, Summary, size_text};
use pipe_tables::frames::read_recipe;
use pipe_tables::write_json;
use std::path::PathBuf;

/// The largest difference of a logit in 32 bits, as a share of the largest logit but at least of 1.
const TOLERANCE: f64 = 1e-3;

/// The largest value of float16.
const MAX_FLOAT16: f32 = 65_504.0;

/// The stage `optimize`.
pub struct Optimize {
    /// The shared library of ONNX Runtime.
    pub onnx_runtime: PathBuf,
}

impl Stage for Optimize {
    fn kind(&self) -> &'static str {
        pipe_schemas::stages::optimize::CONTRACT.kind
    }

    fn run(&self, context: &Context) -> Result<Summary, StageError> {
        pin_threads();
        let params: OptimizeParams = context.params()?;
        let runtime = OnnxRuntime::load(&self.onnx_runtime).map_err(|error| {
            let help = error.help().unwrap_or_default();
            StageError::from(error).with_help(help)
        })?;
        let mut model = TrainedModel::open(context.input("model")?)?;
        let samples = test_samples(context, &model)?;
        let (before, bytes_before) = (size(&model.network), float_bytes(&model.network)?);
        let pruned = params.prune.as_ref().map(|params| prune(&mut model, params)).transpose();
        let pruned = pruned.map_err(StageError::explained(crate::prune::help))?.unwrap_or_default();
        write_model(context, &model)?;

        let inference = model.network.for_inference()?;
        let (quantization, int8) = match &params.quantize {
            Some(Quantize::Int8(params)) => Some(quantize(context, params, &model, &inference)?).unzip(),
            Some(Quantize::Float16 {} | Quantize::Bfloat16 {}) | None => (None, None),
        };
        let form = form(&params, quantization.as_ref());
        if matches!(form, Form::Half(HalfType::Float16)) {
            check_float16(&inference)?;
        }
        let path = context.output("model.onnx")?;
        let after = size(&model.network);
        let recipe = read_recipe(context.input("frames")?)?;
        let mut metadata = ExportMetadata::new(&model.card, &inference.graph().name, recipe).entries()?;
        metadata.extend([
            ("num_params".to_owned(), after.num_params.to_string()),
            ("macs".to_owned(), after.macs.to_string()),
        ]);
        let bytes = onnx::write_as(inference.graph(), |param| inference.values_of(param), &metadata, &form)?;
        fs_err::write(&path, &bytes)?;

        let options = SessionOptions::threads(COMPUTE_THREADS as usize);
        let mut session = runtime.open(&ModelFile::read(&path).map_err(InferError::File)?, options)?;
        let comparison = compare(context, &samples, params.compare_views as usize, &model, session.as_mut())?;
        if params.quantize.is_none() {
            check_parity(&comparison)?;
        }
        let onnx_bytes = bytes.len() as u64;
        let onnx_share = onnx_bytes as f64 / bytes_before as f64;
        let Pruned { channels, whole, weights } = pruned;
        let report =
            OptimizeReport { before, after, channels, whole, weights, int8, onnx_bytes, onnx_share, comparison };
        write_json(&context.output("report.json")?, &report)?;
        Ok(summary(&report))
    }
}

/// Returns the numbers of the ONNX file.
fn form<'a>(params: &OptimizeParams, quantization: Option<&'a Quantization>) -> Form<'a> {
    match (&params.quantize, quantization) {
        (Some(Quantize::Int8(_)), Some(quantization)) => Form::Int8(quantization),
        (Some(Quantize::Float16 {}), _) => Form::Half(HalfType::Float16),
        (Some(Quantize::Bfloat16 {}), _) => Form::Half(HalfType::BFloat16),
        (Some(Quantize::Int8(_)) | None, _) => Form::Float32,
    }
}

fn write_model(context: &Context, model: &TrainedModel) -> Result<(), StageError> {
    let initialised = model.network.graph().params.len();
    // Where the weights came from is in the folder of the input.
    let report = WeightsReport::Kept { kept: initialised };
    Ok(TrainedModel::write(&context.output("model")?, &model.card, &model.network, &report)?)
}

fn size(network: &Network) -> NetworkSize {
    let graph = network.graph();
    NetworkSize { num_params: graph.num_params() as u64, macs: graph.macs() }
}

/// Returns the size of the network as an ONNX file in 32 bits, without metadata.
fn float_bytes(network: &Network) -> Result<u64, StageError> {
    let inference = network.for_inference()?;
    let metadata = std::collections::BTreeMap::new();
    Ok(onnx::write(inference.graph(), |param| inference.values_of(param), &metadata)?.len() as u64)
}

fn check_float16(network: &Network) -> Result<(), StageError> {
    for param in &network.graph().params {
        let values = network.values_of(param).unwrap_or_default();
        if let Some(value) = values.iter().copied().find(|value| value.abs() > MAX_FLOAT16) {
            return Err(StageError::from(OptimizeError::Float16 { name: param.name.clone(), value })
                .with_help("use `quantize: { type: bfloat16 }`"));
        }
    }
    Ok(())
}

fn check_parity(comparison: &Comparison) -> Result<(), OptimizeError> {
    let Comparison { num_views, max_abs_diff, max_abs_logit, .. } = *comparison;
    let limit = TOLERANCE * max_abs_logit.max(1.0);
    if max_abs_diff > limit {
        return Err(OptimizeError::Parity { max_abs_diff, max_abs_logit, num_views, limit });
    }
    Ok(())
}

fn stay_whole(num_layers: usize) -> String {
    if num_layers == 1 { "1 layer stays whole".to_owned() } else { format!("{num_layers} layers stay whole") }
}

fn summary(report: &OptimizeReport) -> Summary {
    let OptimizeReport { before, after, channels, whole, weights, int8, onnx_bytes, onnx_share, comparison } = report;
    let macs_share = after.macs as f64 / before.macs.max(1) as f64;
    let mut lines = Vec::new();
    if !channels.is_empty() {
        let num_pruned = channels.iter().filter(|layers| layers.after < layers.before).count();
        lines.push(format!(
            "{:.1} % of the multiply-adds ({} of {}), {} of {} parameters; {num_pruned} of {} groups of layers pruned, {}",
            100.0 * macs_share,
            after.macs,
            before.macs,
            after.num_params,
            before.num_params,
            channels.len(),
            stay_whole(whole.len()),
        ));
    }
    if !weights.is_empty() {
        let count = |of: fn(&pipe_schemas::stages::optimize::ZeroWeights) -> u64| weights.iter().map(of).sum::<u64>();
        let (zeros, all) = (count(|tensor| tensor.num_zeros), count(|tensor| tensor.num_weights));
        lines.push(format!("{zeros} of {all} weights are 0"));
    }
    if let Some(Int8Report { num_layers, float, num_clips, num_train_clips, .. }) = int8 {
        let layers = if *num_layers == 1 { "layer" } else { "layers" };
        lines.push(format!(
            "{num_layers} {layers} in int8, {} in floating point, calibrated on {num_clips} of {num_train_clips} training clips",
            float.len()
        ));
    }
    let reference = if channels.is_empty() { "libtorch" } else { "the pruned network on libtorch" };
    lines.push(format!(
        "{}, {:.2} of the size before; top-1 equals that of {reference} on {:.1} % of {} of {} test views, logits differ by up to {:.1e} \
         (largest {:.1})",
        size_text(*onnx_bytes),
        onnx_share,
        100.0 * comparison.top1_agreement,
        comparison.num_views,
        comparison.num_test_views,
        comparison.max_abs_diff,
        comparison.max_abs_logit,
    ));
    Summary::lines(lines).with_figures([
        ("macs_share", macs_share),
        ("onnx_share", *onnx_share),
        ("top1_agreement", comparison.top1_agreement),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_are_counted() {
        let texts = [0, 1, 2].map(stay_whole);
        assert_eq!(texts, ["0 layers stay whole", "1 layer stays whole", "2 layers stay whole"]);
    }
}
