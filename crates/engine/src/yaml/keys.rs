//! Checks that pipeline files and `.pipe/config.yaml` share: [`check_keys`], and the value of the key `remote`.

use super::{Node, Value};
use crate::diagnostics::Problem;
use crate::nearest::nearest;
use pipe_cache::RemoteSetting;
use std::fmt;

/// Reports each key of the map `node` that is not one of `known`; `what` names the map in messages.
pub(crate) fn check_keys(node: &Node, what: impl fmt::Display, known: &[&str], problems: &mut Vec<Problem>) {
    for entry in node.entries() {
        if known.contains(&entry.key.as_str()) {
            continue;
        }
        let help = match nearest(&entry.key, known.iter().copied()) {
            Some(nearest) => format!("did you mean `{nearest}`?"),
            None => format!("known keys: {}", known.join(", ")),
        };
        let message = format!("unknown key `{}` in {what}", entry.key);
        problems.push(Problem::new("unknown-key", &entry.key_place, message).help(help));
    }
}

/// Reads the value of a key `remote`.
pub(crate) fn remote(node: Option<&Node>, problems: &mut Vec<Problem>) -> Option<RemoteSetting> {
    let node = node?;
    let Value::Text(text) = &node.value else {
        let message = format!("expected a remote, found {}", node.describe());
        problems.push(Problem::new("wrong-type", &node.place, message).help("remote: s3://bucket/prefix, or none"));
        return None;
    };
    match text.parse() {
        Ok(setting) => Some(setting),
        Err(error) => {
            problems.push(Problem::new("wrong-value", &node.place, format!("{error}")));
            None
        }
    }
}
