//! [`EvaluateError`]: why the network cannot be evaluated.

use pipe_schemas::tables::MissingCounts;

/// Why the network cannot be evaluated.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the message of a variant says what its fields are")]
pub enum EvaluateError {
    /// The test list is empty, or nothing of it has samples.
    #[error("there are no test samples: {}", missing.why_no_samples("test"))]
    NoSamples {
        /// Why the videos of the test list have no samples.
        missing: MissingCounts,
    },
    /// The clips of the samples do not have the shape that the model takes.
    #[error("the samples are clips of {found}, the model takes {expected}")]
    OtherClips {
        /// Clips of the model, as `8 frames of 112x112 px`.
        expected: String,
        found: String,
    },
    /// The classes of the samples are not those of the model.
    #[error("the samples do not have the classes of the model: {}", difference(expected, found))]
    OtherClasses { expected: Vec<String>, found: Vec<String> },
    /// The samples have several labels per video, and the model was trained with one.
    #[error("the samples have several labels per video, but the model was trained with one")]
    SeveralLabels,
}

/// Describes the first difference of two lists of classes that are not equal.
fn difference(expected: &[String], found: &[String]) -> String {
    if expected.len() != found.len() {
        return format!("the samples have {} classes, the model has {}", found.len(), expected.len());
    }
    let mut differ = (0..).zip(found.iter().zip(expected)).filter(|(_, (found, expected))| found != expected);
    let Some((index, (in_samples, in_model))): Option<(usize, _)> = differ.next() else { return String::new() };
    let others = match differ.count() {
        0 => String::new(),
        1 => ", and 1 other class differs".to_owned(),
        others => format!(", and {others} other classes differ"),
    };
    format!("class {index} is `{in_samples}` in the samples, `{in_model}` in the model{others}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_classes_are_described_by_the_first_difference() {
        let check = |expected: &[&str], found: &[&str], expect: &str| {
            let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
            let error = EvaluateError::OtherClasses { expected: names(expected), found: names(found) };
            assert_eq!(error.to_string(), format!("the samples do not have the classes of the model: {expect}"));
        };
        check(&["a"], &["a", "b"], "the samples have 2 classes, the model has 1");
        check(&["a", "b"], &["a", "c"], "class 1 is `c` in the samples, `b` in the model");
        let expect = "class 0 is `b` in the samples, `a` in the model, and 2 other classes differ";
        check(&["a", "b", "c"], &["b", "c", "a"], expect);
    }
}
