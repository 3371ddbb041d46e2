//! Which rows are learnt from and which are measured on: [`assign`].

use crate::error::AnnotationsError;
use crate::lists::{Part, Row, without_extension};
use pipe_schemas::stages::annotations::AnnotationsParams;
use pipe_schemas::tables::Split;
use std::collections::{BTreeMap, BTreeSet};

const TRAIN: [&str; 2] = ["train", "training"];
const VALIDATION: [&str; 4] = ["val", "valid", "validate", "validation"];
const TEST: [&str; 2] = ["test", "testing"];

/// Returns the split that a word stands for everywhere.
pub(crate) fn usual(word: &str) -> Option<Split> {
    let word = word.to_lowercase();
    if TRAIN.contains(&word.as_str()) {
        Some(Split::Train)
    } else {
        (VALIDATION.contains(&word.as_str()) || TEST.contains(&word.as_str())).then_some(Split::Test)
    }
}

/// Decides for every row whether it is learnt from, measured on, or not used, and counts those left out by subset.
///
/// # Errors
/// If the lists do not say it, or say more than two things.
pub(crate) fn assign(rows: &mut [Row], params: &AnnotationsParams) -> Result<BTreeMap<String, u64>, AnnotationsError> {
    let found: BTreeSet<String> = rows.iter().filter_map(|row| subset(row).map(str::to_owned)).collect();
    let (train, test) = choose(&found, params)?;
    let mut left_out = BTreeMap::new();
    for row in rows {
        row.part = match (&row.part, params.test_share) {
            (Part::Of(_) | Part::Unused, _) => continue,
            (Part::Subset(word), _) if train.contains(&**word) => Part::Of(Split::Train),
            (Part::Subset(word), _) if test.contains(&**word) => Part::Of(Split::Test),
            (Part::Subset(word), _) => {
                *left_out.entry(word.to_string()).or_default() += 1;
                Part::Unused
            }
            (Part::Unsaid, Some(share)) => Part::Of(draw(row, share, params.seed)),
            (Part::Unsaid, None) => return Err(AnnotationsError::NoSplit { place: row.place.to_string() }),
        };
    }
    Ok(left_out)
}

fn subset(row: &Row) -> Option<&str> {
    if let Part::Subset(word) = &row.part { Some(word) } else { None }
}

type Words = BTreeSet<String>;

/// Returns the words for training and for testing, of those `found`.
fn choose(found: &Words, params: &AnnotationsParams) -> Result<(Words, Words), AnnotationsError> {
    let (train, test) = (&params.subsets.train, &params.subsets.test);
    let words = || found.iter().cloned().collect::<Vec<_>>();
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
        return Err(AnnotationsError::OddSubsets { found: words() });
    }
    Ok((train, test))
}

/// Draws for a group, or for a video that has none. Nothing but its name, the seed and the share decides.
fn draw(row: &Row, share: f64, seed: u64) -> Split {
    let name = if row.group.is_empty() { without_extension(&row.path) } else { &row.group };
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"test_share").update(&seed.to_le_bytes()).update(name.as_bytes());
    let mut bits = [0; 8];
    hasher.finalize_xof().fill(&mut bits);
    // 53 bits are what an f64 between 0 and 1 has.
    let drawn = (u64::from_le_bytes(bits) >> 11) as f64 / (1_u64 << 53) as f64;
    if drawn < share { Split::Test } else { Split::Train }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lists::Place;
    use serde_json::{Value, json};

    fn row(path: &str, part: Part) -> Row {
        Row::new(path, part, vec![], Place { file: "l.csv".into(), line: 1 })
    }

    #[track_caller]
    fn check(words: &[&str], params: Value, expect: Result<&str, &str>) {
        let params: AnnotationsParams = serde_json::from_value(params).expect("parameters");
        let mut rows: Vec<Row> = words.iter().map(|word| row("a", Part::Subset((*word).into()))).collect();
        let letter = |row: &Row| match row.part {
            Part::Of(Split::Train) => 'r',
            Part::Of(Split::Test) => 'e',
            _ => '-',
        };
        let found = match assign(&mut rows, &params) {
            Ok(_) => Ok(rows.iter().map(letter).collect::<String>()),
            Err(error) => Err(error.to_string()),
        };
        assert_eq!(found, expect.map(str::to_owned).map_err(str::to_owned));
    }

    #[test]
    fn usual_words_are_known_and_doubt_is_an_error() {
        check(&["train", "val", "train"], json!({}), Ok("rer"));
        check(&["training", "Validation", "hidden"], json!({}), Ok("re-"));
        check(&["train", "test", "val"], json!({"subsets": {"test": ["test"]}}), Ok("re-"));
        check(&["a", "b", "c"], json!({"subsets": {"train": ["a", "b"], "test": ["c"]}}), Ok("rre"));
        check(&["train", "val"], json!({"subsets": {"train": ["train", "val"]}}), Ok("rr"));
        let three = ["train", "val", "test"];
        let two = "the lists have more than one subset to measure on: they have `test`, `train`, `val`";
        check(&three, json!({}), Err(two));
        check(&["x"], json!({}), Err("no subset of the lists has a usual name: they have `x`"));
        check(&["x"], json!({"subsets": {"test": ["y"]}}), Err("the lists have no subset `y`: they have `x`"));
        let twice = json!({"subsets": {"train": ["x"], "test": ["x"]}});
        check(&["x"], twice, Err("the subset `x` would be learnt from and measured on"));
        let mut unsaid = [row("a", Part::Unsaid)];
        let error = assign(&mut unsaid, &AnnotationsParams::default()).expect_err("unsaid");
        assert_eq!(error.to_string(), "l.csv:1 does not say whether it is learnt from or measured on");
    }

    #[test]
    fn a_draw_is_by_group_and_stays() {
        let params = AnnotationsParams { test_share: Some(0.2), ..AnnotationsParams::default() };
        let mut rows: Vec<Row> = (0..5_000).map(|number| row(&format!("A/{number}.avi"), Part::Unsaid)).collect();
        rows.iter_mut().take(100).for_each(|row| row.group = "g".into());
        let mut fewer = rows[2_500..].to_vec();
        assign(&mut rows, &params).expect("drawn");
        assert!(rows[..100].iter().all(|row| row.part == rows[0].part));
        let share = rows[100..].iter().filter(|row| row.part == Part::Of(Split::Test)).count() as f64 / 4_900.0;
        assert!((share - 0.2).abs() < 0.02, "{share}");
        assign(&mut fewer, &params).expect("drawn");
        assert_eq!(rows[2_500..], fewer);
        let mut other = fewer.clone();
        for row in &mut other {
            row.part = Part::Unsaid;
        }
        assign(&mut other, &AnnotationsParams { seed: 1, ..params }).expect("drawn");
        assert_ne!(other, fewer);
    }
}
