//! Compares losses and their gradients with respect to the logits.

use crate::formula::Draws;
use crate::python_json::{is_remark, read};
use pipe_learn::{Labels, Objective};
use pipe_schemas::losses::Loss;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::error::Error;
use tch::{Device, Kind, Tensor};

/// The largest accepted difference of a value, and of a gradient relative to the largest one, in 64 bits.
const LIMIT: f64 = 1e-9;
/// The same where the original computes in 32 bits: MMAction2's `CBFocalLoss`.
const LIMIT_OF_SINGLE: f64 = 1e-6;
/// The same in 32 bits.
const LIMIT_IN_SINGLE: f64 = 1e-5;

/// Numbers below this are compared with this: what is left of 0 by rounding is near 1e-16, and no share of 0 is that large.
const SMALLEST: f64 = 1e-6;

/// The same in 32 bits, as a share of the largest logit, or of 1 if that is larger, times the weight of a clip in the loss. Values are
/// differences of logits, and gradients those of probabilities. 32 bits keep 7 digits of these, so that a difference near 0 has fewer.
const SMALLEST_IN_SINGLE: f64 = 0.1;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    #[serde(rename = "id")]
    _id: Option<String>,
    /// The loss, and a description of it.
    loss_type: String,
    /// The program that computed the values.
    by: Option<String>,
    logits: Matrix,
    labels: Option<Vec<i64>>,
    /// The label of clips that are left out of the loss: -100 by default, as in PyTorch.
    ignore_index: Option<i64>,
    soft_labels: Option<Vec<Vec<f64>>>,
    targets: Option<Matrix>,
    /// The share of a clip's own label, where labels are those of `MixUp`.
    lam: Option<f64>,
    /// The clip that each is blended with.
    partner: Option<String>,
    /// Smoothing as PyTorch does it.
    label_smoothing: Option<f64>,
    /// Smoothing as MMAction2 does it.
    label_smooth_eps: Option<f64>,
    class_weight: Option<Value>,
    samples_per_cls: Option<Value>,
    beta: Option<Value>,
    alpha: Option<Value>,
    gamma: Option<Value>,
    reduction: Option<Value>,
    loss_weight: Option<Value>,
    /// What MMAction2 made of `samples_per_cls`.
    class_weights_used: Option<Vec<f64>>,
    /// `None` for NaN, the mean over no clip.
    #[serde(deserialize_with = "Option::deserialize")]
    value: Option<f64>,
    grad: Vec<Vec<Option<f64>>>,
}

/// A matrix: its rows, or a formula such as `v(logits.D) * 3, [4,5] row-major`.
#[derive(Deserialize)]
#[serde(untagged)]
enum Matrix {
    Rows(Vec<Vec<f64>>),
    Formula(String),
}

/// Compares all cases of the files, prints a row for each, and returns the number of cases that differ.
#[expect(clippy::print_stdout, reason = "the report of a program")]
pub(crate) fn compare(files: &[String], only: Option<&str>) -> Result<usize, Box<dyn Error>> {
    let (mut failed, mut compared) = (0, 0);
    for path in files {
        let cases: Vec<Value> = serde_json::from_value(read(path)?).map_err(|error| format!("{path}: {error}"))?;
        for (position, mut case) in cases.into_iter().enumerate() {
            let id = ["id", "loss_type"].iter().find_map(|key| case.get(key)?.as_str().map(str::to_owned));
            let id = id.unwrap_or_else(|| format!("case {}", position + 1));
            if only.is_some_and(|only| only != id) {
                continue;
            }
            compared += 1;
            if let Some(fields) = case.as_object_mut() {
                // `by` decides the normalisation.
                fields.retain(|name, _| name == "by" || !is_remark(name));
            }
            let measured = serde_json::from_value(case).map_err(Into::into).and_then(|case| measure(&case));
            failed += usize::from(!measured.as_ref().is_ok_and(Measured::is_equal));
            match measured {
                Ok(found) => {
                    let verdict = if found.is_equal() { "equal" } else { "DIFFERS" };
                    println!("{verdict:8} {id:84} float64 {:.1e}, float32 {:.1e}", found.double, found.single);
                }
                // Errors of libtorch have its stack in further lines.
                Err(error) => println!("FAILED   {id:84} {}", error.to_string().lines().next().unwrap_or_default()),
            }
        }
    }
    println!(
        "{} of {compared} losses and gradients within {LIMIT:e} in float64 ({LIMIT_OF_SINGLE:e} for cb_focal) and {LIMIT_IN_SINGLE:e} in \
         float32",
        compared - failed
    );
    if compared == 0 { Err("no case has been compared".into()) } else { Ok(failed) }
}

/// The largest relative differences of value and gradient.
struct Measured {
    double: f64,
    single: f64,
    /// The largest accepted value of `double`.
    limit: f64,
}

impl Measured {
    fn is_equal(&self) -> bool {
        self.double <= self.limit && self.single <= LIMIT_IN_SINGLE
    }
}

fn measure(case: &Case) -> Result<Measured, Box<dyn Error>> {
    let objective = Objective { loss: case.loss()?, label_smooth_eps: case.smoothing()? };
    let size = [case.grad.len() as i64, case.grad.first().map_or(0, Vec::len) as i64];
    let logits = case.logits.tensor(size)?;
    let (labels, clips) = case.labels(size, &objective.loss)?;
    check_per_class(case, &objective.loss, size[1])?;
    let expected: Vec<f64> = case.grad.iter().flatten().map(|value| value.unwrap_or(f64::NAN)).collect();
    if case.grad.iter().any(|row| row.len() as i64 != size[1]) {
        return Err("the rows of `grad` do not have the same length".into());
    }
    let difference = |kind: Kind, smallest: f64, smallest_gradient: f64| {
        let logits = logits.to_kind(kind).set_requires_grad(true);
        let loss = objective.loss(&logits.index_select(0, &clips), &labels)?;
        let gradient = Tensor::f_run_backward(&[&loss], &[&logits], false, false)?.swap_remove(0);
        let value = relative(&[loss.double_value(&[])], &[case.value.unwrap_or(f64::NAN)], smallest);
        Ok::<_, Box<dyn Error>>(value.max(relative(&values(&gradient)?, &expected, smallest_gradient)))
    };
    let limit = if matches!(objective.loss, Loss::CBFocalLoss(_)) { LIMIT_OF_SINGLE } else { LIMIT };
    let double = difference(Kind::Double, SMALLEST, SMALLEST)?;
    let scale = values(&logits)?.iter().fold(1.0_f64, |most, logit| most.max(logit.abs()));
    let smallest = SMALLEST_IN_SINGLE * scale * case.loss_weight.as_ref().and_then(Value::as_f64).unwrap_or(1.0).abs();
    let is_sum = case.reduction.as_ref().is_some_and(|reduction| *reduction == "sum");
    let clips_per_loss = if is_sum { 1.0 } else { size[0].max(1) as f64 };
    let single = difference(Kind::Float, smallest, smallest / clips_per_loss)?;
    Ok(Measured { double, single, limit })
}

fn values(tensor: &Tensor) -> Result<Vec<f64>, tch::TchError> {
    Vec::try_from(tensor.to_kind(Kind::Double).contiguous().view(-1))
}

/// Returns the largest difference, relative to the largest expected value and at least `smallest`; infinity if only one value is NaN.
fn relative(found: &[f64], expected: &[f64], smallest: f64) -> f64 {
    let most = expected.iter().fold(smallest.max(f64::MIN_POSITIVE), |most, value| most.max(value.abs()));
    let difference = |(a, b): (&f64, &f64)| match (a.is_nan(), b.is_nan()) {
        (true, true) => 0.0,
        (false, false) => (a - b).abs() / most,
        _ => f64::INFINITY,
    };
    found.iter().zip(expected).map(difference).fold(0.0, f64::max)
}

/// Checks the number of values per class, and the weights that MMAction2 makes of `samples_per_cls`.
fn check_per_class(case: &Case, loss: &Loss, num_classes: i64) -> Result<(), Box<dyn Error>> {
    if let Some((name, count)) = loss.per_class().filter(|(_, count)| *count as i64 != num_classes) {
        return Err(format!("`{name}` has {count} values for {num_classes} classes").into());
    }
    let (Loss::CBFocalLoss(params), Some(expected)) = (loss, &case.class_weights_used) else {
        return if case.class_weights_used.is_some() {
            Err("only `cb_focal` has `class_weights_used`".into())
        } else {
            Ok(())
        };
    };
    let found = params.class_weights();
    let equal = found.len() == expected.len() && relative(&found, expected, f64::MIN_POSITIVE) < 1e-9;
    if equal { Ok(()) } else { Err(format!("the class weights are {found:?}").into()) }
}

impl Case {
    /// Parses the parameters of the case as those of a pipeline file.
    fn loss(&self) -> Result<Loss, Box<dyn Error>> {
        let end = self.loss_type.find(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_'));
        let name = match &self.loss_type[..end.unwrap_or(self.loss_type.len())] {
            "cross_entropy" => "CrossEntropyLoss",
            "bce_with_logits" => "BCELossWithLogits",
            "sigmoid_focal_loss" => "FocalLoss",
            "cb_focal" => "CBFocalLoss",
            "mse" => "MSELoss",
            other => return Err(format!("`{other}` is not a loss that is compared").into()),
        };
        let Self { class_weight, samples_per_cls, beta, alpha, gamma, reduction, loss_weight, .. } = self;
        let given = [
            ("class_weight", class_weight),
            ("samples_per_cls", samples_per_cls),
            ("beta", beta),
            ("alpha", alpha),
            ("gamma", gamma),
            ("reduction", reduction),
            ("loss_weight", loss_weight),
        ];
        let mut params: Map<String, Value> =
            given.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value.clone()?))).collect();
        params.insert("type".to_owned(), json!(name));
        if name == "CrossEntropyLoss" {
            params.insert("normalisation".to_owned(), json!(self.normalisation()?));
        }
        Ok(serde_json::from_value(Value::Object(params))?)
    }

    /// Returns whose normalisation the case has.
    fn normalisation(&self) -> Result<&'static str, Box<dyn Error>> {
        if self.label_smoothing.is_some() != self.label_smooth_eps.is_some() {
            return Ok(if self.label_smoothing.is_some() { "pytorch" } else { "mmaction2" });
        }
        let named = |text: &str| {
            let text = text.to_ascii_lowercase();
            match (text.contains("torch"), text.contains("mmaction2")) {
                (true, false) => Some("pytorch"),
                (false, true) => Some("mmaction2"),
                _ => None,
            }
        };
        let found = named(&self.loss_type).or_else(|| named(self.by.as_deref().unwrap_or_default()));
        let alike = self.class_weight.is_none() || (self.labels.is_some() && self.lam.is_none());
        match found {
            Some(name) => Ok(name),
            None if alike => Ok("mmaction2"),
            None => {
                Err("neither `loss_type` nor `by` says whether the normalisation is PyTorch's or MMAction2's".into())
            }
        }
    }

    fn smoothing(&self) -> Result<f64, Box<dyn Error>> {
        match (self.label_smoothing, self.label_smooth_eps) {
            (Some(_), Some(_)) => Err("the case has both `label_smoothing` and `label_smooth_eps`".into()),
            (Some(eps), None) | (None, Some(eps)) => Ok(eps),
            (None, None) => Ok(0.0),
        }
    }

    /// Returns the labels, and the positions of their clips.
    fn labels(&self, [clips, classes]: [i64; 2], loss: &Loss) -> Result<(Labels, Tensor), Box<dyn Error>> {
        let all = Tensor::arange(clips, (Kind::Int64, Device::Cpu));
        let shares = |shares: Tensor| Ok((Labels::Shares(shares), all.shallow_clone()));
        match (&self.labels, &self.soft_labels, &self.targets) {
            (Some(labels), None, None) => {
                let kept = self.kept(labels, loss);
                let is_class = |at: &i64| (0..classes).contains(&labels[*at as usize]);
                if labels.len() as i64 != clips || !kept.iter().all(is_class) {
                    return Err(format!("`labels` are not {clips} of {classes} classes").into());
                }
                let (kept, labels) = (Tensor::from_slice(&kept), Tensor::from_slice(labels));
                let Some(lam) = self.lam else { return Ok((Labels::Classes(labels.index_select(0, &kept)), kept)) };
                if self.partner.as_deref() != Some("sample N-1-i") {
                    return Err("`lam` needs `partner`, and only \"sample N-1-i\" is known".into());
                }
                let own = labels.one_hot(classes).to_kind(Kind::Double);
                shares(&own * lam + own.flip([0]) * (1.0 - lam))
            }
            (None, Some(rows), None) => shares(Matrix::Rows(rows.clone()).tensor([clips, classes])?),
            (None, None, Some(targets)) => shares(targets.tensor([clips, classes])?),
            _ => Err("a case has one of `labels`, `soft_labels` and `targets`".into()),
        }
    }

    /// Returns the positions of the labels that count. Only the cross-entropy of classes leaves clips out, and only if the head of
    /// MMAction2 does not smooth the labels: a label that is not a class can't be smoothed.
    fn kept(&self, labels: &[i64], loss: &Loss) -> Vec<i64> {
        let leaves_out =
            matches!(loss, Loss::CrossEntropyLoss(_)) && self.lam.is_none() && self.label_smooth_eps.is_none();
        let ignored = self.ignore_index.unwrap_or(-100);
        (0_i64..).zip(labels).filter(|(_, label)| !leaves_out || **label != ignored).map(|(at, _)| at).collect()
    }
}

impl Matrix {
    fn tensor(&self, size: [i64; 2]) -> Result<Tensor, Box<dyn Error>> {
        let values = match self {
            Self::Rows(rows) if rows.len() as i64 == size[0] && rows.iter().all(|row| row.len() as i64 == size[1]) => {
                rows.concat()
            }
            Self::Rows(_) => return Err(format!("a matrix is not of the size {size:?} of `grad`").into()),
            Self::Formula(text) => {
                formula(text, size).ok_or_else(|| format!("`{text}` is not a formula for {size:?}"))?
            }
        };
        Ok(Tensor::from_slice(&values).view(size))
    }
}

/// Computes `v(NAME)`, `v(NAME) * FACTOR` or either with `, [N,K] row-major`.
fn formula(text: &str, [clips, classes]: [i64; 2]) -> Option<Vec<f64>> {
    let (product, shape) = text.split_once(", ").unwrap_or((text, ""));
    if !shape.is_empty() && shape != format!("[{clips},{classes}] row-major") {
        return None;
    }
    let (name, factor) = product.strip_prefix("v(")?.split_once(')')?;
    let factor: f64 = if factor.is_empty() { 1.0 } else { factor.strip_prefix(" * ")?.parse().ok()? };
    let draws = Draws::new(name);
    Some((0..(clips * classes) as usize).map(|index| draws.signed(index) * factor).collect())
}
