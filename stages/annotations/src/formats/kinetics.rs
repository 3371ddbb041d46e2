//! Kinetics' lists: [`parse`].
//!
//! ```text
//! label,youtube_id,time_start,time_end,split,is_cc
//! testifying,---QUuC4vJs,84,94,validate,0
//! ```
//!
//! The clip that was cut from a video is called `---QUuC4vJs_000084_000094` by the official downloader, and by the id
//! alone by others. The times are those in the whole video, so they are no segment of the clip.

use super::Role;
use super::table::{Csv, SECONDS, segment};
use crate::lists::{Label, ListFile, Row, Sink};

/// The columns that make a list Kinetics'.
pub(super) const COLUMNS: [&str; 4] = ["label", "youtube_id", "time_start", "time_end"];

/// Reads the rows of a list.
pub(super) fn parse(file: &ListFile, role: Role, sink: &mut Sink) {
    let Some(csv) = Csv::open(file, &COLUMNS, true, None, sink) else { return };
    csv.each(file, sink, |record, place, sink| {
        let [label, id, start, end] = COLUMNS.map(|column| record.get(column).unwrap_or_default());
        if id.is_empty() || label.is_empty() {
            return sink.problem(place, "the row has no label or no id", "each row has a label and names its video");
        }
        let name = match segment(start, end) {
            Ok(times) => format!("{id}_{:06}_{:06}", times.start_secs.round(), times.end_secs.round()),
            Err(message) => return sink.problem(place, message, SECONDS),
        };
        let part = role.part(record.get("split"), &place, sink);
        let label = Label::Name(sink.word(label));
        sink.row(Row { alias: Some(id.to_owned()), ..Row::new(name, part, vec![label], place) });
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lists::Part;
    use crate::test_data::{file, list, texts};
    use pipe_schemas::tables::Split;

    fn run(file: &ListFile, role: Role) -> Result<Vec<Row>, Vec<String>> {
        let mut sink = Sink::default();
        parse(file, role, &mut sink);
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
            (&rows[0].part, &rows[0].labels[..]),
            (&Part::Subset("validate".into()), &[Label::Name("tasting, wine".into())][..])
        );
        let rows = run(&file("v.csv", text), Role(Some(Split::Test))).expect("rows");
        assert_eq!(rows[0].part, Part::Of(Split::Test));
        let other = run(&file("v.csv", text), Role(Some(Split::Train))).expect_err("problems");
        let help = "give the list as `file`, and the rows to be used as `subsets`";
        assert_eq!(other, [format!("v.csv:2: the row is of the subset `validate`, in the training list; {help}")]);
        let unlabelled = run(&file("t.csv", "youtube_id,time_start,time_end,split\na,0,10,test\n"), Role(None));
        let expect =
            "t.csv:1: there is no column `label`; the columns are `youtube_id`, `time_start`, `time_end`, `split`";
        assert_eq!(unlabelled.expect_err("problems"), [expect]);
    }

    #[test]
    fn real_lists_are_read() {
        for subset in ["train", "val", "test"] {
            let Some(file) = list(&format!("kinetics/otx_{subset}.csv")) else { return };
            let rows = run(&file, Role(None)).expect("rows");
            let found: Vec<_> = rows.iter().map(|row| (row.path.as_str(), row.alias.as_deref(), &row.part)).collect();
            let part = Part::Subset(subset.into());
            assert_eq!(found, [("0_000000_000009", Some("0"), &part), ("1_000000_000009", Some("1"), &part)]);
        }
    }
}
