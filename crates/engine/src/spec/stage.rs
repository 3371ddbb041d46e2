//! Reads each stage of the file: its kind, its parameters and its sources.

use super::ports::{self, Stage};
use super::{Edge, StageName, StageSpec, check_length, culprit, cycles, epochs, foreign, is_name, limits, matrix};
use crate::diagnostics::Problem;
use crate::json_schema;
use crate::nearest::nearest;
use crate::yaml::keys::check_keys;
use crate::yaml::{Entry, Node, Value};
use pipe_schemas::contract::{ParamError, Parsed};
use pipe_schemas::stages::command::{CommandParams, Placeholder};
use pipe_schemas::{Contract, OddNames, Output, Selection, SourceSet, stages};
use serde::Deserialize;
use std::path::Path;

const KEYS: &[&str] = &["uses", "with", "inputs", "sources", "matrix", "resources", "timeout", "retries"];

/// Reads all stages and their connections. A stage with a problem makes the result `None`; the other stages are still checked
/// against it.
/// The parameters that change nothing are added to `ignored`, with the names of their stages.
pub(super) fn read_all(
    entries: &[Entry],
    ignored: &mut Vec<String>,
    problems: &mut Vec<Problem>,
) -> Option<(Vec<StageSpec>, Vec<Edge>)> {
    let drafts: Vec<Draft> = entries.iter().map(|entry| draft(entry, ignored, problems)).collect();
    // The copies of a matrix have the same ones.
    ignored.sort();
    ignored.dedup();
    let known: Vec<Stage> = drafts.iter().map(Draft::known).collect();
    let names = ports::Names::of(&known, problems);
    let mut edges = Vec::new();
    let finish = |(position, draft)| finish(draft, position, &known, &names, &mut edges, problems);
    let stages: Vec<Option<StageSpec>> = drafts.into_iter().enumerate().map(finish).collect();
    cycles::check(&known, &names, problems);
    Some((stages.into_iter().collect::<Option<_>>()?, edges))
}

/// A stage before its inputs are connected.
struct Draft<'a> {
    entry: &'a Entry,
    contract: Option<&'static Contract>,
    params: DraftParams,
}

/// The parameters of a draft.
#[derive(Default)]
struct DraftParams {
    /// Without those that have a mistake; `None` if the others can't be parsed alone.
    parsed: Option<Parsed>,
    /// The paths of those that have a mistake.
    wrong: Vec<Vec<String>>,
    /// Whether all of them are valid.
    are_valid: bool,
}

impl DraftParams {
    fn valid(&self) -> Option<&Parsed> {
        self.parsed.as_ref().filter(|_| self.are_valid)
    }
}

impl<'a> Draft<'a> {
    /// Returns the part that other stages are checked against.
    fn known(&self) -> Stage<'a> {
        // The outputs of open ports are unknown until the parameters are valid.
        let contract = self.contract.filter(|contract| self.params.are_valid || contract.open_ports.is_none());
        let named = self.params.parsed.iter().flat_map(|parsed| parsed.outputs.iter().cloned());
        let outputs = contract.map(|contract| contract.outputs.iter().map(Output::from).chain(named).collect());
        Stage { entry: self.entry, outputs, epochs_drawn: self.params.valid().and_then(|parsed| parsed.epochs_drawn) }
    }
}

fn draft<'a>(entry: &'a Entry, ignored: &mut Vec<String>, problems: &mut Vec<Problem>) -> Draft<'a> {
    let place = &entry.key_place;
    if !is_name(entry.key.split(matrix::MARK).next().unwrap_or_default()) {
        let problem = Problem::new("bad-name", place, format!("`{}` is not a valid stage name", entry.key));
        problems.push(problem.help("letters, digits, `_` and `-`"));
    }
    let help = if entry.key.contains(matrix::MARK) { "choose shorter matrix values" } else { "choose a shorter name" };
    check_length("the stage", &entry.key, place, help, problems);
    for output in entry.node.get("with").and_then(|with| with.get("outputs")).map(Node::entries).unwrap_or_default() {
        check_length("the output", &output.key, &output.key_place, "choose a shorter name", problems);
    }
    if entry.node.is_null() {
        let message = format!("there is no stage `{}` that a null could remove", entry.key);
        let help = "a null removes a stage of a file that this one extends; a stage has `uses`, `with` and `inputs`";
        problems.push(Problem::new("unknown-stage", place, message).help(help));
        return Draft { entry, contract: None, params: DraftParams::default() };
    }
    if !matches!(entry.node.value, Value::Map(_)) {
        let message = format!("expected a stage, found {}", entry.node.describe());
        problems.push(
            Problem::new("wrong-type", &entry.node.place, message).help("a stage has `uses`, `with` and `inputs`"),
        );
        return Draft { entry, contract: None, params: DraftParams::default() };
    }
    check_keys(&entry.node, format_args!("the stage `{}`", entry.key), KEYS, problems);
    let contract = kind(entry, problems);
    let params = contract.map(|contract| params(entry, contract, ignored, problems)).unwrap_or_default();
    Draft { entry, contract, params }
}

fn kind(entry: &Entry, problems: &mut Vec<Problem>) -> Option<&'static Contract> {
    let kinds = || stages::ALL.iter().map(|contract| contract.kind);
    match entry.node.get("uses") {
        None => {
            let message = format!("the stage `{}` has no `uses`", entry.key);
            let problem = Problem::new("missing-key", &entry.key_place, message);
            problems.push(problem.help(format!("uses: one of {}", kinds().collect::<Vec<_>>().join(", "))));
            None
        }
        Some(Node { value: Value::Text(kind), place, .. }) => {
            let contract = stages::contract(kind);
            if contract.is_none() {
                let help = match nearest(kind, kinds()) {
                    Some(nearest) => format!("did you mean `{nearest}`?"),
                    None => format!("the stage kinds are {}", kinds().collect::<Vec<_>>().join(", ")),
                };
                problems.push(Problem::new("unknown-kind", place, format!("unknown stage kind `{kind}`")).help(help));
            }
            contract
        }
        Some(node) => {
            let message = format!("expected a stage kind, found {}", node.describe());
            problems.push(Problem::new("wrong-type", &node.place, message));
            None
        }
    }
}

/// Connects the inputs of a draft, and returns its stage if nothing about it is wrong.
fn finish(
    draft: Draft,
    position: usize,
    known: &[Stage],
    names: &ports::Names,
    edges: &mut Vec<Edge>,
    problems: &mut Vec<Problem>,
) -> Option<StageSpec> {
    let Draft { entry, contract, params } = draft;
    let limits = limits::read(&entry.node, problems);
    let contract = contract?;
    let before = problems.len();
    let sources = source_globs(entry, contract, problems);
    let stage = Stage { entry, outputs: None, epochs_drawn: None };
    let inputs = ports::inputs(&stage, contract, known, names, problems);
    let is_wrong = |param: &str| {
        let path: Vec<String> = param.split('.').map(str::to_owned).collect();
        params.wrong.iter().any(|wrong| is_nested(wrong, &path))
    };
    ports::check_required(&stage, contract, params.parsed.as_ref(), &is_wrong, problems);
    let parsed = params.parsed?;
    problems.extend(ports::check_named_input(&stage, &parsed, &is_wrong));
    problems.extend(epochs::check(entry, &parsed, &inputs, known, &is_wrong));
    let parsed = Some(parsed).filter(|_| params.are_valid)?;
    edges.extend(inputs.into_iter().map(|(from, connection)| Edge { from, to: position, connection }));
    if problems.len() == before {
        problems.extend(ports::check_values_per_input(&stage, &parsed));
    }
    if contract.worker.is_none() {
        check_placeholders(entry, &parsed, problems);
    }
    (problems.len() == before).then(|| StageSpec {
        name: StageName(entry.key.clone()),
        contract,
        params: parsed.canonical,
        keyed: parsed.keyed,
        sources: parsed.sources.into_iter().chain(sources).collect(),
        outputs: contract.outputs.iter().map(Output::from).chain(parsed.outputs).collect(),
        num_classes: parsed.num_classes,
        limits,
    })
}

/// Returns the parameters of a stage, and adds those that change nothing to `ignored`.
fn params(entry: &Entry, contract: &Contract, ignored: &mut Vec<String>, problems: &mut Vec<Problem>) -> DraftParams {
    let empty = Node::new(Value::Map(Vec::new()), entry.key_place.clone());
    // `with:` without a value is a map without entries.
    let with = entry.node.get("with").filter(|with| !with.is_null()).unwrap_or(&empty);
    let mut value = spelled_texts(with, contract.schema(), &mut Vec::new());
    let stage = entry.key.split(matrix::MARK).next().unwrap_or_default();
    let mut violations = json_schema::check(contract.schema(), &value);
    let foreign = foreign::take(contract, &mut value, &violations);
    if !foreign.is_empty() {
        violations = json_schema::check(contract.schema(), &value);
    }
    ignored.extend(foreign.into_iter().map(|path| format!("{stage}.{path}")));
    let before = problems.len();
    for violation in &violations {
        let place = with.place_of(&violation.path, violation.at_key);
        let code = if violation.at_key { "unknown-key" } else { "wrong-value" };
        let problem = Problem::new(code, place, in_with(&violation.path, violation.at_key, &violation.message));
        problems.push(if let Some(help) = &violation.help { problem.help(help) } else { problem });
    }
    let mut wrong: Vec<Vec<String>> = violations.into_iter().map(|violation| violation.path).collect();
    // The valid parameters are checked further, so that all mistakes are reported at once.
    value = without(value, wrong.iter().map(Vec::as_slice));
    let parsed = parse(contract, with, value, &mut wrong, problems);
    if let Some(parsed) = &parsed {
        for error in parsed.errors.iter().filter(|error| !wrong.iter().any(|path| follows(error, path))) {
            let message = in_with(&error.path, false, &error.message);
            problems.push(Problem::new("wrong-value", with.place_of(&error.path, false), message).help(&error.help));
        }
    }
    let are_valid = problems.len() == before;
    if let Some(parsed) = &parsed {
        check_sources(&entry.node, parsed, problems);
    }
    DraftParams { parsed, wrong, are_valid }
}

/// Parses parameters that fit the schema. Values that their types refuse are reported, added to `wrong` and left out.
fn parse(
    contract: &Contract,
    with: &Node,
    mut value: serde_json::Value,
    wrong: &mut Vec<Vec<String>>,
    problems: &mut Vec<Problem>,
) -> Option<Parsed> {
    loop {
        let error = match (contract.parse)(&value) {
            Ok(parsed) => return Some(parsed),
            Err(error) => error.to_string(),
        };
        let Some(path) = culprit::find(contract, &value, &error) else {
            // What is missing may be a parameter that was left out, because it has a mistake.
            if wrong.is_empty() {
                problems.push(Problem::new("wrong-value", &with.place, error));
            }
            return None;
        };
        // The schema has reported what is missing, and the mistake that leaves nothing of a map.
        if !error.starts_with("missing field") && !wrong.iter().any(|wrong| is_nested(wrong, &path)) {
            let message = in_with(&path, false, &error);
            problems.push(Problem::new("wrong-value", with.place_of(&path, false), message));
        }
        value = without(value, [path.as_slice()].into_iter());
        wrong.push(path);
    }
}

/// Returns whether an error is only there because the parameter at `wrong`, which has a mistake, was left out: it is about that parameter or
/// what is in it, or it is about the map that contains the parameter, or something in this map, and names the parameter.
fn follows(error: &ParamError, wrong: &[String]) -> bool {
    let Some((name, map)) = wrong.split_last() else { return false };
    let is_near = is_nested(map, &error.path);
    error.path.starts_with(wrong) || (is_near && error.message.contains(&format!("`{name}")))
}

fn is_nested(one: &[String], other: &[String]) -> bool {
    one.starts_with(other) || other.starts_with(one)
}

/// Returns parameters as JSON. A number or truth value that comes from a variable is text where only text is accepted: `${year}` may
/// be the name of a folder.
fn spelled_texts<'n>(node: &'n Node, schema: &serde_json::Value, path: &mut Vec<&'n str>) -> serde_json::Value {
    match &node.value {
        Value::Map(entries) => {
            let mut inside = |entry: &'n Entry| {
                path.push(&entry.key);
                let value = spelled_texts(&entry.node, schema, path);
                path.pop();
                (entry.key.clone(), value)
            };
            entries.iter().map(&mut inside).collect()
        }
        Value::List(nodes) => {
            // The items of a list have the same schema, except those of a tuple, which are not text.
            path.push("0");
            let values = nodes.iter().map(|node| spelled_texts(node, schema, path)).collect();
            path.pop();
            values
        }
        Value::Number(_) | Value::Bool(_) => match &node.spelling {
            Some(text) if json_schema::takes_only_text(schema, path.iter().copied()) => text.to_string().into(),
            Some(_) | None => node.to_json(),
        },
        Value::Null | Value::Text(_) => node.to_json(),
    }
}

/// Removes the values at `paths`. A value in a list is removed together with the innermost map entry that contains it.
fn without<'a>(mut value: serde_json::Value, paths: impl Iterator<Item = &'a [String]>) -> serde_json::Value {
    fn remove(value: &mut serde_json::Value, path: &[String]) -> bool {
        let (serde_json::Value::Object(map), Some((first, rest))) = (value, path.split_first()) else { return false };
        if !map.get_mut(first).is_some_and(|child| remove(child, rest)) {
            map.remove(first);
        }
        true
    }
    for path in paths {
        remove(&mut value, path);
    }
    value
}

/// Prefixes a message with the parameter that it is about.
fn in_with(path: &[String], at_key: bool, message: &str) -> String {
    let path = if at_key { path.split_last().map_or(path, |(_, above)| above) } else { path };
    if path.is_empty() { message.to_owned() } else { format!("`{}`: {message}", path.join(".")) }
}

fn check_sources(node: &Node, parsed: &Parsed, problems: &mut Vec<Problem>) {
    for source in &parsed.sources {
        if source.root.exists() {
            continue;
        }
        let path = vec![source.param.to_owned()];
        let place = node.get("with").map_or(&node.place, |with| with.place_of(&path, false));
        let message = format!("{} does not exist", source.root.display());
        let problem = Problem::new("missing-source", place, message);
        problems.push(match unexpanded(&source.root.to_string_lossy()) {
            Some(help) => problem.help(help),
            None if source.root.is_relative() => problem.help("paths are relative to the current folder"),
            None => problem,
        });
    }
}

/// Returns what to do about a path that only a shell would expand; `None` for other paths.
fn unexpanded(path: &str) -> Option<&'static str> {
    let names_variable =
        path.split('$').skip(1).any(|after| after.starts_with(|c: char| c.is_alphabetic() || c == '_'));
    if path == "~" || path.starts_with("~/") {
        Some("`~` is not expanded in a pipeline file; write the whole path, or --set vars.NAME=\"$HOME/…\"")
    } else if names_variable {
        Some(
            "environment variables are not read in a pipeline file; write the whole path, or --set vars.NAME=\"$NAME\"",
        )
    } else {
        None
    }
}

/// Reads `sources:`, the globs of the files that a command reads.
fn source_globs(entry: &Entry, contract: &Contract, problems: &mut Vec<Problem>) -> Option<SourceSet> {
    let node = entry.node.get("sources")?;
    let mut wrong = |node: &Node, message: String, help: &str| {
        problems.push(Problem::new("wrong-value", &node.place, message).help(help));
        None
    };
    if contract.worker.is_some() {
        let message = format!("a stage of kind `{}` can't have `sources`", contract.kind);
        return wrong(node, message, "`sources` is for stages of the kind `command`");
    }
    let Value::List(globs) = &node.value else {
        let message = format!("`sources`: expected a list of globs, found {}", node.describe());
        return wrong(node, message, "sources: [\"data/*.txt\"]");
    };
    let mut include = Vec::new();
    for glob in globs {
        let Value::Text(text) = &glob.value else {
            return wrong(glob, format!("`sources`: expected a glob, found {}", glob.describe()), "\"data/*.txt\"");
        };
        if let Err(error) = globset::Glob::new(text) {
            return wrong(glob, format!("`sources`: {error}"), "`*` matches any name, `**` any number of folders");
        }
        if let Some(help) = unexpanded(text).filter(|_| text.starts_with('~')) {
            return wrong(glob, format!("`sources`: the glob `{text}` can't match a file"), help);
        }
        include.push(text.clone());
    }
    (!include.is_empty()).then(|| SourceSet {
        param: "sources",
        root: Path::new(".").into(),
        include,
        exclude: vec![],
        odd_names: OddNames::Refused,
        selection: Selection::Exact,
    })
}

/// Checks that the input of each `${inputs.NAME}` is connected.
fn check_placeholders(entry: &Entry, parsed: &Parsed, problems: &mut Vec<Problem>) {
    if !contains_text(&parsed.canonical, "${inputs.") {
        return;
    }
    let Ok(params) = CommandParams::deserialize(&parsed.canonical) else { return };
    let (with, inputs) = (entry.node.get("with"), entry.node.get("inputs"));
    for (path, placeholder) in params.placeholders() {
        let Placeholder::Input(name) = placeholder else { continue };
        if inputs.is_none_or(|inputs| inputs.get(name).is_none()) {
            let place = with.map_or(&entry.node.place, |with| with.place_of(&path, false));
            let known: Vec<&str> =
                inputs.map(Node::entries).unwrap_or_default().iter().map(|i| i.key.as_str()).collect();
            let help = match nearest(name, known) {
                Some(nearest) => format!("did you mean `${{inputs.{nearest}}}`?"),
                None => format!("connect it with inputs: {{ {name}: STAGE }}"),
            };
            problems
                .push(Problem::new("missing-input", place, format!("the input `{name}` is not connected")).help(help));
        }
    }
}

/// Returns whether a text in `value` contains `part`.
fn contains_text(value: &serde_json::Value, part: &str) -> bool {
    match value {
        serde_json::Value::String(text) => text.contains(part),
        serde_json::Value::Array(items) => items.iter().any(|item| contains_text(item, part)),
        serde_json::Value::Object(fields) => fields.values().any(|field| contains_text(field, part)),
        serde_json::Value::Null | serde_json::Value::Bool(_) | serde_json::Value::Number(_) => false,
    }
}
