//! Why a listed video is absent: [`hint`] names the nearest file, and how it differs.

use crate::lists::{name_of, shorten, without_extension};
use crate::paths::{self, stem};
use pipe_schemas::tables::VideoRow;

/// Returns the file that is most like a listed path, and what differs.
pub(crate) fn hint(listed: &str, videos: &[VideoRow]) -> String {
    let path = paths::normal(listed);
    let nearest = videos.iter().map(|video| paths::normal(&video.path)).max_by_key(|file| likeness(&path, file));
    let Some(nearest) = nearest else { return "the folder contains no videos".to_owned() };
    format!("the nearest file to `{}` is `{}`: {}", shorten(listed), shorten(&nearest), difference(&path, &nearest))
}

/// The parts at the end that are equal, whether the names without extension are, and the letters at both ends of the file names.
fn likeness(path: &str, file: &str) -> (usize, bool, usize) {
    let equal_parts = path.rsplit('/').zip(file.rsplit('/')).take_while(|(one, other)| one == other).count();
    let (one, other) = (name_of(without_extension(path)).to_lowercase(), name_of(stem(file)).to_lowercase());
    let front = one.chars().zip(other.chars()).take_while(|(a, b)| a == b).count();
    let back = one.chars().rev().zip(other.chars().rev()).take_while(|(a, b)| a == b).count();
    (equal_parts, one == other, front + back)
}

fn difference(path: &str, file: &str) -> String {
    let (name, file_name) = (name_of(path), name_of(file));
    if name != file_name && without_extension(name).to_lowercase() != stem(file_name).to_lowercase() {
        return format!("the name differs, `{}` and `{}`", shorten(name), shorten(file_name));
    }
    let parts = path.rsplit('/').zip(file.rsplit('/')).skip(1);
    match parts.into_iter().find(|(one, other)| one != other) {
        Some((one, other)) => format!("the folder differs, `{}` and `{}`", shorten(one), shorten(other)),
        None if name == file_name => {
            "another listed name has the same end, so it is not clear which is meant".to_owned()
        }
        None => "another listed name is this file".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_data::video;

    #[test]
    fn the_nearest_file_and_the_difference_are_named() {
        let check = |listed: &str, files: &[&str], expect: &str| {
            let videos: Vec<VideoRow> = files.iter().map(|path| video(path, path)).collect();
            assert_eq!(hint(listed, &videos), expect);
        };
        check(
            "jump/1.mp4",
            &["run/2.mp4", "run/1.mp4"],
            "the nearest file to `jump/1.mp4` is `run/1.mp4`: the folder differs, `jump` and `run`",
        );
        check(
            "UCF-101/Biking/v_1.avi",
            &["x/v_2.mp4", "videos/Biking/v_1.mp4"],
            "the nearest file to `UCF-101/Biking/v_1.avi` is `videos/Biking/v_1.mp4`: the folder differs, `UCF-101` and `videos`",
        );
        check(
            "a/v_1.mp4",
            &["a/v-1.mp4", "b/x.mp4"],
            "the nearest file to `a/v_1.mp4` is `a/v-1.mp4`: the name differs, `v_1.mp4` and `v-1.mp4`",
        );
        check("a.mp4", &[], "the folder contains no videos");
    }
}
