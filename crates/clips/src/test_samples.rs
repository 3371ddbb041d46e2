//! [`TestSamples`]: the test views of a folder of samples, and [`TestSamples::check`]: whether a network takes them.

use crate::ClipSize;
use pipe_schemas::tables::{Labelling, MissingCounts, Preprocessing, SampleRow, Split};
use pipe_tables::{SamplesFolder, TableError};
use std::fmt;
use std::path::Path;

/// The test views of samples.
#[derive(Debug, Clone, PartialEq)]
pub struct TestSamples {
    /// The views, those of a video or segment one after the other; at least one.
    pub rows: Vec<SampleRow>,
    /// Names of the classes.
    pub classes: Vec<String>,
    /// Size of a view.
    pub clip_size: ClipSize,
    /// Whether a video may have several labels.
    pub labelling: Labelling,
    /// Why other videos of the test list have no views.
    pub missing: MissingCounts,
}

/// What a network takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Takes<'a> {
    /// How messages name the network: `the model`.
    pub name: &'a str,
    /// Size of a clip.
    pub clip_size: ClipSize,
    /// What it was trained on.
    pub labelling: Labelling,
    /// Names of its classes.
    pub classes: &'a [String],
}

/// Why a network can't be run on test samples.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the message of a variant says what its fields are")]
pub enum TestSamplesError {
    /// The samples can't be read.
    #[error(transparent)]
    Table(#[from] TableError),
    /// The test list is empty, or nothing of it has samples.
    #[error("there are no test samples: {}", missing.why_no_samples("test"))]
    None {
        /// Why the videos of the test list have no samples.
        missing: MissingCounts,
    },
    /// The network takes clips of another size.
    #[error("the samples are clips of {found}, {network} takes {expected}")]
    OtherClips { network: String, expected: ClipSize, found: ClipSize },
    /// The network has other classes.
    #[error("the samples do not have the classes of {network}: {}", difference(network, expected, found))]
    OtherClasses { network: String, expected: Vec<String>, found: Vec<String> },
    /// The samples have several labels per video, and the network was trained with one.
    #[error("the samples have several labels per video, but {network} was trained with one")]
    SeveralLabels { network: String },
}

impl TestSamples {
    /// Reads the test views of a folder of samples.
    ///
    /// # Errors
    /// [`TestSamplesError::None`] if there is no view, [`TestSamplesError::Table`] if the samples can't be read.
    pub fn read(folder: &Path) -> Result<Self, TestSamplesError> {
        let samples = SamplesFolder::open(folder);
        let (rows, preprocessing) = (samples.test()?, samples.preprocessing()?);
        let missing = MissingCounts::of(&samples.missing()?, Split::Test);
        if rows.is_empty() {
            return Err(TestSamplesError::None { missing });
        }
        Ok(Self {
            rows,
            classes: samples.classes()?.into_iter().map(|class| class.class_name).collect(),
            clip_size: ClipSize::of_test_views(&preprocessing),
            labelling: preprocessing.labelling,
            missing,
        })
    }

    /// Reads the test views, and checks that a network takes them.
    ///
    /// # Errors
    /// As [`Self::read`] and [`Self::check`].
    pub fn read_for(folder: &Path, takes: Takes<'_>) -> Result<Self, TestSamplesError> {
        let samples = Self::read(folder)?;
        samples.check(takes)?;
        Ok(samples)
    }

    /// Checks that a network takes the views, and has their classes in their order.
    ///
    /// # Errors
    /// The first thing that differs.
    pub fn check(&self, takes: Takes<'_>) -> Result<(), TestSamplesError> {
        self.check_clips(takes)?;
        let network = takes.name.to_owned();
        if (takes.labelling, self.labelling) == (Labelling::SingleLabel, Labelling::MultiLabel) {
            return Err(TestSamplesError::SeveralLabels { network });
        }
        if takes.classes != self.classes {
            let (expected, found) = (takes.classes.to_vec(), self.classes.clone());
            return Err(TestSamplesError::OtherClasses { network, expected, found });
        }
        Ok(())
    }

    /// Checks only the size of the clips, for what does not depend on labels.
    ///
    /// # Errors
    /// [`TestSamplesError::OtherClips`].
    pub fn check_clips(&self, takes: Takes<'_>) -> Result<(), TestSamplesError> {
        let (network, expected, found) = (takes.name.to_owned(), takes.clip_size, self.clip_size);
        if expected == found { Ok(()) } else { Err(TestSamplesError::OtherClips { network, expected, found }) }
    }

    /// Returns the views of each video or segment, in the order of their first views.
    pub fn by_video(self) -> Vec<Vec<SampleRow>> {
        let mut videos: Vec<Vec<SampleRow>> = Vec::new();
        for row in self.rows {
            match videos.last_mut() {
                Some(views) if views[0].sample() == row.sample() => views.push(row),
                _ => videos.push(vec![row]),
            }
        }
        videos
    }

    /// Returns at most `count` views, spread evenly over all.
    pub fn spread(&self, count: usize) -> Vec<SampleRow> {
        let count = count.min(self.rows.len());
        (0..count).map(|at| self.rows[at * self.rows.len() / count].clone()).collect()
    }
}

impl TestSamplesError {
    /// Returns what the user can do about it.
    pub fn help(&self) -> Option<&'static str> {
        match self {
            Self::Table(_) => None,
            Self::None { .. } => Some("see the warnings of `ingest`, `annotations`, `frames` and `augment`"),
            Self::OtherClips { .. } => Some("connect the samples that the network was trained with"),
            Self::OtherClasses { .. } => Some(
                "the classes and their order must be equal: see the label map of `annotations` and of `pretrained`",
            ),
            Self::SeveralLabels { .. } => {
                Some("train on these samples, or connect those that the network was trained with")
            }
        }
    }
}

impl ClipSize {
    /// Returns the size of the test views of samples.
    pub fn of_test_views(preprocessing: &Preprocessing) -> Self {
        let Preprocessing { test_frames, height_px, width_px, .. } = *preprocessing;
        let [frames, height, width] = [test_frames, height_px, width_px].map(|size| size as usize);
        Self { frames, height, width }
    }
}

/// As `8 frames of 112x112 px`.
impl fmt::Display for ClipSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.frames == 1 { "" } else { "s" };
        write!(f, "{} frame{plural} of {}x{} px", self.frames, self.width, self.height)
    }
}

/// Describes the first difference of two lists of classes that are not equal.
fn difference(network: &str, expected: &[String], found: &[String]) -> String {
    if expected.len() != found.len() {
        return format!("the samples have {} classes, {network} has {}", found.len(), expected.len());
    }
    let mut differ = (0..).zip(found.iter().zip(expected)).filter(|(_, (found, expected))| found != expected);
    let Some((index, (in_samples, in_network))): Option<(usize, _)> = differ.next() else { return String::new() };
    let others = match differ.count() {
        0 => String::new(),
        1 => ", and 1 other class differs".to_owned(),
        others => format!(", and {others} other classes differ"),
    };
    format!("class {index} is `{in_samples}` in the samples, `{in_network}` in {network}{others}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: ClipSize = ClipSize { frames: 1, height: 112, width: 160 };

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn samples(classes: &[&str], labelling: Labelling, videos: &[&str]) -> TestSamples {
        let row = |video: &&str| SampleRow { video_id: (*video).to_owned(), ..SampleRow::default() };
        let (rows, missing) = (videos.iter().map(row).collect(), MissingCounts::default());
        TestSamples { rows, classes: names(classes), clip_size: SIZE, labelling, missing }
    }

    #[test]
    fn the_first_difference_is_described() {
        let check = |expected: &[&str], clip_size, labelling, found: &[&str], expect: &str| {
            let takes =
                Takes { name: "the model", clip_size, labelling: Labelling::SingleLabel, classes: &names(expected) };
            let error = samples(found, labelling, &["a"]).check(takes).map_err(|error| error.to_string());
            assert_eq!(error.err().unwrap_or_default(), expect);
        };
        let single = Labelling::SingleLabel;
        check(&["a"], SIZE, single, &["a"], "");
        let size = ClipSize { frames: 8, ..SIZE };
        check(
            &["a"],
            size,
            single,
            &["a"],
            "the samples are clips of 1 frame of 160x112 px, the model takes 8 frames of 160x112 px",
        );
        let several = "the samples have several labels per video, but the model was trained with one";
        check(&["a"], SIZE, Labelling::MultiLabel, &["a"], several);
        let classes = |expect: &str| format!("the samples do not have the classes of the model: {expect}");
        check(&["a"], SIZE, single, &["a", "b"], &classes("the samples have 2 classes, the model has 1"));
        let one = "class 1 is `c` in the samples, `b` in the model";
        check(&["a", "b"], SIZE, single, &["a", "c"], &classes(one));
        let three = "class 0 is `b` in the samples, `a` in the model, and 2 other classes differ";
        check(&["a", "b", "c"], SIZE, single, &["b", "c", "a"], &classes(three));
    }

    #[test]
    fn views_are_grouped_and_spread() {
        let samples = samples(&["a"], Labelling::SingleLabel, &["a", "a", "b", "c", "c", "c"]);
        let ids = |rows: &[SampleRow]| rows.iter().map(|row| row.video_id.clone()).collect::<String>();
        assert_eq!([2, 3, 99].map(|count| ids(&samples.spread(count))), ["ac", "abc", "aabccc"]);
        let counts: Vec<usize> = samples.by_video().iter().map(Vec::len).collect();
        assert_eq!(counts, [2, 1, 3]);
    }
}
