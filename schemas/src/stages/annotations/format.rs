//! [`AnnotationFormat`]: how label lists are written, and what each format needs; see [`AnnotationFormat::rules`].

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the label lists are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AnnotationFormat {
    /// Detect the format from the files. Never detects `rawframe_list`, `class_folder` or `table`; if the files fit no
    /// format, or several, the stage fails.
    Auto,
    /// UCF101: `classInd.txt`, `trainlist0K.txt` and `testlist0K.txt`. Labels count from 1.
    Ucf101,
    /// HMDB51: `CLASS_test_splitK.txt`, with 0 for unused, 1 for training and 2 for test.
    Hmdb51,
    /// One video per line, `path label`: video lists of MMAction2, SlowFast and VideoMAE.
    VideoList,
    /// One folder of frames per line, `folder num_frames label`: rawframe lists of MMAction2, matched with the videos that
    /// the frames come from.
    RawframeList,
    /// CSV with the columns `label,youtube_id,time_start,time_end,split`: Kinetics-400, 600 and 700.
    Kinetics,
    /// JSON with `id`, `label` and `template`: Something-Something v2. Needs `label_map`.
    Sthv2,
    /// JSON with `annotations: [{segment, label}]` for each video: ActivityNet.
    Activitynet,
    /// No lists: one folder of videos per class, optionally below `train` and `test` (or `val`).
    ClassFolder,
    /// Any CSV, TSV, JSON or JSON Lines file; `columns` names the columns.
    Table,
}

/// What a format needs from the parameters.
#[derive(Debug, Clone, Copy)]
pub(super) struct FormatRules {
    pub(super) name: &'static str,
    pub(super) lists: Lists,
    /// Parameters that only some formats read, and this one does.
    pub(super) params: &'static [&'static str],
}

/// Where the lists of a format are.
#[derive(Debug, Clone, Copy)]
pub(super) enum Lists {
    /// In files that match these globs, in which `{split}` stands for the number of the split.
    Fixed(&'static [&'static str]),
    /// In the files that `train`, `test` and `file` name.
    Named,
    /// Either; detected from the files.
    Detected,
    /// Nowhere: the paths of the videos are the labels.
    None,
}

/// The files of UCF101's and HMDB51's lists.
pub(super) const UCF101_FILES: [&str; 3] = ["classInd.txt", "trainlist0{split}.txt", "testlist0{split}.txt"];
pub(super) const HMDB51_FILES: [&str; 1] = ["**/*_test_split{split}.txt"];

/// Parameters that every format with [`Lists::Named`] reads.
pub(super) const NAMED_PARAMS: [&str; 7] =
    ["train", "test", "file", "test_share", "label_map", "num_classes", "first_label"];

impl AnnotationFormat {
    /// Returns the name as written in a pipeline file.
    pub fn name(self) -> &'static str {
        self.rules().name
    }

    /// Returns whether this format reads the parameter `param`, one that only some formats read.
    pub(super) fn reads(self, param: &str) -> bool {
        let FormatRules { lists, params, .. } = self.rules();
        let named = matches!(lists, Lists::Named | Lists::Detected);
        params.contains(&param) || (named && NAMED_PARAMS.contains(&param))
    }

    /// Returns what the format needs: the one place to extend for a new format.
    pub(super) fn rules(self) -> FormatRules {
        let (name, lists, params): (_, _, &[_]) = match self {
            Self::Auto => ("auto", Lists::Detected, &["subsets"]),
            Self::Ucf101 => ("ucf101", Lists::Fixed(&UCF101_FILES), &[]),
            Self::Hmdb51 => ("hmdb51", Lists::Fixed(&HMDB51_FILES), &[]),
            Self::VideoList => ("video_list", Lists::Named, &["delimiter", "multi_class"]),
            Self::RawframeList => ("rawframe_list", Lists::Named, &["delimiter", "multi_class", "with_offset"]),
            Self::Kinetics => ("kinetics", Lists::Named, &["subsets"]),
            Self::Sthv2 => ("sthv2", Lists::Named, &[]),
            Self::Activitynet => ("activitynet", Lists::Named, &["subsets"]),
            Self::ClassFolder => ("class_folder", Lists::None, &["subsets", "test_share"]),
            Self::Table => ("table", Lists::Named, &["subsets", "delimiter", "multi_class", "columns"]),
        };
        FormatRules { name, lists, params }
    }
}
