//! `kill -9` in the middle: the next run completes, with the results of an undisturbed run.

use crate::space::Space;
use std::time::{Duration, Instant};

#[test]
fn a_killed_run_is_completed_by_the_next_with_the_same_results() {
    let calm = Space::new();
    let since = Instant::now();
    let expect = calm.run_tiny(&[]).ok().digests();
    let whole = since.elapsed();

    let space = Space::new();
    let mut already = 0;
    for part in [2, 4, 6, 8, 10] {
        space.kill_tiny_after(whole * part / 12);
        let records = walk(&space.path(".pipe/store/v1/actions"));
        assert!(records >= already, "recorded results are kept");
        already = records;
    }
    let run = space.run_tiny(&[]).ok();
    assert_eq!(run.digests(), expect);
    assert!(run.run_finished()["hits"].as_u64().unwrap() > 0, "recorded work does not run again");
    assert_eq!(walk(&space.path(".pipe/work")), 0, "scratch folders of killed runs are deleted");
}

#[test]
fn workers_do_not_outlive_a_killed_run() {
    let space = Space::new();
    space.kill_tiny_after(Duration::from_millis(1500));
    let until = Instant::now() + Duration::from_secs(5);
    let root = space.path(".pipe").canonicalize().unwrap().display().to_string();
    while open_below(&root) > 0 {
        assert!(Instant::now() < until, "a process still uses {root}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Counts files below a folder.
fn walk(folder: &std::path::Path) -> usize {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    entries.map(|entry| entry.unwrap().path()).map(|path| if path.is_dir() { walk(&path) } else { 1 }).sum()
}

/// Counts processes with a file below `root` open.
fn open_below(root: &str) -> usize {
    let uses = |process: &std::path::Path| {
        let Ok(files) = std::fs::read_dir(process.join("fd")) else { return false };
        files.filter_map(|file| std::fs::read_link(file.ok()?.path()).ok()).any(|target| target.starts_with(root))
    };
    std::fs::read_dir("/proc").unwrap().filter(|entry| uses(&entry.as_ref().unwrap().path())).count()
}
