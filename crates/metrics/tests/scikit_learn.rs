//! Metrics of 300 random cases are those of scikit-learn, and reports are its text, byte for byte. Skipped without a Python that has it.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use pipe_metrics::{ClassReport, ConfusionMatrix, LabelSets, balanced_accuracy, cohen_kappa, log_loss, softmax};
use serde_json::{Value, json};

const SCRIPT: &str = r#"
import json, sys, warnings
import numpy as np
from sklearn import metrics as m
warnings.simplefilter("ignore")
for case in json.load(open(sys.argv[1])):
    names, digits = case["names"], case["digits"]
    k = len(names)
    if "sets" in case:
        true, scores = np.array(case["sets"]), np.array(case["scores"])
        pred = (scores >= 0.5).astype(int)
        out = {"text": m.classification_report(true, pred, target_names=names, digits=digits, zero_division=0),
               "subset": m.accuracy_score(true, pred)}
    else:
        y, p, q = case["labels"], case["predictions"], np.array(case["probabilities"])
        q = q / q.sum(axis=1, keepdims=True)
        kappa = m.cohen_kappa_score(y, p)
        out = {"text": m.classification_report(y, p, labels=range(k), target_names=names, digits=digits, zero_division=0),
               "balanced": m.balanced_accuracy_score(y, p), "kappa": None if np.isnan(kappa) else kappa,
               "log_loss": m.log_loss(y, q, labels=range(k)),
               "macro_f1": m.f1_score(y, p, average="macro", zero_division=0),
               "weighted_f1": m.f1_score(y, p, average="weighted", zero_division=0)}
    print(json.dumps(out))
"#;

/// Random numbers by `SplitMix64`.
struct Random(u64);

impl Random {
    fn below(&mut self, count: u32) -> u32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((u64::from((z >> 32) as u32) * u64::from(count)) >> 32) as u32
    }
}

/// A case with up to 9 classes, some of which are no label, and up to 40 videos.
fn case(seed: u64) -> Value {
    let mut random = Random(seed);
    let (num_classes, count) = (2 + random.below(8), 1 + random.below(40));
    let used = 1 + random.below(num_classes);
    let name = |class: u32| format!("{}{class}", "caf\u{e9} ".repeat(random_len(seed, class)));
    let names: Vec<String> = (0..num_classes).map(name).collect();
    let digits = random.below(5);
    if seed.is_multiple_of(4) {
        let rows = |random: &mut Random, values: u32| -> Vec<Vec<u32>> {
            (0..count).map(|_| (0..num_classes).map(|_| random.below(values)).collect()).collect()
        };
        let scores: Vec<Vec<f64>> = rows(&mut random, 11)
            .iter()
            .map(|row| row.iter().map(|value| f64::from(*value) / 10.0).collect())
            .collect();
        return json!({ "names": names, "digits": digits, "sets": rows(&mut random, 2), "scores": scores });
    }
    let labels: Vec<u32> = (0..count).map(|_| random.below(used)).collect();
    let predictions: Vec<u32> =
        labels.iter().map(|label| if random.below(3) > 0 { *label } else { random.below(num_classes) }).collect();
    let logits =
        |random: &mut Random| (0..num_classes).map(|_| f64::from(random.below(2000)) / 100.0).collect::<Vec<_>>();
    let probabilities: Vec<Vec<f64>> = (0..count).map(|_| softmax(&logits(&mut random))).collect();
    json!({ "names": names, "digits": digits, "labels": labels, "predictions": predictions, "probabilities": probabilities })
}

fn random_len(seed: u64, class: u32) -> usize {
    Random(seed ^ u64::from(class)).below(6) as usize
}

#[test]
fn random_cases_are_those_of_scikit_learn() {
    let cases: Vec<Value> = (0..300).map(case).collect();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cases.json");
    fs_err::write(&path, serde_json::to_string(&cases).unwrap()).unwrap();
    let Some(printed) = pipe_testkit::python("sklearn", SCRIPT, &path) else { return };
    let expected: Vec<Value> = printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(expected.len(), cases.len());
    for (case, expected) in cases.iter().zip(&expected) {
        if case.get("sets").is_some() { check_sets(case, expected) } else { check_labels(case, expected) }
    }
}

fn parsed<T: serde::de::DeserializeOwned>(case: &Value, name: &str) -> T {
    serde_json::from_value(case[name].clone()).unwrap()
}

#[track_caller]
fn check_near(found: f64, expected: &Value, case: &Value) {
    let near =
        expected.as_f64().map_or(found.is_nan(), |expected| (found - expected).abs() <= 1e-9 * expected.abs().max(1.0));
    assert!(near, "{found}, not {expected}: {case}");
}

fn check_labels(case: &Value, expected: &Value) {
    let (names, digits): (Vec<String>, usize) = (parsed(case, "names"), parsed(case, "digits"));
    let (labels, predictions): (Vec<u32>, Vec<u32>) = (parsed(case, "labels"), parsed(case, "predictions"));
    let matrix = ConfusionMatrix::of(labels.iter().copied().zip(predictions), names.len()).unwrap();
    let text = ClassReport::of_all(&matrix).text(|class| names[class].clone(), digits);
    assert_eq!(text, expected["text"].as_str().unwrap(), "{case}");
    let present = ClassReport::of_present(&matrix);
    check_near(present.macro_average.f1, &expected["macro_f1"], case);
    check_near(present.weighted.f1, &expected["weighted_f1"], case);
    check_near(balanced_accuracy(&matrix), &expected["balanced"], case);
    check_near(cohen_kappa(&matrix), &expected["kappa"], case);
    check_near(log_loss(&parsed::<Vec<Vec<f64>>>(case, "probabilities"), &labels), &expected["log_loss"], case);
}

fn check_sets(case: &Value, expected: &Value) {
    let (names, digits): (Vec<String>, usize) = (parsed(case, "names"), parsed(case, "digits"));
    let sets: Vec<Vec<u8>> = parsed(case, "sets");
    let labels: Vec<Vec<bool>> = sets.iter().map(|row| row.iter().map(|value| *value == 1).collect()).collect();
    let sets = LabelSets::new(&labels, &parsed::<Vec<Vec<f64>>>(case, "scores"));
    assert_eq!(sets.report().text(|class| names[class].clone(), digits), expected["text"].as_str().unwrap(), "{case}");
    check_near(sets.subset_accuracy(), &expected["subset"], case);
}
