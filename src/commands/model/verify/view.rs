//! What `pipe model verify` prints: a line per check.

use crate::commands::model::file::{WeightsFile, printable};
use crate::commands::model::recognise::Candidate;
use crate::render::{self, text};
use pipe_engine::grouped;
use pipe_weights::Origin;
use serde_json::{Value, json};

/// The maximum number of tensors that are named.
const MAX_NAMED: usize = 5;

/// What was found.
pub(super) struct Report<'a> {
    pub(super) file: &'a WeightsFile,
    /// Tensors with NaN or infinity, the number of these values, and of all values.
    pub(super) bad: &'a [(String, usize, usize)],
    pub(super) candidates: &'a [Candidate],
    /// What else is wrong with the tensors.
    pub(super) faults: &'a [String],
    /// Whether the file fits the network that was asked for.
    pub(super) loaded: Option<Result<Vec<String>, String>>,
}

/// Prints the report for people.
pub(super) fn text(report: &Report<'_>) {
    let Report { file, bad, candidates, faults, loaded } = report;
    let (num_values, bytes) = file.size();
    render::print(&format!("file      {}", file.path.display()));
    // Tensors that can't be read are faults, not notes.
    let origin = Origin { unsupported: Vec::new(), ..file.checkpoint.origin.clone() };
    origin.notes().iter().for_each(|note| render::print(&format!("          {note}")));
    let tensors = grouped(file.checkpoint.tensors.len() as u64);
    render::print(&format!(
        "tensors   {tensors} ({}), {} values, {}",
        file.types(),
        grouped(num_values),
        text::bytes(bytes)
    ));
    render::print(&format!("finite    {}", finite(bad)));
    if candidates.is_empty() {
        render::print("network   unknown: no published network has any of these tensors");
    }
    for (position, candidate) in candidates.iter().enumerate() {
        let label = match (position, candidate.is_complete()) {
            (0, true) => "network   ",
            (0, false) => "closest   ",
            _ => "or        ",
        };
        render::print(&format!("{label}{}", network_line(candidate)));
    }
    faults.iter().for_each(|fault| render::print(&format!("fault     {fault}")));
    match loaded {
        Some(Ok(lines)) => lines.iter().for_each(|line| render::print(&format!("fits      {line}"))),
        Some(Err(error)) => render::print(&format!("does not fit: {error}")),
        None => {}
    }
}

fn finite(bad: &[(String, usize, usize)]) -> String {
    if bad.is_empty() {
        return "all values are finite".to_owned();
    }
    let named = bad.iter().take(MAX_NAMED).map(|(name, bad, all)| format!("{} ({bad} of {all})", printable(name)));
    let named = named.collect::<Vec<_>>().join(", ");
    let more = if bad.len() > MAX_NAMED { format!(", and {} more", bad.len() - MAX_NAMED) } else { String::new() };
    format!("NaN or infinity in {}: {named}{more}", text::count(bad.len() as u64, "tensor"))
}

pub(in crate::commands::model) fn network_line(candidate: &Candidate) -> String {
    let Candidate { name, choice, num_classes, project, share, faults: _ } = candidate;
    let share =
        if candidate.is_complete() { String::new() } else { format!(", {:.1} % of the tensors", 100.0 * share) };
    let classes = match num_classes {
        Ok(Some(num_classes)) => text::count_of(*num_classes as u64, "class", "classes"),
        Ok(None) => "no classifier".to_owned(),
        Err(_) => "a broken classifier".to_owned(),
    };
    format!("{name}  {}, names of {project}, {classes}{share}", choice.parameters())
}

/// Prints one object.
pub(super) fn json(report: &Report<'_>) {
    let Report { file, bad, candidates, faults, loaded } = report;
    let (num_values, bytes) = file.size();
    let tensor = |(name, bad, all): &(String, usize, usize)| json!({ "name": name, "num_bad": bad, "num_values": all });
    let network = |candidate: &Candidate| {
        json!({
            "network": candidate.name,
            "backbone": candidate.choice.backbone,
            "map": candidate.project,
            "num_classes": candidate.num_classes.as_ref().ok(),
            "share": candidate.share,
        })
    };
    render::print_json(&json!({
        "file": file.path,
        "notes": file.checkpoint.origin.notes(),
        "num_tensors": file.checkpoint.tensors.len(),
        "num_values": num_values,
        "bytes": bytes,
        "not_finite": bad.iter().map(tensor).collect::<Vec<Value>>(),
        "unsupported": file.checkpoint.origin.unsupported,
        "faults": faults,
        "networks": candidates.iter().map(network).collect::<Vec<Value>>(),
        "fits": loaded.as_ref().map(Result::is_ok),
        "error": loaded.as_ref().and_then(|loaded| loaded.as_ref().err()),
    }));
}
