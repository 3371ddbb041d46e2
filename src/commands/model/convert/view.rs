//! What `pipe model convert` prints: the file, and what is not in it.

use super::Converted;
use crate::commands::model::file::printable;
use crate::render::{self, text};
use serde_json::json;
use std::path::Path;

/// The maximum number of tensors that are named.
const MAX_NAMED: usize = 5;

/// Prints what was written.
pub(super) fn written(path: &Path, target: &str, converted: &Converted, json: bool) {
    let Converted { tensors, network, left_out, unused, num_counters } = converted;
    let bytes: u64 = tensors.values().map(|tensor| tensor.bytes.len() as u64).sum();
    if json {
        return render::print_json(&json!({
            "file": path,
            "to": target,
            "network": network,
            "num_tensors": tensors.len(),
            "bytes": bytes,
            "left_out": left_out,
            "unused": unused,
            "num_counters": num_counters,
        }));
    }
    let names = network.as_ref().map_or(String::new(), |network| format!(" of {network} with the names of {target}"));
    let count = text::count(tensors.len() as u64, "tensor");
    render::print(&format!("wrote {}: {count}{names}, {}", path.display(), text::bytes(bytes)));
    list("not stored there, because its network computes them", left_out);
    list("in the file, and not part of the network", unused);
    if *num_counters > 0 {
        let count = text::count(*num_counters as u64, "step counter");
        render::print(&format!("{count} of batch normalisations set to 0"));
    }
}

fn list(what: &str, names: &[String]) {
    if names.is_empty() {
        return;
    }
    let named = names.iter().take(MAX_NAMED).map(|name| printable(name)).collect::<Vec<_>>().join(", ");
    let more = if names.len() > MAX_NAMED { format!(", and {} more", names.len() - MAX_NAMED) } else { String::new() };
    render::print(&format!("{} {what}: {named}{more}", text::count(names.len() as u64, "tensor")));
}
