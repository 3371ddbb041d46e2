//! [`interpolate`]: replaces `${name}` in texts by the values of variables.
//!
//! A text that consists of a single `${name}` takes the type of the variable; `$${` is a literal `${`. Variables may use variables.

use crate::diagnostics::{Problem, UNDEFINED};
use crate::nearest::nearest;
use crate::yaml::{Entry, Node, Value};
use std::collections::BTreeMap;

pub(crate) mod resolve;
pub(crate) mod unused;
pub(crate) mod uses;

/// Replaces every `${name}` in `node`, and reports each that can't be replaced.
pub(crate) fn interpolate(node: &mut Node, vars: &BTreeMap<String, Node>, problems: &mut Vec<Problem>) {
    match &mut node.value {
        Value::Map(entries) => entries.iter_mut().for_each(|Entry { node, .. }| interpolate(node, vars, problems)),
        Value::List(nodes) => nodes.iter_mut().for_each(|node| interpolate(node, vars, problems)),
        Value::Text(text) if text.contains("${") => match expand(text, vars) {
            Ok((value, spelling)) => (node.value, node.spelling) = (value, spelling),
            Err((message, help)) => {
                let problem = Problem::new(UNDEFINED, &node.place, message);
                problems.push(if let Some(help) = help { problem.help(help) } else { problem });
            }
        },
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) => {}
    }
}

/// Returns the names of the variables in `text`, in order.
fn names(text: &str) -> impl Iterator<Item = &str> {
    pieces(text).filter_map(|piece| if let Piece::Name(name) = piece { Some(name) } else { None })
}

/// Returns whether `${name}` is a path that is only known when a command runs.
fn is_port(name: &str) -> bool {
    name.starts_with("inputs.") || name.starts_with("outputs.")
}

/// Maximum number of bytes that variables may add to a text; variables that use each other can make it grow exponentially.
const MAX_LONGER_BYTES: usize = 4096;

enum Piece<'a> {
    Literal(&'a str),
    Name(&'a str),
    /// A `${` without `}`.
    Open,
}

fn pieces(mut rest: &str) -> impl Iterator<Item = Piece<'_>> {
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        if let Some(after) = rest.strip_prefix("$${") {
            rest = after;
            return Some(Piece::Literal("${"));
        }
        if let Some(after) = rest.strip_prefix("${") {
            let Some((name, after)) = after.split_once('}') else {
                rest = "";
                return Some(Piece::Open);
            };
            let whole = &rest[..rest.len() - after.len()];
            rest = after;
            return Some(if is_port(name) { Piece::Literal(whole) } else { Piece::Name(name) });
        }
        // A `$` without a brace is literal.
        let first = rest.chars().next().map_or(0, char::len_utf8);
        let next = rest[first..].find('$').map_or(rest.len(), |at| at + first);
        let (literal, after) = rest.split_at(next);
        rest = after;
        Some(Piece::Literal(literal))
    })
}

/// Returns message and help for a variable that is not defined.
fn undefined<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> (String, String) {
    let is_environment =
        name.len() > 1 && name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
    let define = if is_environment {
        format!("environment variables are not read; pass it with --set vars.{name}=\"${name}\"")
    } else {
        format!("define it under `vars:` or with --set vars.{name}=…")
    };
    let help = match nearest(name, known) {
        Some(nearest) => format!("did you mean `${{{nearest}}}`? If not, {define}"),
        None => define,
    };
    (format!("the variable `{name}` is not defined"), help)
}

/// A value, and how it is written if it is a number or a truth value.
type Spelled = (Value, Option<Box<str>>);

fn expand(text: &str, vars: &BTreeMap<String, Node>) -> Result<Spelled, (String, Option<String>)> {
    let find = |name: &str| {
        vars.get(name).ok_or_else(|| {
            let (message, help) = undefined(name, vars.keys().map(String::as_str));
            (message, Some(help))
        })
    };
    let text_limit = text.len() + MAX_LONGER_BYTES;
    let mut whole = String::new();
    for (position, piece) in pieces(text).enumerate() {
        match piece {
            Piece::Literal(literal) => whole.push_str(literal),
            Piece::Open => return Err(("`${` without `}`".into(), Some("write `$${` for a literal `${`".into()))),
            Piece::Name(name) => {
                let node = find(name)?;
                if position == 0 && text.len() == name.len() + "${}".len() {
                    return Ok((node.value.clone(), node.spelled().map(Box::from)));
                }
                let text = node.plain_text();
                let not_text = || (format!("the value of the variable `{name}` can't be part of a text"), None);
                whole.push_str(&text.ok_or_else(not_text)?);
                if whole.len() > text_limit {
                    return Err((format!("the variables add more than {MAX_LONGER_BYTES} bytes to this text"), None));
                }
            }
        }
    }
    Ok((Value::Text(whole), None))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::place::SourceText;
    use serde_json::json;

    fn check(text: &str, expect: Result<serde_json::Value, &str>) {
        let source = SourceText::new("t", None, text);
        let mut node = crate::yaml::parse(&source).expect("parsed");
        let mut problems = Vec::new();
        let vars = resolve::read(node.get("vars"), &BTreeMap::new(), &mut problems);
        interpolate(&mut node, &vars, &mut problems);
        match expect {
            Ok(value) => {
                assert!(problems.is_empty(), "{problems:?}");
                assert_eq!(node.get("x").map(Node::to_json), Some(value));
            }
            Err(message) => assert!(problems.iter().any(|problem| problem.message.contains(message)), "{problems:?}"),
        }
    }

    #[test]
    fn a_whole_value_keeps_its_type_and_a_part_becomes_text() {
        check("{vars: {a: 1}, x: '${a}'}", Ok(json!(1)));
        check("{vars: {a: 1}, x: 'ü${a}$${a}$'}", Ok(json!("ü1${a}$")));
        check("{vars: {a: 1}, x: '${inputs.a}/${a}'}", Ok(json!("${inputs.a}/1")));
        check("{vars: {a: ü, b: '${a}/c'}, x: ['${b}']}", Ok(json!(["ü/c"])));
        check("{vars: {a: 1.10}, x: 'v${a}'}", Ok(json!("v1.10")));
        check("{vars: {a: 1.10, b: '${a}'}, x: 'v${b}'}", Ok(json!("v1.10")));
        check("{vars: {a: True, b: 1e3}, x: '${a}${b}'}", Ok(json!("True1e3")));
    }

    #[test]
    fn undefined_and_cyclic_variables_are_problems() {
        check("{vars: {epochs: 1}, x: '${epoch}'}", Err("`epoch` is not defined"));
        check("{vars: {a: '${b}', b: '${a}'}, x: 1}", Err("`a`, `b` use each other"));
        check("{vars: {a: 'x${a}'}, x: 1}", Err("`a` uses itself"));
        check("{vars: {a: '${b}', b: '${c}'}, x: 1}", Err("`c` is not defined"));
        check("{x: 'a${b'}", Err("without `}`"));
        check("{vars: {a: [1]}, x: 1}", Err("a single value"));
        check("{vars: {a: }, x: 1}", Err("`a` has no value"));
    }

    #[test]
    fn variables_that_grow_exponentially_are_a_problem() {
        let uses = |level: usize| format!("a{level}: '{}'", format!("${{a{}}}", level - 1).repeat(10));
        let vars: Vec<String> = (1..12).map(uses).collect();
        check(&format!("{{vars: {{a0: xxxxxxxxxx, {}}}, x: 1}}", vars.join(", ")), Err("variables add more than"));
    }
}
