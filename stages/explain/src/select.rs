//! Chooses the videos that are explained, and the class that evidence is searched for.

use crate::ExplainError;
use crate::error::similar;
use pipe_schemas::stages::explain::TargetClass;
use pipe_schemas::tables::{PredictionRow, SampleRow};
use std::collections::BTreeSet;

/// Returns up to `count` evenly spaced videos.
pub(crate) fn evenly(videos: &[Vec<SampleRow>], count: usize) -> Vec<&[SampleRow]> {
    pipe_pictures::evenly(videos.len(), count).into_iter().map(|at| videos[at].as_slice()).collect()
}

/// Returns the videos with these paths or file names, in this order; all segments of a video that is divided.
pub(crate) fn named<'a>(videos: &'a [Vec<SampleRow>], names: &[String]) -> Result<Vec<&'a [SampleRow]>, ExplainError> {
    let ids: BTreeSet<&str> = videos.iter().map(|views| views[0].video_id.as_str()).collect();
    let mut chosen = Vec::new();
    for name in names {
        let id = find(&ids, name)?;
        chosen.extend(videos.iter().filter(|views| views[0].video_id == id).map(Vec::as_slice));
    }
    Ok(chosen)
}

/// Returns the id that is `name` or ends with it after a `/`.
fn find<'a>(ids: &BTreeSet<&'a str>, name: &str) -> Result<&'a str, ExplainError> {
    if let Some(id) = ids.get(name) {
        return Ok(id);
    }
    let is_file_name = |id: &&&str| id.strip_suffix(name).is_some_and(|folder| folder.ends_with('/'));
    let found: Vec<&str> = ids.iter().filter(is_file_name).copied().collect();
    match found.as_slice() {
        [id] => Ok(id),
        [] => {
            let file_name = |id: &&'a str| id.rsplit('/').next().unwrap_or(id);
            let known: Vec<&str> =
                ids.iter().flat_map(|id| [*id, file_name(id)]).collect::<BTreeSet<_>>().into_iter().collect();
            Err(ExplainError::UnknownVideo { name: name.to_owned(), similar: similar(name, known) })
        }
        several => {
            let videos = several.iter().map(|id| (*id).to_owned()).collect();
            Err(ExplainError::SeveralVideos { name: name.to_owned(), videos })
        }
    }
}

/// Returns up to `count` videos whose predicted class is not a label, that with the highest probability first. `predictions` are those
/// of `videos`, in any order.
pub(crate) fn most_confident_mistakes<'a>(
    videos: &'a [Vec<SampleRow>],
    predictions: &[PredictionRow],
    count: usize,
) -> Result<Vec<&'a [SampleRow]>, ExplainError> {
    let is_mistake = |row: &&PredictionRow| row.class_indices().all(|label| label != row.predicted_index);
    let mut mistakes: Vec<&PredictionRow> = predictions.iter().filter(is_mistake).collect();
    let confidence = |row: &PredictionRow| row.probabilities[row.predicted_index as usize];
    mistakes.sort_by(|one, two| confidence(two).total_cmp(&confidence(one)));
    let views = |row: &PredictionRow| videos.iter().find(|views| is_of(row, &views[0])).map(Vec::as_slice);
    let chosen: Vec<_> = mistakes.into_iter().take(count).filter_map(views).collect();
    if chosen.is_empty() { Err(ExplainError::NoMistakes { num_videos: videos.len() }) } else { Ok(chosen) }
}

/// Returns whether a prediction is that of the video or segment of a row.
pub(crate) fn is_of(prediction: &PredictionRow, row: &SampleRow) -> bool {
    prediction.video_id == row.video_id
        && prediction.start_secs == row.start_secs
        && prediction.end_secs == row.end_secs
}

/// Returns the class that evidence is searched for.
pub(crate) fn target(
    target: &TargetClass,
    prediction: &PredictionRow,
    classes: &[String],
) -> Result<usize, ExplainError> {
    match target {
        TargetClass::Predicted => Ok(prediction.predicted_index as usize),
        TargetClass::Label => Ok(prediction.class_index as usize),
        TargetClass::Index(index) if (*index as usize) < classes.len() => Ok(*index as usize),
        TargetClass::Index(index) => Err(ExplainError::ClassOutOfRange { index: *index, num_classes: classes.len() }),
        TargetClass::Name(name) => classes.iter().position(|class| class == name).ok_or_else(|| {
            let similar = similar(name, classes.iter().map(String::as_str));
            ExplainError::UnknownClass { name: name.clone(), similar }
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn video(id: &str) -> Vec<SampleRow> {
        let text = format!(
            r#"{{"epoch": 0, "position": 0, "video_id": "{id}", "start_secs": null, "end_secs": null, "class_index": 1,
                "more_class_indices": [], "view": 0, "frame_indices": [0], "crop_x": 0, "crop_y": 0, "crop_width": 8,
                "crop_height": 8, "flip": false, "pixel_ops": "", "mix_position": null, "mix_share": 0, "mix_box": []}}"#
        );
        vec![serde_json::from_str(&text).expect("a row")]
    }

    fn ids(chosen: &[&[SampleRow]]) -> Vec<String> {
        chosen.iter().map(|views| views[0].video_id.clone()).collect()
    }

    #[test]
    fn videos_are_found_by_path_or_file_name() {
        let videos = ["a/v_one.avi", "a/v_two.avi", "b/v_one.avi"].map(video);
        let find = |name: &str| {
            named(&videos, &[name.to_owned()]).map(|chosen| ids(&chosen)).map_err(|error| error.to_string())
        };
        assert_eq!(find("v_two.avi"), Ok(vec!["a/v_two.avi".to_owned()]));
        assert_eq!(find("b/v_one.avi"), Ok(vec!["b/v_one.avi".to_owned()]));
        let error = find("v_one.avi").expect_err("two videos");
        assert_eq!(error, "`v_one.avi` is the name of 2 videos: a/v_one.avi, b/v_one.avi");
        let error = find("v_tow.avi").expect_err("no such video");
        assert!(
            error.starts_with("no test sample is from a video `v_tow.avi`; similar names are `v_two.avi`"),
            "{error}"
        );
        assert!(find("two.avi").is_err(), "a part of a file name");
    }

    #[test]
    fn mistakes_are_sorted_by_confidence() {
        let videos = ["a", "b", "c", "d"].map(video);
        let prediction = |id: &str, probabilities: [f32; 2]| PredictionRow {
            video_id: id.into(),
            class_index: 1,
            predicted_index: u32::from(probabilities[1] > probabilities[0]),
            probabilities: probabilities.into(),
            ..PredictionRow::default()
        };
        let mut predictions = vec![
            prediction("a", [0.6, 0.4]),
            prediction("b", [0.1, 0.9]),
            prediction("c", [0.8, 0.2]),
            prediction("d", [0.7, 0.3]),
        ];
        let chosen =
            |predictions: &[PredictionRow]| most_confident_mistakes(&videos, predictions, 2).map(|chosen| ids(&chosen));
        assert_eq!(chosen(&predictions).expect("mistakes"), ["c", "d"]);
        predictions[2].more_class_indices = vec![0];
        assert_eq!(chosen(&predictions).expect("mistakes"), ["d", "a"], "another label of the video is no mistake");
        let error = chosen(&predictions[1..3]).expect_err("no mistakes").to_string();
        assert_eq!(error, "there are no mistakes to explain: all 4 test videos are predicted correctly");
    }

    #[test]
    fn classes_are_found_by_index_and_name() {
        let classes = ["Run", "Walk"].map(str::to_owned);
        let prediction = PredictionRow { class_index: 0, predicted_index: 1, ..PredictionRow::default() };
        let find = |class| target(&class, &prediction, &classes).map_err(|error| error.to_string());
        assert_eq!([find(TargetClass::Predicted), find(TargetClass::Label)], [Ok(1), Ok(0)]);
        assert_eq!([find(TargetClass::Index(1)), find(TargetClass::Name("Run".into()))], [Ok(1), Ok(0)]);
        let error = find(TargetClass::Name("walk".into())).expect_err("another letter case");
        assert_eq!(error, "the model has no class `walk`; similar names are `Walk`, `Run`");
        let error = find(TargetClass::Index(2)).expect_err("out of range");
        assert_eq!(error, "class 2 is out of range: the model has 2 classes, counted from 0");
    }
}
