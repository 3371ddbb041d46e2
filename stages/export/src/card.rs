//! The model card, `README.md`: what is known of the exported network, and what is not.

use crate::huggingface::Folder;
use pipe_learn::TrainedModel;
use pipe_schemas::stages::export::Parity;
use pipe_schemas::tables::MissingCounts;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write;

/// Maximum number of classes that are listed.
const MAX_CLASSES: usize = 50;

/// What the card is made of.
pub(crate) struct Card<'a> {
    pub(crate) model: &'a TrainedModel,
    /// The report on the first weights, `weights.json` of the model.
    pub(crate) weights: Option<Value>,
    /// The content of the input `metrics`.
    pub(crate) metrics: Option<Value>,
    /// Number of views and of videos of the test samples.
    pub(crate) num_test: [usize; 2],
    /// Number of clips of the first epoch of training; `None` if the samples have none.
    pub(crate) num_train: Option<usize>,
    /// Why videos of the test list have no samples.
    pub(crate) missing: MissingCounts,
    /// Digests by name.
    pub(crate) made_from: &'a BTreeMap<String, String>,
    pub(crate) parity: &'a Parity,
    pub(crate) folder: &'a Folder,
    /// Version of libtorch.
    pub(crate) libtorch: &'a str,
}

impl Card<'_> {
    /// Returns the card as Markdown.
    pub(crate) fn text(&self) -> String {
        let name = &self.model.network.graph().name;
        let mut text =
            format!("# {name}\n\nA video classifier of {} classes, exported by `pipe`.\n", self.num_classes());
        for (title, body) in [
            ("Files", self.files()),
            ("Input and output", self.input()),
            ("Classes", self.classes()),
            ("Data", self.data()),
            ("Recipe", self.recipe()),
            ("Metrics", self.metrics()),
            ("Agreement with libtorch", self.parity()),
            ("Limits", self.limits()),
            ("Environment", self.environment()),
        ] {
            let _ = write!(text, "\n## {title}\n\n{}\n", body.trim_end());
        }
        text
    }

    fn num_classes(&self) -> usize {
        self.model.card.classes.len()
    }

    fn files(&self) -> String {
        let mut rows = vec![
            ("model.onnx", format!("opset {}; labels and preprocessing are in its metadata", self.parity.opset)),
            ("model.safetensors", "the same weights by the names of the published checkpoint".to_owned()),
            ("parity.json", "the comparison with libtorch".to_owned()),
        ];
        match self.folder {
            Folder::Written { class, .. } => rows.push(("huggingface/", format!("for `{class}` of transformers"))),
            Folder::OtherFamily | Folder::Refused(_) => {}
        }
        table(["file", "content"], rows.into_iter().map(|(file, content)| [format!("`{file}`"), content]))
    }

    fn input(&self) -> String {
        let card = &self.model.card;
        let clips = &card.preprocessing;
        let normalisation = &card.model.data_preprocessor;
        format!(
            "- Input `clip`: `[N, 3, {}, {}, {}]` (batch, RGB, frames, height, width), 32-bit floats\n\
             - Dynamic axes of `model.onnx`: {}; possible with `dynamic_axes: true`: {}\n\
             - Normalisation of pixels from 0 to 255: `(x - mean) / std`, mean {:?}, std {:?}\n\
             - Output `logits`: `[N, {}]`; probabilities by {}\n",
            clips.test_frames,
            clips.height_px,
            clips.width_px,
            self.parity.dynamic_axes.join(", "),
            self.parity.possible_dynamic_axes.join(", "),
            normalisation.mean,
            normalisation.std,
            self.num_classes(),
            match clips.labelling {
                pipe_schemas::tables::Labelling::SingleLabel => "softmax",
                pipe_schemas::tables::Labelling::MultiLabel => "the logistic function, each class on its own",
            },
        )
    }

    fn classes(&self) -> String {
        let names = &self.model.card.classes;
        let listed = names.iter().enumerate().take(MAX_CLASSES);
        let mut text: String = listed.map(|(index, name)| format!("{index}. {}\n", escaped(name))).collect();
        // Markdown counts from the first number.
        if names.len() > MAX_CLASSES {
            let _ = write!(text, "\nand {} more, in the metadata of `model.onnx`\n", names.len() - MAX_CLASSES);
        }
        text
    }

    fn data(&self) -> String {
        let [num_views, num_videos] = self.num_test;
        let training = self.num_train.map_or("not known".to_owned(), |clips| format!("{clips} clips per epoch"));
        let mut rows = vec![
            ["training samples".to_owned(), training],
            ["test samples".to_owned(), format!("{num_views} views of {num_videos} videos or segments")],
            ["listed test videos without samples".to_owned(), missing(&self.missing)],
            [
                "listed training videos without samples".to_owned(),
                self.model.card.preprocessing.num_missing_train.to_string(),
            ],
        ];
        let digests = self.made_from.iter();
        rows.extend(digests.map(|(name, digest)| [format!("BLAKE3 of {name}"), format!("`{}`", escaped(digest))]));
        table(["", ""], rows)
    }

    fn recipe(&self) -> String {
        let card = &self.model.card;
        let epochs = match card.epochs {
            0 => "It was not trained further: the weights are those of a published checkpoint.".to_owned(),
            1 => "It was trained for 1 epoch.".to_owned(),
            epochs => format!("It was trained for {epochs} epochs."),
        };
        let start = match &self.weights {
            Some(report) => format!("\n\nThe weights that training started from:\n\n{}", code(&shortened(report))),
            None => "\n\nThe weights that training started from are not known.".to_owned(),
        };
        format!(
            "{epochs} Optimiser and schedule are not part of a trained model, so they are not known here.{start}\n\n\
             The network:\n\n{}\n\nHow test clips are made:\n\n{}",
            code(&serde_json::to_value(&card.model).unwrap_or_default()),
            code(&serde_json::to_value(&card.preprocessing.test).unwrap_or_default())
        )
    }

    fn metrics(&self) -> String {
        let Some(metrics) = &self.metrics else {
            return "Not known: no `metrics` are connected to the stage `export`.".to_owned();
        };
        let Some(entries) = metrics.as_object() else {
            return "The connected file has no figures.".to_owned();
        };
        let numbers = entries.iter().filter(|(_, value)| value.is_number());
        let rows = numbers.map(|(name, value)| [escaped(name), value.to_string()]);
        let text = table(["figure", "value"], rows);
        let other: Vec<String> =
            entries.iter().filter(|(_, value)| !value.is_number()).map(|(name, _)| escaped(name)).collect();
        let count = entries.get("num_videos").and_then(Value::as_u64);
        let denominator = match count {
            Some(count) => format!("Figures are over {count} videos (`num_videos`).\n\n"),
            None => "The number of videos that they are over is not in the file.\n\n".to_owned(),
        };
        let other = if other.is_empty() { String::new() } else { format!("\nNot shown: {}.\n", other.join(", ")) };
        format!("{denominator}{text}{other}")
    }

    fn parity(&self) -> String {
        let Parity { num_views, num_test_views, max_abs_diff, max_rel_diff, top1_agreement, runtime, .. } = self.parity;
        format!(
            "{runtime} and libtorch ran {num_views} of {num_test_views} test views. The largest difference of a logit is \
             {max_abs_diff:.2e}, and {max_rel_diff:.2e} of the largest logit of its view. Both predict the same class in {:.2} % of the \
             views.",
            100.0 * top1_agreement
        )
    }

    fn limits(&self) -> String {
        let mut limits = vec![
            "The licence, and what the network may be used for, are not known: they follow from the data and from the weights that \
             training started from."
                .to_owned(),
            "The figures hold for the test samples above. How the network behaves on other videos was not measured.".to_owned(),
        ];
        if self.missing.total() > 0 {
            limits.push(format!("{} listed test videos are not part of any figure.", self.missing.total()));
        }
        match self.folder {
            Folder::Written { notes, .. } => limits.extend(notes.iter().map(|note| format!("transformers: {note}."))),
            Folder::OtherFamily => limits.push("transformers does not have this network family.".to_owned()),
            Folder::Refused(reason) => limits.push(format!("There is no folder for transformers: {reason}.")),
        }
        limits.iter().map(|limit| format!("- {limit}\n")).collect()
    }

    fn environment(&self) -> String {
        format!("libtorch {}, {}, on the CPU", escaped(self.libtorch), escaped(&self.parity.runtime))
    }
}

/// Returns a report without its long lists.
fn shortened(report: &Value) -> Value {
    match report {
        Value::Object(map) => map.iter().map(|(key, value)| (key.clone(), shortened(value))).collect(),
        Value::Array(items) if items.len() > MAX_ITEMS => Value::String(format!("{} entries", items.len())),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => report.clone(),
    }
}

/// Maximum length of a list in a report.
const MAX_ITEMS: usize = 8;

fn missing(counts: &MissingCounts) -> String {
    if counts.total() == 0 { "0".to_owned() } else { format!("{}: {counts}", counts.total()) }
}

/// Returns a value as a block of JSON. Its strings can't end the block, because JSON has no line breaks in them.
fn code(value: &Value) -> String {
    format!("```json\n{}\n```", serde_json::to_string_pretty(value).unwrap_or_default())
}

fn table<const N: usize>(head: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let mut text = line(&head.map(str::to_owned)) + &line(&[(); N].map(|()| "---".to_owned()));
    text.extend(rows.into_iter().map(|cells| line(&cells)));
    text
}

/// Returns a name whose letters have no meaning in Markdown, in one line.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for letter in text.chars() {
        match letter {
            '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '|' | '#' | '&' | '!' | '~' | '$' => {
                escaped.push('\\');
                escaped.push(letter);
            }
            letter if letter.is_control() => escaped.push(' '),
            letter => escaped.push(letter),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_no_meaning_in_markdown() {
        assert_eq!(escaped("a|b\n# c <script> `x`"), "a\\|b \\# c \\<script\\> \\`x\\`");
    }

    #[test]
    fn long_lists_of_reports_are_counted() {
        let report = serde_json::json!({ "loaded": [1, 2, 3, 4, 5, 6, 7, 8, 9], "map": { "few": [1] } });
        assert_eq!(shortened(&report), serde_json::json!({ "loaded": "9 entries", "map": { "few": [1] } }));
    }
}
