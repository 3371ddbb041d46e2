//! What `pipe cache stats` prints: a line per stage kind, and totals. JSON keys are only ever added.

use crate::render::{self, text};
use pipe_cache::Counted;
use pipe_cache::stats::{KindStats, Stats};
use std::time::SystemTime;

/// Prints one JSON object.
pub(super) fn json(stats: &Stats) -> serde_json::Result<()> {
    render::print_json(&serde_json::to_value(stats)?);
    Ok(())
}

/// Prints lines for people.
pub(super) fn text(stats: &Stats, now: SystemTime) {
    stats.kinds.iter().for_each(|(name, stats)| kind(name, stats));
    kind("all", &stats.total);
    let row = |name: &str, text: &str| render::print(&format!("{name:12} {text}"));
    row("blobs", &format!("{}; results refer to {:.2} times as much", counted(stats.blobs), stats.dedup_ratio));
    row("trees", &counted(stats.trees));
    if let Some(oldest) = &stats.oldest {
        let (key, ago) = (oldest.key.short(), text::ago(oldest.last_use_unix_secs, now));
        row("oldest", &format!("{} {key}, last used {ago}", oldest.kind));
    }
    if stats.damaged.count > 0 {
        row("damaged", &format!("{} set aside; `pipe cache gc` deletes them", counted(stats.damaged)));
    }
    let reclaimable = match stats.reclaimable_bytes {
        Some(bytes) => format!("{} by `pipe cache gc`", text::bytes(bytes)),
        None => "unknown, because a file cannot be read; `pipe cache verify` sets it aside".to_owned(),
    };
    row("reclaimable", &reclaimable);
}

fn kind(name: &str, stats: &KindStats) {
    let (bytes, time) = (text::bytes(stats.output_bytes), text::duration(stats.duration_millis));
    let results = if stats.count == 1 { "result" } else { "results" };
    render::print(&format!("{name:12} {:6} {results:7}  {bytes:>9}  {time:>10} to make", stats.count));
}

fn counted(counted: Counted) -> String {
    format!("{} ({})", counted.count, text::bytes(counted.size_bytes))
}
