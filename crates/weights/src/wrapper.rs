//! [`find`]: the dictionary of tensors in a pickle, whatever a program put around it.

use crate::error::FormatError;
use crate::pickle::{Pickle, Value};

/// The keys under which programs save the tensors of a network, the preferred ones first: those of the network itself, then
/// averages of it.
const WRAPPERS: [&str; 28] = [
    "state_dict",       // MMEngine, Lightning
    "model_state_dict", // the tutorials of PyTorch
    "model_state",      // PySlowFast, PyTorchVideo
    "model",            // VideoMAE, DeiT
    "module",           // DeepSpeed
    "net",
    "network",
    "net_state_dict",
    "network_state_dict",
    "model_weights",
    "weights",
    "params",
    "state",
    "checkpoint",
    "ckpt",
    "target_encoder", // V-JEPA: evaluated rather than `encoder`
    "encoder",
    "teacher", // DINO: evaluated rather than `student`
    "student",
    "backbone",
    "classifier",
    "classifiers",
    "ema_state_dict",
    "state_dict_ema",
    "model_ema",
    "ema_model",
    "ema",
    "params_ema",
];

/// Keys of dictionaries that hold tensors of something else.
const OTHERS: [&str; 6] =
    ["optimizer", "optimizers", "optimizer_state_dict", "optimizer_states", "scaler", "lr_scheduler"];

/// The maximum number of dictionaries around the tensors.
const MAX_DEPTH: usize = 3;
/// The maximum number of keys that an error lists, and of characters of each.
const MAX_KEYS: usize = 20;
const MAX_KEY_CHARS: usize = 60;

pub(crate) type Items<'p, 'a> = &'p [(Value<'a>, Value<'a>)];

/// A dictionary of tensors.
pub(crate) struct StateDict<'p, 'a> {
    pub(crate) items: Items<'p, 'a>,
    /// The keys that lead to it, joined with dots; `None` for the top level.
    pub(crate) wrapper: Option<String>,
    /// The keys of other dictionaries of tensors, except for those of an optimiser.
    pub(crate) others: Vec<String>,
}

/// Returns the dictionary of tensors: under a known key, at the top level, or under the only key that has one.
///
/// # Errors
/// [`FormatError::NoStateDict`] with the keys of the top level.
pub(crate) fn find<'p, 'a>(pickle: &'p Pickle<'a>) -> Result<StateDict<'p, 'a>, FormatError> {
    let Some(top) = pickle.dict(pickle.value) else {
        let contents = format!("{}, not a dictionary", kind(pickle, pickle.value));
        return Err(FormatError::NoStateDict { contents });
    };
    let mut found = Vec::new();
    collect(pickle, top, "", &mut found);
    let known = found.len();
    for (key, value) in top {
        let (Value::Str(key), Some(items)) = (key, pickle.dict(*value)) else { continue };
        if !WRAPPERS.contains(key) && !OTHERS.contains(key) && holds_tensors(pickle, items) {
            found.push((shown(key), items));
        }
    }
    let take = |at: usize, found: Vec<(String, Items<'p, 'a>)>| {
        let others = found.iter().enumerate().filter(|(other, _)| *other != at).map(|(_, (path, _))| path.clone());
        StateDict { items: found[at].1, wrapper: Some(found[at].0.clone()), others: others.collect() }
    };
    match found.len() {
        _ if known > 0 => Ok(take(0, found)),
        _ if holds_tensors(pickle, top) => {
            Ok(StateDict { items: top, wrapper: None, others: found.into_iter().map(|(path, _)| path).collect() })
        }
        1 => Ok(take(0, found)),
        _ => Err(FormatError::NoStateDict { contents: contents(pickle, top) }),
    }
}

/// Adds the dictionaries of tensors below `items` that known keys lead to.
fn collect<'p, 'a>(pickle: &'p Pickle<'a>, items: Items<'p, 'a>, path: &str, found: &mut Vec<(String, Items<'p, 'a>)>) {
    for wrapper in WRAPPERS {
        let Some((_, value)) = items.iter().find(|(key, _)| *key == Value::Str(wrapper)) else { continue };
        let Some(inner) = pickle.dict(*value) else { continue };
        let path = if path.is_empty() { wrapper.to_owned() } else { format!("{path}.{wrapper}") };
        if holds_tensors(pickle, inner) {
            found.push((path, inner));
        } else if path.matches('.').count() + 1 < MAX_DEPTH {
            collect(pickle, inner, &path, found);
        }
    }
}

fn holds_tensors(pickle: &Pickle, items: Items) -> bool {
    items.iter().any(|(key, value)| matches!(key, Value::Str(_)) && is_tensor(pickle, *value))
}

fn is_tensor(pickle: &Pickle, value: Value) -> bool {
    pickle.tensor(value).is_some() || pickle.other_tensor(value).is_some()
}

/// Lists the keys of the top level with what they hold: `epoch` (a number), `weights` (a dictionary of 3 entries).
fn contents(pickle: &Pickle, top: Items) -> String {
    if top.is_empty() {
        return "an empty dictionary".to_owned();
    }
    let entry = |(key, value): &(Value, Value)| match key {
        Value::Str(key) => format!("`{}` ({})", shown(key), kind(pickle, *value)),
        key => format!("{} as a key", kind(pickle, *key)),
    };
    let more = if top.len() > MAX_KEYS { format!(" and {} more", top.len() - MAX_KEYS) } else { String::new() };
    let entries: Vec<String> = top.iter().take(MAX_KEYS).map(entry).collect();
    format!("a dictionary with {}{more}", entries.join(", "))
}

/// Returns a key without control characters, cut to a readable length.
fn shown(key: &str) -> String {
    key.chars().take(MAX_KEY_CHARS).flat_map(char::escape_debug).collect()
}

fn kind(pickle: &Pickle, value: Value) -> String {
    let entries = |count: usize| if count == 1 { "1 entry".to_owned() } else { format!("{count} entries") };
    if let Some(items) = pickle.dict(value) {
        return format!("a dictionary of {}", entries(items.len()));
    }
    if let Some(items) = pickle.list(value) {
        return format!("a list of {}", entries(items.len()));
    }
    match value {
        Value::None => "None",
        Value::Bool(_) => "a boolean",
        Value::Int(_) => "a number",
        Value::Str(_) => "a string",
        Value::Global(..) => "a class",
        Value::Object(_) if is_tensor(pickle, value) => "a tensor",
        Value::Opaque | Value::Object(_) => "another object",
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_data::{Py, dict, legacy_file, tensors, zip_file};
    use crate::{Checkpoint, WeightsError};

    /// Returns where the tensors were found, or the error.
    fn found(object: &Py) -> Result<(Option<String>, Vec<String>), String> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("w.pth");
        let mut results = Vec::new();
        for file in [zip_file(object), legacy_file(object)] {
            fs_err::write(&path, file).expect("written");
            results.push(match Checkpoint::open(&path) {
                Ok(checkpoint) => {
                    assert!(checkpoint.tensors.contains_key("conv1.weight"), "{object:?}");
                    Ok((checkpoint.origin.wrapper, checkpoint.origin.other_wrappers))
                }
                Err(error) => {
                    assert!(matches!(error, WeightsError::NoStateDict { .. }), "{error}");
                    Err(error.to_string().split_once(" has no state dict ").expect("a file").1.to_owned())
                }
            });
        }
        assert_eq!(results[0], results[1], "both formats");
        results.remove(0)
    }

    fn weights() -> Py {
        tensors(&["conv1.weight", "fc.bias"])
    }

    #[test]
    fn every_known_wrapper_is_found() {
        for wrapper in WRAPPERS {
            let object = dict([("epoch", Py::Int(5)), (wrapper, weights()), ("optimizer", tensors(&["exp_avg"]))]);
            assert_eq!(found(&object), Ok((Some(wrapper.to_owned()), vec![])), "{wrapper}");
            for outer in ["state_dict", "model", "checkpoint"] {
                let object = dict([(outer, dict([(wrapper, weights()), ("other", Py::None)]))]);
                assert_eq!(found(&object), Ok((Some(format!("{outer}.{wrapper}")), vec![])));
            }
            let unknown = dict([("unknown", dict([(wrapper, weights())]))]);
            assert!(found(&unknown).is_err(), "{wrapper}");
        }
    }

    #[test]
    fn of_several_wrappers_the_network_is_taken() {
        let check = |wrappers: &[&str], taken: &str, others: &[&str]| {
            let object = dict(wrappers.iter().map(|wrapper| (*wrapper, weights())));
            let others = others.iter().map(|other| (*other).to_owned()).collect();
            assert_eq!(found(&object), Ok((Some(taken.to_owned()), others)), "{wrappers:?}");
        };
        check(&["ema", "model"], "model", &["ema"]);
        check(&["model_ema", "state_dict"], "state_dict", &["model_ema"]);
        check(&["student", "teacher"], "teacher", &["student"]);
        check(&["encoder", "decoder"], "encoder", &["decoder"]);
        check(&["best", "net"], "net", &["best"]);
        check(&["ema", "params_ema"], "ema", &["params_ema"]);
    }

    /// The layouts of files that other programs write.
    #[test]
    fn files_of_known_programs_are_read() {
        let check = |items: Vec<(&str, Py)>, wrapper: &str| {
            assert_eq!(found(&dict(items)), Ok((Some(wrapper.to_owned()), vec![])), "{wrapper}");
        };
        let optimizer = || dict([("state", dict([("0", tensors(&["exp_avg"]))])), ("param_groups", Py::List(vec![]))]);
        // MMEngine
        check(
            vec![
                ("meta", dict([("epoch", Py::Int(100)), ("dataset_meta", Py::Instance)])),
                ("state_dict", weights()),
                ("message_hub", dict([("log_scalars", Py::Instance)])),
                ("optimizer", optimizer()),
                ("param_schedulers", Py::List(vec![dict([("last_step", Py::Int(3))])])),
            ],
            "state_dict",
        );
        // Lightning
        check(
            vec![
                ("epoch", Py::Int(3)),
                ("pytorch-lightning_version", Py::Str("2.0.0")),
                ("state_dict", weights()),
                ("loops", Py::None),
                ("optimizer_states", Py::List(vec![optimizer()])),
                ("hyper_parameters", Py::Instance),
            ],
            "state_dict",
        );
        // PySlowFast
        check(
            vec![
                ("epoch", Py::Int(195)),
                ("model_state", weights()),
                ("optimizer_state", optimizer()),
                ("cfg", Py::Str("TRAIN:\n  ENABLE: True\n")),
            ],
            "model_state",
        );
        // VideoMAE, and with DeepSpeed
        check(vec![("model", weights()), ("optimizer", optimizer()), ("args", Py::Instance)], "model");
        check(vec![("module", weights()), ("optimizer", Py::None), ("dp_world_size", Py::Int(8))], "module");
        // The tutorials of PyTorch
        check(
            vec![
                ("epoch", Py::Int(5)),
                ("model_state_dict", weights()),
                ("optimizer_state_dict", optimizer()),
                ("loss", Py::None),
            ],
            "model_state_dict",
        );
    }

    #[test]
    fn tensors_at_the_top_level_and_under_an_unknown_key_are_found() {
        assert_eq!(found(&weights()), Ok((None, vec![])));
        let object = dict([("epoch", Py::Int(5)), ("best", weights()), ("optimizer", weights())]);
        assert_eq!(found(&object), Ok((Some("best".into()), vec![])));
    }

    #[test]
    fn the_contents_of_other_files_are_listed() {
        let object = dict([
            ("epoch", Py::Int(5)),
            ("one", weights()),
            ("two", weights()),
            ("args", Py::Instance),
            ("names", Py::List(vec![Py::Str("a")])),
            ("none\u{7}", Py::None),
        ]);
        let expect = "(a dictionary of names and tensors): it contains a dictionary with `epoch` (a number), `one` (a \
                      dictionary of 2 entries), `two` (a dictionary of 2 entries), `args` (another object), `names` (a list \
                      of 1 entry), `none\\u{7}` (None)";
        assert_eq!(found(&object), Err(expect.to_owned()));
        let expect = "(a dictionary of names and tensors): it contains another object, not a dictionary";
        assert_eq!(found(&Py::Instance), Err(expect.to_owned()));
        let many = dict((0..30).map(|number| (format!("{number:03}{}", "x".repeat(500)), Py::None)));
        let error = found(&many).expect_err("no tensors");
        assert!(error.ends_with(" and 10 more") && error.len() < 2_500, "{error}");
    }

    #[test]
    fn tensors_of_other_kinds_are_reported() {
        let object = dict([
            ("conv1.weight", Py::Tensor(vec![1.0])),
            ("complex", Py::Complex),
            ("float8", Py::Rebuilt("_rebuild_tensor_v3")),
            ("sparse", Py::Rebuilt("_rebuild_sparse_tensor")),
            ("quantised", Py::Rebuilt("_rebuild_qtensor")),
            ("other", Py::Rebuilt("_rebuild_xla_tensor")),
            ("extra", Py::Instance),
        ]);
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("w.pth");
        let check = |object: &Py| {
            fs_err::write(&path, zip_file(object)).expect("written");
            Checkpoint::open(&path).expect("a state dict")
        };
        let Checkpoint { tensors, origin } = check(&object);
        assert_eq!((tensors.len(), &origin.not_tensors), (1, &vec!["extra".to_owned()]));
        let found: Vec<String> = origin.unsupported.iter().map(ToString::to_string).collect();
        let expect =
            ["`complex` (complex64)", "`float8` (float8_e4m3fn)", "`sparse` (sparse)", "`quantised` (quantised)"];
        assert_eq!(found[..4], expect);
        assert_eq!(found[4], "`other` (of another device or class)");
        assert_eq!(origin.notes()[1], format!("tensors that can't be read: {}", found.join(", ")));
        // A dictionary of such tensors alone is a state dict too.
        let all = check(&dict([("epoch", Py::Int(1)), ("model", dict([("conv1.weight", Py::Complex)]))]));
        assert_eq!((all.origin.wrapper.as_deref(), all.origin.unsupported.len()), (Some("model"), 1));
    }

    #[test]
    fn entries_that_are_not_tensors_are_reported() {
        let object = dict([("conv1.weight", Py::Tensor(vec![1.0])), ("counter", Py::Int(3)), ("extra", Py::Instance)]);
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("w.pth");
        fs_err::write(&path, zip_file(&dict([("model", object)]))).expect("written");
        let origin = Checkpoint::open(&path).expect("tensors").origin;
        assert_eq!(origin.not_tensors, ["counter", "extra"]);
        let expect =
            ["the weights are those of `model`", "entries that are not tensors were skipped: `counter`, `extra`"];
        assert_eq!(origin.notes(), expect);
    }
}
