//! Which remote a command uses, which results it transfers, and which records from a remote are accepted.

use crate::bookkeeping::Bookkeeping;
use crate::config::Config;
use crate::latest;
use crate::plan::Plan;
use pipe_cache::{ActionKey, ActionRecord, Fields, RemoteSetting, RemoteUrl, Tree};
use pipe_schemas::stages;
use std::collections::{BTreeMap, BTreeSet};
use std::io;

/// Returns the remote to use: from the command line, else from the configuration of the store, else from the pipeline file, which
/// other people may share.
pub fn remote_url(given: Option<RemoteSetting>, config: Config, plan: Option<&Plan>) -> Option<RemoteUrl> {
    match given.or(config.remote).or_else(|| plan.and_then(Plan::remote).cloned())? {
        RemoteSetting::At(url) => Some(url),
        RemoteSetting::Off => None,
    }
}

/// Returns the newest keys in a `.pipe` folder: of the stages of `plan`, or of every stage that ever ran there.
pub fn latest_keys(kept: &Bookkeeping, plan: Option<&Plan>) -> io::Result<Vec<ActionKey>> {
    let keys: BTreeSet<ActionKey> = match plan {
        Some(plan) => {
            let keys = latest::keys(kept, plan.name())?;
            plan.stages().filter_map(|stage| keys.get(stage.name.as_str()).copied()).collect()
        }
        None => latest::all_keys(kept)?.into_values().flat_map(latest::Keys::into_values).collect(),
    };
    Ok(keys.into_iter().collect())
}

/// Returns the stage kind of a key with these fields.
pub fn kind(fields: &Fields) -> Option<&str> {
    fields.iter().find(|field| field.path == ["kind"]).map(|field| field.value.as_str())
}

/// Returns whether a record from a remote has exactly the ports that a key with these fields implies, with the digests of its tree.
///
/// The digests of ports are part of the keys of other stages, so a wrong digest would make a wrong result look right. The record
/// of a part has no ports.
pub fn ports_fit(fields: &Fields, record: &ActionRecord, tree: &Tree) -> bool {
    let kind = kind(fields).filter(|kind| *kind == record.kind);
    let Some(contract) = kind.and_then(stages::contract) else { return false };
    if fields.iter().any(|field| field.path == ["part"]) {
        return contract.parts.is_some() && record.output.ports.is_empty();
    }
    let mut paths: BTreeMap<String, String> =
        contract.outputs.iter().map(|port| (port.name.to_owned(), port.path.to_owned())).collect();
    if contract.open_ports.is_some() {
        paths.extend(named_outputs(fields));
    }
    let digest = |(name, path): (&String, &String)| Some((name.clone(), tree.part(path).ok()?.digest()));
    let ports: BTreeMap<_, _> = paths.iter().filter_map(digest).collect();
    ports.len() == paths.len() && ports == record.output.ports
}

/// Returns names and paths of the outputs that the parameters of a stage with open ports declare.
fn named_outputs(fields: &Fields) -> impl Iterator<Item = (String, String)> {
    fields.iter().filter_map(|field| match field.path.as_slice() {
        [with, outputs, name] if with == "with" && outputs == "outputs" => {
            let path: String = serde_json::from_str(&field.value).ok()?;
            Some((name.clone(), path.trim_end_matches('/').to_owned()))
        }
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use pipe_cache::{Digest, OutputRecord, TreeFile};

    #[test]
    fn the_command_line_wins_and_none_turns_the_remote_off() {
        let setting = |text: &str| text.parse::<RemoteSetting>().expect("a setting");
        let config = |text: Option<&str>| Config { remote: text.map(setting) };
        let url = |given: Option<&str>, set: Option<&str>| {
            remote_url(given.map(setting), config(set), None).map(|url| url.to_string())
        };
        assert_eq!(url(None, None), None);
        assert_eq!(url(None, Some("s3://a")).as_deref(), Some("s3://a"));
        assert_eq!(url(Some("s3://b"), Some("s3://a")).as_deref(), Some("s3://b"));
        assert_eq!(url(Some("none"), Some("s3://a")), None);
    }

    #[test]
    fn a_record_with_other_ports_than_its_tree_is_rejected() {
        let contract = stages::contract("evaluate").expect("a kind");
        let files = contract.outputs.iter().map(|port| port.path.to_owned()).collect::<BTreeSet<_>>().into_iter();
        let file = |path: String| TreeFile { digest: Digest::of(path.as_bytes()), path, size_bytes: 1 };
        let tree = Tree { files: files.map(file).collect() };
        let mut fields = Fields::default();
        fields.add(["kind"], "evaluate");
        let port =
            |port: &pipe_schemas::OutputPort| (port.name.to_owned(), tree.part(port.path).expect("a part").digest());
        let ports: BTreeMap<_, _> = contract.outputs.iter().map(port).collect();
        let record = |kind: &str, ports: BTreeMap<String, Digest>| ActionRecord {
            kind: kind.into(),
            output: OutputRecord { tree: tree.digest(), ports },
            parts: BTreeMap::new(),
            state: None,
            environment: BTreeMap::new(),
            figures: BTreeMap::new(),
            summary: vec![],
            warnings: vec![],
            duration_millis: 1,
            peak_memory_bytes: None,
            ended_unix_secs: 2,
        };
        assert!(ports_fit(&fields, &record("evaluate", ports.clone()), &tree));
        assert!(!ports_fit(&fields, &record("train", ports.clone()), &tree), "another kind");
        let mut wrong = ports.clone();
        *wrong.values_mut().next().expect("a port") = Digest::of(b"wrong");
        assert!(!ports_fit(&fields, &record("evaluate", wrong), &tree), "another digest");
        let mut fewer = ports;
        fewer.pop_first();
        assert!(!ports_fit(&fields, &record("evaluate", fewer), &tree), "a port that is absent");
        assert!(!ports_fit(&fields, &record("evaluate", BTreeMap::new()), &tree), "no ports at all");
        fields.add(["part"], "0001");
        assert!(!ports_fit(&fields, &record("evaluate", BTreeMap::new()), &tree), "a stage that has no parts");

        let mut command = Fields::default();
        command.add(["kind"], "command");
        let path = &tree.files[0].path;
        command.add(["with", "outputs", "r"], format!("{path:?}"));
        let port = BTreeMap::from([("r".to_owned(), tree.part(path).expect("a part").digest())]);
        assert!(ports_fit(&command, &record("command", port.clone()), &tree));
        command.add(["with", "outputs", "s"], "\"absent\"");
        assert!(!ports_fit(&command, &record("command", port), &tree));
    }
}
