//! [`Checkpoint::without_prefixes`]: removes what training code puts before the names of a network's tensors.

use crate::origin::Prefix;
use crate::{Checkpoint, Tensor};
use std::collections::{BTreeMap, BTreeSet};

/// Modules that training code puts around a network, in any combination.
const PREFIXES: [&str; 20] = [
    "module.",   // DataParallel, DistributedDataParallel
    "model.",    // Lightning and most others
    "backbone.", // MMAction2
    "encoder.",
    "target_encoder.",
    "net.",
    "network.",
    "base_model.",
    "state_dict.",
    "base.",
    "student.",
    "teacher.",
    "online_encoder.",
    "momentum_encoder.",
    "encoder_q.",
    "encoder_k.",
    "ema.",
    "ema_model.",
    "model_ema.",
    "averaged_model.",
];

/// What `torch.compile` puts before the names of the module that it compiles, which may be an inner one.
const COMPILED: &str = "_orig_mod.";

impl Checkpoint {
    /// Removes prefixes that training code adds (`module.`, `_orig_mod.`, `backbone.`, …) where the name without them is a name of
    /// the network. `wanted` are these names. [`Origin`](crate::Origin) says what was removed.
    ///
    /// If no name is known then, a prefix of any other module is removed, if most names of the network follow it.
    ///
    /// If the file has several copies of the network, such as `model.` and `ema.`, the most complete one is used; of equal ones, the
    /// network itself rather than an average of it, but a teacher rather than its student.
    #[must_use]
    pub fn without_prefixes(self, wanted: &BTreeSet<&str>) -> Self {
        let Self { mut tensors, mut origin } = self;
        let names: Vec<String> = tensors.keys().cloned().collect();
        let (mut groups, mut others) = by_prefix(&names, wanted);
        if groups.is_empty() {
            groups.extend(with_any_prefix(&names, wanted));
            others.retain(|name| groups.iter().all(|group| group.names.iter().all(|(known, _)| known != name)));
        }
        let mut renamed: BTreeMap<String, Tensor> = BTreeMap::new();
        let mut used = Vec::new();
        for Group { prefix, names } in groups {
            let is_copy = names.iter().any(|(_, bare)| renamed.contains_key(bare));
            if is_copy {
                let branch = branch(&prefix, used.first().map_or("", |used: &Prefix| used.prefix.as_str()));
                let (of_copy, rest): (Vec<String>, Vec<String>) =
                    others.into_iter().partition(|name| !branch.is_empty() && name.starts_with(branch));
                others = rest;
                let num_tensors = names.len() + of_copy.len();
                names.iter().map(|(name, _)| name).chain(&of_copy).for_each(|name| drop(tensors.remove(name)));
                origin.copies.push(Prefix { prefix, num_tensors });
                continue;
            }
            let num_tensors = names.len();
            for (name, bare) in names {
                renamed.extend(tensors.remove(&name).map(|tensor| (bare, tensor)));
            }
            used.push(Prefix { prefix, num_tensors });
        }
        let common = used.first().map_or_else(|| common_prefix(&others), |used| used.prefix.clone());
        for name in others {
            let bare = name.strip_prefix(common.as_str()).filter(|bare| !renamed.contains_key(*bare));
            if let Some(tensor) = tensors.remove(&name) {
                renamed.insert(bare.map_or(name.clone(), str::to_owned), tensor);
            }
        }
        origin.prefixes.extend(used.into_iter().filter(|used| !used.prefix.is_empty()));
        Self { tensors: renamed, origin }
    }
}

/// Names that are names of the network once the same prefix is removed.
struct Group {
    prefix: String,
    /// Names in the file, and without the prefix.
    names: Vec<(String, String)>,
}

/// Groups the names that are names of the network without a prefix, the preferred group first, and returns the other names.
fn by_prefix(names: &[String], wanted: &BTreeSet<&str>) -> (Vec<Group>, Vec<String>) {
    let mut groups: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    let mut others = Vec::new();
    for name in names {
        match candidates(name).into_iter().find(|(_, bare)| wanted.contains(bare.as_str())) {
            Some((prefix, bare)) => groups.entry(prefix).or_default().push((name.clone(), bare)),
            None => others.push(name.clone()),
        }
    }
    let mut groups: Vec<Group> = groups.into_iter().map(|(prefix, names)| Group { prefix, names }).collect();
    groups.sort_by_key(|group| (std::cmp::Reverse(group.names.len()), rank(&group.prefix)));
    (groups, others)
}

/// Returns the names that have the same prefix before a name of the network, whatever the prefix is, if these are most names of the
/// network.
fn with_any_prefix(names: &[String], wanted: &BTreeSet<&str>) -> Option<Group> {
    let names: BTreeSet<&str> = names.iter().map(String::as_str).collect();
    let mut best: Option<Group> = None;
    for one in wanted.iter().take(MAX_TRIED) {
        let prefixes = names.iter().filter_map(|name| name.strip_suffix(one)).filter(|prefix| prefix.ends_with('.'));
        for prefix in prefixes.take(MAX_TRIED) {
            let with_prefix = wanted.iter().map(|bare| (format!("{prefix}{bare}"), (*bare).to_owned()));
            let found: Vec<(String, String)> = with_prefix.filter(|(name, _)| names.contains(name.as_str())).collect();
            if best.as_ref().is_none_or(|best| best.names.len() < found.len()) {
                best = Some(Group { prefix: prefix.to_owned(), names: found });
            }
        }
    }
    best.filter(|best| 2 * best.names.len() > wanted.len())
}

/// The maximum number of names, and of prefixes for each, that [`with_any_prefix`] tries.
const MAX_TRIED: usize = 8;

/// Returns the name as it is, then with more and more prefixes removed, each with what was removed.
fn candidates(name: &str) -> Vec<(String, String)> {
    let mut found = vec![(String::new(), name.to_owned())];
    let plain = without_compiled(name);
    let mut rest = plain.as_str();
    if rest != name {
        found.push((removed(name, rest), rest.to_owned()));
    }
    while let Some(next) = PREFIXES.iter().find_map(|prefix| rest.strip_prefix(prefix)) {
        rest = next;
        found.push((removed(name, rest), rest.to_owned()));
    }
    found
}

/// Returns what precedes `bare` in `name`. If an inner module was compiled, it is not a prefix alone.
fn removed(name: &str, bare: &str) -> String {
    if let Some(prefix) = name.strip_suffix(bare) {
        return prefix.to_owned();
    }
    let plain = without_compiled(name);
    format!("{COMPILED}{}", plain.strip_suffix(bare).unwrap_or_default())
}

/// Removes the marks of `torch.compile` from the start of a name and after each of its dots.
fn without_compiled(name: &str) -> String {
    let mut parts: Vec<&str> = name.split_inclusive('.').collect();
    parts.retain(|part| *part != COMPILED);
    parts.concat()
}

/// Returns the longest prefix of known modules that all names have.
fn common_prefix(names: &[String]) -> String {
    let Some(first) = names.first() else { return String::new() };
    let prefixes = candidates(first).into_iter().map(|(prefix, _)| prefix);
    let common = prefixes.filter(|prefix| names.iter().all(|name| name.starts_with(prefix.as_str())));
    common.max_by_key(String::len).unwrap_or_default()
}

/// Returns the first module of `prefix` if it is not that of `used`: other names below it belong to the same copy.
fn branch<'a>(prefix: &'a str, used: &str) -> &'a str {
    let first = prefix.split_inclusive('.').next().unwrap_or("");
    if used.starts_with(first) { prefix } else { first }
}

/// Orders copies of a network: the network itself, its teacher, its student, averages of it.
fn rank(prefix: &str) -> u32 {
    let has = |words: &[&str]| prefix.split('.').any(|part| words.contains(&part));
    if has(&["ema", "ema_model", "model_ema", "averaged_model", "encoder_k", "momentum_encoder"]) {
        3
    } else if has(&["student"]) {
        2
    } else {
        u32::from(has(&["teacher", "target_encoder"]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Origin;

    const WANTED: [&str; 4] = ["conv1.weight", "layer1.0.conv1.weight", "fc.weight", "fc.bias"];

    fn strip(names: &[String]) -> Checkpoint {
        let tensors = names.iter().map(|name| (name.clone(), Tensor::from_f32(vec![], &[0.0]))).collect();
        Checkpoint { tensors, ..Checkpoint::default() }.without_prefixes(&WANTED.into())
    }

    fn names(checkpoint: &Checkpoint) -> Vec<&str> {
        checkpoint.tensors.keys().map(String::as_str).collect()
    }

    fn with(prefix: &str) -> Vec<String> {
        WANTED.iter().map(|name| format!("{prefix}{name}")).collect()
    }

    #[test]
    fn plain_names_stay() {
        let found = strip(&with(""));
        assert_eq!(names(&found), ["conv1.weight", "fc.bias", "fc.weight", "layer1.0.conv1.weight"]);
        assert_eq!(found.origin, Origin::default());
    }

    /// All combinations of up to three of the known prefixes.
    #[test]
    fn every_combination_of_prefixes_is_removed() {
        let all: Vec<&str> = PREFIXES.into_iter().chain([COMPILED]).collect();
        let mut prefixes: Vec<String> = vec![String::new()];
        for _ in 0..3 {
            let longer = prefixes.iter().flat_map(|prefix| all.iter().map(move |next| format!("{prefix}{next}")));
            prefixes = longer.collect();
            for prefix in prefixes.iter().step_by(if prefixes.len() > 1000 { 7 } else { 1 }) {
                let found = strip(&with(prefix));
                assert_eq!(names(&found).len(), 4, "{prefix}");
                assert!(WANTED.iter().all(|name| found.tensors.contains_key(*name)), "{prefix}: {:?}", names(&found));
                assert_eq!(found.origin.prefixes, [Prefix { prefix: prefix.clone(), num_tensors: 4 }]);
                assert_eq!(found.origin.notes(), [format!("`{prefix}` was removed from 4 names")]);
            }
        }
    }

    #[test]
    fn only_the_backbone_may_have_a_prefix() {
        let found = strip(&["backbone.conv1.weight", "backbone.layer1.0.conv1.weight", "fc.weight"].map(str::to_owned));
        assert_eq!(names(&found), ["conv1.weight", "fc.weight", "layer1.0.conv1.weight"]);
    }

    #[test]
    fn an_inner_module_may_be_compiled() {
        let found = strip(&["conv1._orig_mod.weight", "layer1.0._orig_mod.conv1.weight", "fc.bias"].map(str::to_owned));
        assert_eq!(names(&found), ["conv1.weight", "fc.bias", "layer1.0.conv1.weight"]);
    }

    #[test]
    fn any_prefix_of_most_names_is_removed() {
        for prefix in ["my_net.", "a.b.c.", "module.my_net."] {
            let found = strip(&with(prefix));
            assert!(WANTED.iter().all(|name| found.tensors.contains_key(*name)), "{prefix}: {:?}", names(&found));
            assert_eq!(found.origin.prefixes, [Prefix { prefix: prefix.to_owned(), num_tensors: 4 }]);
        }
        // Without a dot, or before a minority of the names, it is another network.
        for other in [&with("my")[..], &with("my_net.")[..2]] {
            let mut expect: Vec<&str> = other.iter().map(String::as_str).collect();
            expect.sort_unstable();
            assert_eq!(names(&strip(other)), expect);
        }
    }

    #[test]
    fn other_names_lose_the_same_prefix() {
        let mut all = with("module.backbone.");
        all.extend(["module.backbone.bn.num_batches_tracked", "module.backbone.x", "other"].map(str::to_owned));
        let found = strip(&all);
        assert!(["bn.num_batches_tracked", "x", "other"].iter().all(|name| found.tensors.contains_key(*name)));
        // Of another network, but with a prefix that all names have.
        let found = strip(&["module.a.weight".to_owned(), "module.b.weight".to_owned()]);
        assert_eq!(names(&found), ["a.weight", "b.weight"]);
    }

    #[test]
    fn one_copy_of_several_is_used() {
        let check = |one: &str, two: &str, expect: &str| {
            let mut all = [with(one), with(two)].concat();
            all.extend([format!("{one}head.weight"), format!("{two}head.weight")]);
            let found = strip(&all);
            let prefix = |prefixes: &[Prefix]| prefixes.iter().map(|prefix| prefix.prefix.clone()).collect::<Vec<_>>();
            let other = if expect == one { two } else { one };
            assert_eq!(prefix(&found.origin.copies), [other], "{one} {two}");
            assert_eq!(prefix(&found.origin.prefixes), if expect.is_empty() { vec![] } else { vec![expect] });
            assert!(WANTED.iter().all(|name| found.tensors.contains_key(*name)), "{:?}", names(&found));
            assert_eq!(found.tensors.keys().filter(|name| name.ends_with("head.weight")).count(), 1, "{one} {two}");
            assert!(found.origin.notes().iter().any(|note| note.contains("another copy")), "{:?}", found.origin);
        };
        check("model.", "ema.", "model.");
        check("ema_model.module.", "model.", "model.");
        check("student.backbone.", "teacher.backbone.", "teacher.backbone.");
        check("", "model_ema.module.", "");
    }
}
