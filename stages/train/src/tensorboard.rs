//! Writes the training as event files of TensorBoard.
//!
//! Tags are those of MMEngine: `loss`, `lr`, `grad_norm` and `top1_acc` of each step, `acc/top1` and others of each validation. The
//! files depend on the training alone, and not on the clock.

use pipe_schemas::stages::train::{EpochContext, EpochFields, TrainParams};
use pipe_schemas::tables::{TrainingLogRow, TrainingStepRow};
use pipe_tensorboard::{EventWriter, FILE_PREFIX, HyperParameter};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{self, BufWriter};
use std::path::Path;

/// Writes the folder. `clips` and `mistakes` are PNG files; `mistakes` may be empty.
pub(crate) fn write(
    folder: &Path,
    params: &TrainParams,
    log: &[TrainingLogRow],
    steps: &[TrainingStepRow],
    clips: &[u8],
    mistakes: &[u8],
) -> io::Result<()> {
    fs_err::create_dir_all(folder)?;
    let file = fs_err::File::create(folder.join(format!("{FILE_PREFIX}0")))?;
    let mut events = EventWriter::new(BufWriter::new(file))?;
    let metrics = ["loss", "top1_acc"].map(str::to_owned).into_iter().chain(validation_tags(log));
    let metrics: Vec<String> = metrics.collect();
    events.hyper_parameters(&hyper_parameters(params), &metrics.iter().map(String::as_str).collect::<Vec<_>>())?;
    for row in steps {
        let TrainingStepRow { step, epoch: _, num_clips: _, lr, loss, top1, grad_norm } = *row;
        let scalars = [("loss", Some(loss)), ("top1_acc", Some(top1)), ("lr", Some(lr)), ("grad_norm", grad_norm)];
        for (tag, value) in scalars.into_iter().filter_map(|(tag, value)| Some((tag, value?))) {
            events.scalar(tag, step, value)?;
        }
    }
    for row in log {
        let step = last_step(steps, row.epoch);
        events.scalar("epoch", step, f64::from(row.epoch + 1))?;
        for (name, value) in row.validation.iter().flat_map(|figures| &figures.values) {
            events.scalar(&validation_tag(name), step, *value)?;
        }
    }
    events.image("clips", 0, clips)?;
    if !mistakes.is_empty() {
        events.image("mistakes", steps.last().map_or(0, |row| row.step), mistakes)?;
    }
    events.finish()?.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
}

/// Returns the number of the last step of an epoch.
fn last_step(steps: &[TrainingStepRow], epoch: u32) -> u64 {
    let num_steps = steps.partition_point(|row| row.epoch <= epoch);
    steps[..num_steps].last().map_or(0, |row| row.step)
}

fn validation_tags(log: &[TrainingLogRow]) -> Vec<String> {
    let last = log.iter().rev().find_map(|row| row.validation.as_ref());
    last.iter().flat_map(|figures| &figures.values).map(|(name, _)| validation_tag(name)).collect()
}

/// Returns MMEngine's tag of a metric, or `val/NAME` where it has none.
fn validation_tag(name: &str) -> String {
    match name {
        "top1" | "top5" | "mean_average_precision" => format!("acc/{name}"),
        "mean_class_accuracy" => "acc/mean1".to_owned(),
        other => format!("val/{other}"),
    }
}

/// Returns the parameters that determine an epoch, and the learning rate before schedules, by path. Others, such as the path of the
/// weights to start from, must not change the file.
fn hyper_parameters(params: &TrainParams) -> BTreeMap<String, HyperParameter> {
    let mut found = BTreeMap::new();
    for (name, value) in &params.epoch_fields(EpochContext { validated: false }) {
        collect(name, value, &mut found);
    }
    // A value that has no JSON form does not exist among the parameters.
    let optimizer = serde_json::to_value(&params.optim_wrapper.optimizer).unwrap_or_default();
    collect("optim_wrapper.optimizer.lr", &optimizer["lr"], &mut found);
    found
}

fn collect(path: &str, value: &Value, found: &mut BTreeMap<String, HyperParameter>) {
    let parameter = match value {
        Value::Null => return,
        Value::Bool(value) => HyperParameter::Flag(*value),
        Value::Number(value) => HyperParameter::Number(value.as_f64().unwrap_or(f64::NAN)),
        Value::String(value) => HyperParameter::Text(value.clone()),
        Value::Array(_) => HyperParameter::Text(value.to_string()),
        Value::Object(members) => {
            for (name, value) in members {
                collect(&format!("{path}.{name}"), value, found);
            }
            return;
        }
    };
    found.insert(path.to_owned(), parameter);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_have_their_paths() {
        let found = hyper_parameters(&TrainParams::default());
        assert_eq!(found.get("optim_wrapper.optimizer.lr"), Some(&HyperParameter::Number(0.005)));
        assert_eq!(found.get("optim_wrapper.optimizer.type"), Some(&HyperParameter::Text("SGD".into())));
        assert!(
            found.keys().all(|name| !name.starts_with("load_from") && !name.starts_with("checkpoint")),
            "{found:?}"
        );
    }

    #[test]
    fn metrics_have_the_tags_of_mmengine() {
        let tags = ["top1", "mean_class_accuracy", "loss"].map(validation_tag);
        assert_eq!(tags, ["acc/top1", "acc/mean1", "val/loss"]);
    }
}
