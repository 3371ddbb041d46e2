//! Where the lines of a label map have their numbers: [`numbering`].

use crate::labels::Number;
use std::collections::BTreeSet;

/// Characters between a number and a name.
const SEPARATORS: [char; 5] = [' ', '\t', ':', ',', ';'];

/// The end of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// `1 ApplyEyeMakeup`
    Front,
    /// `ApplyEyeMakeup 1`
    Back,
}

/// Where the numbers are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Numbering {
    At(Side),
    /// Either column could be the numbers.
    Both,
    /// The lines are names.
    None,
}

/// The number and the name of a line, if it has both.
pub(super) type Pair<'a> = Option<(&'a str, &'a str)>;

/// Splits `1 name`, `1<tab>name`, `1: name` and `1,name`.
pub(super) fn split_front(text: &str) -> Pair<'_> {
    let end = text.find(SEPARATORS)?;
    let (number, name) = (&text[..end], text[end..].trim_start_matches(SEPARATORS));
    (!number.is_empty() && !name.is_empty()).then_some((number, name))
}

/// Splits `name 1`, `name<tab>1`, `name: 1` and `name,1`.
pub(super) fn split_back(text: &str) -> Pair<'_> {
    let (name, number) = text.rsplit_once(SEPARATORS)?;
    let name = name.trim_end_matches(SEPARATORS);
    (!number.is_empty() && !name.is_empty()).then_some((number, name))
}

/// Returns where the numbers are, if the lines split to `front` at their first separator, and to `back` at their last one.
pub(super) fn numbering(front: &[Pair<'_>], back: &[Pair<'_>]) -> Numbering {
    let names_are_numbers = |pairs: &[Pair<'_>]| pairs.iter().flatten().all(|(_, name)| Number::whole(name).is_some());
    match (fits(front, Side::Front), fits(back, Side::Back)) {
        (Fit::All, Fit::All) if names_are_numbers(front) && front != back => Numbering::Both,
        (Fit::All, _) => Numbering::At(Side::Front),
        (_, Fit::All) => Numbering::At(Side::Back),
        (Fit::Most, _) => Numbering::At(Side::Front),
        (_, Fit::Most) => Numbering::At(Side::Back),
        (Fit::Few, Fit::Few) => Numbering::None,
    }
}

/// Returns the side with more numbers.
pub(super) fn likelier(front: &[Pair<'_>], back: &[Pair<'_>]) -> Side {
    if numbered(back).len() > numbered(front).len() { Side::Back } else { Side::Front }
}

/// How many lines have the number of a class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fit {
    All,
    /// The others are mistakes, which are errors.
    Most,
    Few,
}

/// Class numbers start at 0 or 1, and without them the lines name different things: `1 leg` and `2 leg` are names. A repeated
/// number is a mistake in a numbered list, not a name.
fn fits(pairs: &[Pair<'_>], side: Side) -> Fit {
    let numbered = numbered(pairs);
    let starts_low = numbered.iter().map(|(number, _)| *number).min().is_some_and(|lowest| (0..=1).contains(&lowest));
    let num_names = numbered.iter().map(|(_, name)| *name).collect::<BTreeSet<_>>().len();
    let (names_differ, most) = match side {
        Side::Front => (num_names * 2 > numbered.len(), numbered.len() * 2 >= pairs.len()),
        // A name rarely begins with a number that counts, but many end with one.
        Side::Back => (num_names == numbered.len(), numbered.len() * 2 > pairs.len()),
    };
    if !starts_low || !names_differ {
        Fit::Few
    } else if numbered.len() == pairs.len() {
        Fit::All
    } else if most {
        Fit::Most
    } else {
        Fit::Few
    }
}

fn numbered<'a>(pairs: &[Pair<'a>]) -> Vec<(i64, &'a str)> {
    pairs.iter().flatten().filter_map(|(number, name)| Some((Number::whole(number)?, *name))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(lines: &[&str], expect: Numbering) {
        let pairs = |split: fn(&str) -> Pair<'_>| lines.iter().map(|line| split(line)).collect::<Vec<_>>();
        assert_eq!(numbering(&pairs(split_front), &pairs(split_back)), expect, "{lines:?}");
    }

    #[test]
    fn all_lines_must_agree() {
        check(&["0 jump", "1 run"], Numbering::At(Side::Front));
        check(&["jump 0", "run 1", "high jump\t2"], Numbering::At(Side::Back));
        check(&["jump, 1.0", "run, 2.0"], Numbering::At(Side::Back));
        check(&["1 class 1", "2 class 2"], Numbering::At(Side::Front));
        check(&["3 point shot", "run"], Numbering::None);
        check(&["3 point shot", "2 point shot"], Numbering::None);
        check(&["1 leg stand", "2 leg stand"], Numbering::None);
        check(&["step 1", "step 2", "step 3"], Numbering::None);
        check(&["run", "walk", "formula 1"], Numbering::None);
        check(&["2019", "2020"], Numbering::None);
        check(&["0 2020", "1 2021"], Numbering::At(Side::Front));
        check(&["2020 0", "2021 1"], Numbering::At(Side::Back));
        check(&["0 1", "1 0"], Numbering::Both);
        check(&["0 0", "1 1"], Numbering::At(Side::Front));
        // One wrong line does not turn numbers into names.
        check(&["0 jump", "run"], Numbering::At(Side::Front));
        check(&["jump 0", "run 1", "walk"], Numbering::At(Side::Back));
        check(&["jump 0", "run 0", "walk 1"], Numbering::At(Side::Back));
    }
}
