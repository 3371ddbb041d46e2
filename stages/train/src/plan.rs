//! What decides each epoch.

use crate::samples::Samples;
use crate::start::{graph, load_from};
use crate::validate::validates;
use pipe_learn::learning_rate;
use pipe_schemas::networks::{ClsHead, ModelParams};
use pipe_schemas::stages::train::{OptimWrapper, TrainParams};
use pipe_stage::protocol::PlannedPart;
use pipe_stage::{Context, StageError, json_fields};
use serde_json::{Value, json};
use std::collections::BTreeMap;

type Fields = Vec<(Vec<String>, String)>;

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
    let every = of_every_epoch(context, params, samples)?;
    let first = load_from(context)?.map(|(_, digest)| field(&["sources", "load_from", ""], digest));
    let validated = of_validated_epochs(params, samples)?;
    let part = |epoch| {
        let lr = learning_rate(&params.optim_wrapper.optimizer, &params.param_scheduler, epoch);
        let mut fields = every.clone();
        fields.push(field(&["epoch"], epoch.to_string()));
        fields.push(field(&["lr"], lr.to_string()));
        fields.push(field(&["rows"], samples.epoch_digest(epoch)?));
        if epoch == 0 {
            fields.extend(first.clone());
        }
        if validates(params, samples, epoch + 1) {
            fields.extend(validated.iter().cloned());
        }
        Ok(PlannedPart { name: name(epoch), fields, items: BTreeMap::new() })
    };
    (0..samples.num_epochs()).map(part).collect()
}

fn of_every_epoch(context: &Context, params: &TrainParams, samples: &Samples) -> Result<Fields, StageError> {
    let TrainParams { model, train_dataloader, optim_wrapper, param_scheduler: _, train_cfg: _, load_from: _, seed } =
        params;
    let ModelParams { backbone, cls_head, data_preprocessor } = model;
    let ClsHead { num_classes: _, dropout_ratio, init_std, average_clips: _ } = cls_head;
    let OptimWrapper { optimizer, clip_grad } = optim_wrapper;
    let mut optimizer = serde_json::to_value(optimizer)?;
    if let Value::Object(optimizer) = &mut optimizer {
        optimizer.remove("lr");
    }
    let with = json!({
        "model": {
            "backbone": backbone,
            "cls_head": { "dropout_ratio": dropout_ratio, "init_std": init_std },
            "data_preprocessor": data_preprocessor,
        },
        "train_dataloader": train_dataloader,
        "optim_wrapper": { "optimizer": optimizer, "clip_grad": clip_grad },
        "seed": seed,
    });
    let mut fields = json_fields(&["with"], &with);
    // It decides what is lowered, whatever labels the rows of an epoch have.
    fields.extend(json_fields(&["labelling"], &json!(samples.preprocessing.labelling)));
    // It holds the number of classes and the size of clips.
    fields.push(field(&["graph"], graph(params, samples)?.digest().to_hex().to_string()));
    context.input("frames")?;
    fields.push(field(&["inputs", "frames"], context.input_digest("frames").unwrap_or_default()));
    Ok(fields)
}

fn of_validated_epochs(params: &TrainParams, samples: &Samples) -> Result<Fields, StageError> {
    let mut fields =
        json_fields(&["with", "model", "cls_head", "average_clips"], &json!(params.model.cls_head.average_clips));
    fields.push(field(&["test", "rows"], samples.test_digest()?));
    fields.push(field(&["test", "frames"], samples.preprocessing.test_frames.to_string()));
    Ok(fields)
}

fn field(path: &[&str], value: impl Into<String>) -> (Vec<String>, String) {
    (path.iter().map(|step| (*step).to_owned()).collect(), value.into())
}
