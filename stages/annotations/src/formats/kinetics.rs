//! Lists of Kinetics: [`parse`].
//!
//! ```text
//! label,youtube_id,time_start,time_end,split,is_cc
//! testifying,---QUuC4vJs,84,94,validate,0
//! ```
//!
//! The official downloader names the clip that it cuts from a video `---QUuC4vJs_000084_000094`; others use only the id. The times
//! refer to the whole video, so they are not a segment of the clip.

use super::Role;
use crate::csv::CsvTable;
use crate::lists::{Label, ListFile, Row, Segment, Sink};
use pipe_schemas::stages::annotations::AnnotationsParams;

/// The columns that every list has.
const COLUMNS: [&str; 4] = ["label", "youtube_id", "time_start", "time_end"];

/// Returns whether the file has the columns of Kinetics.
pub(super) fn is_list(file: &ListFile, _params: &AnnotationsParams) -> bool {
    CsvTable::open(file, &COLUMNS, true, None, &mut Sink::default()).is_some()
}

/// Parses a list.
pub(super) fn parse(file: &ListFile, role: Role, _params: &AnnotationsParams, sink: &mut Sink) {
    let Some(csv) = CsvTable::open(file, &COLUMNS, true, None, sink) else { return };
    csv.each(file, sink, |record, location, sink| {
        let [label, id, start, end] = COLUMNS.map(|column| record.get(column).unwrap_or_default());
        if id.is_empty() || label.is_empty() {
            return sink.error(location, "the row has no label or no id", "each row must have both");
        }
        let name = match Segment::parse(start, end) {
            Ok(times) => format!("{id}_{:06}_{:06}", times.start_secs.round(), times.end_secs.round()),
            Err(message) => return sink.error(location, message, Segment::HELP),
        };
        let split = role.split(record.get("split"), &location, sink);
        let label = Label::Cell(sink.intern(label));
        sink.push(Row { alias: Some(id.to_owned()), ..Row::new(name, split, vec![label], location) });
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lists::RowSplit;
    use crate::test_data::{file, list, texts};
    use pipe_schemas::tables::Split;

    fn run(file: &ListFile, role: Role) -> Result<Vec<Row>, Vec<String>> {
        let mut sink = Sink::default();
        parse(file, role, &AnnotationsParams::default(), &mut sink);
        texts(sink.finish(None)).map(|listed| listed.rows)
    }

    #[test]
    fn clips_are_named_by_id_and_times() {
        let text = "label,youtube_id,time_start,time_end,split\n\"tasting, wine\",---QUuC4vJs,84,94,validate\n";
        let rows = run(&file("v.csv", text), Role(None)).expect("rows");
        assert_eq!(
            (rows[0].path.as_str(), rows[0].alias.as_deref()),
            ("---QUuC4vJs_000084_000094", Some("---QUuC4vJs"))
        );
        assert_eq!(
            (&rows[0].split, &rows[0].labels[..]),
            (&RowSplit::Subset("validate".into()), &[Label::Cell("tasting, wine".into())][..])
        );
        let rows = run(&file("v.csv", text), Role(Some(Split::Test))).expect("rows");
        assert_eq!(rows[0].split, RowSplit::Known(Split::Test));
        let other = run(&file("v.csv", text), Role(Some(Split::Train))).expect_err("problems");
        let help = "set `file` to this list, and choose rows with `subsets`";
        assert_eq!(other, [format!("v.csv:2: the training list contains a row of the subset `validate`; {help}")]);
        let unlabelled = run(&file("t.csv", "youtube_id,time_start,time_end,split\na,0,10,test\n"), Role(None));
        let expect =
            "t.csv:1: column `label` not found; the columns are `youtube_id`, `time_start`, `time_end`, `split`";
        assert_eq!(unlabelled.expect_err("problems"), [expect]);
    }

    #[test]
    fn real_lists_are_read() {
        for subset in ["train", "val", "test"] {
            let Some(file) = list(&format!("kinetics/otx_{subset}.csv")) else { return };
            let rows = run(&file, Role(None)).expect("rows");
            let found: Vec<_> = rows.iter().map(|row| (row.path.as_str(), row.alias.as_deref(), &row.split)).collect();
            let split = RowSplit::Subset(subset.into());
            assert_eq!(found, [("0_000000_000009", Some("0"), &split), ("1_000000_000009", Some("1"), &split)]);
        }
    }
}
