//! Paths in one form, so that those of lists and those of files can be compared: [`normal`].

use unicode_normalization::UnicodeNormalization;

/// Returns a path with `/` between its parts, without empty parts, `.` and `..`, and in Unicode NFC. Windows separates parts with
/// `\`, and macOS decomposes accented letters.
pub(crate) fn normal(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split(['/', '\\']) {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    let path = parts.join("/");
    if path.is_ascii() { path } else { path.nfc().collect() }
}

/// Returns the path without the part of the file name after its last dot, as in a `video_id`.
pub(crate) fn stem(path: &str) -> &str {
    let name_start = path.rfind('/').map_or(0, |slash| slash + 1);
    match path[name_start..].rfind('.') {
        None | Some(0) => path,
        Some(dot) => &path[..name_start + dot],
    }
}

/// Returns the path, and then what follows each of its separators: `a/b/c`, `b/c`, `c`.
pub(crate) fn suffixes(path: &str) -> impl Iterator<Item = &str> {
    std::iter::once(path).chain(path.match_indices('/').map(|(at, _)| &path[at + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_of_one_path_are_equal() {
        let forms = [
            "a/b c.mp4",
            "./a/b c.mp4",
            "a//b c.mp4",
            "a\\b c.mp4",
            ".\\a\\.\\b c.mp4",
            "x/../a/b c.mp4",
            "../a/b c.mp4",
        ];
        for form in forms {
            assert_eq!(normal(form), "a/b c.mp4", "{form}");
        }
        assert_eq!(normal("/data/caf\u{65}\u{301}/1.mp4"), "data/caf\u{e9}/1.mp4");
        assert_eq!((normal("C:\\ds\\1.mp4").as_str(), normal("..").as_str()), ("C:/ds/1.mp4", ""));
    }

    #[test]
    fn suffixes_are_from_the_longest_to_the_file_name() {
        assert_eq!(suffixes("a/b/c.mp4").collect::<Vec<_>>(), ["a/b/c.mp4", "b/c.mp4", "c.mp4"]);
        assert_eq!(suffixes("c").collect::<Vec<_>>(), ["c"]);
        assert_eq!(["a.b/c", "a/.c", "a.b/c.tar.webm"].map(stem), ["a.b/c", "a/.c", "a.b/c.tar"]);
    }
}
