//! Violations for real contracts: messages, paths and hints.

use super::{Violation, check};
use pipe_schemas::Contract;
use pipe_schemas::stages::{self, augment, command, frames, synthesize, train};
use serde_json::{Value, json};

/// Lines of the form `path: message (help)`, with `*` after a path that means the key.
fn violations(contract: &Contract, value: &Value) -> Vec<String> {
    let line = |Violation { path, at_key, message, help }: Violation| {
        let star = if at_key { "*" } else { "" };
        let help = help.map(|help| format!(" ({help})")).unwrap_or_default();
        format!("{}{star}: {message}{help}", path.join("."))
    };
    super::check(&(contract.schema)(), value).into_iter().map(line).collect()
}

#[track_caller]
fn expect_violations(contract: &Contract, value: &Value, expect: &[&str]) {
    assert_eq!(violations(contract, value), expect);
    if expect.is_empty() {
        (contract.parse)(value).expect("what fits the schema parses");
    } else {
        (contract.parse)(value).expect_err("what does not fit the schema does not parse");
    }
}

#[test]
fn good_parameters_have_no_violations() {
    expect_violations(
        &synthesize::CONTRACT,
        &json!({ "classes": ["move_left", "grow"], "groups": 5, "test_groups": 1, "seed": u64::MAX }),
        &[],
    );
    expect_violations(
        &augment::CONTRACT,
        &json!({
            "epochs": 3,
            "train": {
                "sampler": { "type": "SampleFrames", "clip_len": 8, "out_of_bound_opt": "repeat_last" },
                "transforms": [
                    { "type": "Resize", "scale": { "short_side_px": 128 } },
                    { "type": "Resize", "scale": { "exact": [112, 112] } },
                    { "type": "RandomResizedCrop", "area_range": [0.5, 1] },
                    { "type": "Flip", "flip_ratio": 0 },
                ],
            },
        }),
        &[],
    );
    expect_violations(
        &train::CONTRACT,
        &json!({
            "model": { "backbone": { "type": "ResNetTSM", "depth": 18 }, "cls_head": { "num_classes": null } },
            "optim_wrapper": { "optimizer": { "type": "SGD", "lr": 1, "nesterov": true }, "clip_grad": null },
            "param_scheduler": [{ "type": "MultiStepLR", "milestones": [2, 4] }],
            "load_from": { "checkpoint": "r18.pth" },
        }),
        &[],
    );
    expect_violations(&frames::CONTRACT, &json!({ "sample": "all", "encode": { "jpeg": { "quality": 90 } } }), &[]);
    // Arguments of a command may be numbers.
    expect_violations(&command::CONTRACT, &json!({ "run": ["head", -5, 1.5, true], "outputs": { "r": "r" } }), &[]);
}

#[test]
fn all_mistakes_are_reported_in_order() {
    expect_violations(
        &train::CONTRACT,
        &json!({
            "optim_wrapper": { "optimizer": { "type": "SGD", "lerning_rate": 0.1, "momentum": "0.9" } },
            "train_cfg": { "max_epoch": 3, "max_epochs": 0 },
            "train_dataloader": { "batch_size": "ten" },
            "modell": {},
        }),
        &[
            "optim_wrapper.optimizer: missing `lr` (`lr` is: Learning rate)",
            "optim_wrapper.optimizer.lerning_rate*: unknown parameter `lerning_rate` (did you mean `lr`?)",
            "optim_wrapper.optimizer.momentum: expected a number, found the text \"0.9\" (write 0.9 without quotes)",
            "train_cfg.max_epoch*: unknown parameter `max_epoch` (did you mean `max_epochs`?)",
            "train_cfg.max_epochs: 0 is below the minimum 1",
            "train_dataloader.batch_size: expected a whole number, found the text \"ten\"",
            "modell*: unknown parameter `modell` (did you mean `model`?)",
        ],
    );
}

#[test]
fn internally_tagged_enums_report_within_the_branch_of_their_type() {
    let optimizer = |value: Value| json!({ "optim_wrapper": { "optimizer": value } });
    expect_violations(
        &train::CONTRACT,
        &optimizer(json!({ "type": "AdamW", "lr": 0.1, "betas": [0.9], "momentum": 0.9 })),
        &[
            "optim_wrapper.optimizer.betas: expected 2 entries, found 1",
            "optim_wrapper.optimizer.momentum*: unknown parameter `momentum` \
             (known here: `type`, `lr`, `betas`, `eps`, `weight_decay`, `amsgrad`)",
        ],
    );
    let branches = train::CONTRACT.schema()["$defs"]["Optimizer"]["oneOf"].as_array().expect("optimisers");
    let types = branches.iter().map(|branch| branch["properties"]["type"]["const"].as_str().expect("a type"));
    let types = types.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    assert!(types.starts_with("`SGD`, `Adam`"), "{types}");
    let expect =
        format!("optim_wrapper.optimizer.type: expected one of {types}, found the text \"sgd\" (did you mean `SGD`?)");
    expect_violations(&train::CONTRACT, &optimizer(json!({ "type": "sgd", "lr": 0.1 })), &[&expect]);
    let expect = format!("optim_wrapper.optimizer: missing `type` (one of {types})");
    expect_violations(&train::CONTRACT, &optimizer(json!({ "lr": 0.1 })), &[&expect]);
    expect_violations(
        &train::CONTRACT,
        &optimizer(json!("SGD")),
        &["optim_wrapper.optimizer: expected a map with a `type`, found the text \"SGD\" (write { type: SGD })"],
    );
    let sampler = json!({ "train": { "sampler": { "type": "SampleFrames", "clip_len": 2.5 } } });
    expect_violations(&augment::CONTRACT, &sampler, &["train.sampler.clip_len: expected a whole number, found 2.5"]);
}

#[test]
fn externally_tagged_enums_report_by_word_or_key() {
    let sample = |value: Value| json!({ "sample": value });
    let cases = [
        (
            json!("al"),
            "sample: expected one of `all`, `fps`, `stride`, `count`, found the text \"al\" (did you mean `all`?)",
        ),
        (json!("fps"), "sample: `fps` needs a value (write { fps: … })"),
        (json!({ "all": 1 }), "sample.all*: `all` takes no value (write all alone)"),
        (json!({ "fsp": 1 }), "sample.fsp*: unknown choice `fsp` (did you mean `fps`?)"),
        (json!({ "fps": "x" }), "sample.fps: expected a number, found the text \"x\""),
        (
            json!({ "fps": 1, "stride": 2 }),
            "sample: expected exactly one of `all`, `fps`, `stride`, `count`, found `fps`, `stride`",
        ),
        (json!(10), "sample: expected one of `all`, `fps`, `stride`, `count`, found 10"),
    ];
    for (value, expect) in cases {
        expect_violations(&frames::CONTRACT, &sample(value), &[expect]);
    }
    expect_violations(
        &frames::CONTRACT,
        &json!({ "encode": { "jpeg": {} } }),
        &["encode.jpeg: missing `quality` (`quality` is: Quality as in libjpeg, from 1 to 100)"],
    );
}

#[test]
fn numbers_are_whole_where_they_must_be_and_in_range() {
    let cases = [
        (json!({ "groups": 3.0 }), "groups: expected a whole number, found 3.0"),
        (json!({ "groups": 100 }), "groups: 100 is above the maximum 99"),
        (json!({ "seed": -1 }), "seed: -1 is below the minimum 0"),
        (json!({ "groups": null }), "groups: expected a whole number, found nothing"),
        (json!({ "classes": "grow" }), "classes: expected a list, found the text \"grow\""),
    ];
    for (value, expect) in cases {
        let found = violations(&synthesize::CONTRACT, &value);
        assert_eq!(found, [expect]);
    }
    let model = |value: Value| json!({ "model": { "cls_head": { "num_classes": value } } });
    let beyond = "model.cls_head.num_classes: 4294967296 is above the maximum 4294967295";
    expect_violations(&train::CONTRACT, &model(json!(1u64 << 32)), &[beyond]);
    let words = "model.cls_head.num_classes: expected a whole number or nothing, found true";
    expect_violations(&train::CONTRACT, &model(json!(true)), &[words]);
    let depth = json!({ "model": { "backbone": { "type": "ResNet", "depth": 20 } } });
    expect_violations(&train::CONTRACT, &depth, &["model.backbone.depth: expected one of 18, 34, 50, 101, found 20"]);
}

#[test]
fn lists_report_each_entry() {
    expect_violations(
        &synthesize::CONTRACT,
        &json!({ "classes": ["grow", "shrnk", 3] }),
        &[
            "classes.1: expected one of `move_left`, `move_right`, `move_up`, `move_down`, `rotate_clockwise`, \
             `rotate_counterclockwise`, `grow`, `shrink`, found the text \"shrnk\" (did you mean `shrink`?)",
            "classes.2: expected one of `move_left`, `move_right`, `move_up`, `move_down`, `rotate_clockwise`, \
             `rotate_counterclockwise`, `grow`, `shrink`, found 3",
        ],
    );
}

#[test]
fn a_tuple_is_checked_entry_by_entry() {
    let schema = json!({ "prefixItems": [{ "type": "string" }, { "type": "boolean" }], "minItems": 2 });
    let found = check(&schema, &json!(["a", "yes"]));
    let help = Some("YAML 1.2 has only true and false: write true".to_owned());
    let message = "expected true or false, found the text \"yes\"".to_owned();
    assert_eq!(found, [Violation { path: vec!["1".into()], at_key: false, message, help }]);
}

#[test]
fn defaults_of_every_kind_fit_their_own_schema() {
    // A command has no default: it is all that the user writes.
    for contract in stages::ALL.iter().filter(|contract| contract.open_ports.is_none()) {
        let parsed = (contract.parse)(&json!({})).expect("every parameter has a default");
        assert_eq!(violations(contract, &parsed.canonical), [""; 0], "{}", contract.kind);
        let wrong: Vec<String> = parsed.errors.iter().map(|error| error.path.join(".")).collect();
        let expected = match contract.kind {
            // What to fetch has no default either.
            "fetch" => vec!["files"],
            // One of two parameters must be given.
            "optimize" => vec![""],
            _ => vec![],
        };
        assert_eq!(wrong, expected, "{}", contract.kind);
        let again = (contract.parse)(&parsed.canonical).expect("canonical parameters parse");
        assert_eq!(again.canonical, parsed.canonical, "{}", contract.kind);
    }
}

/// A keyword that the checker does not know would be passed over in silence.
#[test]
fn contracts_use_only_the_keywords_that_are_checked() {
    const KNOWN: &[&str] = &[
        "$schema",
        "$defs",
        "$ref",
        "title",
        "description",
        "default",
        "format",
        "writeOnly",
        "type",
        "properties",
        "required",
        "additionalProperties",
        "items",
        "prefixItems",
        "minItems",
        "maxItems",
        "enum",
        "const",
        "oneOf",
        "anyOf",
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "exclusiveMaximum",
    ];
    fn walk(schema: &Value, kind: &str) {
        for (keyword, content) in schema.as_object().into_iter().flatten() {
            assert!(KNOWN.contains(&keyword.as_str()), "{kind}: {keyword}");
            match keyword.as_str() {
                "properties" | "$defs" => {
                    content.as_object().into_iter().flatten().for_each(|(_, s)| walk(s, kind));
                }
                "oneOf" | "anyOf" | "prefixItems" => {
                    content.as_array().into_iter().flatten().for_each(|s| walk(s, kind));
                }
                "items" | "additionalProperties" => walk(content, kind),
                _ => {}
            }
        }
    }
    for contract in stages::ALL {
        walk(&(contract.schema)(), contract.kind);
    }
}
