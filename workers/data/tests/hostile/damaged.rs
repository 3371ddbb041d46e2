//! Copies of real videos that are damaged at random.

use crate::print;
use crate::space::Space;
use pipe_schemas::tables::Verdict;
use pipe_testkit::shared;
use serde_json::json;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A random number generator, seeded with the number of a file.
struct Draw {
    reader: blake3::OutputReader,
}

impl Draw {
    fn new(number: u64) -> Self {
        Self {
            reader: blake3::Hasher::new_derive_key("pipe damaged files").update(&number.to_le_bytes()).finalize_xof(),
        }
    }

    fn below(&mut self, limit: usize) -> usize {
        let mut bytes = [0; 8];
        self.reader.fill(&mut bytes);
        (u64::from_le_bytes(bytes) % limit as u64) as usize
    }
}

/// Damages a file: flips bits anywhere or in the header, zeroes a range, or truncates it.
fn damage(bytes: &mut Vec<u8>, draw: &mut Draw) {
    let kind = draw.below(4);
    if kind != 1 {
        let within = if draw.below(3) == 0 { bytes.len().min(4096) } else { bytes.len() };
        for _ in 0..1 << draw.below(9) {
            let at = draw.below(within);
            bytes[at] ^= 1 << draw.below(8);
        }
    }
    if kind == 2 {
        let start = draw.below(bytes.len());
        let end = bytes.len().min(start + draw.below(65_536));
        bytes[start..end].fill(0);
    }
    if kind % 2 == 1 {
        bytes.truncate(draw.below(bytes.len()));
    }
}

/// Damages `count` copies of real videos, and asserts that they affect neither each other nor the valid videos between them.
fn damaged_files(count: u64) {
    const HEALTHY_EVERY: u64 = 20;
    let (Some(clips), Some(hostile)) = (shared("data/clips"), shared("data/hostile")) else { return };
    let mut originals: Vec<PathBuf> = [&clips.join("kinetics"), &clips.join("wlasl"), &clips.join("ucf101"), &hostile]
        .into_iter()
        .flat_map(|folder| files_below(folder))
        .filter(|path| (10_000..300_000).contains(&fs_err::metadata(path).expect("there").len()))
        .collect();
    originals.sort();
    let space = Space::new();
    for number in 0..count {
        let mut draw = Draw::new(number);
        let original = &originals[draw.below(originals.len())];
        let mut bytes = fs_err::read(original).expect("read");
        damage(&mut bytes, &mut draw);
        let extension = original.extension().unwrap_or_default().to_string_lossy();
        fs_err::write(space.path("media").join(format!("{number:05}.{extension}")), bytes).expect("written");
        if number.is_multiple_of(HEALTHY_EVERY) {
            space.healthy(&format!("{number:05}~healthy.avi"), number as usize);
        }
    }
    let limits = json!({ "cpu_secs": 60, "memory_mb": 2048 });
    let rows = space.ingest(json!({ "include": ["*"], "verify": "decode", "limits": limits }));
    let frames = json!({ "resize": { "short_side_px": 32 }, "buckets": 5, "on_error": "skip", "limits": limits });
    let (index, warnings) = space.frames(frames);
    let mut verdicts: BTreeMap<Verdict, u64> = BTreeMap::new();
    for row in rows.values() {
        *verdicts.entry(row.verdict).or_default() += 1;
        let stored = index.get(&row.video_id).map(|row| u64::from(row.num_frames));
        // A video that one stage decodes completely, the other does too.
        assert_eq!(stored, row.frames_decoded.filter(|_| row.verdict.is_usable()), "{}: {}", row.path, row.reason);
        if row.path.ends_with("~healthy.avi") {
            assert_eq!((row.verdict, stored), (Verdict::Ok, Some(5)), "{}: {}", row.path, row.reason);
        }
        if matches!(row.verdict, Verdict::Crashed | Verdict::TimedOut) {
            print(&format!("{}: {}", row.path, row.reason));
        }
    }
    assert!(warnings.iter().all(|warning| warning.contains(" damaged, and stored without")), "{warnings:?}");
    print(&format!("{count} damaged files among {}: {verdicts:?}", rows.len()));
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = fs_err::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}

#[test]
fn damaged_files_affect_no_others() {
    damaged_files(60);
}

#[test]
#[ignore = "takes minutes"]
fn a_thousand_damaged_files_affect_no_others() {
    damaged_files(1000);
}
