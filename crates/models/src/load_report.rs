//! [`LoadReport`]: which tensors of a network were taken from a checkpoint.

use pipe_schemas::networks::Project;
use pipe_weights::Origin;
use serde::{Deserialize, Serialize};

/// Which tensors of a network were taken from a checkpoint; the content of `weights.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadReport {
    /// Whose names the checkpoint has.
    pub map: Project,
    /// The 2-D network of the checkpoint, if its tensors were inflated.
    pub inflated_from: Option<String>,
    /// The number of tensors loaded from the checkpoint.
    pub num_matched: usize,
    /// The number of tensors that the project does not have, and that were made with the value that its network implies.
    pub num_made: usize,
    /// The number of tensors that keep their initial values: those of the classifier, and those that inflation or a pretraining does
    /// not give.
    pub num_reinitialised: usize,
    /// The number of tensors of the checkpoint that the network has no use for, such as the decoder of a pretraining.
    pub num_unused: usize,
    /// The number of step counters of batch normalisations and of tables of indices in the checkpoint, which are ignored.
    pub num_derived: usize,
    /// The number of values of all tensors of the network.
    pub num_values: u64,
    /// The number of those that were loaded from the checkpoint.
    pub num_values_matched: u64,
    /// The number of those that were made.
    pub num_values_made: u64,
    /// The number of those that keep their initial values.
    pub num_values_reinitialised: u64,
    /// Our names of the tensors loaded from the checkpoint.
    pub matched: Vec<String>,
    /// Our names of the tensors that were made.
    pub made: Vec<String>,
    /// Our names of the tensors that keep their initial values.
    pub reinitialised: Vec<String>,
    /// The checkpoint's names of the tensors that were not used.
    pub unused: Vec<String>,
    /// The checkpoint's names of tensors that are missing and taken as zeros, where the map allows it, such as biases of keys.
    #[serde(default)]
    pub zeros: Vec<String>,
    /// Where in the file the tensors were found.
    pub origin: Origin,
}

/// The maximum number of names in a line.
const MAX_NAMED: usize = 5;

impl LoadReport {
    /// Returns the report in short lines.
    pub fn lines(&self) -> Vec<String> {
        let parts = [
            (self.num_matched, "tensors matched", &[][..]),
            (self.num_made, "made", &self.made),
            (self.num_reinitialised, "reinitialised", &self.reinitialised),
            (self.num_unused, "unused", &self.unused),
        ];
        // Only the made ones are rare enough to be left out at 0.
        let parts = parts.iter().filter(|(count, what, _)| *count > 0 || *what != "made");
        let parts: Vec<String> =
            parts.map(|(count, what, names)| format!("{count} {what}{}", in_brackets(names))).collect();
        let mut lines = vec![parts.join(", ")];
        if self.num_values_matched < self.num_values {
            let percent = 100.0 * self.num_values_matched as f64 / self.num_values as f64;
            lines.push(format!("{percent:.1} % of the network's values are from the checkpoint"));
        }
        if !self.zeros.is_empty() {
            lines.push(format!("missing and taken as zeros: {}{}", self.zeros.len(), in_brackets(&self.zeros)));
        }
        if self.map != Project::Pipe {
            lines.push(format!("the tensors have the names of {}", self.map));
        }
        if let Some(network) = &self.inflated_from {
            lines.push(format!("the weights were inflated from {network}"));
        }
        lines.extend(self.origin.notes());
        lines
    }
}

/// Returns ` (a, b, and 3 more)`, or nothing.
fn in_brackets(names: &[String]) -> String {
    if names.is_empty() {
        return String::new();
    }
    let named = names.iter().take(MAX_NAMED).cloned().collect::<Vec<_>>().join(", ");
    let more = if names.len() > MAX_NAMED { format!(", and {} more", names.len() - MAX_NAMED) } else { String::new() };
    format!(" ({named}{more})")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(count: usize) -> Vec<String> {
        (0..count).map(|number| format!("t{number}")).collect()
    }

    #[test]
    fn a_report_has_counts_shares_and_names() {
        let report = LoadReport {
            map: Project::Huggingface,
            inflated_from: None,
            num_matched: 7,
            num_made: 1,
            num_reinitialised: 2,
            num_unused: 6,
            num_derived: 0,
            num_values: 200,
            num_values_matched: 150,
            num_values_made: 10,
            num_values_reinitialised: 40,
            matched: names(7),
            made: names(1),
            reinitialised: names(2),
            unused: names(6),
            zeros: names(1),
            origin: Origin::default(),
        };
        let expect = [
            "7 tensors matched, 1 made (t0), 2 reinitialised (t0, t1), 6 unused (t0, t1, t2, t3, t4, and 1 more)",
            "75.0 % of the network's values are from the checkpoint",
            "missing and taken as zeros: 1 (t0)",
            "the tensors have the names of huggingface",
        ];
        assert_eq!(report.lines(), expect);
        let plain = LoadReport {
            map: Project::Pipe,
            inflated_from: Some("tsn_resnet50".to_owned()),
            num_made: 0,
            num_values_matched: 200,
            num_unused: 0,
            unused: Vec::new(),
            zeros: Vec::new(),
            ..report
        };
        let expect =
            ["7 tensors matched, 2 reinitialised (t0, t1), 0 unused", "the weights were inflated from tsn_resnet50"];
        assert_eq!(plain.lines(), expect);
    }
}
