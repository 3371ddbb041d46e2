//! [`SliceTable`]: a table of the user that says what videos are divided by.

use super::Column;
use crate::EvaluationError;
use pipe_schemas::tables::PredictionRow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The name of the first column.
const KEY: &str = "video_id";

/// A column with more values than this is an id or a measurement, which gives no slices.
const MAX_VALUES: usize = 200;

/// What a user's table says about videos.
#[derive(Debug, Clone, PartialEq)]
pub struct SliceTable {
    /// One column for each of the table after the first.
    pub columns: Vec<Column>,
    /// Number of videos of the table.
    pub num_videos: usize,
    /// Number of videos of the table that are not evaluated.
    pub num_unused: usize,
    /// Number of evaluated videos or segments that are not in the table. Their value is `unknown`.
    pub num_unknown: usize,
}

impl SliceTable {
    /// Reads a CSV file, or a TSV file if its name ends so. Its first column is `video_id`; each other column divides the videos by its
    /// values. An empty cell is an unknown value.
    ///
    /// # Errors
    /// [`EvaluationError::Slices`], with file and line, if the file is not such a table or has a column of the name `taken`.
    pub fn read(path: &Path, predictions: &[PredictionRow], taken: &[Column]) -> Result<Self, EvaluationError> {
        let wrong = |line: u64, problem: String| EvaluationError::Slices { path: path.to_owned(), line, problem };
        let is_tsv = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("tsv"));
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(if is_tsv { b'\t' } else { b',' })
            .trim(csv::Trim::All)
            .from_reader(fs_err::File::open(path)?);
        let of_csv = |error: csv::Error| {
            let line = error.position().map_or(1, csv::Position::line);
            wrong(line, explained(&error))
        };
        let names: Vec<String> = reader.headers().map_err(of_csv)?.iter().map(str::to_owned).collect();
        check_names(&names, taken).map_err(|problem| wrong(1, problem))?;
        let mut rows: BTreeMap<String, (u64, csv::StringRecord)> = BTreeMap::new();
        for record in reader.records() {
            let record = record.map_err(of_csv)?;
            let line = record.position().map_or(1, csv::Position::line);
            let video_id = record.get(0).unwrap_or_default().to_owned();
            if let Some((first, _)) = rows.get(&video_id) {
                return Err(wrong(line, format!("the video `{video_id}` is in line {first} too")));
            }
            rows.insert(video_id, (line, record));
        }
        let column = |at: usize| {
            let values: BTreeSet<&str> = rows.values().filter_map(|(_, record)| record.get(at)).collect();
            if values.len() > MAX_VALUES {
                let (name, count) = (&names[at], values.len());
                let problem =
                    format!("the column `{name}` has {count} different values; slices need at most {MAX_VALUES}");
                return Err(wrong(1, problem));
            }
            let value = |row: &PredictionRow| rows.get(&row.video_id)?.1.get(at).filter(|value| !value.is_empty());
            let values = predictions.iter().map(|row| value(row).map(|value| (0, value.to_owned())));
            Ok(Column { name: names[at].clone(), values: values.collect() })
        };
        let evaluated: BTreeSet<&str> = predictions.iter().map(|row| row.video_id.as_str()).collect();
        Ok(Self {
            columns: (1..names.len()).map(column).collect::<Result<_, _>>()?,
            num_videos: rows.len(),
            num_unused: rows.keys().filter(|video| !evaluated.contains(video.as_str())).count(),
            num_unknown: predictions.iter().filter(|row| !rows.contains_key(&row.video_id)).count(),
        })
    }

    /// Returns which videos are only in the table or only in the predictions; `None` if they are the same.
    pub fn warning(&self) -> Option<String> {
        let Self { num_videos, num_unused, num_unknown, .. } = *self;
        (num_unused + num_unknown > 0).then(|| {
            format!(
                "the table of slices has {num_videos} videos: {num_unused} are not evaluated, and {num_unknown} predictions are of \
                 videos that it does not have; their slice is `unknown`"
            )
        })
    }
}

fn check_names(names: &[String], taken: &[Column]) -> Result<(), String> {
    if names.first().is_none_or(|name| name != KEY) {
        let found = names.first().map_or("", String::as_str);
        return Err(format!("the first column is `{found}`, expected `{KEY}`"));
    }
    if names.len() < 2 {
        return Err(format!("there is no column after `{KEY}`"));
    }
    for (at, name) in names.iter().enumerate() {
        if name.is_empty() {
            return Err(format!("column {} has no name", at + 1));
        }
        if names[..at].contains(name) {
            return Err(format!("two columns have the name `{name}`"));
        }
        if taken.iter().any(|column| column.name == *name) {
            return Err(format!("the column `{name}` exists without this table; rename it"));
        }
    }
    Ok(())
}

/// Returns what is wrong with a line, as a fragment.
fn explained(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("{len} fields, but the first line has {expected_len}; put fields that contain commas in quotes")
        }
        csv::ErrorKind::Utf8 { .. } => "the text is not UTF-8".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::tests::row;

    fn read(name: &str, text: &[u8]) -> Result<SliceTable, String> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(name);
        fs_err::write(&path, text).expect("a file");
        let predictions = ["a", "b", "c"].map(|video| row(video, 0, &[1.0]));
        let taken = [Column { name: "duration".to_owned(), values: Vec::new() }];
        SliceTable::read(&path, &predictions, &taken).map_err(|error| match error {
            EvaluationError::Slices { line, problem, .. } => format!("{line}: {problem}"),
            other => other.to_string(),
        })
    }

    #[test]
    fn a_table_divides_videos_by_its_columns() {
        for (name, text) in [
            ("t.csv", "video_id,camera,site\na,\"left, front\",1\nc,,2\nz,right,3\n"),
            ("t.tsv", "video_id\tcamera\tsite\r\na\tleft, front\t1\r\nc\t\t2\r\nz\tright\t3"),
        ] {
            let found = read(name, text.as_bytes()).expect("a table");
            let texts = |at: usize| -> Vec<&str> {
                found.columns[at].values.iter().map(|value| value.as_ref().map_or("-", |(_, text)| text)).collect()
            };
            assert_eq!((texts(0), texts(1)), (vec!["left, front", "-", "-"], vec!["1", "-", "2"]), "{name}");
            assert_eq!((found.num_videos, found.num_unused, found.num_unknown), (3, 1, 1));
            assert!(found.warning().is_some_and(|text| text.contains("1 are not evaluated, and 1 predictions")));
        }
        let same = read("t.csv", b"video_id,camera\na,1\nb,1\nc,2\n").expect("a table");
        assert_eq!(same.warning(), None);
    }

    #[test]
    fn a_wrong_table_is_an_error_with_its_line() {
        let check = |text: &str, expect: &str| assert_eq!(read("t.csv", text.as_bytes()).expect_err(text), expect);
        check("", "1: the first column is ``, expected `video_id`");
        check("name,camera\na,1\n", "1: the first column is `name`, expected `video_id`");
        check("video_id\na\n", "1: there is no column after `video_id`");
        check("video_id,x,x\n", "1: two columns have the name `x`");
        check("video_id,\n", "1: column 2 has no name");
        check("video_id,duration\n", "1: the column `duration` exists without this table; rename it");
        check("video_id,x\na,1\nb,2\na,3\n", "4: the video `a` is in line 2 too");
        let fields = "3: 3 fields, but the first line has 2; put fields that contain commas in quotes";
        check("video_id,x\na,1\nb,2,3\n", fields);
        let many: String = (0..=MAX_VALUES).map(|at| format!("v{at},{at}\n")).collect();
        check(&format!("video_id,x\n{many}"), "1: the column `x` has 201 different values; slices need at most 200");
        assert_eq!(read("t.csv", b"video_id,x\na,\xff\n").expect_err("not UTF-8"), "2: the text is not UTF-8");
    }
}
