//! Joins the lists with the `videos` table: [`join`]. The only module of this crate that uses polars.

use crate::labels::Entry;
use crate::lists::{name_of, without_extension};
use pipe_schemas::tables::VideoRow;
use polars::df;
use polars::prelude::{DataFrame, DataFrameJoinOps, PolarsResult};
use std::borrow::Cow;
use std::collections::HashMap;

/// The result of [`join`].
#[derive(Debug, PartialEq)]
pub(crate) struct Joined {
    /// One per entry, in the order of the entries.
    pub(crate) matches: Vec<Match>,
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

/// A rule that matches listed names with videos by a key. A match counts only if exactly one remaining name and one remaining
/// video have the key.
struct Tier {
    listed: for<'n> fn(&'n Name<'n>) -> Option<Cow<'n, str>>,
    video: fn(&VideoRow) -> Cow<'_, str>,
    /// Whether to report a match: folder, extension or case differ from the list.
    is_reported: fn(&Name<'_>) -> bool,
}

/// A listed path, and its alias.
struct Name<'a> {
    path: &'a str,
    alias: Option<&'a str>,
}

/// From the strictest to the loosest. A listed name without a folder matches a video in any folder.
const TIERS: [Tier; 8] = [
    Tier { listed: |name| Some(name.path.into()), video: |video| video.path.as_str().into(), is_reported: |_| false },
    Tier {
        listed: |name| Some(name.path.into()),
        video: |video| video.video_id.as_str().into(),
        is_reported: |_| false,
    },
    Tier {
        listed: |name| Some(without_extension(name.path).into()),
        video: |video| video.video_id.as_str().into(),
        is_reported: |_| true,
    },
    Tier {
        listed: |name| Some(name.path.to_lowercase().into()),
        video: |video| video.path.to_lowercase().into(),
        is_reported: |_| true,
    },
    Tier {
        listed: |name| Some(name_of(name.path).into()),
        video: |video| name_of(&video.path).into(),
        is_reported: has_folder,
    },
    Tier {
        listed: |name| Some(without_extension(name_of(name.path)).into()),
        video: |video| name_of(&video.video_id).into(),
        is_reported: has_folder,
    },
    Tier {
        listed: |name| name.alias.map(Into::into),
        video: |video| video.video_id.as_str().into(),
        is_reported: |_| false,
    },
    Tier {
        listed: |name| name.alias.map(Into::into),
        video: |video| name_of(&video.video_id).into(),
        is_reported: |_| false,
    },
];

fn has_folder(name: &Name<'_>) -> bool {
    name.path.contains('/')
}

/// Joins `entries` with the `videos` table, by name.
pub(crate) fn join(entries: &[Entry], videos: &[VideoRow]) -> PolarsResult<Joined> {
    let (names, name_of_entry) = names(entries);
    let mut found: Vec<Option<(usize, bool)>> = vec![None; names.len()];
    let mut taken = vec![false; videos.len()];
    for tier in &TIERS {
        let names_left: Vec<usize> = (0..names.len()).filter(|name| found[*name].is_none()).collect();
        let videos_left: Vec<usize> = (0..videos.len()).filter(|video| !taken[*video]).collect();
        if names_left.is_empty() || videos_left.is_empty() {
            break;
        }
        for (name, video) in pairs(tier, &names, &names_left, videos, &videos_left)? {
            found[name] = Some((video, (tier.is_reported)(&names[name])));
            taken[video] = true;
        }
    }
    let matched = |name: usize| match found[name] {
        Some((video, other_name)) => {
            Match { video: Some(video), other_name, present: videos[video].verdict.is_usable() }
        }
        None => Match::default(),
    };
    let mut unlabelled: Vec<usize> = (0..videos.len()).filter(|video| !taken[*video]).collect();
    unlabelled.sort_by_key(|video| &videos[*video].path);
    Ok(Joined { matches: name_of_entry.into_iter().map(matched).collect(), unlabelled })
}

/// Returns each path once, and the position of its path for each entry.
fn names(entries: &[Entry]) -> (Vec<Name<'_>>, Vec<usize>) {
    let (mut names, mut positions) = (Vec::new(), HashMap::new());
    let of_entry = entries.iter().map(|entry| {
        *positions.entry(entry.path.as_str()).or_insert_with(|| {
            names.push(Name { path: &entry.path, alias: entry.alias.as_deref() });
            names.len() - 1
        })
    });
    let of_entry = of_entry.collect();
    (names, of_entry)
}

/// Returns the matches of a tier, as positions of names and videos.
fn pairs(
    tier: &Tier,
    names: &[Name<'_>],
    names_left: &[usize],
    videos: &[VideoRow],
    videos_left: &[usize],
) -> PolarsResult<Vec<(usize, usize)>> {
    let listed = names_left.iter().filter_map(|name| Some((*name as u32, (tier.listed)(&names[*name])?)));
    let known = videos_left.iter().map(|video| (*video as u32, (tier.video)(&videos[*video])));
    let (listed, known) = (frame("name", listed.collect())?, frame("video", known.collect())?);
    let both = listed.inner_join(&known, ["key"], ["key"])?;
    let (names, videos) = (both.column("name")?.u32()?.iter().flatten(), both.column("video")?.u32()?.iter().flatten());
    Ok(names.zip(videos).map(|(name, video)| (name as usize, video as usize)).collect())
}

/// Returns a data frame with a column of positions, named `position`, and the column `key`. Keys that occur more than once are
/// left out: they identify nothing, and thousands of equal names on both sides would make millions of pairs.
fn frame(position: &str, rows: Vec<(u32, Cow<'_, str>)>) -> PolarsResult<DataFrame> {
    let mut times: HashMap<&str, u32> = HashMap::with_capacity(rows.len());
    for (_, key) in &rows {
        *times.entry(key).or_default() += 1;
    }
    let once = rows.iter().filter(|(_, key)| times.get(&**key) == Some(&1));
    let (positions, keys): (Vec<u32>, Vec<&str>) = once.map(|(position, key)| (*position, &**key)).unzip();
    df!(position => positions, "key" => keys)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_data::{entry, video};
    use pipe_schemas::tables::{Split, Verdict};

    /// Joins, and returns the path of the video of each entry (with `~` before it if the match is reported).
    fn run(entries: &[Entry], videos: &[VideoRow]) -> (Vec<String>, Vec<String>) {
        let joined = join(entries, videos).expect("joined");
        let path = |found: &Match| match found.video {
            Some(video) => format!("{}{}", if found.other_name { "~" } else { "" }, videos[video].path),
            None => "-".to_owned(),
        };
        let unlabelled = joined.unlabelled.iter().map(|video| videos[*video].path.clone()).collect();
        (joined.matches.iter().map(path).collect(), unlabelled)
    }

    #[track_caller]
    fn check(listed: &[&str], paths: &[&str], expect: &[&str], unlabelled: &[&str]) {
        let entries: Vec<Entry> = listed.iter().map(|path| entry(path, Split::Train, 0, "")).collect();
        let videos: Vec<VideoRow> = paths.iter().map(|path| video(path, path)).collect();
        let texts = |texts: &[&str]| texts.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(run(&entries, &videos), (texts(expect), texts(unlabelled)));
    }

    #[test]
    fn entries_match_videos_by_path() {
        let listed = ["A/b.avi", "A/a.avi", "B/gone.avi", "A/a.avi"];
        check(&listed, &["A/x.avi", "A/a.avi", "A/b.avi"], &["A/b.avi", "A/a.avi", "-", "A/a.avi"], &["A/x.avi"]);
        check(&["a"], &[], &["-"], &[]);
        check(&[], &["b.avi", "a.avi"], &[], &["a.avi", "b.avi"]);
    }

    #[test]
    fn case_is_ignored_if_that_is_unambiguous() {
        let listed = ["A/One.avi", "A/Two.avi", "A/three.avi"];
        let paths = ["A/THREE.avi", "A/Three.avi", "A/one.avi", "A/Two.avi", "A/two.avi"];
        // `three` could be either of two files, so it matches neither.
        check(&listed, &paths, &["~A/one.avi", "A/Two.avi", "-"], &["A/THREE.avi", "A/Three.avi", "A/two.avi"]);
    }

    #[test]
    fn names_without_folder_match_in_any_folder() {
        check(
            &["v_g01_c01", "x.avi", "Mr._Bean"],
            &["B/x.avi", "A/v_g01_c01.avi", "C/Mr._Bean.webm"],
            &["A/v_g01_c01.avi", "B/x.avi", "C/Mr._Bean.webm"],
            &[],
        );
        check(&["x", "y.mp4"], &["A/x.avi", "B/x.avi", "y.webm"], &["-", "~y.webm"], &["A/x.avi", "B/x.avi"]);
        check(&["/data/k400/A/x.avi", "A/y.mp4"], &["A/x.avi", "A/y.avi"], &["~A/x.avi", "~A/y.avi"], &[]);
    }

    #[test]
    fn ambiguous_names_do_not_match() {
        let paths = |folder: &str| (0..20_000).map(|number| format!("{folder}{number}/v.avi")).collect::<Vec<_>>();
        let entries: Vec<Entry> = paths("a").iter().map(|path| entry(path, Split::Train, 0, "")).collect();
        let videos: Vec<VideoRow> = paths("b").iter().map(|path| video(path, path)).collect();
        let joined = join(&entries, &videos).expect("joined");
        assert!(joined.matches.iter().all(|found| found.video.is_none()) && joined.unlabelled.len() == 20_000);
    }

    #[test]
    fn an_alias_matches_last() {
        let with_alias =
            |path: &str, alias: &str| Entry { alias: Some(alias.into()), ..entry(path, Split::Train, 0, "") };
        let entries = [with_alias("id_000001_000011", "id"), with_alias("go_000001_000011", "go")];
        let videos = [video("run/id_000001_000011.mp4", "1"), video("id.mp4", "2"), video("walk/go.mp4", "3")];
        assert_eq!(run(&entries, &videos).0, ["run/id_000001_000011.mp4", "walk/go.mp4"]);
    }

    #[test]
    fn broken_videos_match_but_are_not_present() {
        let broken = VideoRow { verdict: Verdict::Undecodable, ..video("a.avi", "1") };
        let joined = join(&[entry("a.avi", Split::Train, 0, "")], &[broken]).expect("joined");
        assert_eq!(joined.matches, [Match { video: Some(0), other_name: false, present: false }]);
    }
}
