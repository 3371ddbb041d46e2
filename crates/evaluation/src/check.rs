//! Checks of predictions that come from a file: [`check_predictions`] and [`class_names`].

use crate::EvaluationError;
use pipe_schemas::tables::{ClassRow, PredictionRow};
use std::collections::{BTreeMap, BTreeSet};

/// What identifies a video or segment in several tables: the video, and the times as bits, which sort like the times.
pub fn key(row: &PredictionRow) -> (&str, Option<u64>, Option<u64>) {
    (&row.video_id, row.start_secs.map(f64::to_bits), row.end_secs.map(f64::to_bits))
}

/// Returns the name of a video or segment in messages, such as `Biking/v_1` or `a 0.5 to 2 s`.
pub fn display_name(row: &PredictionRow) -> String {
    let time = |time: Option<f64>| time.map_or("?".to_owned(), |secs| secs.to_string());
    match (row.start_secs, row.end_secs) {
        (None, None) => row.video_id.clone(),
        (start, end) => format!("{} {} to {} s", row.video_id, time(start), time(end)),
    }
}

/// Returns whether predictions are of segments, which have times, and not of whole videos.
pub(crate) fn are_of_segments(tables: &[(&str, &[PredictionRow])]) -> bool {
    tables.iter().any(|(_, rows)| rows.iter().any(|row| row.start_secs.is_some()))
}

/// Checks that predictions can be measured, and returns the number of classes. `input` is their name in messages.
///
/// # Errors
/// [`EvaluationError::Empty`] without rows; [`EvaluationError::Row`] if a number is not finite, a class does not exist, a probability is not
/// from 0 to 1, rows have different numbers of classes, or a video occurs twice.
pub fn check_predictions(input: &str, rows: &[PredictionRow]) -> Result<usize, EvaluationError> {
    let Some(first) = rows.first() else { return Err(EvaluationError::Empty { input: input.to_owned() }) };
    let num_classes = first.probabilities.len();
    let mut seen = BTreeSet::new();
    for row in rows {
        let problem =
            if seen.insert(key(row)) { problem(row, num_classes) } else { Some("it is listed twice".to_owned()) };
        if let Some(problem) = problem {
            return Err(EvaluationError::Row {
                input: input.to_owned(),
                place: format!("of `{}`", display_name(row)),
                problem,
            });
        }
    }
    Ok(num_classes)
}

/// Returns why a row cannot be measured.
fn problem(row: &PredictionRow, num_classes: usize) -> Option<String> {
    let (num_logits, num_probabilities) = (row.logits.len(), row.probabilities.len());
    if num_probabilities == 0 {
        return Some("it has no probabilities".to_owned());
    }
    if num_probabilities != num_classes || num_logits != num_classes {
        return Some(format!(
            "it has {num_probabilities} probabilities and {num_logits} logits, the first prediction has {num_classes} probabilities"
        ));
    }
    if let Some(class) = (0..num_classes).find(|class| !row.logits[*class].is_finite()) {
        return Some(format!("the logit of class {class} is {}", row.logits[class]));
    }
    if let Some(class) = (0..num_classes).find(|class| !(0.0..=1.0).contains(&row.probabilities[*class])) {
        return Some(format!("the probability of class {class} is {}", row.probabilities[class]));
    }
    let classes = row.class_indices().chain([row.predicted_index]);
    if let Some(class) = classes.into_iter().find(|class| *class as usize >= num_classes) {
        return Some(format!("class {class} is out of range: there are {num_classes} classes, counted from 0"));
    }
    let (num_names, num_labels) = (row.class_names.len(), row.class_indices().count());
    (num_names != num_labels).then(|| format!("it has {num_labels} labels and {num_names} names of them"))
}

/// The names of classes, and of which classes no name is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    /// By index. A class without a known name is called `class 3`.
    pub names: Vec<String>,
    /// The classes without a known name.
    pub unknown: Vec<u32>,
}

/// Returns the names of the classes of several tables of predictions, each with its name in messages. The names come from `classes` and from the
/// labels and predictions themselves.
///
/// # Errors
/// [`EvaluationError::OtherClass`] and [`EvaluationError::NumClasses`] if the tables, or a table and `classes`, do not have the same classes.
pub fn class_names(
    tables: &[(&str, &[PredictionRow])],
    classes: Option<&[ClassRow]>,
) -> Result<Names, EvaluationError> {
    let count = |rows: &[PredictionRow]| rows.first().map_or(0, |row| row.probabilities.len());
    let list = "the input `classes`";
    let of_list = classes.map(|classes| (list, classes.len()));
    let mut sizes = of_list.into_iter().chain(tables.iter().map(|(input, rows)| (*input, count(rows))));
    let Some((one_input, one)) = sizes.next() else { return Ok(Names { names: Vec::new(), unknown: Vec::new() }) };
    if let Some((other_input, other)) = sizes.find(|(_, size)| *size != one) {
        let [one_input, other_input] = [one_input, other_input].map(str::to_owned);
        return Err(EvaluationError::NumClasses { one, one_input, other, other_input });
    }
    let mut known: BTreeMap<u32, (&str, &str)> = BTreeMap::new();
    let of_list = classes.into_iter().flatten().map(|row| (row.class_index, row.class_name.as_str(), list));
    let of_tables = tables.iter().flat_map(|(input, rows)| {
        rows.iter().flat_map(move |row| {
            let labels = row.class_indices().zip(row.class_names.iter().map(String::as_str));
            labels
                .chain([(row.predicted_index, row.predicted_name.as_str())])
                .map(move |(index, name)| (index, name, *input))
        })
    });
    for (class_index, name, input) in of_list.chain(of_tables) {
        let (before, before_input) = *known.entry(class_index).or_insert((name, input));
        if before != name {
            let [one, one_input, other, other_input] = [before, before_input, name, input].map(str::to_owned);
            return Err(EvaluationError::OtherClass { class_index, one, one_input, other, other_input });
        }
    }
    let indices = 0..one as u32;
    let name = |class: u32| known.get(&class).map_or_else(|| format!("class {class}"), |(name, _)| (*name).to_owned());
    let unknown = indices.clone().filter(|class| !known.contains_key(class)).collect();
    Ok(Names { names: indices.map(name).collect(), unknown })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::tests::row;

    fn check(change: impl Fn(&mut PredictionRow), expect: &str) {
        let mut rows = [row("a", 0, &[0.9, 0.1]), row("b", 1, &[0.9, 0.1])];
        change(&mut rows[1]);
        let error = check_predictions("the input `a`", &rows).expect_err("not valid").to_string();
        assert_eq!(error, format!("the prediction of `b` of the input `a`: {expect}"));
    }

    #[test]
    fn rows_that_cannot_be_measured_are_named() {
        check(|row| row.logits[1] = f32::NAN, "the logit of class 1 is NaN");
        check(|row| row.probabilities[0] = 1.5, "the probability of class 0 is 1.5");
        check(|row| row.probabilities[0] = f32::NAN, "the probability of class 0 is NaN");
        check(|row| row.class_index = 7, "class 7 is out of range: there are 2 classes, counted from 0");
        check(
            |row| row.predicted_index = u32::MAX,
            "class 4294967295 is out of range: there are 2 classes, counted from 0",
        );
        let sizes = "it has 1 probabilities and 2 logits, the first prediction has 2 probabilities";
        check(|row| row.probabilities.truncate(1), sizes);
        check(|row| row.probabilities.clear(), "it has no probabilities");
        check(|row| row.class_names.clear(), "it has 1 labels and 0 names of them");
        let twice = [row("a", 0, &[0.9, 0.1]), row("a", 0, &[0.9, 0.1])];
        let error = check_predictions("x", &twice).expect_err("twice").to_string();
        assert_eq!(error, "the prediction of `a` of x: it is listed twice");
        assert_eq!(check_predictions("x", &[]).expect_err("empty").to_string(), "x has no predictions");
    }

    #[test]
    fn segments_are_named_with_their_times() {
        let mut segment = row("a", 0, &[1.0]);
        assert_eq!(display_name(&segment), "a");
        (segment.start_secs, segment.end_secs) = (Some(0.5), Some(2.0));
        assert_eq!(display_name(&segment), "a 0.5 to 2 s");
    }

    #[test]
    fn names_come_from_rows_and_from_the_list_of_classes() {
        let rows = [row("a", 0, &[0.9, 0.1, 0.0])];
        let found = class_names(&[("x", &rows)], None).expect("names");
        assert_eq!(found.names, ["c0", "class 1", "class 2"]);
        assert_eq!(found.unknown, [1, 2]);
        let classes: Vec<ClassRow> =
            (0..3).map(|class_index| ClassRow { class_index, class_name: format!("c{class_index}") }).collect();
        let found = class_names(&[("x", &rows)], Some(&classes)).expect("names");
        assert_eq!((found.names.join(" "), found.unknown), ("c0 c1 c2".to_owned(), vec![]));
    }

    #[test]
    fn other_classes_are_refused() {
        let rows = [row("a", 0, &[0.9, 0.1])];
        let mut other = rows.clone();
        other[0].predicted_name = "walk".into();
        let error = class_names(&[("x", &rows), ("y", &other)], None).expect_err("other names");
        assert_eq!(error.to_string(), "class 0 is `c0` in x, `walk` in y");
        let more = [row("a", 0, &[0.9, 0.1, 0.0])];
        let error = class_names(&[("x", &rows), ("y", &more)], None).expect_err("more classes");
        assert_eq!(error.to_string(), "x has 2 classes, y has 3");
        let error = class_names(&[("x", &rows)], Some(&[])).expect_err("fewer classes");
        assert_eq!(error.to_string(), "the input `classes` has 0 classes, x has 2");
    }
}
