//! [`Spec`]: a pipeline file after every check that needs no work: keys, kinds, parameters, ports, sources.

use crate::diagnostics::Problem;
use crate::place::{Place, SourceText};
use crate::yaml::{Entry, Node, Value};
use crate::{Problems, merge, plan, remote, vars};
use pipe_cache::RemoteSetting;
use pipe_schemas::contract::Parsed;
use pipe_schemas::json_schema::{self, nearest};
use pipe_schemas::{Contract, OutputPort, SourceSet, stages};
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// A stage's name in its pipeline: letters, digits, `_` and `-`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StageName(String);

impl StageName {
    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StageName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// A change to a pipeline from the command line, `PATH=VALUE`.
#[derive(Debug, Clone)]
pub struct Setting(pub String);

/// A pipeline without a mistake; [`plan::seal`] puts it in order.
#[derive(Debug)]
pub struct Spec {
    /// The pipeline's name.
    pub name: String,
    /// Where results are shared; no part of any key.
    pub remote: Option<RemoteSetting>,
    /// In the order of the file.
    pub stages: Vec<StageSpec>,
}

/// A stage of a [`Spec`].
#[derive(Debug)]
pub struct StageSpec {
    /// Its name.
    pub name: StageName,
    /// Where its name stands.
    pub place: Place,
    /// Its kind.
    pub contract: &'static Contract,
    /// Parameters with defaults filled in.
    pub params: serde_json::Value,
    /// Files from outside the pipeline.
    pub sources: Vec<SourceSet>,
    /// What is connected to each input port.
    pub inputs: BTreeMap<&'static str, InputRef>,
    /// What it may use.
    pub resources: Resources,
}

/// An output of another stage.
#[derive(Debug, Clone)]
pub struct InputRef {
    /// Position in [`Spec::stages`].
    pub stage: usize,
    /// Which of its outputs.
    pub port: &'static OutputPort,
    /// Where the connection stands.
    pub place: Place,
}

/// What a stage may use; no part of its key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Resources {
    /// Threads; all of the machine's if not given.
    pub cpus: Option<usize>,
}

/// Reads the pipeline file at `path` with what it extends, applies `settings`, and checks all of it.
pub fn load(path: &Path, settings: &[Setting]) -> Result<plan::Plan, Problems> {
    let (mut files, mut problems) = (Vec::new(), Vec::new());
    let spec = read(path, settings, &mut files, &mut problems);
    match spec.and_then(plan::seal) {
        Some(plan) if problems.is_empty() => Ok(plan),
        _ => Err(Problems::sorted(problems, &files)),
    }
}

fn read(
    path: &Path,
    settings: &[Setting],
    files: &mut Vec<Arc<SourceText>>,
    problems: &mut Vec<Problem>,
) -> Option<Spec> {
    let mut root = match merge::read(path, files) {
        Ok(root) => root,
        Err(found) => {
            problems.extend(found);
            return None;
        }
    };
    for Setting(setting) in settings {
        if let Err(problem) = merge::set(&mut root, setting, files) {
            problems.push(problem);
        }
    }
    let vars = vars::read(root.get("vars"), problems);
    vars::interpolate(&mut root, &vars, problems);
    check_keys(&root, "the pipeline", &["pipeline", "extends", "vars", "remote", "stages"], problems);
    let name = name_of(&root, path, problems);
    let remote = remote::read(root.get("remote"), problems);
    let stages = root.get("stages");
    if stages.is_none_or(|stages| stages.entries().is_empty()) {
        let place = stages.map_or(&root.place, |stages| &stages.place);
        problems.push(
            Problem::new("no-stages", place, "a pipeline needs a map of stages")
                .help("stages:\n  videos: { uses: ingest, with: { root: my/videos } }"),
        );
        return None;
    }
    let entries = stages.map(Node::entries).unwrap_or_default();
    let drafts: Vec<Draft> = entries.iter().map(|entry| draft(entry, problems)).collect();
    let stages: Vec<_> = drafts.iter().map(|draft| finish(draft, &drafts, problems)).collect();
    check_circles(&drafts, problems);
    // A stage with a problem is `None`; the others were still checked against it.
    let stages = stages.into_iter().collect::<Option<Vec<_>>>()?;
    Some(Spec { name, remote, stages })
}

pub(crate) fn check_keys(node: &Node, what: &str, known: &[&str], problems: &mut Vec<Problem>) {
    for entry in node.entries() {
        if known.contains(&entry.key.as_str()) {
            continue;
        }
        let help = match nearest(&entry.key, known.iter().copied()) {
            Some(nearest) => format!("did you mean `{nearest}`?"),
            None => format!("known are {}", known.join(", ")),
        };
        let message = format!("unknown key `{}` in {what}", entry.key);
        problems.push(Problem::new("unknown-key", &entry.key_place, message).help(help));
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_' || letter == '-')
}

fn name_of(root: &Node, path: &Path, problems: &mut Vec<Problem>) -> String {
    match root.get("pipeline") {
        Some(Node { value: Value::Text(name), .. }) if is_name(name) => name.clone(),
        Some(node) => {
            let problem = Problem::new("wrong-type", &node.place, format!("{} is no pipeline name", node.describe()));
            problems.push(problem.help("letters, digits, `_` and `-`"));
            String::new()
        }
        None => {
            let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
            let problem = Problem::new("missing-key", &root.place, "the pipeline has no name");
            problems.push(problem.help(format!("pipeline: {stem}")));
            stem
        }
    }
}

/// A stage whose kind is looked up, before its inputs are.
struct Draft<'a> {
    entry: &'a Entry,
    contract: Option<&'static Contract>,
}

fn draft<'a>(entry: &'a Entry, problems: &mut Vec<Problem>) -> Draft<'a> {
    let place = &entry.key_place;
    if !is_name(&entry.key) {
        let problem = Problem::new("bad-name", place, format!("`{}` is no stage name", entry.key));
        problems.push(problem.help("letters, digits, `_` and `-`"));
    }
    if !matches!(entry.node.value, Value::Map(_)) {
        let message = format!("expected a stage, found {}", entry.node.describe());
        problems.push(
            Problem::new("wrong-type", &entry.node.place, message).help("a stage has `uses`, `with` and `inputs`"),
        );
        return Draft { entry, contract: None };
    }
    check_keys(&entry.node, &format!("the stage `{}`", entry.key), &["uses", "with", "inputs", "resources"], problems);
    let kinds = || stages::ALL.iter().map(|contract| contract.kind);
    let contract = match entry.node.get("uses") {
        None => {
            let problem =
                Problem::new("missing-key", place, format!("the stage `{}` does not say what it uses", entry.key));
            problems.push(problem.help(format!("uses: one of {}", kinds().collect::<Vec<_>>().join(", "))));
            None
        }
        Some(Node { value: Value::Text(kind), place, .. }) => {
            let contract = stages::contract(kind);
            if contract.is_none() {
                let help = match nearest(kind, kinds()) {
                    Some(nearest) => format!("did you mean `{nearest}`?"),
                    None => format!("known are {}", kinds().collect::<Vec<_>>().join(", ")),
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
    };
    Draft { entry, contract }
}

fn finish(draft: &Draft, drafts: &[Draft], problems: &mut Vec<Problem>) -> Option<StageSpec> {
    let resources = resources(draft.entry.node.get("resources"), problems);
    let contract = draft.contract?;
    let parsed = params(draft, contract, problems);
    let before = problems.len();
    let inputs = inputs(draft, contract, drafts, problems);
    check_required(draft, contract, problems);
    let parsed = parsed?;
    (problems.len() == before).then(|| StageSpec {
        name: StageName(draft.entry.key.clone()),
        place: draft.entry.key_place.clone(),
        contract,
        params: parsed.canonical,
        sources: parsed.sources,
        inputs,
        resources,
    })
}

fn params(draft: &Draft, contract: &Contract, problems: &mut Vec<Problem>) -> Option<Parsed> {
    let empty = Node::new(Value::Map(Vec::new()), draft.entry.key_place.clone());
    let with = draft.entry.node.get("with").unwrap_or(&empty);
    let mut value = with.to_json();
    let before = problems.len();
    let findings = json_schema::check(&(contract.schema)(), &value);
    for finding in &findings {
        let place = with.place_of(&finding.path, finding.at_key);
        let code = if finding.at_key { "unknown-key" } else { "wrong-value" };
        let problem = Problem::new(code, place, in_with(&finding.path, finding.at_key, &finding.message));
        problems.push(if let Some(help) = &finding.help { problem.help(help) } else { problem });
    }
    if problems.len() > before {
        // The parameters that are right are checked further, so that all mistakes are told at once.
        value = without(value, findings.iter().map(|finding| finding.path.as_slice()));
    }
    match (contract.parse)(&value) {
        Err(error) if problems.len() == before => {
            problems.push(Problem::new("wrong-value", &with.place, error.to_string()));
            None
        }
        Err(_) => None,
        Ok(parsed) => {
            for error in &parsed.errors {
                let message = in_with(&error.path, false, &error.message);
                problems
                    .push(Problem::new("wrong-value", with.place_of(&error.path, false), message).help(&error.help));
            }
            check_sources(&draft.entry.node, &parsed, problems);
            (problems.len() == before).then_some(parsed)
        }
    }
}

/// Removes the values at `paths`; where one can't be removed alone, as from a list, the nearest map's entry goes.
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

/// Prefixes a message with the parameter it is about.
fn in_with(path: &[String], at_key: bool, message: &str) -> String {
    let path = if at_key { path.split_last().map_or(path, |(_, above)| above) } else { path };
    if path.is_empty() { message.to_owned() } else { format!("`{}`: {message}", path.join(".")) }
}

fn inputs(
    draft: &Draft,
    contract: &'static Contract,
    drafts: &[Draft],
    problems: &mut Vec<Problem>,
) -> BTreeMap<&'static str, InputRef> {
    let mut inputs = BTreeMap::new();
    let Some(node) = draft.entry.node.get("inputs") else { return inputs };
    if !matches!(node.value, Value::Map(_)) {
        let message = format!("expected a map from port to stage, found {}", node.describe());
        problems.push(Problem::new("wrong-type", &node.place, message).help("inputs: { videos: videos }"));
        return inputs;
    }
    for entry in node.entries() {
        let names = || contract.inputs.iter().map(|port| port.name);
        let Some(port) = contract.inputs.iter().find(|port| port.name == entry.key) else {
            let help = match nearest(&entry.key, names()) {
                Some(nearest) => format!("did you mean `{nearest}`?"),
                None if contract.inputs.is_empty() => format!("`{}` has no inputs", contract.kind),
                None => format!("known are {}", names().collect::<Vec<_>>().join(", ")),
            };
            let message = format!("`{}` has no input `{}`", contract.kind, entry.key);
            problems.push(Problem::new("unknown-port", &entry.key_place, message).help(help));
            continue;
        };
        let Some((stage, output)) = output(&entry.node, drafts, problems) else { continue };
        if output.port_type != port.port_type {
            let (found, wanted) = (output.port_type.name(), port.port_type.name());
            let message =
                format!("`{}` is {found}, the input `{}` wants {wanted}", describe_ref(&entry.node), port.name);
            let fitting = drafts.iter().flat_map(|draft| {
                let outputs = draft.contract.map(|contract| contract.outputs).unwrap_or_default();
                let fitting = outputs.iter().enumerate().filter(|(_, output)| output.port_type == port.port_type);
                fitting.map(|(position, output)| match position {
                    0 => format!("`{}`", draft.entry.key),
                    _ => format!("`{}.{}`", draft.entry.key, output.name),
                })
            });
            let fitting: Vec<String> = fitting.collect();
            let problem = Problem::new("port-type", &entry.node.place, message);
            problems.push(if fitting.is_empty() {
                problem.help(format!("no stage of this pipeline makes {wanted}"))
            } else {
                problem.help(format!("{} would fit", fitting.join(" or ")))
            });
            continue;
        }
        inputs.insert(port.name, InputRef { stage, port: output, place: entry.node.place.clone() });
    }
    inputs
}

fn describe_ref(node: &Node) -> String {
    if let Value::Text(text) = &node.value { text.clone() } else { node.describe() }
}

/// Finds stages that read each other, whatever else is wrong with them.
fn check_circles(drafts: &[Draft], problems: &mut Vec<Problem>) {
    let mut edges = Vec::new();
    for (to, draft) in drafts.iter().enumerate() {
        for input in draft.entry.node.get("inputs").map(Node::entries).unwrap_or_default() {
            if let Value::Text(text) = &input.node.value {
                let stage = text.split('.').next().unwrap_or(text);
                let from = drafts.iter().position(|draft| draft.entry.key == stage);
                edges.extend(from.map(|from| (from, to, &input.node.place)));
            }
        }
    }
    for circle in plan::circles(drafts.len(), edges.iter().map(|(from, to, _)| (*from, *to))) {
        let inside = |(from, to, _): &&(usize, usize, &Place)| circle.contains(from) && circle.contains(to);
        let Some((_, _, place)) = edges.iter().find(inside) else { continue };
        let names: Vec<String> = circle.iter().map(|&stage| format!("`{}`", drafts[stage].entry.key)).collect();
        let message = match names.as_slice() {
            [name] => format!("the stage {name} reads its own output"),
            names => format!("the stages {} read each other's outputs in a circle", names.join(", ")),
        };
        problems.push(Problem::new("cycle", place, message).help("break the circle at one of its inputs"));
    }
}

/// Finds the output that `stage` or `stage.port` names.
fn output(node: &Node, drafts: &[Draft], problems: &mut Vec<Problem>) -> Option<(usize, &'static OutputPort)> {
    let Value::Text(text) = &node.value else {
        let message = format!("expected a stage, found {}", node.describe());
        problems.push(Problem::new("wrong-type", &node.place, message).help("`stage` or `stage.port`"));
        return None;
    };
    let (stage, port) = text.split_once('.').map_or((text.as_str(), None), |(stage, port)| (stage, Some(port)));
    let Some(position) = drafts.iter().position(|draft| draft.entry.key == stage) else {
        let help = match nearest(stage, drafts.iter().map(|draft| draft.entry.key.as_str())) {
            Some(nearest) => format!("did you mean `{nearest}`?"),
            None => "it must be a stage of this pipeline".into(),
        };
        problems.push(Problem::new("unknown-stage", &node.place, format!("there is no stage `{stage}`")).help(help));
        return None;
    };
    let contract = drafts[position].contract?;
    let found = match port {
        None => contract.outputs.first(),
        Some(port) => contract.outputs.iter().find(|output| output.name == port),
    };
    if found.is_none() {
        let known: Vec<&str> = contract.outputs.iter().map(|output| output.name).collect();
        let message = format!("the stage `{stage}` has no output `{}`", port.unwrap_or_default());
        problems
            .push(Problem::new("unknown-port", &node.place, message).help(format!("known are {}", known.join(", "))));
    }
    found.map(|output| (position, output))
}

fn check_required(draft: &Draft, contract: &Contract, problems: &mut Vec<Problem>) {
    let (inputs, with) = (draft.entry.node.get("inputs"), draft.entry.node.get("with"));
    for port in contract.inputs {
        let connected = inputs.is_some_and(|inputs| inputs.get(port.name).is_some());
        let param = port.or_param.filter(|param| with.is_some_and(|with| with.get(param).is_some()));
        let wanted = port.port_type.name();
        let place = &draft.entry.key_place;
        match (connected, param, port.or_param) {
            (false, None, _) if port.required => {
                let message = format!("the stage `{}` lacks its input `{}`", draft.entry.key, port.name);
                let help = format!("inputs: {{ {}: a stage that makes {wanted} }}", port.name);
                problems.push(Problem::new("missing-input", place, message).help(help));
            }
            (false, None, Some(param)) => {
                let message =
                    format!("the stage `{}` has neither `{param}` nor the input `{}`", draft.entry.key, port.name);
                let help =
                    format!("with: {{ {param}: a path }}, or inputs: {{ {}: a stage that makes {wanted} }}", port.name);
                problems.push(Problem::new("missing-input", place, message).help(help));
            }
            (true, Some(param), _) => {
                let message =
                    format!("the stage `{}` has both `{param}` and the input `{}`", draft.entry.key, port.name);
                problems.push(Problem::new("two-inputs", place, message).help("take one of them away"));
            }
            _ => {}
        }
    }
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
        problems.push(if source.root.is_relative() {
            problem.help("paths are relative to the folder in which `pipe` runs")
        } else {
            problem
        });
    }
}

fn resources(node: Option<&Node>, problems: &mut Vec<Problem>) -> Resources {
    let Some(node) = node else { return Resources::default() };
    check_keys(node, "`resources`", &["cpus"], problems);
    let cpus = node.get("cpus").and_then(|cpus| {
        let value = if let Value::Number(number) = &cpus.value { number.as_u64() } else { None };
        if value.is_none_or(|value| value == 0) {
            let message = format!("`cpus`: expected a whole number from 1, found {}", cpus.describe());
            problems.push(Problem::new("wrong-value", &cpus.place, message));
        }
        value.map(|value| value as usize)
    });
    Resources { cpus }
}
