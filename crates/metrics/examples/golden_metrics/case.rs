//! [`Case`]: the fields of a case, of which some are inputs and the others figures; [`Figures`] compares these.

use crate::formula;
use crate::python_json::without_remarks;
use serde_json::{Map, Value};
use std::error::Error;
use std::fmt;

/// A case of a file.
pub(crate) struct Case {
    fields: Map<String, Value>,
    /// Its position among those of its kind, from 1.
    pub(crate) position: usize,
}

impl Case {
    pub(crate) fn new(value: Value, position: usize) -> Result<Self, Box<dyn Error>> {
        match without_remarks(value) {
            Value::Object(fields) => Ok(Self { fields, position }),
            other => Err(format!("a case is not an object: {other}").into()),
        }
    }

    /// Returns its kind and its name.
    pub(crate) fn id(&self, kind: &str) -> String {
        match self.fields.get("name").and_then(Value::as_str) {
            Some(name) => format!("{kind}/{name}"),
            None => format!("{kind}/{}", self.position),
        }
    }

    pub(crate) fn get(&self, name: &str) -> Result<&Value, Box<dyn Error>> {
        self.fields.get(name).ok_or_else(|| format!("the case has no `{name}`").into())
    }

    pub(crate) fn optional(&self, name: &str) -> Option<&Value> {
        self.fields.get(name)
    }

    pub(crate) fn number(&self, name: &str) -> Result<usize, Box<dyn Error>> {
        let value = self.get(name)?;
        let number = value.as_u64().filter(|number| *number <= 1_000_000);
        Ok(number.ok_or_else(|| format!("`{name}` is not a number up to 1000000: {value}"))? as usize)
    }

    /// Returns the parsed field, such as a list of labels.
    pub(crate) fn parsed<T: serde::de::DeserializeOwned>(&self, name: &str) -> Result<T, Box<dyn Error>> {
        serde_json::from_value(self.get(name)?.clone()).map_err(|error| format!("`{name}`: {error}").into())
    }

    /// Returns classes below `num_classes`, `count` of them.
    pub(crate) fn classes(&self, name: &str, count: usize, num_classes: usize) -> Result<Vec<u32>, Box<dyn Error>> {
        let classes: Vec<u32> = self.parsed(name)?;
        if classes.len() != count || classes.iter().any(|class| *class as usize >= num_classes) {
            return Err(format!("`{name}` are not {count} of {num_classes} classes").into());
        }
        Ok(classes)
    }

    /// Returns a matrix `[N, K]`: its rows, or a formula.
    pub(crate) fn matrix(&self, name: &str, size: [usize; 2], labels: &[u32]) -> Result<Vec<Vec<f64>>, Box<dyn Error>> {
        let values = match self.get(name)? {
            Value::String(text) => formula::values(text, &size, labels)?.swap_remove(0),
            rows => {
                let rows: Vec<Vec<f64>> = serde_json::from_value(rows.clone())?;
                if rows.len() != size[0] || rows.iter().any(|row| row.len() != size[1]) {
                    return Err(format!("`{name}` is not of the size {size:?}").into());
                }
                return Ok(rows);
            }
        };
        Ok(values.chunks(size[1].max(1)).map(<[f64]>::to_vec).collect())
    }

    /// Returns the fields that are not `inputs`.
    pub(crate) fn figures<'a>(&'a self, inputs: &'a [&str]) -> impl Iterator<Item = (&'a str, &'a Value)> {
        let is_figure = move |(name, _): &(&String, &Value)| *name != "name" && !inputs.contains(&name.as_str());
        self.fields.iter().filter(is_figure).map(|(name, value)| (name.as_str(), value))
    }
}

/// What the figures of a case gave.
#[derive(Default)]
pub(crate) struct Figures {
    num_compared: usize,
    /// The largest difference.
    largest: f64,
    /// Figures that differ, with the first difference.
    pub(crate) differing: Vec<String>,
    /// Figures that are known to have no definition to compare with.
    left_out: Vec<&'static str>,
}

impl Figures {
    /// Compares a figure. Numbers may differ by `limit`, relative to expected numbers above 1.
    pub(crate) fn compare(&mut self, name: &str, expected: &Value, found: &Value, limit: f64) {
        self.num_compared += 1;
        match difference(expected, found) {
            Ok(difference) => {
                self.largest = self.largest.max(difference);
                if difference > limit {
                    self.differing.push(format!("`{name}` by {difference:.1e}"));
                }
            }
            Err(text) => self.differing.push(format!("`{name}`: {text}")),
        }
    }

    /// Leaves out a figure that is not defined.
    pub(crate) fn leave_out(&mut self, name: &'static str) {
        self.left_out.push(name);
    }

    /// Fails if nothing was compared.
    pub(crate) fn checked(self) -> Result<Self, Box<dyn Error>> {
        if self.num_compared == 0 { Err("the case has no figures".into()) } else { Ok(self) }
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} figures, largest difference {:.1e}", self.num_compared, self.largest)?;
        if !self.left_out.is_empty() {
            write!(out, "; not compared: {}", self.left_out.join(", "))?;
        }
        if !self.differing.is_empty() {
            write!(out, "; different: {}", self.differing.join(", "))?;
        }
        Ok(())
    }
}

/// Returns the largest difference of numbers, relative to expected numbers above 1; or what else differs. NaN is `null`.
fn difference(expected: &Value, found: &Value) -> Result<f64, String> {
    match (expected, found) {
        (Value::Array(expected), Value::Array(found)) if expected.len() == found.len() => expected
            .iter()
            .zip(found)
            .try_fold(0.0_f64, |most, (expected, found)| Ok(most.max(difference(expected, found)?))),
        (Value::Object(expected), Value::Object(found)) => {
            if let Some(name) = found.keys().find(|name| !expected.contains_key(*name)) {
                return Err(format!("the file has no `{name}`"));
            }
            expected.iter().try_fold(0.0_f64, |most, (name, expected)| {
                let found = found.get(name).ok_or_else(|| format!("`{name}` is not computed"))?;
                Ok(most.max(difference(expected, found).map_err(|text| format!("{name}: {text}"))?))
            })
        }
        (Value::Number(expected), Value::Number(found)) => {
            let (expected, found) = (expected.as_f64().unwrap_or(f64::NAN), found.as_f64().unwrap_or(f64::NAN));
            let difference = (expected - found).abs() / expected.abs().max(1.0);
            if difference.is_nan() { Err(format!("{found}, not {expected}")) } else { Ok(difference) }
        }
        _ if expected == found => Ok(0.0),
        _ => Err(format!("{found}, not {expected}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_are_compared_and_everything_else_must_be_equal() {
        let near = |one: Value, two: Value, expect: f64| {
            let found = difference(&one, &two).expect("comparable");
            assert!((found - expect).abs() < 1e-12, "{found}");
        };
        near(json!({"a": [1, 0.5]}), json!({"a": [1, 0.25]}), 0.25);
        near(json!(200), json!(100.0), 0.5);
        near(json!(null), json!(f64::NAN), 0.0);
        near(json!("a"), json!("a"), 0.0);
        for (one, two) in [(json!([1]), json!([1, 2])), (json!({"a": 1}), json!({"b": 1})), (json!(null), json!(1))] {
            assert!(difference(&one, &two).is_err() && difference(&two, &one).is_err());
        }
    }
}
