//! Reads `resources`, `timeout` and `retries` of a stage. They are not part of its key.

use super::StageLimits;
use crate::diagnostics::Problem;
use crate::units;
use crate::yaml::keys::check_keys;
use crate::yaml::{Node, Value};

/// Reads the limits of a stage.
pub(super) fn read(stage: &Node, problems: &mut Vec<Problem>) -> StageLimits {
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
    let memory_bytes = measure("memory", resources.get("memory"), units::size, problems);
    let timeout = measure("timeout", stage.get("timeout"), units::age, problems);
    StageLimits { cpus, memory_bytes, gpus, timeout, retries }
}

/// Reads a number with a unit, such as `8GB` or `30min`.
fn measure<T>(
    name: &str,
    node: Option<&Node>,
    parse: fn(&str) -> Result<T, String>,
    problems: &mut Vec<Problem>,
) -> Option<T> {
    let node = node?;
    parse(&node.plain_text().unwrap_or_default())
        .map_err(|error| problems.push(Problem::new("wrong-value", &node.place, format!("`{name}`: {error}"))))
        .ok()
}
