//! [`video_ids`]: the ids of videos.

use std::collections::BTreeMap;

/// Returns the `video_id` of each path. Different paths have different ids.
pub(crate) fn video_ids(paths: &[&str]) -> Vec<String> {
    let mut ids: Vec<&str> = paths.iter().map(|path| without_extension(path)).collect();
    loop {
        let mut uses: BTreeMap<&str, usize> = BTreeMap::new();
        for id in &ids {
            *uses.entry(id).or_default() += 1;
        }
        // A path that keeps its extension may equal the id of another (`a.avi.mkv`), hence the loop. It ends because the paths
        // themselves differ.
        let mut changed = false;
        for (id, path) in ids.iter_mut().zip(paths) {
            if uses[id] > 1 && id != path {
                *id = path;
                changed = true;
            }
        }
        if !changed {
            return ids.into_iter().map(str::to_owned).collect();
        }
    }
}

fn without_extension(path: &str) -> &str {
    let name_start = path.rfind('/').map_or(0, |slash| slash + 1);
    match path[name_start..].rfind('.') {
        None | Some(0) => path,
        Some(dot) => &path[..name_start + dot],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extensions_are_removed_unless_two_files_would_share_an_id() {
        let check = |paths: &[&str], expect: &[&str]| assert_eq!(video_ids(paths), expect);
        check(&["Biking/v_g01.avi", "b.c/d.mp4"], &["Biking/v_g01", "b.c/d"]);
        check(&[".hidden", "x/.y", "noext", "d.x/noext"], &[".hidden", "x/.y", "noext", "d.x/noext"]);
        check(&["a.avi", "a.mp4", "b.mp4", "x/a.avi"], &["a.avi", "a.mp4", "b", "x/a"]);
        check(&["a.avi", "a.mp4", "a.avi.mkv"], &["a.avi", "a.mp4", "a.avi.mkv"]);
        check(&["a", "a.avi"], &["a", "a.avi"]);
    }
}
