//! [`RemovedChannels`]: the channels that pruning has removed from a network, as a model folder records them.

use serde::{Deserialize, Serialize, de};
use std::collections::BTreeMap;
use std::fmt;

/// The largest position of a channel, so that a short text can't stand for more positions than memory holds.
const MAX_POSITION: usize = 1 << 20;

/// The positions of the channels that were removed from each group, by the name of the group's first layer. With them, the pruned network is
/// built again from its parameters.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RemovedChannels {
    /// By group.
    pub groups: BTreeMap<String, Positions>,
}

/// Ascending positions. As text: `0-3,7`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Positions(Vec<usize>);

impl RemovedChannels {
    /// Returns the positions by group.
    pub fn to_map(&self) -> BTreeMap<String, Vec<usize>> {
        self.groups.iter().map(|(name, positions)| (name.clone(), positions.0.clone())).collect()
    }

    /// Returns the number of channels of all groups.
    pub fn count(&self) -> usize {
        self.groups.values().map(|positions| positions.0.len()).sum()
    }
}

impl From<BTreeMap<String, Vec<usize>>> for RemovedChannels {
    fn from(groups: BTreeMap<String, Vec<usize>>) -> Self {
        Self { groups: groups.into_iter().map(|(name, positions)| (name, Positions::new(positions))).collect() }
    }
}

impl Positions {
    /// Sorts positions.
    pub fn new(mut positions: Vec<usize>) -> Self {
        positions.sort_unstable();
        positions.dedup();
        Self(positions)
    }

    /// Parses a text such as `0-3,7`; positions must ascend.
    fn parse(text: &str) -> Option<Self> {
        let mut positions: Vec<usize> = Vec::new();
        for range in text.split(',').filter(|_| !text.is_empty()) {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            let (first, last) = (first.parse::<usize>().ok()?, last.parse::<usize>().ok()?);
            let ascends = positions.last().is_none_or(|before| *before < first);
            if !ascends || last < first || last > MAX_POSITION {
                return None;
            }
            positions.extend(first..=last);
        }
        Some(Self(positions))
    }
}

impl fmt::Display for Positions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let runs = self.0.chunk_by(|one, next| one + 1 == *next);
        let texts: Vec<String> = runs
            .map(|run| match run {
                [first, .., last] => format!("{first}-{last}"),
                other => other.iter().map(ToString::to_string).collect(),
            })
            .collect();
        f.write_str(&texts.join(","))
    }
}

impl Serialize for Positions {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Positions {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let wrong = || de::Error::invalid_value(de::Unexpected::Str(&text), &"ascending positions such as `0-3,7`");
        Self::parse(&text).ok_or_else(wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_written_as_ranges_and_read_back() {
        let check = |positions: &[usize], expect: &str| {
            let positions = Positions::new(positions.to_vec());
            assert_eq!(positions.to_string(), expect);
            assert_eq!(Positions::parse(expect), Some(positions));
        };
        check(&[], "");
        check(&[7], "7");
        check(&[3, 0, 1, 2, 7, 9, 10], "0-3,7,9-10");
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["1,", "a", "3-1", "1,1", "5,2", "-1", "0-99999999999", "0-1048577", "1-2-3", " 1"] {
            assert_eq!(Positions::parse(text), None, "{text}");
        }
        let error = serde_json::from_str::<RemovedChannels>(r#"{"conv1": "2,1"}"#).expect_err("descending");
        assert!(error.to_string().contains("ascending positions such as `0-3,7`"), "{error}");
    }
}
