//! The lists joined with the `videos` table: [`join`]. The only home of polars here.

use crate::ucf101::Entry;
use pipe_schemas::tables::{Split, VideoRow};
use polars::df;
use polars::prelude::{
    DataFrame, DataType, Expr, IntoLazy, JoinArgs, JoinType, LazyFrame, PolarsResult, SortMultipleOptions, UnionArgs,
    col, concat, len, lit,
};

/// What joining the lists with the videos says.
#[derive(Debug, PartialEq)]
pub(crate) struct Joined {
    /// One for each entry, in their order.
    pub(crate) matches: Vec<Match>,
    /// Paths of videos that no list names, sorted.
    pub(crate) unlabelled: Vec<String>,
    /// In the `videos` table.
    pub(crate) num_videos: u64,
    /// Groups in both lists, by their first training entry.
    pub(crate) group_leaks: Vec<Leak>,
    /// Contents in both lists, by their first training entry.
    pub(crate) content_leaks: Vec<Leak>,
    /// Sorted by class; classes without an entry are left out.
    pub(crate) counts: Vec<Count>,
}

/// What the `videos` table has for an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Match {
    /// Its name there, if it is there.
    pub(crate) video_id: Option<String>,
    /// Its path there, if that differs from the listed one in case.
    pub(crate) other_case: Option<String>,
    /// Whether it is there with the verdict `ok`.
    pub(crate) present: bool,
}

/// What is in both lists, and the first entry of each that has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Leak {
    /// The group, or the digest.
    pub(crate) key: String,
    /// Position among the entries.
    pub(crate) train: usize,
    /// Position among the entries.
    pub(crate) test: usize,
}

/// Entries of a class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) class_index: u32,
    pub(crate) split: Split,
    pub(crate) listed: u64,
    pub(crate) present: u64,
}

/// Joins `entries` with the `videos` table, by path.
///
/// A path that is not there is looked for again without regard to case; it counts as found if exactly one entry and one
/// video are left under that name.
pub(crate) fn join(entries: &[Entry], videos: &[VideoRow]) -> PolarsResult<Joined> {
    let videos = known(videos)?;
    let listed = listed(entries)?;
    let found = found(&listed.clone().lazy(), &videos.clone().lazy())?.collect()?;
    let matched = listed
        .lazy()
        .left_join(found.clone().lazy(), col("row"), col("row"))
        .with_column(col("ok").fill_null(lit(false)))
        .sort(["row"], SortMultipleOptions::default())
        .collect()?;
    Ok(Joined {
        matches: matches(&matched)?,
        unlabelled: unlabelled(&videos, &found)?,
        num_videos: videos.height() as u64,
        group_leaks: leaks(matched.clone().lazy().filter(col("group").neq(lit(""))), "group")?,
        content_leaks: leaks(matched.clone().lazy().filter(col("ok")), "digest")?,
        counts: counts(&matched)?,
    })
}

/// Columns `row`, `path`, `lower`, `is_train`, `class_index`, `group`.
fn listed(entries: &[Entry]) -> PolarsResult<DataFrame> {
    df!(
        "row" => (0..entries.len() as u32).collect::<Vec<_>>(),
        "path" => entries.iter().map(|entry| entry.path.as_str()).collect::<Vec<_>>(),
        "lower" => entries.iter().map(|entry| entry.path.to_lowercase()).collect::<Vec<_>>(),
        "is_train" => entries.iter().map(|entry| entry.split == Split::Train).collect::<Vec<_>>(),
        "class_index" => entries.iter().map(|entry| entry.class_index).collect::<Vec<_>>(),
        "group" => entries.iter().map(|entry| entry.group.as_str()).collect::<Vec<_>>(),
    )
}

/// Columns `path`, `lower`, `found_path`, `video_id`, `digest`, `ok`.
fn known(videos: &[VideoRow]) -> PolarsResult<DataFrame> {
    let paths: Vec<&str> = videos.iter().map(|video| video.path.as_str()).collect();
    df!(
        "path" => &paths,
        "lower" => videos.iter().map(|video| video.path.to_lowercase()).collect::<Vec<_>>(),
        "found_path" => &paths,
        "video_id" => videos.iter().map(|video| video.video_id.as_str()).collect::<Vec<_>>(),
        "digest" => videos.iter().map(|video| video.digest.as_str()).collect::<Vec<_>>(),
        "ok" => videos.iter().map(|video| video.verdict.is_usable()).collect::<Vec<_>>(),
    )
}

/// Columns `row`, `found_path`, `video_id`, `digest`, `ok`, `other_case`, for entries that are in the table.
fn found(listed: &LazyFrame, videos: &LazyFrame) -> PolarsResult<LazyFrame> {
    let columns = |other_case: bool| {
        [col("row"), col("found_path"), col("video_id"), col("digest"), col("ok"), lit(other_case).alias("other_case")]
    };
    let exact = listed.clone().inner_join(videos.clone(), col("path"), col("path")).select(columns(false));
    let entries_left = listed.clone().anti_join(videos.clone(), col("path"), col("path"));
    let videos_left = videos.clone().anti_join(listed.clone(), col("path"), col("path"));
    let by_case = only_one(entries_left, &["row"])
        .inner_join(only_one(videos_left, &["found_path", "video_id", "digest", "ok"]), col("lower"), col("lower"))
        .select(columns(true));
    concat([exact, by_case], UnionArgs::default())
}

/// Keeps rows whose path in lower case no other row has, as columns `lower` and `kept`.
fn only_one(frame: LazyFrame, kept: &[&str]) -> LazyFrame {
    let mut columns: Vec<Expr> = kept.iter().map(|name| col(*name).first()).collect();
    columns.push(len().alias("rows"));
    frame.group_by([col("lower")]).agg(columns).filter(col("rows").eq(lit(1)))
}

fn matches(matched: &DataFrame) -> PolarsResult<Vec<Match>> {
    let (ids, paths) = (matched.column("video_id")?.str()?, matched.column("found_path")?.str()?);
    let (present, other_case) = (matched.column("ok")?.bool()?, matched.column("other_case")?.bool()?);
    let found = ids.iter().zip(paths.iter()).zip(present.iter().zip(other_case.iter()));
    Ok(found
        .map(|((video_id, path), (present, other_case))| Match {
            video_id: video_id.map(str::to_owned),
            other_case: path.filter(|_| other_case == Some(true)).map(str::to_owned),
            present: present == Some(true),
        })
        .collect())
}

fn unlabelled(videos: &DataFrame, found: &DataFrame) -> PolarsResult<Vec<String>> {
    let left = videos
        .clone()
        .lazy()
        .anti_join(found.clone().lazy(), col("found_path"), col("found_path"))
        .select([col("path")])
        .sort(["path"], SortMultipleOptions::default())
        .collect()?;
    Ok(left.column("path")?.str()?.iter().flatten().map(str::to_owned).collect())
}

/// Returns the values of the column `key` that stand in both lists.
fn leaks(matched: LazyFrame, key: &str) -> PolarsResult<Vec<Leak>> {
    let firsts = |of_list: Expr, name: &str| {
        matched.clone().filter(of_list).group_by([col(key)]).agg([col("row").min().alias(name)])
    };
    let both = firsts(col("is_train"), "train")
        .join(firsts(col("is_train").not(), "test"), [col(key)], [col(key)], JoinArgs::new(JoinType::Inner))
        .sort(["train"], SortMultipleOptions::default())
        .collect()?;
    let (train, test) = (both.column("train")?.u32()?, both.column("test")?.u32()?);
    let rows = both.column(key)?.str()?.iter().flatten().zip(train.iter().flatten().zip(test.iter().flatten()));
    Ok(rows.map(|(key, (train, test))| Leak { key: key.into(), train: train as usize, test: test as usize }).collect())
}

fn counts(matched: &DataFrame) -> PolarsResult<Vec<Count>> {
    let counted = matched
        .clone()
        .lazy()
        .group_by([col("class_index"), col("is_train")])
        .agg([len().cast(DataType::UInt64).alias("listed"), col("ok").cast(DataType::UInt64).sum().alias("present")])
        .collect()?;
    let (classes, is_train) = (counted.column("class_index")?.u32()?, counted.column("is_train")?.bool()?);
    let (listed, present) = (counted.column("listed")?.u64()?, counted.column("present")?.u64()?);
    let keys = classes.iter().flatten().zip(is_train.iter().flatten());
    let values = listed.iter().flatten().zip(present.iter().flatten());
    let count = |((class_index, is_train), (listed, present))| {
        let split = if is_train { Split::Train } else { Split::Test };
        Count { class_index, split, listed, present }
    };
    let mut counts: Vec<Count> = keys.zip(values).map(count).collect();
    counts.sort_by_key(|count| (count.class_index, count.split));
    Ok(counts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use pipe_schemas::tables::Verdict;

    fn entry(path: &str, split: Split, class_index: u32, group: &str) -> Entry {
        Entry { path: path.into(), split, class_index, group: group.into(), file: "l".into(), line: 1 }
    }

    fn video(path: &str, digest: &str, verdict: Verdict) -> VideoRow {
        VideoRow {
            video_id: path.trim_end_matches(".avi").into(),
            path: path.into(),
            digest: digest.into(),
            size_bytes: 1,
            codec: "mpeg4".into(),
            width_px: 320,
            height_px: 240,
            fps_num: 25,
            fps_den: 1,
            frames_declared: 10,
            frames_decoded: None,
            rotation: 0,
            verdict,
            reason: String::new(),
        }
    }

    fn run(entries: &[Entry], videos: &[VideoRow]) -> Joined {
        join(entries, videos).expect("joined")
    }

    #[test]
    fn entries_find_their_videos() {
        let entries = [
            entry("A/b.avi", Split::Train, 0, ""),
            entry("A/a.avi", Split::Train, 0, ""),
            entry("B/gone.avi", Split::Test, 1, ""),
            entry("B/broken.avi", Split::Test, 1, ""),
        ];
        let videos = [
            video("A/a.avi", "1", Verdict::Ok),
            video("A/b.avi", "2", Verdict::Ok),
            video("A/x.avi", "3", Verdict::Ok),
            video("B/broken.avi", "4", Verdict::Undecodable),
        ];
        let joined = run(&entries, &videos);
        let found = |name: &str, present| Match { video_id: Some(name.into()), other_case: None, present };
        let gone = Match { video_id: None, other_case: None, present: false };
        assert_eq!(joined.matches, [found("A/b", true), found("A/a", true), gone, found("B/broken", false)]);
        assert_eq!((joined.unlabelled, joined.num_videos), (vec!["A/x.avi".to_owned()], 4));
        let count = |class_index, split, listed, present| Count { class_index, split, listed, present };
        assert_eq!(joined.counts, [count(0, Split::Train, 2, 2), count(1, Split::Test, 2, 0)]);
        assert_eq!((joined.group_leaks, joined.content_leaks), (vec![], vec![]));
    }

    #[test]
    fn case_counts_only_where_it_must() {
        let entries = [
            entry("A/One.avi", Split::Train, 0, ""),
            entry("A/Two.avi", Split::Train, 0, ""),
            entry("A/three.avi", Split::Train, 0, ""),
        ];
        let videos = [
            video("A/THREE.avi", "4", Verdict::Ok),
            video("A/Three.avi", "5", Verdict::Ok),
            video("A/one.avi", "1", Verdict::Ok),
            video("A/Two.avi", "2", Verdict::Ok),
            video("A/two.avi", "3", Verdict::Ok),
        ];
        let joined = run(&entries, &videos);
        let ids: Vec<_> = joined.matches.iter().map(|found| found.video_id.as_deref()).collect();
        // `three` could be either of two files, so it is neither.
        assert_eq!(ids, [Some("A/one"), Some("A/Two"), None]);
        assert_eq!(joined.matches[0].other_case.as_deref(), Some("A/one.avi"));
        assert_eq!(joined.matches[1].other_case, None);
        assert_eq!(joined.unlabelled, ["A/THREE.avi", "A/Three.avi", "A/two.avi"]);
    }

    #[test]
    fn leaks_are_across_the_lists_only() {
        let entries = [
            entry("A/1.avi", Split::Train, 0, "A_g01"),
            entry("A/2.avi", Split::Train, 0, "A_g02"),
            entry("A/3.avi", Split::Train, 0, "A_g02"),
            entry("A/4.avi", Split::Test, 0, "A_g02"),
            entry("A/5.avi", Split::Test, 0, "A_g03"),
            entry("A/6.avi", Split::Test, 0, ""),
            entry("A/7.avi", Split::Train, 0, ""),
        ];
        let videos = [
            video("A/1.avi", "same", Verdict::Ok),
            video("A/2.avi", "twin", Verdict::Ok),
            video("A/3.avi", "twin", Verdict::Ok),
            video("A/4.avi", "empty", Verdict::Unreadable),
            video("A/5.avi", "same", Verdict::Ok),
            video("A/7.avi", "empty", Verdict::Unreadable),
        ];
        let joined = run(&entries, &videos);
        let leak = |key: &str, train, test| Leak { key: key.into(), train, test };
        assert_eq!(joined.group_leaks, [leak("A_g02", 1, 3)]);
        assert_eq!(joined.content_leaks, [leak("same", 0, 4)]);
    }

    #[test]
    fn no_videos_are_no_matches() {
        let joined = run(&[entry("A/1.avi", Split::Train, 0, "A_g01")], &[]);
        assert_eq!(joined.matches, [Match { video_id: None, other_case: None, present: false }]);
        assert_eq!(joined.counts.len(), 1);
        assert_eq!(run(&[], &[video("A/1.avi", "1", Verdict::Ok)]).unlabelled, ["A/1.avi"]);
    }
}
