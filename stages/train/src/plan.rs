//! The epochs as parts, and what determines each of them.

use crate::TrainError;
use crate::batch_norm::check_batch_norm;
use crate::device::device;
use crate::monitor::check_monitors;
use crate::rates::{check_schedules, fields_of_rates};
use crate::samples::Samples;
use crate::start::{check_digest, graph, load_from};
use crate::validate::validates;
use pipe_graph::Graph;
use pipe_learn::{Freezing, LearnError, check_low_precision};
use pipe_schemas::stages::train::{EpochContext, EpochFields, LoadFrom, TrainParams};
use pipe_stage::protocol::PlannedPart;
use pipe_stage::{Context, StageError, json_fields};
use serde_json::json;
use std::collections::BTreeMap;

/// Names and values of what determines a part.
pub(crate) type Fields = Vec<(Vec<String>, String)>;

/// Returns the name of an epoch's part.
pub(crate) fn name(epoch: u32) -> String {
    format!("{epoch:04}")
}

/// Returns the parts; see the table in the crate's documentation.
pub(crate) fn parts(
    context: &Context,
    params: &TrainParams,
    samples: &Samples,
) -> Result<Vec<PlannedPart>, StageError> {
    check_monitors(params, samples)?;
    check_precision(context, params)?;
    let graph = &graph(context, params, samples)?;
    let of_data = fields_of_data(context, params, samples, graph)?;
    let of_start = fields_of_start(context, params)?;
    let of_test = fields_of_test(samples)?;
    check_schedules(params, samples)?;
    let rates = fields_of_rates(params, samples, graph)?;
    let part = |(epoch, rates): (u32, Fields)| {
        let validated = validates(params, samples, epoch + 1);
        let mut fields = of_data.clone();
        fields.extend(json_fields(&["with"], &params.epoch_fields(EpochContext { validated }).into()));
        fields.extend(rates);
        fields.push(field(&["epoch"], epoch.to_string()));
        fields.push(field(&["rows"], samples.epoch_digest(epoch)?));
        if samples.is_cut(epoch) {
            fields.push(field(&["steps"], samples.num_steps(epoch).to_string()));
        }
        if epoch == 0 {
            fields.extend(of_start.clone());
        }
        if validated {
            fields.extend(of_test.iter().cloned());
        }
        Ok(PlannedPart { name: name(epoch), fields, items: BTreeMap::new() })
    };
    (0..).zip(rates).map(part).collect()
}

/// Checks that this machine computes in the precision of training.
pub(crate) fn check_precision(context: &Context, params: &TrainParams) -> Result<(), StageError> {
    let Some(amp) = params.optim_wrapper.amp() else { return Ok(()) };
    check_low_precision(amp.dtype, device(context, params, 0)?).map_err(|error| {
        StageError::from(error).with_help("set `optim_wrapper.type: OptimWrapper`, or train on another machine")
    })
}

/// Returns what the data and the network contribute to every epoch.
fn fields_of_data(
    context: &Context,
    params: &TrainParams,
    samples: &Samples,
    graph: &Graph,
) -> Result<Fields, StageError> {
    check_loss(params, samples)?;
    let labelling = samples.preprocessing.labelling;
    let loss = params.loss(labelling);
    let mut fields = json_fields(&["labelling"], &json!(labelling));
    fields.extend(json_fields(&["loss"], &json!(loss)));
    let freezing = Freezing::new(&params.model.backbone, graph, params.freeze.as_ref()).map_err(LearnError::from)?;
    check_batch_norm(graph, &freezing, samples)?;
    // It contains the number of classes and the size of clips.
    fields.push(field(&["graph"], graph.digest().to_hex().to_string()));
    context.input("frames")?;
    fields.push(field(&["inputs", "frames"], context.input_digest("frames").unwrap_or_default()));
    Ok(fields)
}

/// Checks that the loss is defined for the labels.
pub(crate) fn check_loss(params: &TrainParams, samples: &Samples) -> Result<(), StageError> {
    let labelling = samples.preprocessing.labelling;
    let loss = params.loss(labelling);
    if !loss.fits(labelling) {
        return Err(TrainError::LossLabelling { labelling }.into());
    }
    let num_classes = samples.classes.len();
    match loss.per_class().filter(|(_, count)| *count != num_classes) {
        None => Ok(()),
        Some((parameter, count)) => Err(StageError::from(TrainError::ValuesPerClass { parameter, count, num_classes })
            .with_help("give one value per class, in the order of the class indices")),
    }
}

/// Returns what the weights to start from contribute to the first epoch.
fn fields_of_start(context: &Context, params: &TrainParams) -> Result<Fields, StageError> {
    if let Some(digest) = context.input_digest("model") {
        return Ok(vec![field(&["inputs", "model"], digest)]);
    }
    let Some(weights) = load_from(context, params)? else { return Ok(Vec::new()) };
    check_digest(&weights, params)?;
    let mut fields = vec![field(&["sources", "load_from", ""], weights.digest)];
    // How the file is read.
    let LoadFrom { checkpoint: _, digest: _, map, inflate } = params.load_from.clone().unwrap_or_default();
    fields.extend(map.map(|map| field(&["with", "load_from", "map"], map.name())));
    fields.extend(inflate.then(|| field(&["with", "load_from", "inflate"], "true")));
    Ok(fields)
}

/// Returns what the test samples contribute to an epoch that is validated.
fn fields_of_test(samples: &Samples) -> Result<Fields, StageError> {
    let frames = samples.preprocessing.test_frames.to_string();
    Ok(vec![field(&["test", "rows"], samples.test_digest()?), field(&["test", "frames"], frames)])
}

pub(crate) fn field(path: &[&str], value: impl Into<String>) -> (Vec<String>, String) {
    (path.iter().map(|step| (*step).to_owned()).collect(), value.into())
}
