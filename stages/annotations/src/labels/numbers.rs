//! Whether the labels of a data set are numbers or names: [`decide`], for all lists together.

use crate::error::{AnnotationsError, LineError};
use crate::lists::{ClassList, Label, Location, Row, shorten};
use std::collections::BTreeSet;
use std::rc::Rc;

/// Maximum number of wrong labels to keep; further ones are only counted.
const MAX_ERRORS: usize = 1_000;

/// A text that is a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Number {
    /// `8`, or `8.0` as pandas writes it.
    Whole(i64),
    Fraction,
}

impl Number {
    /// Returns the number that `text` is: digits, with a sign and a decimal fraction or without.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
        let all_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
        if !all_digits(whole) || !all_digits(fraction) {
            return None;
        }
        if fraction.bytes().any(|byte| byte != b'0') {
            return Some(Self::Fraction);
        }
        // A number that does not fit is out of every range.
        let limit = if text.starts_with('-') { i64::MIN } else { i64::MAX };
        let signed = &text[..text.find('.').unwrap_or(text.len())];
        Some(Self::Whole(signed.parse().unwrap_or(limit)))
    }

    /// Returns the whole number that `text` is.
    pub(crate) fn whole(text: &str) -> Option<i64> {
        match Self::parse(text)? {
            Self::Whole(number) => Some(number),
            Self::Fraction => None,
        }
    }
}

/// Turns every cell into a number if all labels of the data set are numbers and no class has such a name; otherwise into a name.
///
/// # Errors
/// All labels with a fraction, if the labels are numbers.
pub(super) fn decide(rows: &mut [Row], classes: Option<&ClassList>) -> Result<(), AnnotationsError> {
    let class_names: BTreeSet<&str> = classes.iter().flat_map(|classes| &classes.names).map(String::as_str).collect();
    let cells: BTreeSet<&Rc<str>> = rows.iter().flat_map(|row| &row.labels).filter_map(cell).collect();
    let has_names = rows.iter().flat_map(|row| &row.labels).any(|label| matches!(label, Label::Name(_)));
    let is_number = |cell: &str| Number::parse(cell).is_some() && !class_names.contains(cell);
    let are_numbers = !has_names && cells.iter().all(|cell| is_number(cell));
    let (mut errors, mut count) = (Vec::new(), 0);
    for row in rows {
        for label in &mut row.labels {
            let Label::Cell(text) = label else { continue };
            match Number::parse(text).filter(|_| are_numbers) {
                None => *label = Label::Name(Rc::clone(text)),
                Some(Number::Whole(number)) => *label = Label::Number(number),
                Some(Number::Fraction) => {
                    count += 1;
                    if errors.len() < MAX_ERRORS {
                        errors.push(fraction(text, &row.location));
                    }
                }
            }
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(AnnotationsError::Lines { errors, count }) }
}

fn cell(label: &Label) -> Option<&Rc<str>> {
    match label {
        Label::Cell(text) => Some(text),
        Label::Name(_) | Label::Number(_) => None,
    }
}

fn fraction(text: &str, location: &Location) -> LineError {
    let message = format!("the label `{}` is not a whole number, and all other labels are numbers", shorten(text));
    LineError::new(location, message, "correct the label, or, if it is a name, name the classes in a `label_map`")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lists::RowSplit;
    use proptest::prelude::*;

    #[test]
    fn whole_floats_are_numbers_and_other_spellings_are_not() {
        let whole = ["0", "8.0", "8.000", "-1", "+3", "007", " 5 ", "99999999999999999999"];
        let numbers = [0, 8, 8, -1, 3, 7, 5, i64::MAX].map(|number| Some(Number::Whole(number)));
        assert_eq!(whole.map(Number::parse), numbers);
        assert_eq!(["3.5", "-0.1"].map(Number::parse), [Some(Number::Fraction); 2]);
        for name in ["", "-", ".", "5.", ".5", "1e3", "nan", "inf", "1.2.3", "0x1", "1_000", "1,5", "a", "2021a"] {
            assert_eq!(Number::parse(name), None, "{name}");
        }
    }

    fn rows(labels: Vec<Label>) -> Vec<Row> {
        let row = |(line, label)| {
            Row::new("a", RowSplit::Unknown, vec![label], Location { file: "l.csv".into(), line, row: None })
        };
        (1..).zip(labels).map(row).collect()
    }

    fn cells(texts: &[&str]) -> Vec<Row> {
        rows(texts.iter().map(|text| Label::Cell((*text).into())).collect())
    }

    #[test]
    fn one_fraction_among_numbers_is_an_error() {
        let error = decide(&mut cells(&["0", "3.5", "1.0"]), None).expect_err("a fraction");
        let AnnotationsError::Lines { errors, count: 1 } = error else { panic!("{error}") };
        let expect = "l.csv:2: the label `3.5` is not a whole number, and all other labels are numbers; \
                      correct the label, or, if it is a name, name the classes in a `label_map`";
        assert_eq!(errors[0].to_string(), expect);
    }

    #[test]
    fn one_name_makes_all_labels_names() {
        for other in [Label::Cell("run".into()), Label::Name("1.5".into())] {
            let mut rows = rows(vec![Label::Cell("2021".into()), Label::Cell("3.5".into()), other]);
            decide(&mut rows, None).expect("names");
            assert!(rows.iter().all(|row| matches!(row.labels[0], Label::Name(_))), "{rows:?}");
        }
    }

    proptest! {
        /// Labels are numbers only if all are, in whatever row the exception is.
        #[test]
        fn the_whole_column_decides(numbers in prop::collection::vec(0_i64..99, 1..20), name in prop::option::of("[a-z]{1,4}"), at: prop::sample::Index) {
            let mut texts: Vec<String> = numbers.iter().map(ToString::to_string).collect();
            if let Some(name) = &name {
                texts.insert(at.index(texts.len() + 1), name.clone());
            }
            let mut rows = cells(&texts.iter().map(String::as_str).collect::<Vec<_>>());
            prop_assert!(decide(&mut rows, None).is_ok());
            let found: Vec<Label> = rows.into_iter().map(|mut row| row.labels.remove(0)).collect();
            let expect: Vec<Label> = match name {
                Some(_) => texts.iter().map(|text| Label::Name(text.as_str().into())).collect(),
                None => numbers.into_iter().map(Label::Number).collect(),
            };
            prop_assert_eq!(found, expect);
        }
    }
}
