//! [`Problem`]: a parameter of a schedule with a value that is not possible.

/// A parameter of a schedule with a value that is not possible.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) field: &'static str,
    /// A lower-case fragment.
    pub(crate) message: String,
    pub(crate) help: String,
}

pub(super) fn problem(field: &'static str, message: impl Into<String>, help: &str) -> Problem {
    Problem { field, message: message.into(), help: help.to_owned() }
}

/// Checks a value that must be above 0.
pub(super) fn above_zero(field: &'static str, value: f64) -> Option<Problem> {
    let fits = value.is_finite() && value > 0.0;
    (!fits).then(|| problem(field, format!("{value} is not above 0"), "a number above 0"))
}

/// Checks a value that must not be below 0.
pub(super) fn not_negative(field: &'static str, value: f64) -> Option<Problem> {
    let fits = value.is_finite() && value >= 0.0;
    (!fits).then(|| problem(field, format!("{value} is below 0"), "0 or a number above 0"))
}

/// Checks a factor from 0 to 1.
pub(super) fn share(field: &'static str, value: f64) -> Option<Problem> {
    let fits = (0.0..=1.0).contains(&value);
    (!fits).then(|| problem(field, format!("{value} is not between 0 and 1"), "a number from 0 to 1"))
}

/// Checks a number of epochs or steps.
pub(super) fn at_least_one(field: &'static str, value: u32) -> Option<Problem> {
    (value == 0).then(|| problem(field, "must be 1 or more", "a number of epochs, or of steps with `by_epoch: false`"))
}

/// Checks that the length of a schedule is known.
pub(super) fn has_end(end: bool, or: Option<&'static str>) -> Option<Problem> {
    if end {
        return None;
    }
    let (field, message) = match or {
        Some(field) => {
            (field, format!("`{field}` and `end` are both missing, so that the length of the schedule is unknown"))
        }
        None => ("end", "`end` is missing, so that the length of the schedule is unknown".to_owned()),
    };
    Some(problem(field, message, "set `end`, for example to `train_cfg.max_epochs`, which MMEngine's runner takes"))
}

/// Checks that at most one of two minima is given.
pub(super) fn one_minimum(eta_min: Option<f64>, eta_min_ratio: Option<f64>) -> Option<Problem> {
    let both = eta_min.is_some() && eta_min_ratio.is_some();
    both.then(|| problem("eta_min_ratio", "`eta_min` and `eta_min_ratio` exclude each other", "remove one of them"))
}
