//! [`check`]: variables that nothing uses. Most are misspelt: the value that was meant stays as it was.

use super::uses::named;
use crate::diagnostics::Problem;
use crate::merge::Texts;
use crate::nearest::nearest;
use crate::yaml::{Entry, Node};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// The code of a problem with a variable that nothing uses.
const UNUSED: &str = "unused-variable";

/// Maximum number of variables that a hint names.
const MAX_NAMED: usize = 10;

/// Maximum number of variables that are compared with all others, to find what is meant.
const MAX_COMPARED: usize = 100;

/// Who defines a variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    PipelineFile,
    /// A file may define variables for some of the files that extend it.
    ExtendedFile,
    Setting,
}

/// Reports the variables of the pipeline file that no text uses, and those of settings that have no effect. The first `num_files`
/// of the texts are files, the others settings.
///
/// A variable of the pipeline file is a mistake only if its name is similar to a variable that is used: without such a name it
/// changes nothing. The names of variables that are not mistakes are returned.
pub(crate) fn check<'r>(root: &'r Node, texts: &Texts, num_files: usize, problems: &mut Vec<Problem>) -> Vec<&'r str> {
    let vars = root.get("vars");
    let effective = effective(root);
    let matrix = root.get("matrix").map(Node::entries).unwrap_or_default();
    let origin = |entry: &Entry| match texts.all.iter().position(|text| Arc::ptr_eq(text, &entry.key_place.source)) {
        Some(0) => Origin::PipelineFile,
        Some(position) if position < num_files => Origin::ExtendedFile,
        Some(_) | None => Origin::Setting,
    };
    let is_unused = |entry: &Entry| match origin(entry) {
        Origin::PipelineFile => !texts.used_vars.contains(&entry.key),
        Origin::ExtendedFile => false,
        Origin::Setting => !effective.contains(entry.key.as_str()),
    };
    let defined = vars.map(Node::entries).unwrap_or_default();
    let known: Vec<&str> =
        texts.used_vars.iter().map(String::as_str).chain(defined.iter().map(|entry| entry.key.as_str())).collect();
    let named = defined.iter().filter(|entry| !entry.node.is_null()).map(|entry| (entry, ""));
    let axes = matrix.iter().map(|entry| (entry, " of the matrix"));
    let unused = named.clone().chain(axes).filter(|(entry, _)| is_unused(entry));
    let mut harmless = Vec::new();
    for (position, (entry, of)) in unused.enumerate() {
        let used = texts.used_vars.iter().map(String::as_str);
        if of.is_empty() && origin(entry) == Origin::PipelineFile && nearest(&entry.key, used).is_none() {
            harmless.push(entry.key.as_str());
            continue;
        }
        let message = format!("nothing uses the variable `{}`{of}", entry.key);
        let problem = Problem::new(UNUSED, &entry.key_place, message);
        problems.push(if position < MAX_COMPARED { problem.help(help(&entry.key, &known, texts)) } else { problem });
    }
    let is_axis = |key: &str| matrix.iter().any(|axis| axis.key == key);
    for (entry, _) in named.filter(|(entry, _)| origin(entry) == Origin::Setting && is_axis(&entry.key)) {
        let message = format!("`matrix` has the values of the variable `{}`, so this one has no effect", entry.key);
        let help = format!("--set matrix.{}=[VALUE]", entry.key);
        problems.push(Problem::new(UNUSED, &entry.key_place, message).help(help));
    }
    harmless
}

/// Returns what is probably meant by a variable that nothing uses.
fn help(name: &str, known: &[&str], texts: &Texts) -> String {
    if let Some(nearest) = nearest(name, known.iter().copied().filter(|known| *known != name)) {
        return format!("did you mean `{nearest}`?");
    }
    let used: Vec<&str> = texts.used_vars.iter().take(MAX_NAMED).map(String::as_str).collect();
    let more = if texts.used_vars.len() > MAX_NAMED { ", …" } else { "" };
    match used.as_slice() {
        [] => format!("remove it, or use it as ${{{name}}}"),
        used => format!("the variables that are used are {}{more}", used.join(", ")),
    }
}

/// Returns the variables that the merged pipeline uses, directly or through other variables.
fn effective(root: &Node) -> BTreeSet<&str> {
    let vars = root.get("vars").map(Node::entries).unwrap_or_default();
    let values: HashMap<&str, &Node> = vars.iter().map(|entry| (entry.key.as_str(), &entry.node)).collect();
    let outside_vars = root.entries().iter().filter(|entry| entry.key != "vars");
    let mut open: Vec<&str> = outside_vars.flat_map(|entry| named(&entry.node)).collect();
    let mut used = BTreeSet::new();
    while let Some(name) = open.pop() {
        if used.insert(name) {
            open.extend(values.get(name).into_iter().flat_map(|node| named(node)));
        }
    }
    used
}

#[cfg(test)]
mod tests {
    use crate::{Setting, load};
    use fs_err as fs;

    const STAGES: &str =
        "stages: { a: { uses: command, with: { run: [echo, '${epochs}', '${n}'], outputs: { o: o } } } }";

    /// Returns the problems of a pipeline, one per line, with their hints.
    fn problems(vars: &str, base: &str, settings: &[&str]) -> String {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("base.yaml"), base).expect("written");
        let path = folder.path().join("p.yaml");
        fs::write(&path, format!("pipeline: p\nextends: [base.yaml]\n{vars}\n{STAGES}\n")).expect("written");
        let settings: Vec<Setting> = settings.iter().map(|setting| Setting((*setting).to_owned())).collect();
        let line =
            |problem: &crate::Problem| format!("{} ({})", problem.message, problem.help.as_deref().unwrap_or(""));
        match load(&path, &settings) {
            Ok(_) => String::new(),
            Err(problems) => problems.0.iter().map(line).collect::<Vec<_>>().join("\n"),
        }
    }

    const BASE: &str = "vars: { epochs: 1, n: 1, shared: 1 }";

    #[test]
    fn a_variable_that_nothing_uses_is_a_mistake() {
        let unused = "nothing uses the variable `epoch` (did you mean `epochs`?)";
        assert_eq!(problems("", BASE, &[]), "");
        assert_eq!(problems("vars: { epochs: 2 }", BASE, &["vars.n=${epochs}"]), "");
        assert_eq!(problems("vars: { epoch: 2 }", BASE, &[]), unused);
        assert_eq!(problems("", BASE, &["vars.epoch=2"]), unused);
        assert_eq!(problems("", BASE, &["vars={epoch: 2}"]), unused);
        // `n` uses it, and nothing uses `n` after `--set`.
        let overridden =
            problems("vars: { x: 1, n: '${x}' }", BASE, &["vars.x=2", "stages.a.with.run=[echo, '${epochs}']"]);
        assert!(overridden.starts_with("nothing uses the variable `x`"), "{overridden}");
        let matrix = problems("matrix: { splits: [1, 2] }", BASE, &[]);
        assert!(matrix.starts_with("nothing uses the variable `splits` of the matrix"), "{matrix}");
    }

    #[test]
    fn a_variable_that_nothing_uses_is_a_note_if_no_name_is_similar() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("p.yaml");
        let stages = "stages: { a: { uses: command, with: { run: [echo], outputs: { o: o } } } }";
        fs::write(&path, format!("pipeline: p\nvars: {{ epochs: 1, batch: 4 }}\n{stages}\n")).expect("written");
        let plan = load(&path, &[]).expect("no mistake");
        assert_eq!(plan.notes(), ["nothing uses the variables `epochs`, `batch`"]);
    }

    #[test]
    fn a_setting_that_a_matrix_overrides_is_a_mistake() {
        assert_eq!(problems("matrix: { n: [1, 2] }", BASE, &[]), "");
        let found = problems("matrix: { n: [1, 2] }", BASE, &["vars.n=3"]);
        assert!(found.contains("`matrix` has the values") && found.contains("--set matrix.n=[VALUE]"), "{found}");
    }

    #[test]
    fn a_variable_without_a_value_is_a_mistake() {
        assert!(problems("vars: { epoch: }", BASE, &[]).starts_with("the variable `epoch` has no value"));
        assert!(problems("", BASE, &["vars.epoch=null"]).starts_with("the variable `epoch` has no value"));
        assert!(problems("", BASE, &["vars.epochs=null"]).contains("`epochs` is not defined"));
    }
}
