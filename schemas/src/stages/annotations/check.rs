//! What parameters of `annotations` can't mean together: [`check`].

use super::{AnnotationFormat, AnnotationsParams, Columns, Subsets};
use crate::contract::ParamError;
use std::path::{Component, Path};

/// Returns everything that is wrong with `params`.
pub(super) fn check(params: &AnnotationsParams) -> Vec<ParamError> {
    let mut errors = Vec::new();
    let mut wrong = |path: &[&str], message: String, help: &str| {
        errors.push(ParamError { path: path.iter().map(ToString::to_string).collect(), message, help: help.into() });
    };
    let format = params.format;
    for param in params.given().into_iter().filter(|param| !format.has_param(param)) {
        wrong(&[param], format!("`{}` has no `{param}`", format.name()), "take it away, or choose another `format`");
    }
    if format == AnnotationFormat::ClassFolder && params.root.is_some() {
        wrong(&["root"], "`class_folder` reads no lists".into(), "take it away");
    }
    params.check_lists(&mut wrong);
    params.check_fields(&mut wrong);
    errors
}

impl AnnotationFormat {
    /// Whether its lists are those that `train`, `test` or `file` name.
    fn reads_named_lists(self) -> bool {
        !matches!(self, Self::Auto | Self::Ucf101 | Self::Hmdb51 | Self::ClassFolder)
    }

    /// Whether a parameter that not all formats have says something in this one.
    fn has_param(self, param: &str) -> bool {
        let by_name = self == Self::Auto || self.reads_named_lists();
        match param {
            "test_share" => by_name || self == Self::ClassFolder,
            "subsets" => {
                matches!(self, Self::Auto | Self::Kinetics | Self::Activitynet | Self::ClassFolder | Self::Table)
            }
            "delimiter" | "multi_class" => matches!(self, Self::VideoList | Self::RawframeList | Self::Table),
            "with_offset" => self == Self::RawframeList,
            "columns" => self == Self::Table,
            _ => by_name,
        }
    }
}

impl AnnotationsParams {
    /// Returns the parameters that not all formats have and that are not as by default.
    fn given(&self) -> Vec<&'static str> {
        let given = [
            ("train", self.train.is_some()),
            ("test", self.test.is_some()),
            ("file", self.file.is_some()),
            ("subsets", self.subsets != Subsets::default()),
            ("test_share", self.test_share.is_some()),
            ("label_map", self.label_map.is_some()),
            ("num_classes", self.num_classes.is_some()),
            ("first_label", self.first_label.is_some()),
            ("delimiter", self.delimiter.is_some()),
            ("multi_class", self.multi_class),
            ("with_offset", self.with_offset),
            ("columns", self.columns != Columns::default()),
        ];
        given.into_iter().filter(|(_, given)| *given).map(|(name, _)| name).collect()
    }

    /// Checks which lists are named.
    fn check_lists(&self, wrong: &mut impl FnMut(&[&str], String, &str)) {
        let format = self.format.name();
        if self.file.is_some() && (self.train.is_some() || self.test.is_some()) {
            wrong(&["file"], "`file` stands in place of `train` and `test`".into(), "take `file` away, or the others");
        } else if self.format.reads_named_lists() && self.file.is_none() && self.train.is_none() {
            let help = "train: a file below `root`, and test: another; or file: one that holds both";
            wrong(&["format"], format!("`{format}` does not know its lists by name"), help);
        }
        for (param, file) in self.named_files() {
            let below =
                Path::new(file).components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
            if !below || file.is_empty() {
                wrong(&[param], format!("`{file}` is no file below `root`"), "a path without `..`, relative to `root`");
            }
        }
        if self.format == AnnotationFormat::Sthv2 && self.label_map.is_none() {
            let help = "label_map: something-something-v2-labels.json";
            wrong(&["format"], "`sthv2` needs the order of its classes".into(), help);
        }
    }

    /// Checks what says how the lists are written.
    fn check_fields(&self, wrong: &mut impl FnMut(&[&str], String, &str)) {
        for (name, column) in [("video", &self.columns.video), ("label", &self.columns.label)] {
            if self.format == AnnotationFormat::Table && column.is_none() {
                wrong(
                    &["columns"],
                    format!("`columns` does not say where `{name}` is"),
                    "columns: { video: path, label: class }",
                );
            }
        }
        if self.columns.start.is_some() != self.columns.end.is_some() {
            wrong(&["columns"], "a segment has a start and an end".into(), "give `start` and `end`, or neither");
        }
        if self.columns.label_delimiter.is_some() && !self.multi_class {
            let help = "multi_class: true, or no `label_delimiter`";
            wrong(
                &["columns", "label_delimiter"],
                "a video has one label unless `multi_class` says otherwise".into(),
                help,
            );
        }
        let delimiters = [
            (&["delimiter"] as &[&str], &self.delimiter),
            (&["columns", "label_delimiter"], &self.columns.label_delimiter),
        ];
        for (path, delimiter) in delimiters {
            if delimiter.as_ref().is_some_and(|text| text.is_empty() || text.contains(['\n', '\r', '"'])) {
                wrong(path, "it does not part the fields of a line".into(), "one or more characters, as in \", \"");
            }
        }
        if self.test_share.is_some_and(|share| !(share > 0.0 && share < 1.0)) {
            wrong(
                &["test_share"],
                "it leaves one of the two lists empty".into(),
                "a number between 0 and 1, such as 0.2",
            );
        } else if self.test_share.is_some() && (self.train.is_some() || self.test.is_some()) {
            let help = "file: the list to be parted, in place of `train` and `test`";
            wrong(&["test_share"], "`train` and `test` part the videos already".into(), help);
        }
        if self.label_map.is_some() && self.num_classes.is_some() {
            wrong(&["num_classes"], "the label map says how many classes there are".into(), "take one of the two away");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[track_caller]
    fn check(params: Value, expect: &[&str]) {
        let params: AnnotationsParams = serde_json::from_value(params).expect("parameters");
        let found =
            super::check(&params).into_iter().map(|error| format!("{}: {}", error.path.join("."), error.message));
        assert_eq!(found.collect::<Vec<_>>(), expect);
    }

    #[test]
    fn formats_have_parameters_of_their_own() {
        check(json!({}), &[]);
        check(json!({"format": "ucf101", "split": 2, "missing": "warn"}), &[]);
        check(json!({"format": "class_folder", "test_share": 0.2, "group": {"regex": "^[^_]*"}}), &[]);
        check(json!({"format": "video_list", "train": "a.txt", "test": "lists/b.txt", "delimiter": ","}), &[]);
        let columns = json!({"video": "FILE", "label": "CLASSES", "label_delimiter": ","});
        check(json!({"format": "table", "file": "a.csv", "multi_class": true, "columns": columns}), &[]);
        check(
            json!({"format": "hmdb51", "train": "a.txt", "label_map": "../m.txt"}),
            &[
                "train: `hmdb51` has no `train`",
                "label_map: `hmdb51` has no `label_map`",
                "label_map: `../m.txt` is no file below `root`",
            ],
        );
        check(json!({"format": "class_folder", "root": "x"}), &["root: `class_folder` reads no lists"]);
    }

    #[test]
    fn lists_and_columns_must_be_told() {
        check(json!({"format": "kinetics", "test": "a.csv"}), &["format: `kinetics` does not know its lists by name"]);
        check(
            json!({"format": "kinetics", "file": "a.csv", "test": "b.csv"}),
            &["file: `file` stands in place of `train` and `test`"],
        );
        check(json!({"format": "sthv2", "train": "a.json"}), &["format: `sthv2` needs the order of its classes"]);
        check(
            json!({"format": "table", "file": "a.csv", "columns": {"label": "b", "start": "c"}, "test_share": 1}),
            &[
                "columns: `columns` does not say where `video` is",
                "columns: a segment has a start and an end",
                "test_share: it leaves one of the two lists empty",
            ],
        );
        check(
            json!({"format": "video_list", "train": "a", "delimiter": "", "num_classes": 2, "label_map": "b"}),
            &[
                "delimiter: it does not part the fields of a line",
                "num_classes: the label map says how many classes there are",
            ],
        );
    }
}
