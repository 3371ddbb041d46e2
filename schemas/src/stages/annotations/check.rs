//! Checks the parameters of `annotations` that depend on each other: [`check`].

use super::format::Lists;
use super::{AnnotationFormat, AnnotationsParams, Columns, Subsets};
use crate::contract::ParamError;
use std::path::{Component, Path};

/// Returns all problems of `params`.
pub(super) fn check(params: &AnnotationsParams) -> Vec<ParamError> {
    let mut errors = Vec::new();
    let mut wrong = |path: &[&str], message: String, help: &str| {
        errors.push(ParamError { path: path.iter().map(ToString::to_string).collect(), message, help: help.into() });
    };
    let format = params.format;
    for param in params.given().into_iter().filter(|param| !format.reads(param)) {
        let message = format!("not used by format `{}`", format.name());
        wrong(&[param], message, "remove it, or choose another `format`");
    }
    if matches!(format.rules().lists, Lists::None) && params.root.is_some() {
        wrong(&["root"], format!("format `{}` does not read lists", format.name()), "remove `root`");
    }
    params.check_lists(&mut wrong);
    params.check_fields(&mut wrong);
    errors
}

impl AnnotationsParams {
    /// Returns the parameters that only some formats read and that are not at their default.
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

    /// Checks the parameters that name lists.
    fn check_lists(&self, wrong: &mut impl FnMut(&[&str], String, &str)) {
        let format = self.format.name();
        if self.file.is_some() && (self.train.is_some() || self.test.is_some()) {
            let help = "set `file`, or `train` and `test`";
            wrong(&["file"], "can't be combined with `train` or `test`".into(), help);
        } else if matches!(self.format.rules().lists, Lists::Named) && self.file.is_none() && self.train.is_none() {
            let help = "set `train` and `test` to files below `root`, or `file` to one that contains both";
            wrong(&["format"], format!("`{format}` needs `train` or `file`"), help);
        }
        for (param, file) in self.named_files() {
            let below =
                Path::new(file).components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
            if !below || file.is_empty() {
                let message = format!("`{file}` is not a path below `root`");
                wrong(&[param], message, "a path relative to `root`, without `..`");
            }
        }
        if self.format == AnnotationFormat::Sthv2 && self.label_map.is_none() {
            let help = "label_map: something-something-v2-labels.json";
            wrong(&["format"], "`sthv2` needs `label_map`, which defines the order of the classes".into(), help);
        }
    }

    /// Checks which columns of a table are named.
    fn check_columns(&self, wrong: &mut impl FnMut(&[&str], String, &str)) {
        let Columns { video, label, labels, start, end, segments, .. } = &self.columns;
        if self.format == AnnotationFormat::Table && video.is_none() {
            wrong(&["columns"], "`video` is missing".into(), "columns: { video: path, label: class }");
        }
        let of_class = [("label", label.is_some()), ("labels", !labels.is_empty()), ("segments", segments.is_some())];
        let given: Vec<&str> = of_class.into_iter().filter(|(_, given)| *given).map(|(name, _)| name).collect();
        match given[..] {
            [] if self.format == AnnotationFormat::Table => {
                wrong(&["columns"], "`label` is missing".into(), "columns: { video: path, label: class }");
            }
            [] | [_] => {}
            _ => wrong(&["columns"], format!("`{}` can't be combined", given.join("` and `")), "set one of them"),
        }
        if start.is_some() != end.is_some() {
            wrong(&["columns"], "`start` and `end` must be set together".into(), "set both, or neither");
        } else if start.is_some() && segments.is_some() {
            let message = "`start` and `end` can't be combined with `segments`, which contains them".into();
            wrong(&["columns"], message, "remove `start` and `end`, or `segments`");
        }
    }

    /// Checks the parameters that describe lines and columns.
    fn check_fields(&self, wrong: &mut impl FnMut(&[&str], String, &str)) {
        self.check_columns(wrong);
        if self.columns.label_delimiter.is_some() && !self.multi_class {
            let help = "set `multi_class: true`, or remove `label_delimiter`";
            wrong(&["columns", "label_delimiter"], "needs `multi_class: true`".into(), help);
        }
        let delimiters = [
            (&["delimiter"] as &[&str], &self.delimiter),
            (&["columns", "label_delimiter"], &self.columns.label_delimiter),
        ];
        for (path, delimiter) in delimiters {
            if delimiter.as_ref().is_some_and(|text| text.is_empty() || text.contains(['\n', '\r', '"'])) {
                let message = "must not be empty, or contain a quote or a line break".into();
                wrong(path, message, "one or more characters, such as \", \"");
            }
        }
        if self.test_share.is_some_and(|share| !(share > 0.0 && share < 1.0)) {
            let message = "must be greater than 0 and less than 1".into();
            wrong(&["test_share"], message, "such as 0.2, to hold out 20 % of the videos");
        } else if self.test_share.is_some() && (self.train.is_some() || self.test.is_some()) {
            let help = "remove `test_share`, or replace `train` and `test` with `file`";
            wrong(&["test_share"], "`train` and `test` already define the split".into(), help);
        }
        if self.label_map.is_some() && self.num_classes.is_some() {
            let message = "the label map already defines the number of classes".into();
            wrong(&["num_classes"], message, "remove `num_classes` or `label_map`");
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
    fn each_format_uses_only_its_own_parameters() {
        check(json!({}), &[]);
        check(json!({"format": "ucf101", "split": 2, "missing": "warn"}), &[]);
        check(json!({"format": "class_folder", "test_share": 0.2, "group": {"regex": "^[^_]*"}}), &[]);
        check(json!({"format": "video_list", "train": "a.txt", "test": "lists/b.txt", "delimiter": ","}), &[]);
        let columns = json!({"video": "FILE", "label": "CLASSES", "label_delimiter": ","});
        check(json!({"format": "table", "file": "a.csv", "multi_class": true, "columns": columns}), &[]);
        check(
            json!({"format": "hmdb51", "train": "a.txt", "label_map": "../m.txt"}),
            &[
                "train: not used by format `hmdb51`",
                "label_map: not used by format `hmdb51`",
                "label_map: `../m.txt` is not a path below `root`",
            ],
        );
        check(json!({"format": "class_folder", "root": "x"}), &["root: format `class_folder` does not read lists"]);
    }

    #[test]
    fn lists_and_columns_are_required() {
        check(json!({"format": "kinetics", "test": "a.csv"}), &["format: `kinetics` needs `train` or `file`"]);
        check(
            json!({"format": "kinetics", "file": "a.csv", "test": "b.csv"}),
            &["file: can't be combined with `train` or `test`"],
        );
        check(
            json!({"format": "sthv2", "train": "a.json"}),
            &["format: `sthv2` needs `label_map`, which defines the order of the classes"],
        );
        check(
            json!({"format": "table", "file": "a.csv", "columns": {"label": "b", "start": "c"}, "test_share": 1}),
            &[
                "columns: `video` is missing",
                "columns: `start` and `end` must be set together",
                "test_share: must be greater than 0 and less than 1",
            ],
        );
        let three =
            json!({"video": "a", "label": "b", "labels": ["b", "c"], "segments": "d", "start": "e", "end": "f"});
        check(
            json!({"format": "table", "file": "a.csv", "columns": three}),
            &[
                "columns: `label` and `labels` and `segments` can't be combined",
                "columns: `start` and `end` can't be combined with `segments`, which contains them",
            ],
        );
        check(json!({"format": "table", "file": "a.csv", "columns": {"video": "a"}}), &["columns: `label` is missing"]);
        check(
            json!({"format": "video_list", "train": "a", "delimiter": "", "num_classes": 2, "label_map": "b"}),
            &[
                "delimiter: must not be empty, or contain a quote or a line break",
                "num_classes: the label map already defines the number of classes",
            ],
        );
    }
}
