//! What `pipe cache verify` prints: damage with its consequences, and a line of counts. JSON keys are only ever added.

use crate::render::{self, text};
use indicatif::{ProgressBar, ProgressStyle};
use pipe_cache::ActionKey;
use pipe_cache::verify::{AffectedResult, Damage, Repair, Verification};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::time::Duration;

/// Names of stages by the keys of their newest results.
type Stages = BTreeMap<ActionKey, Vec<String>>;

/// A spinner on a terminal that shows how many bytes were read.
pub(super) struct Reading(ProgressBar);

impl Reading {
    pub(super) fn new() -> Self {
        if !std::io::stderr().is_terminal() {
            return Self(ProgressBar::hidden());
        }
        let bar = ProgressBar::no_length();
        let style = ProgressStyle::with_template("{spinner} read {bytes} in {elapsed}, {bytes_per_sec}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
        bar.enable_steady_tick(Duration::from_millis(120));
        Self(bar)
    }

    /// Adds bytes that were read.
    pub(super) fn read(&self, bytes: u64) {
        self.0.inc(bytes);
    }

    /// Removes the spinner.
    pub(super) fn finish(&self) {
        self.0.finish_and_clear();
    }
}

/// Prints one JSON object.
pub(super) fn json(verified: &Verification, stages: &Stages) -> serde_json::Result<()> {
    let mut value = serde_json::to_value(verified)?;
    for hit in value["damage"].as_array_mut().into_iter().flatten().flat_map(affected_by) {
        let key = hit["key"].as_str().and_then(|key| key.parse().ok());
        hit["stages"] = json!(key.and_then(|key| stages.get(&key)).cloned().unwrap_or_default());
    }
    render::print_json(&value);
    Ok(())
}

fn affected_by(damage: &mut Value) -> impl Iterator<Item = &mut Value> {
    damage["affected"].as_array_mut().into_iter().flatten()
}

/// Prints each damage, and the counts.
pub(super) fn text(verified: &Verification, stages: &Stages) {
    verified.damage.iter().for_each(|damage| render::print(&damaged(damage, stages)));
    let Verification { num_blobs, blob_bytes, num_trees, num_actions, damage } = verified;
    let found = match damage.len() {
        0 => "no damage".to_owned(),
        count => format!("{count} damaged"),
    };
    let bytes = text::bytes(*blob_bytes);
    let (results, trees) = (text::count(*num_actions, "result"), text::count(*num_trees, "tree"));
    let blobs = text::count(*num_blobs, "blob");
    render::print(&format!("read {results}, {trees}, {blobs} ({bytes}): {found}"));
}

fn damaged(damage: &Damage, stages: &Stages) -> String {
    let mut text = damage.to_string();
    text += &match &damage.remedy {
        Repair::None => String::new(),
        Repair::SetAside(to) => format!("\n  moved to {}", to.display()),
        Repair::Rebuilt(to) => format!("\n  rebuilt from its list of files; the damaged one is in {}", to.display()),
        Repair::Failed(why) => format!("\n  not moved: {why}"),
    };
    if damage.affected.is_empty() {
        return text + "\n  no result depends on it";
    }
    let mut names: Vec<String> = damage.affected.iter().flat_map(|hit| names(hit, stages)).collect();
    names.sort();
    names.dedup();
    // A damaged object that could not be moved may still be taken for a hit.
    let what = if matches!(damage.remedy, Repair::Failed(_)) { "needed by" } else { "runs again when next needed" };
    text + &format!("\n  {what}: {}", names.join(", "))
}

/// Returns the stages with this newest result, or else the result's kind and key.
fn names(hit: &AffectedResult, stages: &Stages) -> Vec<String> {
    let unnamed = || vec![format!("{} {}", hit.kind.as_deref().unwrap_or("a result"), hit.key.short())];
    stages.get(&hit.key).cloned().unwrap_or_else(unnamed)
}
