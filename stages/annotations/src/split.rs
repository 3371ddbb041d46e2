//! Assigns rows to the training and the test split: [`assign`].

use crate::error::{AnnotationsError, MAX_SHOWN};
use crate::lists::{Row, RowSplit, shorten, without_extension};
use crate::paths;
use pipe_schemas::stages::annotations::AnnotationsParams;
use pipe_schemas::tables::Split;
use std::collections::{BTreeMap, BTreeSet};

const TRAIN: [&str; 2] = ["train", "training"];
const VALIDATION: [&str; 4] = ["val", "valid", "validate", "validation"];
const TEST: [&str; 2] = ["test", "testing"];

/// Returns the split that a subset name usually means.
pub(crate) fn usual(word: &str) -> Option<Split> {
    let word = word.to_lowercase();
    if TRAIN.contains(&word.as_str()) {
        Some(Split::Train)
    } else {
        (VALIDATION.contains(&word.as_str()) || TEST.contains(&word.as_str())).then_some(Split::Test)
    }
}

/// What [`assign`] did besides setting the splits.
#[derive(Debug, Default)]
pub(crate) struct Assigned {
    /// Number of unused rows by subset.
    pub(crate) left_out: BTreeMap<String, u64>,
    /// Rows without a label, such as videos without a segment.
    pub(crate) num_unlabelled: u64,
    pub(crate) drawn: Option<Drawn>,
}

/// What `test_share` held out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Drawn {
    pub(crate) share: f64,
    pub(crate) num_videos: usize,
    pub(crate) num_test_videos: usize,
    /// Number of groups; 0 if the videos have none.
    pub(crate) num_groups: usize,
    pub(crate) num_test_groups: usize,
}

/// Assigns every row to a split, or marks it as unused.
///
/// # Errors
/// If the lists define no split, or it is unclear which subsets to use.
pub(crate) fn assign(rows: &mut [Row], params: &AnnotationsParams) -> Result<Assigned, AnnotationsError> {
    let found: BTreeSet<String> = rows.iter().filter_map(|row| subset(row).map(str::to_owned)).collect();
    let (train, test) = choose(&found, params)?;
    let mut assigned = Assigned::default();
    let mut draws = Draws::default();
    for row in rows {
        row.split = match (&row.split, params.test_share) {
            (RowSplit::Known(_), _) => continue,
            (RowSplit::Unused, _) => {
                assigned.num_unlabelled += u64::from(row.labels.is_empty());
                continue;
            }
            (RowSplit::Subset(word), _) if train.contains(&**word) => RowSplit::Known(Split::Train),
            (RowSplit::Subset(word), _) if test.contains(&**word) => RowSplit::Known(Split::Test),
            (RowSplit::Subset(word), _) => {
                *assigned.left_out.entry(word.to_string()).or_default() += 1;
                RowSplit::Unused
            }
            (RowSplit::Unknown, Some(share)) => RowSplit::Known(draws.add(row, draw(row, share, params.seed))),
            (RowSplit::Unknown, None) => return Err(AnnotationsError::NoSplit { location: row.location.to_string() }),
        };
    }
    assigned.drawn = params.test_share.filter(|_| !draws.videos.is_empty()).map(|share| draws.count(share));
    Ok(assigned)
}

/// The drawn splits, by video and by group.
#[derive(Default)]
struct Draws {
    videos: BTreeMap<String, Split>,
    groups: BTreeMap<String, Split>,
}

impl Draws {
    fn add(&mut self, row: &Row, split: Split) -> Split {
        self.videos.insert(paths::normal(&row.path), split);
        if !row.group.is_empty() {
            self.groups.insert(row.group.clone(), split);
        }
        split
    }

    fn count(&self, share: f64) -> Drawn {
        let test = |of: &BTreeMap<String, Split>| of.values().filter(|split| **split == Split::Test).count();
        Drawn {
            share,
            num_videos: self.videos.len(),
            num_test_videos: test(&self.videos),
            num_groups: self.groups.len(),
            num_test_groups: test(&self.groups),
        }
    }
}

fn subset(row: &Row) -> Option<&str> {
    if let RowSplit::Subset(word) = &row.split { Some(word) } else { None }
}

type Words = BTreeSet<String>;

/// Returns the subsets for training and for testing, among those in `found`.
fn choose(found: &Words, params: &AnnotationsParams) -> Result<(Words, Words), AnnotationsError> {
    let (train, test) = (&params.subsets.train, &params.subsets.test);
    let words = || found.iter().take(MAX_SHOWN).map(|word| shorten(word)).collect::<Vec<_>>();
    if let Some(word) = train.iter().chain(test).find(|word| !found.contains(*word)) {
        return Err(AnnotationsError::NoSubset { word: word.clone(), found: words() });
    }
    if let Some(word) = train.iter().find(|word| test.contains(word)) {
        return Err(AnnotationsError::SubsetTwice { word: word.clone() });
    }
    let among = |usual: &[&str]| -> Words {
        let fits = |word: &&String| usual.contains(&word.to_lowercase().as_str());
        found.iter().filter(fits).filter(|word| !train.contains(word) && !test.contains(word)).cloned().collect()
    };
    let train = if train.is_empty() { among(&TRAIN) } else { train.iter().cloned().collect() };
    let test: Words = if test.is_empty() {
        match (among(&VALIDATION), among(&TEST)) {
            (one, two) if !one.is_empty() && !two.is_empty() => {
                return Err(AnnotationsError::TwoTestSubsets { found: words() });
            }
            (one, two) => one.union(&two).cloned().collect(),
        }
    } else {
        test.iter().cloned().collect()
    };
    if !found.is_empty() && train.is_empty() && test.is_empty() {
        return Err(AnnotationsError::UnknownSubsets { found: words() });
    }
    Ok((train, test))
}

/// Draws the split of a group, or of a video without a group. The result depends only on its name, the seed and the share.
fn draw(row: &Row, share: f64, seed: u64) -> Split {
    let path = paths::normal(&row.path);
    let name = if row.group.is_empty() { without_extension(&path) } else { &row.group };
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"test_share").update(&seed.to_le_bytes()).update(name.as_bytes());
    let mut bits = [0; 8];
    hasher.finalize_xof().fill(&mut bits);
    // The mantissa of an f64 has 53 bits.
    let drawn = (u64::from_le_bytes(bits) >> 11) as f64 / (1_u64 << 53) as f64;
    if drawn < share { Split::Test } else { Split::Train }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lists::Location;
    use serde_json::{Value, json};

    fn row(path: &str, part: RowSplit) -> Row {
        Row::new(path, part, vec![], Location { file: "l.csv".into(), line: 1, row: None })
    }

    #[track_caller]
    fn check(words: &[&str], params: Value, expect: Result<&str, &str>) {
        let params: AnnotationsParams = serde_json::from_value(params).expect("parameters");
        let mut rows: Vec<Row> = words.iter().map(|word| row("a", RowSplit::Subset((*word).into()))).collect();
        let letter = |row: &Row| match row.split {
            RowSplit::Known(Split::Train) => 'r',
            RowSplit::Known(Split::Test) => 'e',
            _ => '-',
        };
        let found = match assign(&mut rows, &params) {
            Ok(_) => Ok(rows.iter().map(letter).collect::<String>()),
            Err(error) => Err(error.to_string()),
        };
        assert_eq!(found, expect.map(str::to_owned).map_err(str::to_owned));
    }

    #[test]
    fn usual_subsets_are_known_and_ambiguity_is_an_error() {
        check(&["train", "val", "train"], json!({}), Ok("rer"));
        check(&["training", "Validation", "hidden"], json!({}), Ok("re-"));
        check(&["train", "test", "val"], json!({"subsets": {"test": ["test"]}}), Ok("re-"));
        check(&["a", "b", "c"], json!({"subsets": {"train": ["a", "b"], "test": ["c"]}}), Ok("rre"));
        check(&["train", "val"], json!({"subsets": {"train": ["train", "val"]}}), Ok("rr"));
        let three = ["train", "val", "test"];
        let two = "the lists have both a validation and a test subset: `test`, `train`, `val`";
        check(&three, json!({}), Err(two));
        check(&["x"], json!({}), Err("the lists have no known subset, only: `x`"));
        check(&["x"], json!({"subsets": {"test": ["y"]}}), Err("the lists have no subset `y`, only: `x`"));
        let twice = json!({"subsets": {"train": ["x"], "test": ["x"]}});
        check(&["x"], twice, Err("the subset `x` is used for both training and test"));
        let mut unknown = [row("a", RowSplit::Unknown)];
        let error = assign(&mut unknown, &AnnotationsParams::default()).expect_err("unknown");
        assert_eq!(error.to_string(), "l.csv:1 is in neither the training nor the test split");
    }

    #[test]
    fn groups_are_drawn_together_and_draws_are_stable() {
        let params = AnnotationsParams { test_share: Some(0.2), ..AnnotationsParams::default() };
        let mut rows: Vec<Row> = (0..5_000).map(|number| row(&format!("A/{number}.avi"), RowSplit::Unknown)).collect();
        rows.iter_mut().take(100).for_each(|row| row.group = "g".into());
        let mut fewer = rows[2_500..].to_vec();
        assign(&mut rows, &params).expect("drawn");
        assert!(rows[..100].iter().all(|row| row.split == rows[0].split));
        let share = rows[100..].iter().filter(|row| row.split == RowSplit::Known(Split::Test)).count() as f64 / 4_900.0;
        assert!((share - 0.2).abs() < 0.02, "{share}");
        assign(&mut fewer, &params).expect("drawn");
        assert_eq!(rows[2_500..], fewer);
        let mut other = fewer.clone();
        for row in &mut other {
            row.split = RowSplit::Unknown;
        }
        assign(&mut other, &AnnotationsParams { seed: 1, ..params }).expect("drawn");
        assert_ne!(other, fewer);
    }
}
