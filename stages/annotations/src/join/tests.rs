//! Tests of the join.

use super::*;
use crate::test_data::{entry, video};
use pipe_schemas::tables::{Split, Verdict};
use proptest::prelude::*;

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
    // `three` could be either of two files, so it matches neither, and is reported.
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
    // The folder is flat, but the list is not.
    check(&["A/x.avi", "B/y.avi"], &["x.avi", "y.avi"], &["~x.avi", "~y.avi"], &[]);
}

#[test]
fn an_absent_video_is_not_replaced_by_another_of_the_same_name() {
    let jump = ["jump/1.mp4", "jump/2.mp4", "run/2.mp4"];
    check(&jump, &["run/1.mp4", "run/2.mp4", "jump/2.mp4"], &["-", "jump/2.mp4", "run/2.mp4"], &["run/1.mp4"]);
    check(&["jump/1.mp4"], &["run/1.mp4"], &["-"], &["run/1.mp4"]);
    check(&["/data/jump/1.mp4"], &["run/1.mp4"], &["-"], &["run/1.mp4"]);
    check(&["train/jump/1.mp4"], &["val/jump/1.mp4"], &["-"], &["val/jump/1.mp4"]);
    check(&["jump/1.avi"], &["run/1.mp4"], &["-"], &["run/1.mp4"]);
    check(&["jump/A.mp4"], &["run/a.mp4"], &["-"], &["run/a.mp4"]);
    // The file without a folder could also be a copy of the one that is listed and present.
    check(&["jump/1.mp4", "run/1.mp4"], &["1.mp4", "run/1.mp4"], &["-", "run/1.mp4"], &["1.mp4"]);
    // The extension is all that tells them apart.
    check(&["jump/1.avi", "jump/1.mp4"], &["jump/1.mp4"], &["-", "jump/1.mp4"], &[]);
}

#[test]
fn what_fits_more_than_once_is_a_choice() {
    let choices = |listed: &[&str], paths: &[&str]| {
        let entries: Vec<Entry> = listed.iter().map(|path| entry(path, Split::Train, 0, "")).collect();
        let videos: Vec<VideoRow> = paths.iter().map(|path| video(path, path)).collect();
        let joined = join(&entries, &videos).expect("joined");
        assert!(joined.matches.iter().all(|found| found.video.is_none()), "{joined:?}");
        joined.choices.into_iter().map(|choice| (choice.entries, choice.videos)).collect::<Vec<_>>()
    };
    assert_eq!(choices(&["x.avi"], &["A/x.avi", "B/x.avi"]), [(vec![0], vec![0, 1])]);
    assert_eq!(choices(&["a/x.avi", "b/x.avi"], &["x.avi"]), [(vec![0, 1], vec![0])]);
    assert_eq!(choices(&["x"], &["x.avi", "x.mp4"]), [(vec![0], vec![0, 1])]);
    assert_eq!(choices(&["x.avi", "x.mp4"], &["x.mkv"]), [(vec![0, 1], vec![0])]);
    assert_eq!(choices(&["/r/x.avi", "/s/x.avi", "./y.avi"], &["x.avi"]), [(vec![0, 1], vec![0])]);
}

#[test]
fn equal_paths_in_normal_form_are_told_apart_by_their_spelling() {
    check(&["a\\b.mp4", "a/b.mp4"], &["a/b.mp4", "a\\b.mp4"], &["a\\b.mp4", "a/b.mp4"], &[]);
}

/// A path in another form: a root before it, separators, parts that change nothing, and decomposed letters.
fn other_form(path: &str, root: &str, separators: &[u8], decompose: bool) -> String {
    let separator = |at: usize| ["/", "\\", "//", "/./", "/x/../"][usize::from(separators[at % separators.len()]) % 5];
    let mut form = root.to_owned();
    for (at, part) in path.split('/').enumerate() {
        form.push_str(if at == 0 { "" } else { separator(at) });
        form.push_str(part);
    }
    if decompose { form.replace('é', "e\u{301}") } else { form }
}

proptest! {
    /// Every form of the path of every video finds that video, also if file names repeat between folders, and a video that is
    /// taken away is found by none.
    #[test]
    fn any_form_of_a_path_finds_its_video(
        stems in prop::collection::btree_set("[a-c][1é]{0,2}", 1..5),
        root in prop::sample::select(vec!["", "./", "/home/me/ds/", "C:\\data\\", "../ds/", "//"]),
        separators in prop::collection::vec(any::<u8>(), 4),
        (decompose_list, decompose_files) in (any::<bool>(), any::<bool>()),
        absent: prop::sample::Index,
    ) {
        let paths: Vec<String> = ["jump", "run/fast", "walk"]
            .iter()
            .flat_map(|class| stems.iter().map(move |stem| format!("{class}/{stem}.mp4")))
            .collect();
        let file = |path: &String| if decompose_files { path.replace('é', "e\u{301}") } else { path.clone() };
        let files: Vec<String> = paths.iter().map(file).collect();
        let entries: Vec<Entry> = paths
            .iter()
            .map(|path| entry(&other_form(path, root, &separators, decompose_list), Split::Train, 0, ""))
            .collect();
        let absent = absent.index(files.len());
        let videos: Vec<VideoRow> = files.iter().map(|path| video(path, path)).collect();
        let all: Vec<Option<usize>> = join(&entries, &videos).expect("joined").matches.iter().map(|found| found.video).collect();
        prop_assert_eq!(all, (0..files.len()).map(Some).collect::<Vec<_>>());
        let mut fewer = videos.clone();
        fewer.remove(absent);
        let joined = join(&entries, &fewer).expect("joined");
        for (position, found) in joined.matches.iter().enumerate() {
            let expect = (position != absent).then(|| files[position].as_str());
            prop_assert_eq!(found.video.map(|video| fewer[video].path.as_str()), expect);
        }
    }
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
    let with_alias = |path: &str, alias: &str| Entry { alias: Some(alias.into()), ..entry(path, Split::Train, 0, "") };
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
