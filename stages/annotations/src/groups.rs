//! Groups of videos that were cut from the same source: [`assign`].

use crate::error::AnnotationsError;
use crate::lists::{Label, Row, name_of, without_extension};
use crate::paths;
use pipe_schemas::stages::annotations::GroupBy;
use regex::{Regex, RegexBuilder};

/// Maximum compiled size of a regular expression.
const MAX_REGEX_BYTES: usize = 1 << 20;

/// Sets the group of every row according to `by`. Without `by`, keeps the groups that the format defines.
///
/// # Errors
/// If a regular expression is not valid.
pub(crate) fn assign(rows: &mut [Row], by: Option<&GroupBy>) -> Result<(), AnnotationsError> {
    let Some(by) = by else { return Ok(()) };
    let regex = if let GroupBy::Regex(text) = by { Some(compile(text)?) } else { None };
    for row in rows {
        let path = paths::normal(&row.path);
        let stem = without_extension(name_of(&path));
        let group = match by {
            GroupBy::None => None,
            GroupBy::Ucf101 => ucf101(stem).and_then(|_| stem.rsplit_once('_')).map(|(source, _)| source.to_owned()),
            GroupBy::Hmdb51 => hmdb51(stem).map(str::to_owned),
            GroupBy::Hmdb51Film => {
                hmdb51(stem).and_then(|source| film(source, &class_of(&path, row))).map(str::to_owned)
            }
            GroupBy::Regex(_) => regex.as_ref().and_then(|regex| matched(regex, &path)),
        };
        row.group = group.unwrap_or_default();
    }
    Ok(())
}

/// Returns the name of the folder, or else of the label.
fn class_of(path: &str, row: &Row) -> String {
    match (path.rsplit_once('/'), row.labels.first()) {
        (Some((folders, _)), _) => name_of(folders).to_owned(),
        (None, Some(Label::Name(name) | Label::Cell(name))) => name.to_string(),
        (None, Some(Label::Number(number))) => number.to_string(),
        (None, None) => String::new(),
    }
}

fn compile(text: &str) -> Result<Regex, AnnotationsError> {
    let regex = RegexBuilder::new(text).size_limit(MAX_REGEX_BYTES).build();
    regex.map_err(|source| AnnotationsError::Regex { regex: text.to_owned(), source: Box::new(source) })
}

fn matched(regex: &Regex, path: &str) -> Option<String> {
    let captures = regex.captures(path)?;
    Some(captures.get(1).or_else(|| captures.get(0))?.as_str().to_owned())
}

/// Returns `g01` of `v_Biking_g01_c04`.
pub(crate) fn ucf101(stem: &str) -> Option<&str> {
    let (rest, clip) = stem.rsplit_once('_')?;
    let (_, group) = rest.rsplit_once('_')?;
    (numbered(clip, "c") && numbered(group, "g")).then_some(group)
}

/// Returns `TrumanShow_wave` of `TrumanShow_wave_f_nm_np1_fr_med_26`: the source and the class. The other fields are visible body
/// parts, camera motion, number of people, viewpoint, quality and number.
pub(crate) fn hmdb51(stem: &str) -> Option<&str> {
    let mut fields = stem.rsplitn(7, '_');
    let mut next = || fields.next().unwrap_or_default();
    let right = next().bytes().all(|byte| byte.is_ascii_digit())
        && ["bad", "med", "goo"].contains(&next())
        && ["fr", "ba", "le", "ri"].contains(&next())
        && numbered(next(), "np")
        && ["cm", "nm"].contains(&next())
        && ["h", "u", "f", "l"].contains(&next());
    fields.next().filter(|_| right)
}

/// Returns `TrumanShow` of `TrumanShow_wave`.
fn film<'a>(source: &'a str, class: &str) -> Option<&'a str> {
    source.strip_suffix(class)?.strip_suffix('_').filter(|film| !film.is_empty())
}

fn numbered(text: &str, prefix: &str) -> bool {
    text.strip_prefix(prefix).is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lists::{Location, RowSplit};

    #[test]
    fn groups_are_parsed_from_the_end_of_the_name() {
        assert_eq!(ucf101("v_Biking_g01_c04"), Some("g01"));
        assert_eq!(ucf101("v_g_g9_g12_c1"), Some("g12"));
        for none in ["v_Biking", "g01_c04", "v_Biking_g01", "v_Biking_g_c01", "v_Biking_gx1_c01"] {
            assert_eq!(ucf101(none), None, "{none}");
        }
        assert_eq!(hmdb51("TrumanShow_wave_f_nm_np1_fr_med_26"), Some("TrumanShow_wave"));
        let odd = "Golf_Tips_-_Hit_The_Driver_300+_Yards!!!_golf_f_nm_np1_fr_med_0";
        assert_eq!(hmdb51(odd), Some("Golf_Tips_-_Hit_The_Driver_300+_Yards!!!_golf"));
        for none in ["f_nm_np1_fr_med_26", "a_run_f_nm_np1_fr_med_x", "a_wave_f_nm_np_fr_med_2", "a", ""] {
            assert_eq!(hmdb51(none), None, "{none}");
        }
        assert_eq!(film("The_Fugitive_ride_horse", "ride_horse"), Some("The_Fugitive"));
        assert_eq!((film("wave", "wave"), film("a_wave", "run")), (None, None));
    }

    #[test]
    fn groups_follow_from_names() {
        let check = |by: GroupBy, path: &str, expect: &str| {
            let mut rows =
                [Row::new(path, RowSplit::Unknown, vec![], Location { file: "l".into(), line: 1, row: None })];
            assign(&mut rows, Some(&by)).expect("groups");
            assert_eq!(rows[0].group, expect);
        };
        check(GroupBy::Ucf101, "videos/v_Biking_g01_c04.avi", "v_Biking_g01");
        check(GroupBy::Hmdb51, "a_wave_f_nm_np1_fr_med_2.avi", "a_wave");
        check(GroupBy::Hmdb51Film, "wave/a_wave_f_nm_np1_fr_med_2.avi", "a");
        check(GroupBy::None, "v_Biking_g01_c04.avi", "");
    }

    #[test]
    fn a_regex_yields_its_first_capture_group() {
        let check = |regex: &str, path: &str, expect: &str| {
            let mut rows =
                [Row::new(path, RowSplit::Unknown, vec![], Location { file: "l".into(), line: 1, row: None })];
            assign(&mut rows, Some(&GroupBy::Regex(regex.into()))).expect("a regex");
            assert_eq!(rows[0].group, expect, "{regex}");
        };
        check("_(p[0-9]+)_", "a/x_p03_s1.avi", "p03");
        check("p[0-9]+", "a/x_p03_s1.avi", "p03");
        check("q", "a/x_p03_s1.avi", "");
        check("p()?", "a/x_p03", "");
        let error = assign(&mut [], Some(&GroupBy::Regex("(".into()))).expect_err("not a regex");
        assert_eq!(error.to_string(), "`(` is not a valid regular expression");
        assert!(assign(&mut [], Some(&GroupBy::Regex("(?:a{1000}){1000}".into()))).is_err());
    }
}
