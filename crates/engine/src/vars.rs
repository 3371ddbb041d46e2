//! Interpolation: `${name}` in any text becomes the value of that variable.
//!
//! A text that is only `${name}` takes the variable's type; `$${` is a literal `${`. Variables may use variables.

use crate::diagnostics::{Problem, UNDEFINED};
use crate::yaml::{Entry, Node, Value};
use crate::nearest::nearest;
use std::collections::{BTreeMap, BTreeSet};

/// Replaces every `${name}` below `node`, reporting each that can't be.
pub(crate) fn interpolate(node: &mut Node, vars: &BTreeMap<String, Node>, problems: &mut Vec<Problem>) {
    match &mut node.value {
        Value::Map(entries) => entries.iter_mut().for_each(|Entry { node, .. }| interpolate(node, vars, problems)),
        Value::List(nodes) => nodes.iter_mut().for_each(|node| interpolate(node, vars, problems)),
        Value::Text(text) if text.contains("${") => match expand(text, vars) {
            Ok(value) => node.value = value,
            Err((message, help)) => {
                let problem = Problem::new(UNDEFINED, &node.place, message);
                problems.push(if let Some(help) = help { problem.help(help) } else { problem });
            }
        },
        _ => {}
    }
}

/// Reads the `vars` map, with variables inside variables written out. The values of a matrix take the place of its own.
pub(crate) fn read(
    node: Option<&Node>,
    matrix: &BTreeMap<String, Node>,
    problems: &mut Vec<Problem>,
) -> BTreeMap<String, Node> {
    let mut open: BTreeMap<String, Node> = BTreeMap::new();
    for entry in node.map(Node::entries).unwrap_or_default() {
        if matches!(entry.node.value, Value::Map(_) | Value::List(_)) {
            let message = format!("a variable is one value, this is {}", entry.node.describe());
            problems.push(Problem::new("wrong-type", &entry.node.place, message));
        }
        open.insert(entry.key.clone(), entry.node.clone());
    }
    open.extend(matrix.iter().map(|(name, node)| (name.clone(), node.clone())));
    let mut done = resolve(&mut open, problems);
    for (name, node) in open {
        let message = format!("the variable `{name}` uses itself or one that nobody defined");
        problems.push(Problem::new(UNDEFINED, &node.place, message));
        done.insert(name, Node::new(Value::Null, node.place));
    }
    done
}

/// Takes the variables out of `open` that can be written out, and returns them so.
fn resolve(open: &mut BTreeMap<String, Node>, problems: &mut Vec<Problem>) -> BTreeMap<String, Node> {
    // A variable is resolved once its own variables are; what is left in the end uses itself or what is not there.
    let (mut missing, mut users) = (BTreeMap::new(), BTreeMap::<String, Vec<String>>::new());
    for (name, node) in &*open {
        let used: BTreeSet<&str> =
            if let Value::Text(text) = &node.value { names(text).collect() } else { BTreeSet::new() };
        missing.insert(name.clone(), used.len());
        for used in used {
            users.entry(used.to_owned()).or_default().push(name.clone());
        }
    }
    let mut ready: BTreeSet<String> =
        missing.iter().filter(|(_, missing)| **missing == 0).map(|(name, _)| name.clone()).collect();
    let mut done: BTreeMap<String, Node> = BTreeMap::new();
    while let Some(name) = ready.pop_first() {
        let Some(mut node) = open.remove(&name) else { continue };
        interpolate(&mut node, &done, problems);
        for user in users.remove(&name).unwrap_or_default() {
            if let Some(missing) = missing.get_mut(&user) {
                *missing -= 1;
                if *missing == 0 {
                    ready.insert(user);
                }
            }
        }
        done.insert(name, node);
    }
    done
}

/// Which of some variables the others use, directly or through others.
pub(crate) struct Uses(BTreeMap<String, BTreeSet<String>>);

impl Uses {
    /// Finds out which of `wanted` each of `vars` uses.
    pub(crate) fn of<'a>(vars: Option<&Node>, wanted: impl Iterator<Item = &'a str>) -> Self {
        let mut users: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for entry in vars.map(Node::entries).unwrap_or_default() {
            for used in named(&entry.node) {
                users.entry(used).or_default().push(&entry.key);
            }
        }
        let mut uses: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for wanted in wanted {
            let mut open = vec![wanted];
            while let Some(name) = open.pop() {
                for user in users.get(name).into_iter().flatten() {
                    if uses.entry((*user).to_owned()).or_default().insert(wanted.to_owned()) {
                        open.push(user);
                    }
                }
            }
        }
        Self(uses)
    }

    /// Returns what the variable `name` uses.
    pub(crate) fn by(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.get(name).into_iter().flatten().map(String::as_str)
    }

    /// Returns what is used below `node`, as far as it is `wanted` itself or a variable that uses such.
    pub(crate) fn below(&self, node: &Node, wanted: &[String]) -> BTreeSet<String> {
        let names = named(node);
        let direct = names.iter().copied().filter(|name| wanted.iter().any(|wanted| wanted == name));
        let through = names.iter().flat_map(|name| self.by(name)).filter(|name| wanted.iter().any(|one| one == name));
        direct.chain(through).map(str::to_owned).collect()
    }
}

/// Returns the variables that are named below `node`.
fn named(node: &Node) -> BTreeSet<&str> {
    let (mut named, mut open) = (BTreeSet::new(), vec![node]);
    while let Some(node) = open.pop() {
        match &node.value {
            Value::Map(entries) => open.extend(entries.iter().map(|entry| &entry.node)),
            Value::List(nodes) => open.extend(nodes),
            Value::Text(text) => named.extend(names(text)),
            _ => {}
        }
    }
    named
}

/// Returns the names used in `text`, in order.
fn names(text: &str) -> impl Iterator<Item = &str> {
    pieces(text).filter_map(|piece| if let Piece::Name(name) = piece { Some(name) } else { None })
}

/// Returns whether `${name}` stands for a path that is only known when a command runs.
fn is_port(name: &str) -> bool {
    name.starts_with("inputs.") || name.starts_with("outputs.")
}

/// How much longer variables may make a text. Variables that use each other could make it longer than memory.
const MAX_LONGER_BYTES: usize = 4096;

enum Piece<'a> {
    Literal(&'a str),
    Name(&'a str),
    /// A `${` without its `}`.
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
        // A `$` that starts nothing is itself literal.
        let first = rest.chars().next().map_or(0, char::len_utf8);
        let next = rest[first..].find('$').map_or(rest.len(), |at| at + first);
        let (literal, after) = rest.split_at(next);
        rest = after;
        Some(Piece::Literal(literal))
    })
}

fn expand(text: &str, vars: &BTreeMap<String, Node>) -> Result<Value, (String, Option<String>)> {
    let find = |name: &str| {
        vars.get(name).ok_or_else(|| {
            let define = format!("define it under `vars:` or with --set vars.{name}=…");
            let help = match nearest(name, vars.keys().map(String::as_str)) {
                Some(nearest) => format!("did you mean `${{{nearest}}}`? If not, {define}"),
                None => define,
            };
            (format!("the variable `{name}` is not defined"), Some(help))
        })
    };
    let text_limit = text.len() + MAX_LONGER_BYTES;
    let mut whole = String::new();
    for (position, piece) in pieces(text).enumerate() {
        match piece {
            Piece::Literal(literal) => whole.push_str(literal),
            Piece::Open => return Err(("`${` without its `}`".into(), Some("write `$${` for a literal `${`".into()))),
            Piece::Name(name) => {
                let node = find(name)?;
                if position == 0 && text.len() == name.len() + "${}".len() {
                    return Ok(node.value.clone());
                }
                let text = node.value.as_plain_text();
                let nothing = || (format!("the variable `{name}` has no text to put in here"), None);
                whole.push_str(&text.ok_or_else(nothing)?);
                if whole.len() > text_limit {
                    return Err((
                        format!("its variables make this text longer by over {MAX_LONGER_BYTES} bytes"),
                        None,
                    ));
                }
            }
        }
    }
    Ok(Value::Text(whole))
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
        let vars = read(node.get("vars"), &BTreeMap::new(), &mut problems);
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
    fn a_whole_value_keeps_its_type_and_a_part_is_text() {
        check("{vars: {a: 1}, x: '${a}'}", Ok(json!(1)));
        check("{vars: {a: 1}, x: 'ü${a}$${a}$'}", Ok(json!("ü1${a}$")));
        check("{vars: {a: 1}, x: '${inputs.a}/${a}'}", Ok(json!("${inputs.a}/1")));
        check("{vars: {a: ü, b: '${a}/c'}, x: ['${b}']}", Ok(json!(["ü/c"])));
    }

    #[test]
    fn what_is_not_defined_is_a_problem() {
        check("{vars: {epochs: 1}, x: '${epoch}'}", Err("`epoch` is not defined"));
        check("{vars: {a: '${b}', b: '${a}'}, x: 1}", Err("uses itself"));
        check("{x: 'a${b'}", Err("without its"));
        check("{vars: {a: [1]}, x: 1}", Err("one value"));
    }

    #[test]
    fn variables_that_blow_each_other_up_are_refused() {
        let uses = |level: usize| format!("a{level}: '{}'", format!("${{a{}}}", level - 1).repeat(10));
        let vars: Vec<String> = (1..12).map(uses).collect();
        check(&format!("{{vars: {{a0: xxxxxxxxxx, {}}}, x: 1}}", vars.join(", ")), Err("longer by over"));
    }
}
