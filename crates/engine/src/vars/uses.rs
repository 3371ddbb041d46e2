//! [`Uses`]: which variables depend on the variables of a matrix.

use super::names;
use crate::yaml::{Node, Value};
use std::collections::{BTreeMap, BTreeSet};

/// For each variable, the wanted variables that it uses, directly or through others.
pub(crate) struct Uses(BTreeMap<String, BTreeSet<String>>);

impl Uses {
    /// Finds which of `wanted` each of `vars` uses.
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

    /// Returns the wanted variables that `name` uses.
    pub(crate) fn by(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.get(name).into_iter().flatten().map(String::as_str)
    }

    /// Returns those of `wanted` that the texts in `node` use, directly or through other variables.
    pub(crate) fn below(&self, node: &Node, wanted: &[String]) -> BTreeSet<String> {
        let names = named(node);
        let direct = names.iter().copied().filter(|name| wanted.iter().any(|wanted| wanted == name));
        let through = names.iter().flat_map(|name| self.by(name)).filter(|name| wanted.iter().any(|one| one == name));
        direct.chain(through).map(str::to_owned).collect()
    }
}

/// Returns the variables that the texts in `node` name.
pub(crate) fn named(node: &Node) -> BTreeSet<&str> {
    let (mut named, mut open) = (BTreeSet::new(), vec![node]);
    while let Some(node) = open.pop() {
        match &node.value {
            Value::Map(entries) => open.extend(entries.iter().map(|entry| &entry.node)),
            Value::List(nodes) => open.extend(nodes),
            Value::Text(text) => named.extend(names(text)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
    named
}
