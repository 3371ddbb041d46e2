//! [`Compared`]: the differences of all figures of a case.

use super::Case;
use crate::python_json::is_remark;
use serde_json::Value;
use std::error::Error;
use std::fmt;
use tch::{Kind, Tensor};

/// The largest accepted difference of a value, relative to the largest one of its figure. A difference below half a unit of a value's last
/// digit is accepted too.
const LIMIT: f64 = 1e-9;

/// What the last line says of cases that are equal.
pub(super) const CONDITION: &str =
    "with all values within 1e-9 of the largest one of their figure, or within their digits";

/// A unit in the last digit that binary numbers can't be closer to.
const ROUNDING: f64 = 1.0 + 1e-6;

/// The differences of all figures of a case.
#[derive(Debug, Default)]
pub(super) struct Compared {
    num_figures: usize,
    num_values: usize,
    /// Number of digits of the longest value.
    digits: usize,
    /// The largest difference, relative to the largest value of its figure, and the figure.
    largest: (f64, String),
    /// Figures with values that differ by more than their last digit.
    different: Vec<String>,
}

impl Compared {
    pub(super) fn is_equal(&self) -> bool {
        self.num_figures > 0 && self.different.is_empty()
    }

    /// Compares all figures of a case, which are the keys that are not settings. `figure` computes one, and returns `None` if it does not
    /// know the name.
    pub(super) fn figures(
        case: &Case,
        settings: &[&str],
        figure: impl Fn(&str) -> Result<Option<Tensor>, Box<dyn Error>>,
    ) -> Result<Self, Box<dyn Error>> {
        let mut compared = Self::default();
        let is_figure = |name: &str| !settings.contains(&name) && name != "id" && !is_remark(name);
        for (name, expected) in case.iter().filter(|(name, _)| is_figure(name)) {
            let found = figure(name)?.ok_or_else(|| format!("`{name}` is not a figure that is compared"))?;
            compared.add(name, &found, expected)?;
        }
        if compared.num_figures == 0 { Err("the case has no figures".into()) } else { Ok(compared) }
    }

    fn add(&mut self, name: &str, found: &Tensor, expected: &Value) -> Result<(), Box<dyn Error>> {
        let (mut shape, mut values) = (Vec::new(), Vec::new());
        flatten(expected, 0, &mut shape, &mut values).map_err(|error| format!("`{name}`: {error}"))?;
        if shape != found.size() {
            return Err(format!("`{name}` has the shape {shape:?}, not {:?}", found.size()).into());
        }
        let found: Vec<f64> = Vec::try_from(found.to_kind(Kind::Double).contiguous().view(-1))?;
        // Values are written with the same number of digits; zeros at the end are left out.
        let digits = values.iter().map(|value| num_digits(*value)).max().unwrap_or(0);
        let most = values.iter().fold(f64::MIN_POSITIVE, |most, value| most.max(value.abs()));
        let difference = |(a, b): (&f64, &f64)| if a.is_nan() || b.is_nan() { f64::INFINITY } else { (a - b).abs() };
        let differences: Vec<f64> = found.iter().zip(&values).map(difference).collect();
        let within = |(difference, value): (&f64, &f64)| {
            *difference <= LIMIT * most || *difference <= half_unit(*value, digits) * ROUNDING
        };
        if !differences.iter().zip(&values).all(within) {
            self.different.push(name.to_owned());
        }
        let largest = differences.iter().fold(0.0, |most: f64, difference| most.max(*difference)) / most;
        if largest >= self.largest.0 {
            self.largest = (largest, name.to_owned());
        }
        self.num_figures += 1;
        self.num_values += values.len();
        self.digits = self.digits.max(digits);
        Ok(())
    }
}

impl fmt::Display for Compared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { num_figures, num_values, digits, largest: (largest, name), different } = self;
        write!(
            f,
            "{num_figures} figures, {num_values} values of {digits} digits; largest difference {largest:.1e} (`{name}`)"
        )?;
        if different.is_empty() { Ok(()) } else { write!(f, "; different: {}", different.join(", ")) }
    }
}

/// Appends the numbers of nested lists of equal lengths, and returns their shape.
fn flatten(value: &Value, depth: usize, shape: &mut Vec<i64>, values: &mut Vec<f64>) -> Result<(), String> {
    match value {
        Value::Array(items) => {
            if depth == shape.len() && values.is_empty() {
                shape.push(items.len() as i64);
            }
            if shape.get(depth) != Some(&(items.len() as i64)) {
                return Err("its lists do not have the same length".to_owned());
            }
            items.iter().try_for_each(|item| flatten(item, depth + 1, shape, values))
        }
        Value::Number(number) if depth == shape.len() => {
            values.push(number.as_f64().ok_or("a number is out of range")?);
            Ok(())
        }
        other => Err(format!("{other} is not a number, or not where one is expected")),
    }
}

/// Returns the number of significant digits.
fn num_digits(value: f64) -> usize {
    let text = format!("{value:e}");
    text.split('e').next().unwrap_or_default().chars().filter(char::is_ascii_digit).count()
}

/// Returns half a unit of the last digit of a value with this number of digits.
fn half_unit(value: f64, digits: usize) -> f64 {
    if value == 0.0 {
        return 0.0;
    }
    0.5 * 10f64.powi(value.abs().log10().floor() as i32 + 1 - digits as i32)
}
