//! [`text`]: the pipeline file of a surveyed folder.

use super::layout::Layout;
use super::survey::Survey;
use crate::place::SourceText;
use crate::yaml::{self, Value};
use serde_json::Value as Json;

/// Share of the videos, in percent, that must have a group in their names.
const GROUPED_PERCENT: usize = 80;
/// Finds the group of a clip that was cut from a longer video, as in `v_Biking_g01_c04.avi`.
const GROUP: &str = "_(g[0-9]+)_";

/// Returns the content of a pipeline file for the folder `data`.
pub(super) fn text(name: &str, data: &str, survey: &Survey, layout: &Layout) -> String {
    let mut labels: Vec<String> = Vec::new();
    labels.extend(layout.lists.as_ref().map(|lists| format!("root: {}", below_data(lists))));
    labels.extend(layout.params.iter().map(|(key, value)| format!("{key}: {}", flow(value))));
    if layout.lists.is_none() && has_groups(survey) {
        labels.push(format!("group: {{ regex: \"{GROUP}\" }}"));
    }
    let labels = labels.join(", ");
    // A name with a line break must not end the comment.
    let found = layout.found.replace(char::is_control, " ");
    let (videos, comment) = (below_data(&layout.videos), layout.comment);
    let (name, data, buckets) = (scalar(name), scalar(&data.replace("${", "$${")), buckets(survey.videos.len()));
    format!(
        "# Written by `pipe init`: {found}.
# `pipe check` finds mistakes in the lists, `pipe plan` shows what would run, `pipe run` runs it. Paths are relative to the current folder.
pipeline: {name}
extends: [builtin/models/tsn_r50, builtin/schedules/sgd_50e] # `pipe bases` lists others; every value can be overridden here
vars: {{ data: {data}, epochs: 50, seed: 0 }} # used as ${{data}}; or pipe run FILE --set vars.epochs=10
stages:
  videos: {{ uses: ingest, with: {{ root: {videos} }} }}
  labels: # {comment}
    uses: annotations
    inputs: {{ videos: videos }}
    with: {{ {labels} }}
  frames: # all frames as JPEG, scaled so that the shorter side has 256 pixels
    uses: frames
    inputs: {{ videos: videos }}
    with: {{ sample: all, resize: {{ short_side_px: 256 }}, encode: {{ jpeg: {{ quality: 90 }} }}, buckets: {buckets} }}
  weights: # ImageNet weights of torchvision, 98 MB; without this stage and the input below, training starts from random weights
    uses: fetch
    with:
      unpack: false
      files: [{{ url: \"{URL}\", sha256: {SHA256} }}]
  model: {{ inputs: {{ weights: weights }}, with: {{ train_dataloader: {{ batch_size: 32 }} }} }}
"
    )
}

const URL: &str = "https://download.pytorch.org/models/resnet50-0676ba61.pth";
const SHA256: &str = "0676ba61b6795bbe1773cffd859882e5e297624d384b6993f7c9e683e722fb8a";

/// Returns a path in the folder of the data, as a YAML text.
fn below_data(path: &str) -> String {
    let slash = if path.is_empty() { "" } else { "/" };
    Json::from(format!("${{data}}{slash}{}", path.replace("${", "$${"))).to_string()
}

/// Returns the number of shards of the frames: about a hundred videos in each.
fn buckets(num_videos: usize) -> usize {
    (num_videos / 100).next_power_of_two().clamp(8, 1024)
}

fn has_groups(survey: &Survey) -> bool {
    let is_group = |part: &str| {
        part.strip_prefix('g')
            .is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let is_grouped = |path: &&String| {
        let parts: Vec<&str> = path.rsplit('/').next().unwrap_or(path).split('_').collect();
        parts.iter().skip(1).take(parts.len().saturating_sub(2)).any(|part| is_group(part))
    };
    let grouped = survey.videos.iter().filter(is_grouped).count();
    grouped * 100 >= survey.videos.len() * GROUPED_PERCENT
}

/// Returns a value in YAML's flow style.
fn flow(value: &Json) -> String {
    match value {
        Json::String(text) => scalar(text),
        Json::Array(items) => format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", ")),
        Json::Object(fields) => {
            let fields: Vec<String> = fields.iter().map(|(key, value)| format!("{key}: {}", flow(value))).collect();
            format!("{{ {} }}", fields.join(", "))
        }
        Json::Null | Json::Bool(_) | Json::Number(_) => value.to_string(),
    }
}

/// Returns a text as YAML: without quotes if it stays the same text.
fn scalar(text: &str) -> String {
    let is_plain = |letter: char| letter.is_alphanumeric() || "_-./".contains(letter);
    let same =
        || yaml::parse(&SourceText::new("", None, text)).is_ok_and(|node| node.value == Value::Text(text.into()));
    if text.chars().all(is_plain) && same() { text.to_owned() } else { Json::from(text).to_string() }
}
