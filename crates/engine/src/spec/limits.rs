//! `resources`, `timeout` and `retries`: what a stage may use. No part of its key.

use super::{Limits, check_keys};
use crate::diagnostics::Problem;
use crate::yaml::{Node, Value};
use std::time::Duration;

/// Reads the limits of a stage.
pub(super) fn read(stage: &Node, problems: &mut Vec<Problem>) -> Limits {
    let empty = Node::new(Value::Null, stage.place.clone());
    let resources = stage.get("resources").unwrap_or(&empty);
    if !matches!(resources.value, Value::Map(_) | Value::Null) {
        let message = format!("`resources`: expected a map, found {}", resources.describe());
        let problem = Problem::new("wrong-type", &resources.place, message);
        problems.push(problem.help("resources: { cpus: 2, memory: 8GB, gpus: 1 }"));
    }
    check_keys(resources, "`resources`", &["cpus", "memory", "gpus"], problems);
    let mut count = |name, node: Option<&Node>, from: u64| {
        let node = node?;
        let value = if let Value::Number(number) = &node.value { number.as_u64() } else { None };
        let value = value.filter(|value| (from..=1_000_000).contains(value));
        if value.is_none() {
            let message = format!("`{name}`: expected a whole number from {from}, found {}", node.describe());
            problems.push(Problem::new("wrong-value", &node.place, message));
        }
        value.map(|value| value as usize)
    };
    let cpus = count("cpus", resources.get("cpus"), 1);
    let gpus = count("gpus", resources.get("gpus"), 0);
    let retries = count("retries", stage.get("retries"), 0).unwrap_or(0) as u32;
    let mut text = |name, node: Option<&Node>, parse: fn(&str) -> Option<u64>, example| {
        let node = node?;
        let value = match &node.value {
            Value::Text(text) => parse(text),
            _ => None,
        };
        if value.is_none() {
            let message = format!("`{name}`: expected {example}, found {}", node.describe());
            problems.push(Problem::new("wrong-value", &node.place, message));
        }
        value
    };
    let memory_bytes = text("memory", resources.get("memory"), parse_bytes, "a size such as 8GB or 512MiB");
    let timeout = text("timeout", stage.get("timeout"), parse_secs, "a time such as 90s, 30m or 12h");
    Limits { cpus, memory_bytes, gpus, timeout: timeout.map(Duration::from_secs), retries }
}

fn split_unit(text: &str) -> Option<(u64, &str)> {
    let text = text.trim();
    let end = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    Some((text[..end].parse().ok()?, text[end..].trim_start()))
}

fn parse_bytes(text: &str) -> Option<u64> {
    let (number, unit) = split_unit(text)?;
    let factor: u64 = match unit {
        "B" => 1,
        "kB" | "KB" => 1000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "TB" => 1_000_000_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1 << 40,
        _ => return None,
    };
    number.checked_mul(factor).filter(|bytes| *bytes > 0)
}

fn parse_secs(text: &str) -> Option<u64> {
    let (number, unit) = split_unit(text)?;
    let factor: u64 = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return None,
    };
    number.checked_mul(factor).filter(|secs| *secs > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times_have_units() {
        assert_eq!(
            ["8GB", "1 KiB", "5", "1.5GB", "0MB"].map(parse_bytes),
            [Some(8_000_000_000), Some(1024), None, None, None]
        );
        assert_eq!(
            ["90s", "2 h", "7", "x", "99999999999999999d"].map(parse_secs),
            [Some(90), Some(7200), None, None, None]
        );
    }
}
