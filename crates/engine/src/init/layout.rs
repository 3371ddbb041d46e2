//! [`Layout`]: how the videos of a folder are labelled, recognised from folders and lists.

use super::count;
use super::survey::{ListFile, Survey, is_video};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Subsets that [`pipe_schemas::stages::annotations::Subsets`] takes for training and for test videos.
const TRAIN: [&str; 2] = ["train", "training"];
const TEST: [&str; 6] = ["val", "valid", "validate", "validation", "test", "testing"];
/// Names of columns, the least ambiguous first.
const VIDEO_COLUMNS: [&str; 9] =
    ["video_path", "video", "path", "filename", "file_name", "file", "video_id", "video_name", "clip"];
const LABEL_COLUMNS: [&str; 6] = ["label", "class", "class_name", "category", "action", "label_name"];
const SUBSET_COLUMNS: [&str; 4] = ["split", "subset", "set", "partition"];
/// Maximum number of lines that decide the format of a list.
const MAX_LINES: usize = 200;

/// How the videos of a folder are labelled.
#[derive(Debug, PartialEq)]
pub(super) struct Layout {
    /// What was recognised, for people.
    pub(super) found: String,
    /// The folder of the videos, relative to the surveyed one.
    pub(super) videos: String,
    /// The folder of the lists, relative to the surveyed one; `None` without lists.
    pub(super) lists: Option<String>,
    /// The parameters of `annotations` without `root`.
    pub(super) params: Vec<(&'static str, Value)>,
    /// What the parameters mean.
    pub(super) comment: &'static str,
}

impl Layout {
    /// Recognises the layout, or returns what was found.
    pub(super) fn of(survey: &Survey) -> Result<Self, String> {
        let known: [fn(&Survey) -> Option<Self>; 7] = [ucf101, hmdb51, kinetics, sthv2, activitynet, video_list, table];
        let mut found: Vec<Self> = known.iter().filter_map(|recognise| recognise(survey)).collect();
        match found.len() {
            0 => rawframe_list(survey).map_or_else(|| class_folder(survey), Ok),
            1 => Ok(found.remove(0)),
            _ => {
                let found: Vec<String> = found.into_iter().map(|layout| layout.found).collect();
                Err(format!("lists of several formats ({}); give the folder of one of them", found.join("; ")))
            }
        }
    }

    /// Returns the text files that the layout does not use.
    pub(super) fn unused<'s>(&self, survey: &'s Survey) -> Vec<&'s str> {
        let is_named = |list: &ListFile| self.params.iter().any(|(_, value)| value == list.split().1);
        let takes_all = self.params.iter().any(|(_, value)| value == "ucf101" || value == "hmdb51");
        let is_used = |list: &ListFile| self.lists.as_deref() == Some(list.split().0) && (takes_all || is_named(list));
        survey.lists.iter().filter(|list| !is_used(list)).map(|list| list.path.as_str()).collect()
    }

    fn with_lists(survey: &Survey, found: String, lists: &str, params: Vec<(&'static str, Value)>) -> Self {
        let (videos, lists) = (survey.video_folder().to_owned(), Some(lists.to_owned()));
        Self { found, videos, lists, params, comment: "the lists are in this format" }
    }
}

fn ucf101(survey: &Survey) -> Option<Layout> {
    let folder =
        |name: &'static str| survey.lists.iter().filter(move |list| list.split().1 == name).map(|list| list.split().0);
    let lists = folder("trainlist01.txt").find(|one| folder("testlist01.txt").any(|two| two == *one))?;
    let found = format!("the lists of UCF101 in {}, of which split 1 is used", shown(lists));
    Some(Layout::with_lists(survey, found, lists, vec![("format", json!("ucf101")), ("split", json!(1))]))
}

fn hmdb51(survey: &Survey) -> Option<Layout> {
    let first = survey.lists.iter().find(|list| list.path.ends_with("_test_split1.txt"))?;
    let lists = first.split().0;
    let found = format!("the lists of HMDB51 in {}, of which split 1 is used", shown(lists));
    Some(Layout::with_lists(survey, found, lists, vec![("format", json!("hmdb51")), ("split", json!(1))]))
}

fn kinetics(survey: &Survey) -> Option<Layout> {
    let is_kinetics = |list: &&ListFile| {
        let names = columns(list);
        ["label", "youtube_id", "time_start"].iter().all(|name| names.iter().any(|column| column == name))
    };
    let (train, test) = pair(survey.lists.iter().filter(is_kinetics))?;
    Some(named(survey, "kinetics", "the lists of Kinetics", train, test))
}

fn sthv2(survey: &Survey) -> Option<Layout> {
    let is_list = |list: &&ListFile| list.head.contains("\"template\"") && list.head.contains("\"id\"");
    let (train, test) = pair(survey.lists.iter().filter(is_list))?;
    let folder = train.split().0;
    let is_map = |list: &&ListFile| list.split().0 == folder && list.split().1.ends_with("labels.json");
    let label_map = survey.lists.iter().find(is_map)?;
    let mut layout = named(survey, "sthv2", "the lists of Something-Something v2", train, test);
    layout.params.push(("label_map", json!(label_map.split().1)));
    Some(layout)
}

fn activitynet(survey: &Survey) -> Option<Layout> {
    let is_list = |list: &&ListFile| list.head.contains("\"annotations\"") && list.head.contains("\"segment\"");
    let list = survey.lists.iter().find(is_list)?;
    let (folder, name) = list.split();
    let found = format!("a list of segments in the format of ActivityNet: {}", list.path);
    Some(Layout::with_lists(survey, found, folder, vec![("format", json!("activitynet")), ("file", json!(name))]))
}

fn video_list(survey: &Survey) -> Option<Layout> {
    let official =
        |list: &ListFile| list.split().1.starts_with("trainlist0") || list.split().1.starts_with("testlist0");
    let is_list = |list: &&ListFile| !official(list) && is_video_list(list);
    let (train, test) = pair(survey.lists.iter().filter(is_list))?;
    Some(named(survey, "video_list", "lists of lines `VIDEO LABEL`", train, test))
}

fn rawframe_list(survey: &Survey) -> Option<Layout> {
    let is_row = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        matches!(fields.as_slice(), [_, frames, label] if frames.parse::<u32>().is_ok() && label.parse::<u32>().is_ok())
    };
    let is_list = |list: &&ListFile| lines(list).next().is_some() && lines(list).all(is_row);
    let (train, test) = pair(survey.lists.iter().filter(is_list))?;
    Some(named(survey, "rawframe_list", "lists of lines `FOLDER FRAMES LABEL`", train, test))
}

/// Returns whether every line is the path of a video and a label.
fn is_video_list(list: &ListFile) -> bool {
    let is_row = |line: &str| {
        [' ', '\t', ',', ';'].iter().any(|delimiter| {
            line.rsplit_once(*delimiter).is_some_and(|(path, label)| {
                let path = path.trim().trim_matches('"').trim_end_matches(*delimiter);
                is_video(path) && !label.trim().is_empty() && !is_video(label.trim())
            })
        })
    };
    let mut lines = lines(list).peekable();
    lines.peek().is_some() && lines.all(is_row)
}

fn table(survey: &Survey) -> Option<Layout> {
    let find = |list: &ListFile, known: &[&str]| {
        let names = columns(list);
        known.iter().find_map(|known| names.iter().find(|name| name.to_lowercase() == **known).cloned())
    };
    let is_table = |list: &&ListFile| {
        let is_kinetics = columns(list).iter().any(|name| name == "youtube_id");
        !is_kinetics && find(list, &VIDEO_COLUMNS).is_some() && find(list, &LABEL_COLUMNS).is_some()
    };
    let tables: Vec<&ListFile> = survey.lists.iter().filter(is_table).collect();
    let of_columns = |list: &ListFile, subset: Option<&String>| {
        let mut columns = json!({ "video": find(list, &VIDEO_COLUMNS), "label": find(list, &LABEL_COLUMNS) });
        if let Some(subset) = subset {
            columns["subset"] = json!(subset);
        }
        ("columns", columns)
    };
    if let Some((train, test)) = pair(tables.iter().copied()) {
        let mut layout = named(survey, "table", "tables", train, test);
        layout.params.push(of_columns(train, None));
        return Some(layout);
    }
    let [list] = tables.as_slice() else { return None };
    let (folder, name) = list.split();
    let subset = find(list, &SUBSET_COLUMNS);
    let mut params = vec![("format", json!("table")), ("file", json!(name)), of_columns(list, subset.as_ref())];
    if subset.is_none() {
        params.push(("test_share", json!(0.2)));
    }
    let found = format!("a table with a column for videos and one for labels: {}", list.path);
    let comment =
        if subset.is_some() { "the columns of the table" } else { "20 % of the videos are held out for testing" };
    Some(Layout { comment, ..Layout::with_lists(survey, found, folder, params) })
}

/// Recognises one folder per class, or says what else is there.
fn class_folder(survey: &Survey) -> Result<Layout, String> {
    let base = survey.video_folder();
    let below = |path: &'_ str| path[base.len()..].trim_start_matches('/').to_owned();
    let paths: Vec<String> = survey.videos.iter().map(|path| below(path)).collect();
    let folders =
        |depth: usize| -> BTreeSet<&str> { paths.iter().filter_map(|path| path.split('/').nth(depth)).collect() };
    let mut by_depth: BTreeMap<usize, usize> = BTreeMap::new();
    for path in &paths {
        *by_depth.entry(path.matches('/').count()).or_default() += 1;
    }
    let depths: Vec<usize> = by_depth.keys().copied().collect();
    let subset = |name: &str, known: &[&str]| known.contains(&name.to_lowercase().as_str());
    let first = folders(0);
    let has_subsets = first.iter().any(|name| subset(name, &TRAIN)) && first.iter().any(|name| subset(name, &TEST));
    let only_subsets = first.iter().all(|name| subset(name, &TRAIN) || subset(name, &TEST));
    let mut params = vec![("format", json!("class_folder"))];
    let layout =
        |found: String, params, comment| Layout { found, videos: base.to_owned(), lists: None, params, comment };
    match depths.as_slice() {
        [1] if !has_subsets => {
            params.push(("test_share", json!(0.2)));
            let found = format!("one folder per class in {}: {}", shown(base), count(first.len(), "class"));
            Ok(layout(found, params, "20 % of the videos are held out for testing"))
        }
        [2] if has_subsets && only_subsets => {
            let tests: Vec<&str> = first.iter().copied().filter(|name| subset(name, &TEST)).collect();
            if let [one, _, ..] = tests.as_slice() {
                params.push(("subsets", json!({ "test": [one] })));
            }
            let names = first.iter().copied().collect::<Vec<_>>().join(", ");
            let found =
                format!("one folder per class in {}, below {names}: {}", shown(base), count(folders(1).len(), "class"));
            Ok(layout(found, params, "the folders above the classes are the subsets"))
        }
        [0] => Err(format!(
            "{} in one folder, {}, and no list that names their classes{}",
            count(paths.len(), "video"),
            shown(base),
            lists(survey)
        )),
        _ => {
            let depth = |(depth, videos): (&usize, &usize)| {
                format!("{} {} below {}", count(*videos, "video"), count(*depth, "folder"), shown(base))
            };
            let found = by_depth.iter().map(depth).collect::<Vec<_>>().join(", ");
            Err(format!("{found}{}", lists(survey)))
        }
    }
}

/// Returns the text files that are in no known format, for a message.
fn lists(survey: &Survey) -> String {
    let names: Vec<&str> = survey.lists.iter().take(5).map(|list| list.path.as_str()).collect();
    let more = if survey.lists.len() > names.len() { ", …" } else { "" };
    if names.is_empty() {
        String::new()
    } else {
        format!("; text files in no known format: {}{more}", names.join(", "))
    }
}

/// Returns the layout of two lists in a folder.
fn named(survey: &Survey, format: &str, what: &str, train: &ListFile, test: &ListFile) -> Layout {
    let found = format!("{what}: {} and {}", train.path, test.path);
    let params = vec![("format", json!(format)), ("train", json!(train.split().1)), ("test", json!(test.split().1))];
    Layout::with_lists(survey, found, train.split().0, params)
}

/// Returns the first list of training videos that has a list of test videos beside it, whose name differs in that word only.
fn pair<'l>(lists: impl Iterator<Item = &'l ListFile>) -> Option<(&'l ListFile, &'l ListFile)> {
    let lists: Vec<&ListFile> = lists.collect();
    lists.iter().find_map(|train| {
        let (folder, name) = train.split();
        let (before, after) = name.split_once("train")?;
        let after = after.strip_prefix("ing").unwrap_or(after);
        let partner = |word: &&str| {
            let name = format!("{before}{word}{after}");
            lists.iter().find(|list| list.split() == (folder, name.as_str()))
        };
        Some((*train, *TEST.iter().find_map(partner)?))
    })
}

fn lines(list: &ListFile) -> impl Iterator<Item = &str> {
    list.head.split(['\n', '\r']).map(str::trim).filter(|line| !line.is_empty()).take(MAX_LINES)
}

/// Returns the names in the first line of a CSV or TSV file.
fn columns(list: &ListFile) -> Vec<String> {
    let is_table = list.path.to_lowercase().ends_with(".csv") || list.path.to_lowercase().ends_with(".tsv");
    let Some(line) = lines(list).next().filter(|_| is_table) else { return Vec::new() };
    let delimiter = ['\t', ';', ','].into_iter().find(|delimiter| line.contains(*delimiter)).unwrap_or(',');
    line.split(delimiter).map(|name| name.trim().trim_matches('"').to_owned()).collect()
}

fn shown(folder: &str) -> &str {
    if folder.is_empty() { "the folder itself" } else { folder }
}
