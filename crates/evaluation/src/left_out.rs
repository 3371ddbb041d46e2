//! [`LeftOut`]: the videos that a fusion or a comparison leaves out.

use crate::check::are_of_segments;
use pipe_schemas::tables::{AnnotationRow, PredictionRow, Split};
use std::collections::{BTreeMap, BTreeSet};

/// The reason for listed videos without any prediction.
const IN_NO_INPUT: &str = "num_in_no_input";

/// How many videos several predictions have in common, and how many are left out. Segments count as videos.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// Number of videos that all inputs have.
    pub num_videos: u64,
    /// Number of the others: those that only some inputs have and, if the list is known, listed ones that no input has.
    pub num_missing: u64,
    /// Number of videos that are missing, by reason: `num_not_in_b` for those that another input has and `b` does not, and
    /// `num_in_no_input` if the list is known.
    pub missing: BTreeMap<String, u64>,
    /// `num_videos` + `num_missing`; `None` if the list is not known.
    pub num_listed: Option<u64>,
    /// Number of videos with predictions that the list does not have.
    pub num_unlisted: u64,
    /// What messages call them: `segments` if predictions have times, else `videos`.
    pub unit: &'static str,
}

/// A video or segment: the id, and the times as bits.
type Key<'a> = (&'a str, Option<u64>, Option<u64>);

impl LeftOut {
    /// Why the number of listed videos is not computed.
    pub const NOT_LISTED: &'static str = "the list is in the labels: connect the input `labels`";

    /// Counts the videos of `inputs`, predictions with the names of their ports. `labels` has the test list, if it is known.
    pub fn count(inputs: &[(&str, &[PredictionRow])], labels: Option<&[AnnotationRow]>) -> Self {
        let of_inputs: Vec<BTreeSet<Key<'_>>> = inputs.iter().map(|(_, rows)| keys(rows)).collect();
        let any: BTreeSet<Key<'_>> = of_inputs.iter().flatten().copied().collect();
        let num_common = any.iter().filter(|key| of_inputs.iter().all(|input| input.contains(*key))).count();
        let not_in = |(input, (port, _)): (&BTreeSet<Key<'_>>, &(&str, _))| {
            (format!("num_not_in_{port}"), (any.len() - input.len()) as u64)
        };
        let mut missing: BTreeMap<String, u64> = of_inputs.iter().zip(inputs).map(not_in).collect();
        let mut num_missing = (any.len() - num_common) as u64;
        let listed = labels.map(listed);
        if let Some(listed) = &listed {
            let in_no_input = listed.difference(&any).count() as u64;
            missing.insert(IN_NO_INPUT.to_owned(), in_no_input);
            num_missing += in_no_input;
        }
        let num_videos = num_common as u64;
        Self {
            num_videos,
            num_missing,
            missing,
            num_listed: listed.is_some().then_some(num_videos + num_missing),
            num_unlisted: listed.map_or(0, |listed| any.difference(&listed).count() as u64),
            unit: if are_of_segments(inputs) { "segments" } else { "videos" },
        }
    }

    /// Returns what figures are over, such as `2 of 4 videos (2 missing: 2 in no input)`.
    pub fn denominator(&self) -> String {
        let Self { num_videos, num_missing, unit, .. } = self;
        match (self.num_listed, num_missing) {
            (None, 0) => format!("{num_videos} {unit}"),
            (Some(_), 0) => format!("{num_videos} {unit} (0 missing)"),
            (None, _) => format!("{num_videos} {unit} ({num_missing} missing: {})", self.reasons()),
            (Some(listed), _) => {
                format!("{num_videos} of {listed} {unit} ({num_missing} missing: {})", self.reasons())
            }
        }
    }

    /// Returns a line for summaries if the list is not known.
    pub fn note(&self) -> Option<String> {
        let unit = self.unit;
        self.num_listed.is_none().then(|| format!("the number of listed {unit} is unknown: connect the input `labels`"))
    }

    /// Returns a warning if the predictions are not of the list.
    pub fn warning(&self) -> Option<String> {
        let Self { num_unlisted, unit, .. } = self;
        (*num_unlisted > 0).then(|| {
            format!(
                "the test list of the input `labels` does not have {num_unlisted} of the predicted {unit}: connect the labels that they \
                 were evaluated with"
            )
        })
    }

    /// Lists the reasons that occur: `1 not in b, 2 in no input`.
    fn reasons(&self) -> String {
        let text = |(reason, count): (&String, &u64)| {
            let words = reason.trim_start_matches("num_").replace('_', " ");
            (*count > 0).then(|| format!("{count} {words}"))
        };
        self.missing.iter().filter_map(text).collect::<Vec<_>>().join(", ")
    }
}

fn keys(rows: &[PredictionRow]) -> BTreeSet<Key<'_>> {
    rows.iter().map(|row| key(&row.video_id, row.start_secs, row.end_secs)).collect()
}

/// Returns the videos and segments of the test list.
fn listed(labels: &[AnnotationRow]) -> BTreeSet<Key<'_>> {
    let of_test = labels.iter().filter(|row| row.split == Split::Test);
    of_test.map(|row| key(&row.video_id, row.start_secs, row.end_secs)).collect()
}

fn key(video_id: &str, start_secs: Option<f64>, end_secs: Option<f64>) -> Key<'_> {
    (video_id, start_secs.map(f64::to_bits), end_secs.map(f64::to_bits))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn predictions(videos: &[&str], start_secs: Option<f64>) -> Vec<PredictionRow> {
        let end_secs = start_secs.map(|start| start + 1.0);
        let row = |video: &&str| PredictionRow {
            video_id: (*video).to_owned(),
            start_secs,
            end_secs,
            ..PredictionRow::default()
        };
        videos.iter().map(row).collect()
    }

    fn labels(split: Split, videos: &[&str], start_secs: Option<f64>) -> Vec<AnnotationRow> {
        let row = |video: &&str| AnnotationRow {
            video_id: (*video).to_owned(),
            split,
            class_index: 0,
            group: String::new(),
            start_secs,
            end_secs: start_secs.map(|start| start + 1.0),
            present: true,
            source_file: "list".into(),
            source_line: 1,
        };
        videos.iter().map(row).collect()
    }

    #[test]
    fn listed_videos_without_a_prediction_are_missing() {
        let (a, b) = (predictions(&["u", "v", "w"], None), predictions(&["u", "v"], None));
        let check = |labels: Option<&[AnnotationRow]>, expect: &str, num_listed: Option<u64>| {
            let found = LeftOut::count(&[("a", &a), ("b", &b)], labels);
            assert_eq!((found.denominator().as_str(), found.num_listed), (expect, num_listed));
            assert_eq!((found.note().is_none(), found.warning()), (num_listed.is_some(), None));
        };
        check(None, "2 videos (1 missing: 1 not in b)", None);
        // A video with two labels is listed once, and training videos do not count.
        let mut list = labels(Split::Test, &["u", "v", "w", "w", "x", "y"], None);
        list.extend(labels(Split::Train, &["z"], None));
        check(Some(&list), "2 of 5 videos (3 missing: 2 in no input, 1 not in b)", Some(5));
        let same = LeftOut::count(&[("a", &b), ("b", &b)], Some(&labels(Split::Test, &["u", "v"], None)));
        assert_eq!((same.denominator().as_str(), same.num_listed), ("2 videos (0 missing)", Some(2)));
        assert_eq!(LeftOut::count(&[("a", &a), ("b", &a)], None).denominator(), "3 videos");
    }

    #[test]
    fn segments_are_told_apart_by_their_times() {
        let a = predictions(&["u"], Some(0.5));
        let list = [labels(Split::Test, &["u"], Some(0.5)), labels(Split::Test, &["u"], Some(2.0))].concat();
        let found = LeftOut::count(&[("a", &a), ("b", &a)], Some(&list));
        assert_eq!(found.denominator(), "1 of 2 segments (1 missing: 1 in no input)");
        assert_eq!(found.missing["num_in_no_input"], 1);
    }

    #[test]
    fn predictions_of_another_list_are_a_warning() {
        let a = predictions(&["u", "v"], None);
        let found = LeftOut::count(&[("a", &a), ("b", &a)], Some(&labels(Split::Test, &["u"], None)));
        let warning = "the test list of the input `labels` does not have 1 of the predicted videos: connect the labels that they \
                       were evaluated with";
        assert_eq!(found.warning().as_deref(), Some(warning));
    }
}
