//! `command`: runs any program as a stage.

use crate::contract::{Check, Contract, Numerics, Output, ParamError, Params, PortType, parse, schema};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Contract of `command`.
pub const CONTRACT: Contract = Contract {
    kind: "command",
    version: 1,
    summary: "runs any program or shell script",
    worker: None,
    open_ports: Some(PortType::Any),
    inputs: &[],
    outputs: &[],
    parts: None,
    numerics: Numerics::Exact,
    check: Check::Never,
    tools: &[],
    schema: schema::<CommandParams>,
    parse: parse::<CommandParams>,
};

/// Parameters of `command`.
///
/// The program runs in the folder in which `pipe` was started. Its environment contains only `PATH`, `HOME`, `TMPDIR` and the
/// variables in `env`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CommandParams {
    /// The program and its arguments, passed without a shell. `${inputs.NAME}` and `${outputs.NAME}` are replaced by paths.
    pub run: Vec<Text>,
    /// A script for `/bin/sh -eu`, instead of `run`. `${inputs.NAME}` and `${outputs.NAME}` are replaced by shell variables that
    /// contain the paths; write them in double quotes.
    pub shell: String,
    /// Environment variables of the program, by name.
    pub env: BTreeMap<String, Text>,
    /// The files or folders that the program writes, relative to the output folder of the stage, by port name. Other files are
    /// discarded.
    pub outputs: BTreeMap<String, String>,
}

/// A string. A number or boolean in the pipeline file becomes the string as written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Text(pub String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::String(text) => Ok(Self(text)),
            value @ (Value::Number(_) | Value::Bool(_)) => Ok(Self(value.to_string())),
            other => Err(D::Error::custom(format!("expected a string, found {other}"))),
        }
    }
}

impl JsonSchema for Text {
    fn schema_name() -> Cow<'static, str> {
        "Text".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "number", "boolean"] })
    }
}

/// A placeholder in a command, which is replaced by a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placeholder<'a> {
    /// `${inputs.NAME}`: the path of an input.
    Input(&'a str),
    /// `${outputs.NAME}`: the path of an output.
    Output(&'a str),
}

impl Placeholder<'_> {
    /// Returns the name of the environment variable that holds the path.
    pub fn variable(&self) -> String {
        let (kind, name) = match self {
            Self::Input(name) => ("INPUT", name),
            Self::Output(name) => ("OUTPUT", name),
        };
        format!("PIPE_{kind}_{}", name.replace('-', "_"))
    }
}

/// Splits `text` into literal text (`Ok`) and placeholders (`Err`).
pub fn pieces(text: &str) -> Vec<Result<&str, Placeholder<'_>>> {
    let mut pieces = Vec::new();
    let mut literal = 0;
    let mut from = 0;
    while let Some(at) = text[from..].find("${").map(|at| at + from) {
        let inside = &text[at + 2..];
        let end = inside.find('}').unwrap_or(inside.len());
        let placeholder = match inside[..end].split_once('.') {
            Some(("inputs", name)) if end < inside.len() => Placeholder::Input(name),
            Some(("outputs", name)) if end < inside.len() => Placeholder::Output(name),
            _ => {
                from = at + 2;
                continue;
            }
        };
        pieces.push(Ok(&text[literal..at]));
        pieces.push(Err(placeholder));
        from = at + 2 + end + 1;
        literal = from;
    }
    pieces.push(Ok(&text[literal..]));
    pieces
}

impl CommandParams {
    /// Returns all placeholders, each with the path of the parameter that contains it.
    pub fn placeholders(&self) -> Vec<(Vec<String>, Placeholder<'_>)> {
        let of = |path: Vec<String>, text| {
            let found = pieces(text).into_iter().filter_map(Result::err);
            found.map(move |placeholder| (path.clone(), placeholder)).collect::<Vec<_>>()
        };
        let run = self.run.iter().enumerate().flat_map(|(at, text)| of(vec!["run".into(), at.to_string()], &text.0));
        run.chain(of(vec!["shell".into()], &self.shell)).collect()
    }
}

impl Params for CommandParams {
    fn check(&self) -> Vec<ParamError> {
        let mut errors = Vec::new();
        let mut wrong = |path: &[&str], message: String, help: &str| {
            let path = path.iter().map(|step| (*step).to_owned()).collect();
            errors.push(ParamError { path, message, help: help.into() });
        };
        if self.run.is_empty() == self.shell.is_empty() {
            let message =
                if self.run.is_empty() { "`run` or `shell` is missing" } else { "`run` and `shell` can't be combined" };
            wrong(&[], message.into(), "set either `run: [program, argument, …]` or `shell: \"a script\"`");
        }
        if self.outputs.is_empty() {
            wrong(&["outputs"], "the command has no outputs".into(), "outputs: { result: result.csv }");
        }
        let inside = |path: &str| path.split('/').all(|step| !step.is_empty() && step != "." && step != "..");
        for (name, path) in &self.outputs {
            if !is_port_name(name) {
                wrong(
                    &["outputs", name],
                    format!("`{name}` is not a valid port name"),
                    "use letters, digits, `_` and `-`",
                );
            }
            if !inside(path) {
                let message = format!("`{path}` is not a path below the output folder");
                wrong(
                    &["outputs", name],
                    message,
                    "use a relative path without `.` and `..`, such as result.csv or folder/result.csv",
                );
            }
            let below = |(other, folder): &(&String, &String)| {
                *other != name && (path == *folder || path.starts_with(&format!("{folder}/")))
            };
            if let Some((other, _)) = self.outputs.iter().find(below) {
                wrong(
                    &["outputs", name],
                    format!("`{path}` is inside the output `{other}`"),
                    "give each output a separate path",
                );
            }
        }
        for name in self.env.keys().filter(|name| name.is_empty() || name.contains(['=', '\0'])) {
            wrong(&["env", name], format!("`{name}` is not a valid variable name"), "use letters, digits and `_`");
        }
        let mut unknown = Vec::new();
        for (path, placeholder) in self.placeholders() {
            if let Placeholder::Output(name) = placeholder
                && !self.outputs.contains_key(name)
            {
                unknown.push((path, name));
            }
        }
        let known = self.outputs.keys().cloned().collect::<Vec<_>>().join(", ");
        errors.extend(unknown.into_iter().map(|(path, name)| ParamError {
            path,
            message: format!("unknown output `{name}`"),
            help: format!("the outputs are: {known}. To add one, write outputs: {{ {name}: PATH }}"),
        }));
        errors
    }

    fn outputs(&self) -> Vec<Output> {
        let output = |(name, path): (&String, &String)| Output {
            name: name.clone(),
            port_type: PortType::Any,
            path: path.trim_end_matches('/').to_owned(),
        };
        self.outputs.iter().map(output).collect()
    }
}

/// Returns whether `name` is a valid port name, as in `stage.port`.
pub fn is_port_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_' || letter == '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_found_and_other_text_is_literal() {
        let text = "cat ${inputs.a} ${HOME} ${outputs.b-c}${ ${inputs.x";
        let pieces = pieces(text);
        let expect = [
            Ok("cat "),
            Err(Placeholder::Input("a")),
            Ok(" ${HOME} "),
            Err(Placeholder::Output("b-c")),
            Ok("${ ${inputs.x"),
        ];
        assert_eq!(pieces, expect);
        assert_eq!(Placeholder::Output("b-c").variable(), "PIPE_OUTPUT_b_c");
    }

    #[test]
    fn numbers_and_booleans_become_strings() {
        let json = serde_json::json!({ "run": ["head", -5, 1.5, true], "outputs": { "r": "r" } });
        let params: CommandParams = serde_json::from_value(json).expect("parameters");
        assert_eq!(params.run.iter().map(|text| text.0.as_str()).collect::<Vec<_>>(), ["head", "-5", "1.5", "true"]);
    }

    fn check(params: CommandParams, expect: &[&str]) {
        let errors = params.check();
        assert_eq!(errors.iter().map(|error| error.message.as_str()).collect::<Vec<_>>(), expect);
    }

    #[test]
    fn wrong_commands_and_outputs_are_reported() {
        let map = |entries: &[(&str, &str)]| entries.iter().map(|(a, b)| ((*a).into(), (*b).into())).collect();
        let right = CommandParams {
            run: ["cp", "${inputs.a}", "${outputs.r}"].map(|text| Text(text.into())).into(),
            outputs: map(&[("r", "r.csv"), ("s", "folder/s")]),
            ..CommandParams::default()
        };
        check(right.clone(), &[]);
        check(CommandParams { shell: "x".into(), ..right.clone() }, &["`run` and `shell` can't be combined"]);
        check(CommandParams { run: vec![], ..right.clone() }, &["`run` or `shell` is missing"]);
        let outputs = map(&[("r", "../r"), ("a.b", "a"), ("c", "a/c")]);
        let wrong = [
            "`a.b` is not a valid port name",
            "`a/c` is inside the output `a.b`",
            "`../r` is not a path below the output folder",
        ];
        check(CommandParams { outputs, ..right.clone() }, &wrong);
        check(CommandParams { run: vec![Text("${outputs.z}".into())], ..right }, &["unknown output `z`"]);
    }
}
