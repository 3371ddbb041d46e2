//! What `pipe cache gc` prints: a line per deleted result, and totals. JSON keys are only ever added.

use crate::render::{self, text};
use pipe_cache::Counted;
use pipe_cache::gc::{GcPlan, RemovalReason};
use serde_json::json;
use std::time::SystemTime;

/// What was deleted, or would be.
pub(super) struct Collected<'a> {
    pub(super) plan: &'a GcPlan,
    pub(super) scratch: Counted,
    pub(super) indexes: Counted,
    pub(super) dry_run: bool,
    /// A run uses the store during this dry run: files that it is just writing are not referenced yet.
    pub(super) in_use: bool,
}

impl Collected<'_> {
    fn freed_bytes(&self) -> u64 {
        self.plan.freed_bytes + self.scratch.size_bytes + self.indexes.size_bytes
    }
}

/// Prints one JSON object.
pub(super) fn json(collected: &Collected) -> serde_json::Result<()> {
    let Collected { plan, scratch, indexes, dry_run, in_use } = collected;
    let mut value = serde_json::to_value(plan)?;
    value["freed_bytes"] = json!(collected.freed_bytes());
    value["scratch"] = json!(scratch);
    value["indexes"] = json!(indexes);
    value["dry_run"] = json!(dry_run);
    value["in_use"] = json!(in_use);
    render::print_json(&value);
    Ok(())
}

/// Prints lines for people.
pub(super) fn text(collected: &Collected, now: SystemTime) {
    let Collected { plan, scratch, indexes, dry_run, in_use } = collected;
    for action in &plan.actions {
        let reason = match action.reason {
            RemovalReason::Broken => "incomplete: files are missing",
            RemovalReason::Age => "unused for longer than --max-age",
            RemovalReason::Size => "beyond --max-size",
        };
        let (last_use, time) = (text::ago(action.last_use_unix_secs, now), text::duration(action.duration_millis));
        let (key, bytes) = (action.key.short(), text::bytes(action.freed_bytes));
        render::print(&format!("{:12} {key}  {reason}; last used {last_use}, took {time}, frees {bytes}", action.kind));
    }
    let others = [
        (plan.unreachable, "unreferenced file", "unreferenced files"),
        (plan.leftovers, "unfinished file", "unfinished files"),
        (plan.damaged, "damaged file that was set aside", "damaged files that were set aside"),
        (
            *scratch,
            "scratch folder of a run that has ended, or old download",
            "scratch folders of runs that have ended, and old downloads",
        ),
        (*indexes, "source index that is unused or unfinished", "source indexes that are unused or unfinished"),
    ];
    for (counted, one, many) in others {
        if counted.count > 0 {
            let what = if counted.count == 1 { one } else { many };
            render::print(&format!("{:12} {what}, frees {}", counted.count, text::bytes(counted.size_bytes)));
        }
    }
    let verb = if *dry_run { "would free" } else { "freed" };
    let (freed, left) = (text::bytes(collected.freed_bytes()), text::bytes(plan.left.size_bytes));
    let remain = if plan.left.count == 1 { "remains" } else { "remain" };
    render::print(&format!("{verb} {freed}; {} {remain} ({left})", text::count(plan.left.count, "result")));
    let (kept, bytes) = (text::count(plan.kept.count, "result"), text::bytes(plan.kept.size_bytes));
    render::print(&format!("kept {kept} used by recent runs ({bytes})"));
    if plan.over_bytes > 0 {
        render::print(&format!("still {} over --max-size", text::bytes(plan.over_bytes)));
    }
    if *in_use {
        render::print("a run uses the store: files that it is just writing may be counted as unreferenced");
    }
}
