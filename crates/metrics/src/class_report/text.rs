//! The text of scikit-learn's `classification_report`, byte for byte.
//!
//! - Names are aligned to the right in a column as wide as the longest name, `weighted avg` and the number of digits; widths count characters.
//! - The line of the micro average is called `accuracy`, and has only F1, if each video has one label and the report is about every class
//!   that occurs; otherwise it is `micro avg`.
//! - If each video has one label and no prediction is correct, supports have a decimal, `2.0`: then scikit-learn counts in floats.

use super::{ClassReport, Scores};
use std::fmt::Write;

const LONGEST_HEADING: &str = "weighted avg";

impl ClassReport {
    /// Returns the report as text. `name` returns the name of a class; scores have `digits` decimals.
    pub fn text(&self, name: impl Fn(usize) -> String, digits: usize) -> String {
        let names: Vec<String> = self.classes.iter().map(|row| name(row.class)).collect();
        let longest = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
        let width = longest.max(LONGEST_HEADING.len()).max(digits);
        let mut text = format!("{:>width$} ", "");
        for heading in ["precision", "recall", "f1-score", "support"] {
            write_to(&mut text, format_args!(" {heading:>9}"));
        }
        text.push_str("\n\n");
        let no_hit = self.micro_is_accuracy && self.micro.recall == 0.0;
        let count = |support: u64| if no_hit { format!("{support}.0") } else { support.to_string() };
        for (row, name) in self.classes.iter().zip(&names) {
            line(&mut text, name, row.scores, &count(row.support), width, digits);
        }
        let support = count(self.support);
        text.push('\n');
        if self.micro_is_accuracy {
            let (gap, f1) = ("", self.micro.f1);
            write_to(
                &mut text,
                format_args!("{:>width$}  {gap:>9} {gap:>9} {f1:>9.digits$} {support:>9}\n", "accuracy"),
            );
        } else {
            line(&mut text, "micro avg", self.micro, &support, width, digits);
        }
        line(&mut text, "macro avg", self.macro_average, &support, width, digits);
        line(&mut text, LONGEST_HEADING, self.weighted, &support, width, digits);
        if let Some(samples) = self.samples {
            line(&mut text, "samples avg", samples, &support, width, digits);
        }
        text
    }
}

fn line(text: &mut String, name: &str, scores: Scores, support: &str, width: usize, digits: usize) {
    let Scores { precision, recall, f1 } = scores;
    write_to(
        text,
        format_args!("{name:>width$}  {precision:>9.digits$} {recall:>9.digits$} {f1:>9.digits$} {support:>9}\n"),
    );
}

fn write_to(text: &mut String, what: std::fmt::Arguments<'_>) {
    // Writing to a string does not fail.
    let _ = text.write_fmt(what);
}

#[cfg(test)]
mod tests {
    use crate::{ClassReport, ConfusionMatrix};

    fn check(rows: &[&[u64]], names: &[&str], digits: usize, expect: &str) {
        let pairs = (0..).zip(rows).flat_map(|(label, row)| {
            (0..).zip(row.iter()).flat_map(move |(predicted, count)| (0..*count).map(move |_| (label, predicted)))
        });
        let matrix = ConfusionMatrix::of(pairs, names.len()).expect("classes");
        let found = ClassReport::of_all(&matrix).text(|class| names[class].to_owned(), digits);
        assert_eq!(found, expect);
    }

    /// What scikit-learn 1.9.1 prints. 0.125 is written as 0.12: halves are rounded to even.
    #[test]
    fn the_text_is_that_of_scikit_learn() {
        let rows: &[&[u64]] = &[
            &[10, 1, 3, 2, 0, 0, 1, 1],
            &[1, 3, 0, 2, 0, 1, 0, 1],
            &[2, 0, 1, 1, 1, 0, 1, 1],
            &[1, 0, 2, 1, 1, 1, 0, 0],
            &[0, 0, 0, 1, 2, 0, 0, 1],
            &[0, 0, 2, 0, 2, 4, 2, 0],
            &[0, 0, 0, 0, 0, 0, 0, 0],
            &[0, 1, 0, 1, 0, 1, 0, 4],
        ];
        let names = ["class_0", "class_1", "class_2", "class_3", "class_4", "class_5", "class_6", "class_7"];
        let expect = "              precision    recall  f1-score   support\n\n     class_0       0.71      0.56      0.62        18\n     class_1       0.60      0.38      0.46         8\n     class_2       0.12      0.14      0.13         7\n     class_3       0.12      0.17      0.14         6\n     class_4       0.33      0.50      0.40         4\n     class_5       0.57      0.40      0.47        10\n     class_6       0.00      0.00      0.00         0\n     class_7       0.50      0.57      0.53         7\n\n    accuracy                           0.42        60\n   macro avg       0.37      0.34      0.35        60\nweighted avg       0.50      0.42      0.45        60\n";
        check(rows, &names, 2, expect);
    }

    #[test]
    fn a_long_name_widens_the_first_column() {
        let expect = "                      precision    recall  f1-score   support\n\n                caf\u{e9}      1.000     0.500     0.667         2\na long name of class      0.500     1.000     0.667         1\n\n            accuracy                          0.667         3\n           macro avg      0.750     0.750     0.667         3\n        weighted avg      0.833     0.667     0.667         3\n";
        check(&[&[1, 1], &[0, 1]], &["caf\u{e9}", "a long name of class"], 3, expect);
    }

    /// What scikit-learn 1.9.1 prints if no prediction is correct.
    #[test]
    fn supports_have_a_decimal_if_nothing_is_correct() {
        let expect = "              precision    recall  f1-score   support\n\n           a       0.00      0.00      0.00       1.0\n           b       0.00      0.00      0.00       1.0\n\n    accuracy                           0.00       2.0\n   macro avg       0.00      0.00      0.00       2.0\nweighted avg       0.00      0.00      0.00       2.0\n";
        check(&[&[0, 1], &[1, 0]], &["a", "b"], 2, expect);
    }
}
