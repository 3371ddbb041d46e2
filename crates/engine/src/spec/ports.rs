//! Connects inputs to outputs, and checks that their types match.

use super::Connection;
use crate::diagnostics::Problem;
use crate::nearest::nearest;
use crate::place::Place;
use crate::yaml::{Entry, Node, Value};
use pipe_schemas::contract::{InputChoice, InputPort, NamedInput, Parsed, PortType, ValuesPerInput};
use pipe_schemas::stages::command::is_port_name;
use pipe_schemas::{Contract, Output};
use std::collections::HashMap;

/// The part of a stage that other stages are checked against.
pub(super) struct Stage<'a> {
    pub(super) entry: &'a Entry,
    /// `None` if a mistake keeps them unknown.
    pub(super) outputs: Option<Vec<Output>>,
    /// How many epochs of samples it draws; `None` also if a mistake keeps the number unknown.
    pub(super) epochs_drawn: Option<u32>,
}

/// Positions of stages by name.
pub(super) struct Names<'a>(HashMap<&'a str, usize>);

impl<'a> Names<'a> {
    /// Collects the names. Two equal names come from a matrix whose values differ only in characters that names can't have.
    pub(super) fn of(stages: &[Stage<'a>], problems: &mut Vec<Problem>) -> Self {
        let mut names = HashMap::new();
        for (position, stage) in stages.iter().enumerate() {
            if names.insert(stage.entry.key.as_str(), position).is_some() {
                let message = format!("two stages would have the name `{}`", stage.entry.key);
                problems.push(
                    Problem::new("matrix", &stage.entry.key_place, message)
                        .help("choose matrix values that differ in letters or digits"),
                );
            }
        }
        Self(names)
    }

    /// Splits `stage` or `stage.port`. The name of a stage with a matrix may itself contain dots.
    pub(super) fn find<'t>(&self, text: &'t str) -> Option<(usize, Option<&'t str>)> {
        if let Some(&stage) = self.0.get(text) {
            return Some((stage, None));
        }
        let (stage, port) = text.rsplit_once('.')?;
        self.0.get(stage).map(|&stage| (stage, Some(port)))
    }
}

/// Connects the inputs of `stage`; each is returned with the position of the stage that it reads.
pub(super) fn inputs(
    stage: &Stage,
    contract: &'static Contract,
    known: &[Stage],
    names: &Names,
    problems: &mut Vec<Problem>,
) -> Vec<(usize, Connection)> {
    let mut inputs = Vec::new();
    let Some(node) = stage.entry.node.get("inputs").filter(|node| !node.is_null()) else { return inputs };
    if !matches!(node.value, Value::Map(_)) {
        let message = format!("expected a map from port to stage, found {}", node.describe());
        problems.push(Problem::new("wrong-type", &node.place, message).help("inputs: { videos: videos }"));
        return inputs;
    }
    for entry in node.entries() {
        let Some(wanted) = port_type(entry, contract, problems) else { continue };
        let Some((from, output)) = output(&entry.node, wanted, known, names, problems) else { continue };
        if !output.port_type.fits(wanted) {
            let problem = type_mismatch(entry, &output, wanted, known);
            let is_own = contract.inputs.iter().any(|port| port.name == entry.key);
            let names = contract.inputs.iter().map(|port| port.name);
            problems.push(match nearest(&entry.key, names).filter(|_| !is_own) {
                Some(nearest) => problem.help(format!("did you mean the input `{nearest}`?")),
                None => problem,
            });
            continue;
        }
        inputs.push((from, Connection { input: entry.key.clone(), wanted, output }));
    }
    inputs
}

/// Returns the type of the input port that `entry` names.
fn port_type(entry: &Entry, contract: &Contract, problems: &mut Vec<Problem>) -> Option<PortType> {
    if let Some(port) = contract.inputs.iter().find(|port| port.name == entry.key) {
        return Some(port.port_type);
    }
    if let Some(port_type) = contract.open_ports {
        if is_port_name(&entry.key) {
            return Some(port_type);
        }
        let problem = Problem::new("bad-name", &entry.key_place, format!("`{}` is not a valid port name", entry.key));
        problems.push(problem.help("letters, digits, `_` and `-`"));
        return None;
    }
    let names = || contract.inputs.iter().map(|port| port.name);
    let help = match nearest(&entry.key, names()) {
        Some(nearest) => format!("did you mean `{nearest}`?"),
        None if contract.inputs.is_empty() => format!("`{}` has no inputs", contract.kind),
        None => format!("its inputs are {}", names().collect::<Vec<_>>().join(", ")),
    };
    let message = format!("`{}` has no input `{}`", contract.kind, entry.key);
    problems.push(Problem::new("unknown-port", &entry.key_place, message).help(help));
    None
}

/// Maximum number of stages that a hint names.
const MAX_NAMED: usize = 5;

/// Returns the problem of an output of the wrong type, with the outputs that have the right one.
fn type_mismatch(entry: &Entry, output: &Output, wanted: PortType, known: &[Stage]) -> Problem {
    let found = output.port_type.name();
    let named = if let Value::Text(text) = &entry.node.value { text.clone() } else { entry.node.describe() };
    let message = format!("the input `{}` takes {}, but `{named}` is {found}", entry.key, wanted.name());
    let matching = known.iter().flat_map(|stage| {
        let outputs = stage.outputs.as_deref().unwrap_or_default();
        let is_ambiguous = wanted == PortType::Network && model_and_onnx(outputs).is_some();
        let matching = outputs
            .iter()
            .enumerate()
            .filter(|(_, output)| output.port_type != PortType::Any && output.port_type.fits(wanted));
        matching.map(move |(position, output)| match position {
            0 if !is_ambiguous => format!("`{}`", stage.entry.key),
            _ => format!("`{}.{}`", stage.entry.key, output.name),
        })
    });
    let matching: Vec<String> = matching.take(MAX_NAMED).collect();
    let problem = Problem::new("port-type", &entry.node.place, message);
    if matching.is_empty() {
        problem.help(format!("no stage of this pipeline writes {}", wanted.name()))
    } else {
        problem.help(format!("use {}", matching.join(" or ")))
    }
}

/// Finds the output that `stage` or `stage.port` names, for an input of type `wanted`.
fn output(
    node: &Node,
    wanted: PortType,
    known: &[Stage],
    names: &Names,
    problems: &mut Vec<Problem>,
) -> Option<(usize, Output)> {
    let Value::Text(text) = &node.value else {
        let message = format!("expected a stage, found {}", node.describe());
        problems.push(Problem::new("wrong-type", &node.place, message).help("`stage` or `stage.port`"));
        return None;
    };
    let Some((position, port)) = names.find(text) else {
        let stage = text.rsplit_once('.').map_or(text.as_str(), |(stage, _)| stage);
        let help = match nearest(stage, known.iter().map(|stage| stage.entry.key.as_str())) {
            Some(nearest) => format!("did you mean `{nearest}`?"),
            None => format!("the stages of this pipeline are {}", shown(known)),
        };
        problems.push(Problem::new("unknown-stage", &node.place, format!("unknown stage `{stage}`")).help(help));
        return None;
    };
    let outputs = known[position].outputs.as_deref()?;
    if let Some((model, onnx)) = model_and_onnx(outputs).filter(|_| port.is_none() && wanted == PortType::Network) {
        let message = format!("the stage `{text}` writes a model and an ONNX file");
        let help = format!("use `{text}.{}` or `{text}.{}`", model.name, onnx.name);
        problems.push(Problem::new("several-outputs", &node.place, message).help(help));
        return None;
    }
    let found = match port {
        None => outputs.first(),
        Some(port) => outputs.iter().find(|output| output.name == port),
    };
    if found.is_none() {
        let stage = &known[position].entry.key;
        let names: Vec<&str> = outputs.iter().map(|output| output.name.as_str()).collect();
        let message = format!("the stage `{stage}` has no output `{}`", port.unwrap_or_default());
        problems.push(
            Problem::new("unknown-port", &node.place, message).help(format!("its outputs are {}", names.join(", "))),
        );
    }
    found.map(|output| (position, output.clone()))
}

/// Returns the model and the ONNX file of a stage that writes both: the name of the stage alone could mean either.
fn model_and_onnx(outputs: &[Output]) -> Option<(&Output, &Output)> {
    let of_type = |port_type| outputs.iter().find(|output| output.port_type == port_type);
    of_type(PortType::Model).zip(of_type(PortType::Onnx))
}

/// Lists the names of stages, up to a limit.
fn shown(known: &[Stage]) -> String {
    let names: Vec<&str> = known.iter().take(MAX_NAMED).map(|stage| stage.entry.key.as_str()).collect();
    let more = if known.len() > MAX_NAMED { ", …" } else { "" };
    format!("{}{more}", names.join(", "))
}

/// Checks that every required input is connected, and that no input is given twice or ignored. `is_wrong` returns whether a
/// parameter has a mistake; an input that depends on such a parameter is not checked.
pub(super) fn check_required(
    stage: &Stage,
    contract: &Contract,
    parsed: Option<&Parsed>,
    is_wrong: &dyn Fn(&str) -> bool,
    problems: &mut Vec<Problem>,
) {
    let (inputs, with) = (stage.entry.node.get("inputs"), stage.entry.node.get("with"));
    let (name, place) = (&stage.entry.key, &stage.entry.key_place);
    let (unread, choices) =
        parsed.map_or((&[][..], &[][..]), |parsed| (parsed.unread_inputs, parsed.input_choices.as_slice()));
    let conditional = parsed.map_or(&[][..], |parsed| parsed.conditional_inputs);
    let of_choices = choices.iter().map(|choice| (choice.port, choice.param));
    let is_unknown = |port: &str| {
        conditional.iter().copied().chain(of_choices.clone()).any(|(of, param)| of == port && is_wrong(param))
    };
    for port in contract.inputs.iter().filter(|port| !is_unknown(port.name)) {
        let connected = inputs.is_some_and(|inputs| inputs.get(port.name).is_some());
        let of_contract = port.or_param.map(|param| InputChoice {
            port: port.name,
            param,
            value: "PATH",
            given: with.is_some_and(|with| with.get(param).is_some()),
            required: true,
        });
        let choice = of_contract.or_else(|| choices.iter().find(|choice| choice.port == port.name).copied());
        if unread.contains(&port.name) {
            if connected {
                let message = format!("the stage `{name}` ignores its input `{}` with these parameters", port.name);
                let place = place_of_input(stage, port.name);
                problems.push(Problem::new("unread-input", place, message).help("remove the input"));
            }
        } else if let Some(choice) = choice {
            problems.extend(check_choice(stage, port, choice, connected));
        } else if port.required && !connected {
            let message = format!("the input `{}` of the stage `{name}` is not connected", port.name);
            let help =
                format!("inputs: {{ {}: STAGE }}, with a stage that writes {}", port.name, port.port_type.name());
            problems.push(Problem::new("missing-input", place, message).help(help));
        }
    }
}

/// Returns the place of the name of an input; that of the stage if the input is not connected.
fn place_of_input<'s>(stage: &Stage<'s>, name: &str) -> &'s Place {
    let inputs = stage.entry.node.get("inputs").map(Node::entries).unwrap_or_default();
    inputs.iter().find(|input| input.key == name).map_or(&stage.entry.key_place, |input| &input.key_place)
}

/// Checks that the input is connected that a parameter names.
pub(super) fn check_named_input(stage: &Stage, parsed: &Parsed, is_wrong: &dyn Fn(&str) -> bool) -> Option<Problem> {
    let NamedInput { param, port, content } = parsed.named_input.as_ref().filter(|named| !is_wrong(named.param))?;
    let inputs = stage.entry.node.get("inputs");
    if inputs.is_some_and(|inputs| inputs.get(port).is_some()) {
        return None;
    }
    let name = &stage.entry.key;
    let written = stage.entry.node.get("with").and_then(|with| with.get(param));
    let (place, message) = match written {
        Some(value) => (&value.place, format!("`{param}`: the stage `{name}` has no input `{port}`")),
        None => (&stage.entry.key_place, format!("the input `{port}` of the stage `{name}` is not connected")),
    };
    let help = format!(
        "inputs: {{ {port}: STAGE }}, with a stage that writes {content}; or set `{param}` to the name of another input"
    );
    Some(Problem::new("missing-input", place, message).help(help))
}

/// Checks that a list with one value for each connected input has as many.
pub(super) fn check_values_per_input(stage: &Stage, parsed: &Parsed) -> Option<Problem> {
    let ValuesPerInput { param, num_values, ports } = parsed.values_per_input?;
    let inputs = stage.entry.node.get("inputs")?;
    let connected: Vec<&str> = ports.iter().copied().filter(|port| inputs.get(port).is_some()).collect();
    if connected.len() == num_values {
        return None;
    }
    let place = &stage.entry.node.get("with")?.get(param)?.place;
    let (plural, names) = (if num_values == 1 { "" } else { "s" }, connected.join(", "));
    let message = format!("`{param}`: {num_values} value{plural} for {} connected inputs ({names})", connected.len());
    Some(Problem::new("wrong-value", place, message).help("write one value for each connected input, in their order"))
}

/// Checks that exactly one of an input and a parameter is given, or at most one where neither is required.
fn check_choice(stage: &Stage, port: &InputPort, choice: InputChoice, connected: bool) -> Option<Problem> {
    let (name, place) = (&stage.entry.key, &stage.entry.key_place);
    let InputChoice { port: input, param, value, given, required } = choice;
    match (connected, given) {
        (true, true) => {
            let message = format!("the stage `{name}` has both `{param}` and the input `{input}`");
            Some(Problem::new("two-inputs", place_of_input(stage, input), message).help("remove one of the two"))
        }
        (false, false) if required => {
            let message = format!("the stage `{name}` has neither `{param}` nor the input `{input}`");
            let nested = param.split('.').rev().fold(value.to_owned(), |value, key| format!("{{ {key}: {value} }}"));
            let wanted = port.port_type.name();
            let help = format!("with: {nested}, or inputs: {{ {input}: STAGE }} with a stage that writes {wanted}");
            Some(Problem::new("missing-input", place, message).help(help))
        }
        (true | false, _) => None,
    }
}
