//! `command`: any program.

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
    summary: "runs any program",
    worker: None,
    open_ports: true,
    inputs: &[],
    outputs: &[],
    parts: None,
    numerics: Numerics::Exact,
    check: Check::Never,
    tools: &[],
    schema: schema::<CommandParams>,
    parse: parse::<CommandParams>,
};

/// Parameters of `command`. The program runs in the folder in which `pipe` runs, and sees of the environment only `PATH`,
/// `HOME`, `TMPDIR` and what `env` says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CommandParams {
    /// The program and its arguments, passed as they are; `${inputs.NAME}` and `${outputs.NAME}` are paths.
    pub run: Vec<Text>,
    /// In place of `run`, a line for `/bin/sh -eu`. There `${inputs.NAME}` and `${outputs.NAME}` are shell variables:
    /// quote them.
    pub shell: String,
    /// Environment variables.
    pub env: BTreeMap<String, Text>,
    /// By port, the file or folder that the program writes, below the stage's output folder. Nothing else is kept.
    pub outputs: BTreeMap<String, String>,
}

/// A text; a number or truth value is taken as it is written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Text(pub String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::String(text) => Ok(Self(text)),
            value @ (Value::Number(_) | Value::Bool(_)) => Ok(Self(value.to_string())),
            other => Err(D::Error::custom(format!("expected a text, found {other}"))),
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

/// A place where a path goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placeholder<'a> {
    /// `${inputs.NAME}`.
    Input(&'a str),
    /// `${outputs.NAME}`.
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

/// Cuts `text` into what stands between placeholders, and the placeholders.
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
    /// Returns the placeholders that are used, with the parameter where each stands.
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
                if self.run.is_empty() { "there is nothing to run" } else { "`run` and `shell` are both given" };
            wrong(&[], message.into(), "write either `run: [program, argument, …]` or `shell: \"a line\"`");
        }
        if self.outputs.is_empty() {
            wrong(&["outputs"], "a command without outputs has no result".into(), "outputs: { result: result.csv }");
        }
        let inside = |path: &str| path.split('/').all(|step| !step.is_empty() && step != "." && step != "..");
        for (name, path) in &self.outputs {
            if !is_port_name(name) {
                wrong(&["outputs", name], format!("`{name}` is no port name"), "letters, digits, `_` and `-`");
            }
            if !inside(path) {
                let message = format!("`{path}` is no path below the output folder");
                wrong(
                    &["outputs", name],
                    message,
                    "a relative path without `.` and `..`: result.csv, or folder/result.csv",
                );
            }
            let below = |(other, folder): &(&String, &String)| {
                *other != name && (path == *folder || path.starts_with(&format!("{folder}/")))
            };
            if let Some((other, _)) = self.outputs.iter().find(below) {
                wrong(
                    &["outputs", name],
                    format!("`{path}` lies in the output `{other}`"),
                    "give each output a path of its own",
                );
            }
        }
        for name in self.env.keys().filter(|name| name.is_empty() || name.contains(['=', '\0'])) {
            wrong(&["env", name], format!("`{name}` is no name of a variable"), "letters, digits and `_`");
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
            message: format!("there is no output `{name}`"),
            help: format!("known are {known}; outputs: {{ {name}: a path }} declares it"),
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

/// Returns whether `name` may stand in `stage.port`.
pub fn is_port_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_' || letter == '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_found_and_all_else_is_literal() {
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
    fn numbers_are_texts_too() {
        let json = serde_json::json!({ "run": ["head", -5, 1.5, true], "outputs": { "r": "r" } });
        let params: CommandParams = serde_json::from_value(json).expect("parameters");
        assert_eq!(params.run.iter().map(|text| text.0.as_str()).collect::<Vec<_>>(), ["head", "-5", "1.5", "true"]);
    }

    fn check(params: CommandParams, expect: &[&str]) {
        let errors = params.check();
        assert_eq!(errors.iter().map(|error| error.message.as_str()).collect::<Vec<_>>(), expect);
    }

    #[test]
    fn what_can_not_be_run_or_kept_is_told() {
        let map = |entries: &[(&str, &str)]| entries.iter().map(|(a, b)| ((*a).into(), (*b).into())).collect();
        let right = CommandParams {
            run: ["cp", "${inputs.a}", "${outputs.r}"].map(|text| Text(text.into())).into(),
            outputs: map(&[("r", "r.csv"), ("s", "folder/s")]),
            ..CommandParams::default()
        };
        check(right.clone(), &[]);
        check(CommandParams { shell: "x".into(), ..right.clone() }, &["`run` and `shell` are both given"]);
        check(CommandParams { run: vec![], ..right.clone() }, &["there is nothing to run"]);
        let outputs = map(&[("r", "../r"), ("a.b", "a"), ("c", "a/c")]);
        let wrong =
            ["`a.b` is no port name", "`a/c` lies in the output `a.b`", "`../r` is no path below the output folder"];
        check(CommandParams { outputs, ..right.clone() }, &wrong);
        check(CommandParams { run: vec![Text("${outputs.z}".into())], ..right }, &["there is no output `z`"]);
    }
}
