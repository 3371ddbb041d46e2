//! What `pipe cache` tells: a report on stdout, as text or as one JSON object. Its keys are only ever added to.

use super::{print, text};
use crate::args::Format;
use indicatif::{ProgressBar, ProgressStyle};
use pipe_cache::gc::{Plan, Reason};
use pipe_cache::stats::{KindStats, Stats};
use pipe_cache::verify::{Damage, HitAction, Object, Remedy, Verified};
use pipe_cache::{ActionKey, Counted};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Names of stages by the keys of their newest results.
type Stages = BTreeMap<ActionKey, Vec<String>>;

/// Shows on a terminal how much was read.
pub(crate) struct Reading(ProgressBar);

impl Reading {
    pub(crate) fn new() -> Self {
        if !std::io::stderr().is_terminal() {
            return Self(ProgressBar::hidden());
        }
        let bar = ProgressBar::no_length();
        let style = ProgressStyle::with_template("{spinner} read {bytes} in {elapsed}, {bytes_per_sec}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
        bar.enable_steady_tick(Duration::from_millis(120));
        Self(bar)
    }

    /// Takes note of bytes read.
    pub(crate) fn read(&self, bytes: u64) {
        self.0.inc(bytes);
    }

    pub(crate) fn finish(&self) {
        self.0.finish_and_clear();
    }
}

/// Shows what `verify` found.
pub(crate) fn verified(verified: &Verified, stages: &Stages, report: Format) -> serde_json::Result<()> {
    match report {
        Format::Json => {
            let mut value = serde_json::to_value(verified)?;
            for hit in value["damage"].as_array_mut().into_iter().flatten().flat_map(hits_of) {
                let key = hit["key"].as_str().and_then(|key| key.parse().ok());
                hit["stages"] = json!(key.and_then(|key| stages.get(&key)).cloned().unwrap_or_default());
            }
            print(&value.to_string());
        }
        Format::Text => {
            verified.damage.iter().for_each(|damage| print(&damaged(damage, stages)));
            let Verified { num_blobs, blob_bytes, num_trees, num_actions, damage } = verified;
            let found = match damage.len() {
                0 => "no damage".to_owned(),
                1 => "1 damaged".to_owned(),
                many => format!("{many} damaged"),
            };
            let bytes = text::bytes(*blob_bytes);
            print(&format!("read {num_actions} results, {num_trees} trees, {num_blobs} blobs ({bytes}): {found}"));
        }
    }
    Ok(())
}

fn hits_of(damage: &mut Value) -> impl Iterator<Item = &mut Value> {
    damage["hits"].as_array_mut().into_iter().flatten()
}

fn damaged(damage: &Damage, stages: &Stages) -> String {
    let object = match damage.object {
        Object::Action(key) => format!("the record {}", key.short()),
        Object::Tree(digest) => format!("the tree {}", digest.short()),
        Object::Blob(digest) => format!("the blob {}", digest.short()),
    };
    let mut text = format!("{object} is damaged: {}", damage.fault);
    text += &match &damage.remedy {
        Remedy::None => String::new(),
        Remedy::SetAside(to) => format!("\n  moved to {}", to.display()),
        Remedy::Mended(to) => format!("\n  made again from its list; what was there is in {}", to.display()),
        Remedy::Left(why) => format!("\n  left where it is: {why}"),
    };
    if damage.hits.is_empty() {
        return text + "\n  nothing has to run again for it";
    }
    let mut names: Vec<String> = damage.hits.iter().flat_map(|hit| names(hit, stages)).collect();
    names.sort();
    names.dedup();
    // What is left where it is may pass for a hit.
    let what = if matches!(damage.remedy, Remedy::Left(_)) { "needed by" } else { "runs again when it is next needed" };
    text + &format!("\n  {what}: {}", names.join(", "))
}

/// Returns the stages whose newest result this is, or else its kind and key.
fn names(hit: &HitAction, stages: &Stages) -> Vec<String> {
    let unnamed = || vec![format!("{} {}", hit.kind.as_deref().unwrap_or("a result"), hit.key.short())];
    stages.get(&hit.key).cloned().unwrap_or_else(unnamed)
}

/// What garbage collection came to.
pub(crate) struct Collected<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) scratch: Counted,
    pub(crate) indexes: Counted,
    pub(crate) dry_run: bool,
    /// A run uses the store meanwhile; what it writes just now looks as if nothing needed it.
    pub(crate) in_use: bool,
}

impl Collected<'_> {
    fn freed_bytes(&self) -> u64 {
        self.plan.freed_bytes + self.scratch.size_bytes + self.indexes.size_bytes
    }
}

/// Shows what went, or would go.
pub(crate) fn collected(collected: &Collected, now: SystemTime, report: Format) -> serde_json::Result<()> {
    let Collected { plan, scratch, indexes, dry_run, in_use } = collected;
    if report == Format::Json {
        let mut value = serde_json::to_value(plan)?;
        value["freed_bytes"] = json!(collected.freed_bytes());
        value["scratch"] = json!(scratch);
        value["indexes"] = json!(indexes);
        value["dry_run"] = json!(dry_run);
        value["in_use"] = json!(in_use);
        print(&value.to_string());
        return Ok(());
    }
    for action in &plan.actions {
        let why = match action.reason {
            Reason::Broken => "lacks objects",
            Reason::Age => "old",
            Reason::Size => "too much",
        };
        print(&format!(
            "{:12} {}  {why}, last used {}; took {} to make, frees {}",
            action.kind,
            action.key.short(),
            ago(action.last_use_unix_secs, now),
            text::duration(action.duration_millis),
            text::bytes(action.freed_bytes),
        ));
    }
    let others = [
        (plan.unreachable, "that no result needs"),
        (plan.leftovers, "unfinished"),
        (*scratch, "scratch of runs that are gone, and old downloads"),
        (*indexes, "source indexes, unused or unfinished"),
    ];
    for (counted, what) in others {
        if counted.count > 0 {
            print(&format!("{:12} {what}, frees {}", counted.count, text::bytes(counted.size_bytes)));
        }
    }
    let verb = if *dry_run { "would free" } else { "freed" };
    print(&format!(
        "{verb} {}; {} results of {} stay, {} of {} because recent runs name them",
        text::bytes(collected.freed_bytes()),
        plan.left.count,
        text::bytes(plan.left.size_bytes),
        plan.kept.count,
        text::bytes(plan.kept.size_bytes),
    ));
    if plan.over_bytes > 0 {
        print(&format!("that is {} more than asked for", text::bytes(plan.over_bytes)));
    }
    if *in_use {
        print("a run uses the store: what it is just writing may be counted as not needed");
    }
    Ok(())
}

/// Shows what the store holds.
pub(crate) fn stats(stats: &Stats, now: SystemTime, report: Format) -> serde_json::Result<()> {
    if report == Format::Json {
        print(&serde_json::to_string(stats)?);
        return Ok(());
    }
    let kind = |name: &str, stats: &KindStats| {
        let (bytes, time) = (text::bytes(stats.output_bytes), text::duration(stats.duration_millis));
        print(&format!("{name:12} {:6} results  {bytes:>9}  {time:>10} to make", stats.count));
    };
    stats.kinds.iter().for_each(|(name, stats)| kind(name, stats));
    kind("all", &stats.total);
    let counted = |counted: Counted| format!("{} ({})", counted.count, text::bytes(counted.size_bytes));
    print(&format!("{:12} {}, outputs are {:.2} times as large", "blobs", counted(stats.blobs), stats.dedup_ratio));
    print(&format!("{:12} {}", "trees", counted(stats.trees)));
    if let Some(oldest) = &stats.oldest {
        let (key, ago) = (oldest.key.short(), ago(oldest.last_use_unix_secs, now));
        print(&format!("{:12} {} {key}, last used {ago}", "oldest", oldest.kind));
    }
    if stats.damaged.count > 0 {
        print(&format!(
            "{:12} {} set aside; delete `damaged` in the store if you have no use for it",
            "damaged",
            counted(stats.damaged)
        ));
    }
    let reclaimable = match stats.reclaimable_bytes {
        Some(bytes) => format!("{} by `pipe cache gc`", text::bytes(bytes)),
        None => "unknown: something can't be read; `pipe cache verify` sets it aside".to_owned(),
    };
    print(&format!("{:12} {reclaimable}", "reclaimable"));
    Ok(())
}

/// Returns how long ago a time was, in one unit.
fn ago(unix_secs: u64, now: SystemTime) -> String {
    let now = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let secs = now.saturating_sub(unix_secs);
    match secs {
        0..60 => "just now".to_owned(),
        60..3600 => format!("{} min ago", secs / 60),
        3600..172_800 => format!("{} h ago", secs / 3600),
        _ => format!("{} days ago", secs / 86_400),
    }
}
