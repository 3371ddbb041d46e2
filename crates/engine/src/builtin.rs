//! [`BASES`]: the files of `pipelines/base` as part of `pipe`, so that `extends: builtin/models/tsn_r50` works in any folder.

use crate::nearest::nearest;
use std::path::{Component, Path};

/// What the name of a built-in file begins with.
pub(crate) const PREFIX: &str = "builtin/";
const EXTENSION: &str = ".yaml";

/// A built-in file.
#[derive(Debug)]
pub struct Base {
    /// The name after `builtin/`, such as `models/tsn_r50`.
    pub name: &'static str,
    /// The YAML text of the file.
    pub text: &'static str,
}

macro_rules! bases {
    ($($name:literal),* $(,)?) => {
        /// All built-in files, sorted by name.
        pub const BASES: &[Base] = &[$(Base {
            name: $name,
            text: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../pipelines/base/", $name, ".yaml")),
        }),*];
    };
}

bases![
    "datasets/class_folder",
    "datasets/hmdb51",
    "datasets/kinetics",
    "datasets/sthv2",
    "datasets/ucf101",
    "datasets/ucf101_fetched",
    "models/c3d",
    "models/cnn_lstm_r18",
    "models/i3d_r50",
    "models/mc3_18",
    "models/mvit_v1_b",
    "models/mvit_v2_s",
    "models/r2plus1d_18",
    "models/r2plus1d_r34",
    "models/r3d_18",
    "models/s3d",
    "models/slowfast_r50_4x16",
    "models/slowfast_r50_8x8",
    "models/slowonly_r50",
    "models/swin3d_t",
    "models/timesformer_divst",
    "models/tsm_mobilenet_v2",
    "models/tsm_r50",
    "models/tsn_inception_v3",
    "models/tsn_mobilenet_v2",
    "models/tsn_r50",
    "models/videomae_b",
    "models/videomae_s",
    "models/vivit_b",
    "models/vjepa2_vitl",
    "models/x3d_s",
    "schedules/sgd_50e",
];

impl Base {
    /// Returns the first sentence of the comment at its start.
    pub fn summary(&self) -> String {
        let comment = self.text.lines().map_while(|line| line.strip_prefix('#')).map(str::trim);
        let comment = comment.collect::<Vec<_>>().join(" ");
        // `et al. 2018` does not end a sentence.
        let begins_sentence = |rest: &str| rest.chars().nth(2).is_some_and(char::is_uppercase);
        let end = comment.match_indices(". ").map(|(at, _)| at).find(|at| begins_sentence(&comment[*at..]));
        comment[..end.unwrap_or(comment.len())].trim_end_matches('.').to_owned()
    }
}

/// Returns the built-in file with a name such as `models/tsn_r50`, also after `builtin/` or before `.yaml`; or the most similar
/// name.
pub fn base(name: &str) -> Result<&'static Base, Option<&'static str>> {
    let name = name.strip_prefix(PREFIX).unwrap_or(name);
    let name = name.strip_suffix(EXTENSION).unwrap_or(name);
    let last = |name: &'static str| name.rsplit('/').next().unwrap_or(name);
    let near = || {
        let whole = nearest(name, BASES.iter().map(|base| base.name));
        let by_last = nearest(name.rsplit('/').next().unwrap_or(name), BASES.iter().map(|base| last(base.name)));
        whole.or_else(|| BASES.iter().map(|base| base.name).find(|name| Some(last(name)) == by_last))
    };
    BASES.iter().find(|base| base.name == name).ok_or_else(near)
}

/// Returns the name, with `builtin/`, of the file that `extends` names in the file `from`; `None` if that is a file on disk.
pub(crate) fn named(name: &str, from: &str) -> Option<String> {
    if name.starts_with(PREFIX) {
        return Some(name.to_owned());
    }
    let folder = Path::new(from).parent().filter(|_| from.starts_with(PREFIX))?;
    let mut steps: Vec<&str> = Vec::new();
    let path = folder.join(name);
    for component in path.components() {
        match component {
            Component::ParentDir => drop(steps.pop()),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
            Component::Normal(step) => steps.push(step.to_str()?),
        }
    }
    Some(steps.join("/"))
}

/// Returns the built-in file that is meant by a path into a checkout of `pipe`, such as `pipelines/base/models/tsn_r50.yaml`.
pub(crate) fn of_checkout(path: &str) -> Option<&'static Base> {
    base(path.rsplit_once("base/")?.1).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use fs_err as fs;

    /// Returns the names of all files below a folder.
    fn names(folder: &Path, below: &str) -> Vec<String> {
        let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry"));
        let mut names: Vec<String> = entries
            .flat_map(|entry| {
                let name = format!("{below}{}", entry.file_name().to_string_lossy());
                if entry.path().is_dir() { self::names(&entry.path(), &format!("{name}/")) } else { vec![name] }
            })
            .collect();
        names.sort();
        names
    }

    #[test]
    fn every_file_of_the_folder_is_built_in() {
        let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../pipelines/base"));
        let built_in: Vec<String> = BASES.iter().map(|base| format!("{}.yaml", base.name)).collect();
        assert_eq!(built_in, names(folder, ""));
    }

    #[test]
    fn names_have_a_prefix_and_an_extension_or_not() {
        for name in ["models/tsn_r50", "builtin/models/tsn_r50", "builtin/models/tsn_r50.yaml"] {
            assert_eq!(base(name).map(|base| base.name).ok(), Some("models/tsn_r50"), "{name}");
        }
        let near = |name: &str| base(name).err().flatten();
        assert_eq!(near("builtin/models/tsn_r5"), Some("models/tsn_r50"));
        assert_eq!(near("builtin/tsn_r50"), Some("models/tsn_r50"));
        assert_eq!(near("builtin/something/else"), None);
        assert_eq!(named("tsn_r50.yaml", "builtin/models/x.yaml").as_deref(), Some("builtin/models/tsn_r50.yaml"));
        assert_eq!(named("../datasets/a", "builtin/models/x.yaml").as_deref(), Some("builtin/datasets/a"));
        assert_eq!(named("tsn_r50.yaml", "models/x.yaml"), None);
    }

    #[test]
    fn each_begins_with_a_comment() {
        for base in BASES {
            assert!(!base.summary().is_empty(), "{}", base.name);
        }
    }
}
