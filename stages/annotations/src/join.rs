//! Joins the lists with the `videos` table: [`join`].
//!
//! Both sides are written in one form ([`paths::normal`]). A listed name and a video belong together if the path of the one is
//! the end of the path of the other: `/data/run/1.mp4` or `1.mp4` is the video `run/1.mp4`, and `jump/1.mp4` is not. The longest
//! common end counts, and it must be unique on both sides; what else fits is a [`Choice`], which is reported. The spelling must be
//! equal; only names without an equal one may differ in the extension or in case ([`SPELLINGS`]).

use crate::labels::Entry;
use crate::lists::without_extension;
use crate::paths::{self, stem};
use pipe_schemas::tables::VideoRow;
use polars::prelude::PolarsResult;
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use suffixes::{KeyPair, Suffixes, common_keys};

mod suffixes;
#[cfg(test)]
mod tests;

/// The result of [`join`].
#[derive(Debug, PartialEq)]
pub(crate) struct Joined {
    /// One per entry, in the order of the entries.
    pub(crate) matches: Vec<Match>,
    /// Entries that could be one of several videos, or several entries that could be one video.
    pub(crate) choices: Vec<Choice>,
    /// Positions of videos that are not in any list, sorted by path.
    pub(crate) unlabelled: Vec<usize>,
}

/// The video of an entry.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Match {
    /// Its position in the `videos` table, if the table contains it.
    pub(crate) video: Option<usize>,
    /// Whether the folder has it under another name than the list.
    pub(crate) other_name: bool,
    /// Whether the table contains it and it is usable.
    pub(crate) present: bool,
}

/// Names and videos that fit each other, but not uniquely.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Choice {
    /// The first entry of each name.
    pub(crate) entries: Vec<usize>,
    /// Positions in the `videos` table.
    pub(crate) videos: Vec<usize>,
}

/// How names are spelled for a comparison.
struct Spelling {
    listed: fn(&str) -> Cow<'_, str>,
    video: fn(&str) -> Cow<'_, str>,
    /// Whether a match is reported, because extension or case differ.
    is_reported: bool,
}

/// From the strictest to the loosest.
const SPELLINGS: [Spelling; 4] = [
    Spelling { listed: |path| path.into(), video: |path| path.into(), is_reported: false },
    // Many lists have no extensions.
    WITHOUT_EXTENSION,
    Spelling { listed: |path| without_extension(path).into(), video: |path| stem(path).into(), is_reported: true },
    Spelling { listed: |path| path.to_lowercase().into(), video: |path| path.to_lowercase().into(), is_reported: true },
];
const WITHOUT_EXTENSION: Spelling =
    Spelling { listed: |path| path.into(), video: |path| stem(path).into(), is_reported: false };

/// A listed path. Forms of the same path are one name.
struct Name {
    path: String,
    alias: Option<String>,
    entry: usize,
    state: State,
}

/// What is known of a name.
#[derive(Clone, Copy)]
enum State {
    Unknown,
    Found {
        video: usize,
        other_name: bool,
    },
    /// It fits several videos, or others fit the same.
    Ambiguous,
}

/// Joins `entries` with the `videos` table, by name.
pub(crate) fn join(entries: &[Entry], videos: &[VideoRow]) -> PolarsResult<Joined> {
    let paths: Vec<String> = videos.iter().map(|video| paths::normal(&video.path)).collect();
    let (names, name_of_entry) = names(entries, videos, &paths);
    let mut joiner = Joiner { names, paths, taken: vec![false; videos.len()], choices: Vec::new() };
    joiner.take_given();
    for spelling in &SPELLINGS {
        joiner.apply(spelling, false)?;
    }
    joiner.apply(&WITHOUT_EXTENSION, true)?;
    let Joiner { names, paths, taken, choices } = joiner;
    let matched = |name: usize| match names[name].state {
        State::Found { video, other_name } => {
            Match { video: Some(video), other_name, present: videos[video].verdict.is_usable() }
        }
        State::Unknown | State::Ambiguous => Match::default(),
    };
    let mut unlabelled: Vec<usize> = (0..videos.len()).filter(|video| !taken[*video]).collect();
    unlabelled.sort_by_key(|video| &paths[*video]);
    Ok(Joined { matches: name_of_entry.into_iter().map(matched).collect(), choices, unlabelled })
}

/// Returns each path once, and the position of its name for each entry.
///
/// Rarely, several videos have equal paths in normal form, because a file name contains `\`. Then an entry that is written like one
/// of them is that video.
fn names(entries: &[Entry], videos: &[VideoRow], paths: &[String]) -> (Vec<Name>, Vec<usize>) {
    let mut times: HashMap<&str, u32> = HashMap::with_capacity(paths.len());
    for path in paths {
        *times.entry(path).or_default() += 1;
    }
    let repeated = (0..).zip(videos).filter(|(video, _): &(usize, _)| times[paths[*video].as_str()] > 1);
    let given: HashMap<&str, usize> = repeated.map(|(position, video)| (video.path.as_str(), position)).collect();
    let (mut names, mut positions) = (Vec::new(), HashMap::new());
    let of_entry = (0..).zip(entries).map(|(entry, listed): (usize, &Entry)| {
        let (path, given) = (paths::normal(&listed.path), given.get(listed.path.as_str()).copied());
        *positions.entry((path.clone(), given)).or_insert_with(|| {
            let state = given.map_or(State::Unknown, |video| State::Found { video, other_name: false });
            names.push(Name { path, alias: listed.alias.as_deref().map(paths::normal), entry, state });
            names.len() - 1
        })
    });
    let of_entry = of_entry.collect();
    (names, of_entry)
}

struct Joiner {
    names: Vec<Name>,
    /// The paths of the videos in normal form.
    paths: Vec<String>,
    /// Whether each video has a name.
    taken: Vec<bool>,
    choices: Vec<Choice>,
}

impl Joiner {
    fn take_given(&mut self) {
        for name in &self.names {
            if let State::Found { video, .. } = name.state {
                self.taken[video] = true;
            }
        }
    }

    /// Matches names without a video by one spelling of their path or of their alias: first whole paths, then their ends.
    fn apply(&mut self, spelling: &Spelling, by_alias: bool) -> PolarsResult<()> {
        if !(0..self.names.len()).any(|name| self.is_unknown(name)) {
            return Ok(());
        }
        let path = |name: &Name| if by_alias { name.alias.clone() } else { Some(name.path.clone()) };
        let listed: Vec<Option<String>> =
            self.names.iter().map(|name| Some((spelling.listed)(&path(name)?).into_owned())).collect();
        let known: Vec<String> = self.paths.iter().map(|path| (spelling.video)(path).into_owned()).collect();
        let listed = Suffixes::of(listed.iter().map(Option::as_deref));
        let known = Suffixes::of(known.iter().map(|path| Some(path.as_str())));
        let pairs = common_keys(&listed, &known)?;
        for pair in &pairs {
            self.match_equal(pair, spelling.is_reported);
        }
        self.match_ends(&longest_ends(&pairs, self.names.len()), spelling.is_reported, by_alias);
        Ok(())
    }

    /// Matches the only name without a video with the only video without a name, of those with this path.
    fn match_equal(&mut self, pair: &KeyPair<'_>, is_reported: bool) {
        let names: Vec<usize> = pair.listed.whole.iter().copied().filter(|name| self.is_unknown(*name)).collect();
        let videos: Vec<usize> = pair.known.whole.iter().copied().filter(|video| !self.taken[*video]).collect();
        match (&names[..], &videos[..]) {
            ([], _) | (_, []) => {}
            ([name], [video]) => self.found(*name, *video, is_reported),
            (names, videos) => self.ambiguous(names, videos),
        }
    }

    /// Matches names with the videos whose paths have the longest common end with theirs.
    fn match_ends(&mut self, ends: &[Option<End<'_>>], is_reported: bool, by_alias: bool) {
        let mut names_of: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (name, end) in ends.iter().enumerate() {
            let Some(end) = end.as_ref().filter(|_| self.is_unknown(name)) else { continue };
            match end.videos {
                [video] => names_of.entry(*video).or_default().push(name),
                videos => self.ambiguous(&[name], videos),
            }
        }
        for (video, names) in names_of {
            let is_only_end = |name: usize| ends[name].as_ref().is_some_and(|end| end.num_names == 1);
            match names[..] {
                _ if self.taken[video] => {}
                [name] if is_only_end(name) => {
                    let has_folder = !by_alias && self.names[name].path.contains('/');
                    self.found(name, video, is_reported || has_folder);
                }
                // Another name that ends so has a video, so this one need not be its.
                [_] => {}
                _ => self.ambiguous(&names, &[video]),
            }
        }
    }

    fn is_unknown(&self, name: usize) -> bool {
        matches!(self.names[name].state, State::Unknown)
    }

    fn found(&mut self, name: usize, video: usize, other_name: bool) {
        self.names[name].state = State::Found { video, other_name };
        self.taken[video] = true;
    }

    fn ambiguous(&mut self, names: &[usize], videos: &[usize]) {
        for name in names {
            self.names[*name].state = State::Ambiguous;
        }
        let entries = names.iter().map(|name| self.names[*name].entry).collect();
        self.choices.push(Choice { entries, videos: videos.to_vec() });
    }
}

/// The longest end of a name that is a whole path on the other side, or the whole name.
struct End<'p> {
    /// Number of names with this end.
    num_names: usize,
    videos: &'p [usize],
}

/// Returns the longest end of each name. `pairs` are sorted from the longest to the shortest.
fn longest_ends<'p>(pairs: &[KeyPair<'p>], num_names: usize) -> Vec<Option<End<'p>>> {
    let mut ends: Vec<Option<End<'p>>> = Vec::new();
    ends.resize_with(num_names, || None);
    for KeyPair { listed, known } in pairs {
        let num_names = listed.whole.len() + listed.ending.len();
        for (names, videos) in [(&listed.whole, &known.ending), (&listed.ending, &known.whole)] {
            for name in names.iter().filter(|_| !videos.is_empty()) {
                ends[*name].get_or_insert(End { num_names, videos });
            }
        }
    }
    ends
}
