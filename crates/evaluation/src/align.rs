//! [`align`]: the same videos of several tables of predictions.

use crate::check::are_of_segments;
use crate::{EvaluationError, display_name, key};
use pipe_schemas::tables::{Labelling, PredictionRow};
use std::collections::{BTreeMap, BTreeSet};

/// Predictions of several networks for the same videos.
#[derive(Debug, Clone, PartialEq)]
pub struct Aligned {
    /// The rows of each table for the videos that all have, in the same order: by video and times.
    pub tables: Vec<Vec<PredictionRow>>,
    /// For each table, the names of the videos and segments that it does not have and another one has.
    pub missing: Vec<Vec<String>>,
    /// Number of videos that a table does not have.
    pub num_missing: u64,
    /// What messages call a row: `segment` if predictions have times, else `video`.
    noun: &'static str,
}

/// Maximum number of names in a text.
const MAX_NAMED: usize = 5;

impl Aligned {
    /// Returns which videos are missing where, such as `3 videos are not in the input `b`: x, y, z`; `None` if none is.
    pub fn missing_text(&self, inputs: &[&str]) -> Option<String> {
        let noun = self.noun;
        let text = |(names, input): (&Vec<String>, &&str)| {
            let named = names.iter().take(MAX_NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
            let more =
                if names.len() > MAX_NAMED { format!(" and {} more", names.len() - MAX_NAMED) } else { String::new() };
            let (plural, verb) = if names.len() == 1 { ("", "is") } else { ("s", "are") };
            (!names.is_empty()).then(|| format!("{} {noun}{plural} {verb} not in {input}: {named}{more}", names.len()))
        };
        let texts: Vec<String> = self.missing.iter().zip(inputs).filter_map(text).collect();
        (!texts.is_empty()).then(|| texts.join("; "))
    }
}

/// Finds the videos that all tables have. Each table comes with its name in messages; a video occurs once in a table.
///
/// # Errors
/// [`EvaluationError::OtherLabels`] if a video has other labels in another table, [`EvaluationError::NoneInCommon`] if no video is in all.
pub fn align(tables: &[(&str, &[PredictionRow])]) -> Result<Aligned, EvaluationError> {
    let by_key: Vec<BTreeMap<_, &PredictionRow>> =
        tables.iter().map(|(_, rows)| rows.iter().map(|row| (key(row), row)).collect()).collect();
    let all: BTreeMap<_, &PredictionRow> = by_key.iter().flatten().map(|(key, row)| (*key, *row)).collect();
    let common: Vec<_> = all.keys().filter(|key| by_key.iter().all(|rows| rows.contains_key(*key))).collect();
    let missing = |rows: &BTreeMap<_, &PredictionRow>| {
        all.iter().filter(|(key, _)| !rows.contains_key(*key)).map(|(_, row)| display_name(row)).collect()
    };
    let noun = if are_of_segments(tables) { "segment" } else { "video" };
    let aligned = Aligned {
        tables: by_key.iter().map(|rows| common.iter().map(|key| rows[*key].clone()).collect()).collect(),
        missing: by_key.iter().map(missing).collect(),
        num_missing: (all.len() - common.len()) as u64,
        noun,
    };
    if common.is_empty() {
        return Err(EvaluationError::NoneInCommon { noun });
    }
    for at in 0..common.len() {
        let labels = |table: usize| aligned.tables[table][at].class_indices().collect::<BTreeSet<u32>>();
        if let Some(other) = (1..tables.len()).find(|table| labels(*table) != labels(0)) {
            let names = |table: usize| aligned.tables[table][at].class_names.join(", ");
            let [one_input, other_input] = [tables[0].0, tables[other].0].map(str::to_owned);
            return Err(EvaluationError::OtherLabels {
                video: display_name(&aligned.tables[0][at]),
                one: names(0),
                one_input,
                other: names(other),
                other_input,
            });
        }
    }
    Ok(aligned)
}

/// Returns whether videos have one label each: no row has several, and the probabilities of each sum to 1.
pub fn labelling_of(rows: &[PredictionRow]) -> Labelling {
    let sums_to_one = |row: &PredictionRow| {
        let sum: f64 = row.probabilities.iter().map(|probability| f64::from(*probability)).sum();
        (sum - 1.0).abs() < 1e-3
    };
    let is_single = |row: &PredictionRow| row.more_class_indices.is_empty() && sums_to_one(row);
    if rows.iter().all(is_single) { Labelling::SingleLabel } else { Labelling::MultiLabel }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::tests::row;

    #[test]
    fn videos_of_all_tables_are_found_and_others_named() {
        let one = ["c", "a", "b"].map(|video| row(video, 0, &[0.9, 0.1]));
        let two = ["b", "d", "c"].map(|video| row(video, 0, &[0.2, 0.8]));
        let found = align(&[("x", &one), ("y", &two)]).expect("common videos");
        let names: Vec<Vec<&str>> =
            found.tables.iter().map(|rows| rows.iter().map(|row| row.video_id.as_str()).collect()).collect();
        assert_eq!(names, [["b", "c"], ["b", "c"]]);
        assert_eq!((&found.missing, found.num_missing), (&vec![vec!["d".to_owned()], vec!["a".to_owned()]], 2));
        let text = found.missing_text(&["x", "y"]).expect("missing videos");
        assert_eq!(text, "1 video is not in x: d; 1 video is not in y: a");
        let same = align(&[("x", &one), ("y", &one)]).expect("common videos");
        assert_eq!((same.num_missing, same.missing_text(&["x", "y"])), (0, None));
    }

    #[test]
    fn segments_are_not_called_videos() {
        let segment = |start: f64| PredictionRow {
            start_secs: Some(start),
            end_secs: Some(start + 1.0),
            ..row("a", 0, &[0.9, 0.1])
        };
        let found = align(&[("x", &[segment(0.0), segment(1.5)]), ("y", &[segment(0.0)])]).expect("a common segment");
        assert_eq!(found.missing_text(&["x", "y"]).as_deref(), Some("1 segment is not in y: a 1.5 to 2.5 s"));
        let error = align(&[("x", &[segment(0.0)]), ("y", &[segment(1.0)])]).expect_err("no common segment");
        assert_eq!(error.to_string(), "no segment is in all predictions");
    }

    #[test]
    fn other_labels_and_other_videos_are_refused() {
        let one = [row("a", 0, &[0.9, 0.1])];
        let error = align(&[("x", &one), ("y", &[row("a", 1, &[0.9, 0.1])])]).expect_err("other labels").to_string();
        assert_eq!(error, "`a` is labelled c0 in x, c1 in y");
        let error = align(&[("x", &one), ("y", &[row("b", 0, &[0.9, 0.1])])]).expect_err("other videos").to_string();
        assert_eq!(error, "no video is in all predictions");
    }

    #[test]
    fn several_labels_are_recognised() {
        let single = row("a", 0, &[0.9, 0.1]);
        assert_eq!(labelling_of(std::slice::from_ref(&single)), Labelling::SingleLabel);
        let several = PredictionRow { more_class_indices: vec![1], ..single.clone() };
        assert_eq!(labelling_of(&[single, several]), Labelling::MultiLabel);
        assert_eq!(labelling_of(&[row("a", 0, &[0.9, 0.9])]), Labelling::MultiLabel);
    }
}
