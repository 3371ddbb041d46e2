//! [`Config`]: `.pipe/config.yaml`, the settings of a store, as opposed to those of a pipeline.

use crate::place::{Place, SourceText};
use crate::yaml::{self, Node, Value, keys};
use crate::{Problem, Problems};
use pipe_cache::RemoteSetting;
use std::io::ErrorKind;
use std::path::Path;

/// The settings of a store; each is optional.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// The remote for every pipeline that uses this store; a pipeline file's own `remote` has lower precedence.
    pub remote: Option<RemoteSetting>,
}

impl Config {
    /// Reads `config.yaml` in the `.pipe` folder `root`. A missing file is an empty one.
    pub fn read(root: &Path) -> Result<Self, Problems> {
        let path = root.join("config.yaml");
        let (source, failure) = match SourceText::read(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => (SourceText::new(path.display().to_string(), Some(path), ""), Some(error)),
            Ok(source) => (source, None),
        };
        let mut problems = Vec::new();
        if let Some(error) = failure {
            problems.push(Problem::new("unreadable-file", &Place::start_of(&source), error.to_string()));
        }
        let config = match yaml::parse(&source) {
            Ok(node) => Self::of(&node, &mut problems),
            Err(problem) => {
                problems.push(problem);
                Self::default()
            }
        };
        if problems.is_empty() { Ok(config) } else { Err(Problems::sorted(problems, &[source])) }
    }

    fn of(node: &Node, problems: &mut Vec<Problem>) -> Self {
        if !matches!(node.value, Value::Map(_) | Value::Null) {
            let message = format!("expected a map, found {}", node.describe());
            problems.push(Problem::new("wrong-type", &node.place, message).help("remote: s3://bucket/prefix"));
        }
        keys::check_keys(node, "the configuration", &["remote"], problems);
        Self { remote: keys::remote(node.get("remote"), problems) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fs_err as fs;

    #[test]
    fn the_remote_is_read_and_mistakes_are_reported() {
        let folder = tempfile::tempdir().expect("a folder");
        let check = |text: &str, expect: Result<Option<&str>, &str>| {
            fs::write(folder.path().join("config.yaml"), text).expect("written");
            match (Config::read(folder.path()), expect) {
                (Ok(config), Ok(expect)) => {
                    assert_eq!(config.remote, expect.map(|text| text.parse().expect("a setting")), "{text}");
                }
                (Err(problems), Err(expect)) => {
                    assert!(problems.0[0].message.contains(expect), "{text}: {}", problems.0[0]);
                }
                (found, expect) => panic!("{text}: {found:?}, not {expect:?}"),
            }
        };
        assert_eq!(Config::read(&folder.path().join("absent")).expect("read"), Config::default());
        check("", Ok(None));
        check("# nothing", Ok(None));
        check("remote: s3://bucket/a", Ok(Some("s3://bucket/a")));
        check("remote: none", Ok(Some("none")));
        check("remotes: none", Err("unknown key `remotes`"));
        check("remote: 3", Err("expected a remote"));
        check("remote: s3://a:b@c/d", Err("set credentials and options in the environment"));
        check("[", Err(""));
        check("none", Err("expected a map"));
    }
}
