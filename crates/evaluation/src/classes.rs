//! [`classes_without_videos`]: a warning about classes that metrics say nothing about.

use pipe_schemas::tables::PredictionRow;
use std::collections::BTreeSet;

/// Maximum number of classes that the warning names.
const MAX_NAMED: usize = 10;

/// Returns a warning about classes that no evaluated video has as a label: the metrics say nothing about them.
pub fn classes_without_videos(predictions: &[PredictionRow], classes: &[String]) -> Option<String> {
    let with: BTreeSet<u32> = predictions.iter().flat_map(PredictionRow::class_indices).collect();
    let without: Vec<&str> =
        (0..).zip(classes).filter(|(index, _)| !with.contains(index)).map(|(_, name)| name.as_str()).collect();
    let (count, total) = (without.len(), classes.len());
    let verb = if count == 1 { "has" } else { "have" };
    let more = if count > MAX_NAMED { format!(" and {} more", count - MAX_NAMED) } else { String::new() };
    let named = without.iter().take(MAX_NAMED).copied().collect::<Vec<_>>().join(", ");
    (count > 0).then(|| {
        format!("{count} of {total} classes {verb} no evaluated test video, so the metrics do not measure them: {named}{more}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prediction(class_index: u32, more: &[u32]) -> PredictionRow {
        PredictionRow { class_index, more_class_indices: more.into(), ..PredictionRow::default() }
    }

    #[test]
    fn classes_without_a_test_video_are_named() {
        let classes: Vec<String> = (0..14).map(|class| format!("c{class}")).collect();
        let all: Vec<_> = (0..14).map(|class| prediction(class, &[])).collect();
        assert_eq!(classes_without_videos(&all, &classes), None);
        let found = classes_without_videos(&[prediction(1, &[3]), prediction(0, &[])], &classes[..4]);
        let expect = "1 of 4 classes has no evaluated test video, so the metrics do not measure them: c2";
        assert_eq!(found.as_deref(), Some(expect));
        let found = classes_without_videos(&all[..2], &classes).expect("a warning");
        assert!(
            found.starts_with("12 of 14 classes have ")
                && found.ends_with(": c2, c3, c4, c5, c6, c7, c8, c9, c10, c11 and 2 more"),
            "{found}"
        );
    }
}
