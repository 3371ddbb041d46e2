//! [`take`]: keys of MMAction2 configurations that change nothing here, because `pipe` does it anyway or has nothing like it.
//!
//! They are accepted, and one note lists them. The same keys with a value that would change something remain mistakes.

use crate::json_schema::Violation;
use pipe_schemas::Contract;
use serde_json::Value;

/// A key that changes nothing if it has one of these values.
struct Key {
    kind: &'static str,
    /// Steps from `with:`; `*` is a position in a list.
    path: &'static str,
    /// Whether the value changes nothing, given all parameters of the stage.
    is_harmless: fn(&Value, &Value) -> bool,
}

const fn key(kind: &'static str, path: &'static str, is_harmless: fn(&Value, &Value) -> bool) -> Key {
    Key { kind, path, is_harmless }
}

const KEYS: &[Key] = &[
    key("train", "train_cfg.type", |value, _| value == "EpochBasedTrainLoop"),
    key("train", "train_dataloader.num_workers", |value, _| value.is_u64()),
    key("train", "train_dataloader.prefetch_factor", |value, _| value.is_u64() || value.is_null()),
    key("train", "train_dataloader.persistent_workers", |value, _| value.is_boolean()),
    key("train", "train_dataloader.pin_memory", |value, _| value.is_boolean()),
    key("train", "train_dataloader.sampler", |value, _| {
        fits(value, &[("type", &["DefaultSampler"])]) && value["shuffle"] == true
    }),
    key("train", "optim_wrapper.type", |value, _| value == "OptimWrapper"),
    key("train", "optim_wrapper.optimizer.maximize", |value, _| value == false),
    key("train", "param_scheduler.*.by_epoch", |value, _| value == true),
    key("train", "param_scheduler.*.verbose", |value, _| value == false),
    key("train", "param_scheduler.*.last_step", |value, _| value.as_i64() == Some(-1)),
    key("train", "param_scheduler.*.convert_to_iter_based", |value, _| value == false),
    key("train", "model.type", |value, _| value == "Recognizer2D" || value == "Recognizer3D"),
    key("train", "model.train_cfg", |value, _| value.is_null()),
    key("train", "model.test_cfg", |value, _| value.is_null()),
    key("train", "model.data_preprocessor.type", |value, _| value == "ActionDataPreprocessor"),
    key("train", "model.data_preprocessor.format_shape", |value, _| value == "NCHW" || value == "NCTHW"),
    key("train", "model.backbone.pretrained", |value, _| value.is_null()),
    key("train", "model.backbone.in_channels", |value, _| value == 3),
    key("train", "model.backbone.norm_eval", |value, _| value == false),
    key("train", "model.backbone.frozen_stages", |value, _| value.as_i64() == Some(-1)),
    key("train", "model.backbone.with_cp", |value, _| value.is_boolean()),
    key("train", "model.backbone.style", |value, _| value == "pytorch"),
    key("train", "model.backbone.norm_cfg", |value, with| {
        // `sync_bn` does what the type says, if there are several processes.
        let types: &[&str] = if with["sync_bn"] == true { &["SyncBN"] } else { &["BN", "BN2d", "BN3d"] };
        fits(value, &[("type", types)]) && value.get("requires_grad").is_none_or(|grad| *grad == true)
    }),
    key("train", "model.backbone.act_cfg", |value, _| fits(value, &[("type", &["ReLU"])])),
    key("train", "model.backbone.conv_cfg", |value, _| fits(value, &[("type", &["Conv2d", "Conv3d", "Conv"])])),
    key("train", "model.cls_head.type", |value, with| head_of(with).is_some_and(|head| value == head)),
    key("train", "model.cls_head.in_channels", |value, _| value.is_u64()),
    key("train", "model.cls_head.num_segments", |value, _| value.is_u64()),
    key("train", "model.cls_head.is_shift", |value, with| *value == (head_of(with) == Some("TSMHead"))),
    key("train", "model.cls_head.temporal_pool", |value, _| value == false),
    key("train", "model.cls_head.spatial_type", |value, _| value == "avg"),
    key("train", "model.cls_head.consensus", |value, _| fits(value, &[("type", &["AvgConsensus"])])),
    key("train", "model.cls_head.label_smooth_eps", |value, _| value.as_f64() == Some(0.0)),
    key("train", "model.cls_head.multi_class", |value, _| value == false),
    key("train", "model.cls_head.topk", |value, _| value.is_array() || value.is_u64()),
    key("augment", "train.transforms.*.lazy", |value, _| value == false),
    key("augment", "test.transforms.*.lazy", |value, _| value == false),
    key("augment", "train.transforms.*.direction", |value, _| value == "horizontal"),
    key("augment", "test.transforms.*.direction", |value, _| value == "horizontal"),
    key("evaluate", "num_workers", |value, _| value.is_u64()),
    key("evaluate", "persistent_workers", |value, _| value.is_boolean()),
];

/// Transforms that only load or rearrange pixels, which other parts of `pipe` do.
const TRANSFORMS: &[&str] = &[
    "DecordInit",
    "DecordDecode",
    "OpenCVInit",
    "OpenCVDecode",
    "PyAVInit",
    "PyAVDecode",
    "RawFrameDecode",
    "FormatShape",
    "PackActionInputs",
];

/// Removes the keys among `violations` that change nothing, and returns their paths.
pub(super) fn take(contract: &Contract, with: &mut Value, violations: &[Violation]) -> Vec<String> {
    let is_foreign = |with: &Value, Violation { path, at_key, .. }: &Violation| {
        let Some(value) = at(with, path) else { return false };
        let is_key = |key: &Key| key.kind == contract.kind && matches(key.path, path) && (key.is_harmless)(value, with);
        *at_key && KEYS.iter().any(is_key)
    };
    let mut taken: Vec<Vec<String>> = Vec::new();
    for violation in violations {
        if is_foreign(with, violation) {
            taken.push(violation.path.clone());
        } else if is_foreign_transform(contract, with, &violation.path) {
            taken.push(violation.path[..violation.path.len() - 1].to_vec());
        }
    }
    let shown = taken.iter().map(|path| shown(with, path)).collect();
    // From the end, so that the positions of a list stay right.
    taken.iter().rev().for_each(|path| remove(with, path));
    shown
}

fn is_foreign_transform(contract: &Contract, with: &Value, path: &[String]) -> bool {
    let [.., list, _, last] = path else { return false };
    let is_named = |value: &Value| value.as_str().is_some_and(|name| TRANSFORMS.contains(&name));
    contract.kind == "augment" && list == "transforms" && last == "type" && at(with, path).is_some_and(is_named)
}

/// Returns the path of a key, or the type of a transform.
fn shown(with: &Value, path: &[String]) -> String {
    let name = at(with, path).and_then(|value| value.get("type")).and_then(Value::as_str);
    match name.filter(|name| TRANSFORMS.contains(name)) {
        Some(name) => format!("{} {name}", path.join(".")),
        None => path.join("."),
    }
}

fn matches(pattern: &str, path: &[String]) -> bool {
    let steps: Vec<&str> = pattern.split('.').collect();
    steps.len() == path.len() && steps.iter().zip(path).all(|(wanted, step)| *wanted == "*" || wanted == step)
}

fn at<'v>(value: &'v Value, path: &[String]) -> Option<&'v Value> {
    path.iter().try_fold(value, |value, step| match value {
        Value::Array(items) => items.get(step.parse::<usize>().ok()?),
        other => other.get(step),
    })
}

fn remove(value: &mut Value, path: &[String]) {
    match (value, path) {
        (Value::Object(fields), [last]) => drop(fields.remove(last)),
        (Value::Array(items), [last]) => {
            if let Some(position) = last.parse().ok().filter(|position| *position < items.len()) {
                items.remove(position);
            }
        }
        (Value::Object(fields), [first, rest @ ..]) => {
            if let Some(below) = fields.get_mut(first) {
                remove(below, rest);
            }
        }
        (Value::Array(items), [first, rest @ ..]) => {
            if let Some(below) = first.parse().ok().and_then(|position: usize| items.get_mut(position)) {
                remove(below, rest);
            }
        }
        _ => {}
    }
}

/// Returns whether `value` is a map in which each of these keys has one of these values.
fn fits(value: &Value, wanted: &[(&str, &[&str])]) -> bool {
    wanted.iter().all(|(key, names)| value[key].as_str().is_some_and(|name| names.contains(&name)))
}

/// Returns the head that MMAction2 has for the backbone, if it averages as ours does.
fn head_of(with: &Value) -> Option<&'static str> {
    match with.pointer("/model/backbone/type")?.as_str()? {
        "ResNet" | "MobileNetV2" => Some("TSNHead"),
        "ResNetTSM" | "MobileNetV2TSM" => Some("TSMHead"),
        "R3D" => Some("I3DHead"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::json_schema::check;
    use pipe_schemas::Contract;
    use pipe_schemas::stages::{augment, train};
    use serde_json::{Value, json};

    fn take(contract: &Contract, with: &mut Value) -> Vec<String> {
        let violations = check(contract.schema(), with);
        super::take(contract, with, &violations)
    }

    #[test]
    fn what_changes_nothing_is_taken_and_all_else_stays() {
        let mut with = json!({
            "model": {
                "type": "Recognizer2D",
                "backbone": { "type": "ResNet", "depth": 50, "style": "pytorch", "pretrained": null },
                "cls_head": { "type": "TSNHead", "in_channels": 2048, "dropout_ratio": 0.4, "consensus": { "type": "AvgConsensus", "dim": 1 } },
            },
            "train_dataloader": { "batch_size": 8, "num_workers": 4 },
            "optim_wrapper": { "optimizer": { "type": "SGD", "lr": 0.1 }, "clip_grad": { "max_norm": 40 } },
            "param_scheduler": [{ "type": "MultiStepLR", "milestones": [8], "verbose": false }, { "type": "ReduceOnPlateauLR", "by_epoch": true }],
            "train_cfg": { "type": "EpochBasedTrainLoop", "max_epochs": 20, "val_begin": 1 },
        });
        let taken = take(&train::CONTRACT, &mut with);
        assert_eq!(taken.len(), 10, "{taken:?}");
        assert_eq!(
            with,
            json!({
                "model": { "backbone": { "type": "ResNet", "depth": 50 }, "cls_head": { "dropout_ratio": 0.4 } },
                "train_dataloader": { "batch_size": 8 },
                "optim_wrapper": { "optimizer": { "type": "SGD", "lr": 0.1 }, "clip_grad": { "max_norm": 40 } },
                "param_scheduler": [{ "type": "MultiStepLR", "milestones": [8] }, { "type": "ReduceOnPlateauLR" }],
                "train_cfg": { "max_epochs": 20, "val_begin": 1 },
            })
        );
    }

    #[test]
    fn what_would_change_something_is_not_taken() {
        let with = json!({
            "model": { "type": "RecognizerGCN", "backbone": { "type": "ResNet", "norm_eval": true, "frozen_stages": 2 }, "cls_head": { "type": "TSMHead" } },
            "optim_wrapper": { "type": "AmpOptimWrapper", "accumulative_counts": 4 },
            "param_scheduler": [{ "type": "MultiStepLR", "last_step": 5, "milestones": [8] }, { "type": "ReduceOnPlateauLR", "by_epoch": false }],
            "train_cfg": { "type": "IterBasedTrainLoop", "max_epochs": 20 },
        });
        let mut after = with.clone();
        assert_eq!(take(&train::CONTRACT, &mut after), Vec::<String>::new());
        assert_eq!(after, with);
    }

    #[test]
    fn transforms_that_load_or_pack_are_taken() {
        let mut with = json!({ "train": { "transforms": [
            { "type": "DecordInit", "num_threads": 1 },
            { "type": "DecordDecode" },
            { "type": "Flip", "flip_ratio": 0.5, "direction": "horizontal" },
            { "type": "Nonsense" },
            { "type": "FormatShape", "input_format": "NCHW" },
            { "type": "PackActionInputs" },
        ] } });
        let taken = take(&augment::CONTRACT, &mut with);
        assert_eq!(taken[0], "train.transforms.0 DecordInit");
        assert_eq!(taken.len(), 5, "{taken:?}");
        let left = json!([{ "type": "Flip", "flip_ratio": 0.5 }, { "type": "Nonsense" }]);
        assert_eq!(with["train"]["transforms"], left);
    }
}
