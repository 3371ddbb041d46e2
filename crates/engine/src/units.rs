//! Sizes and times in pipeline files and arguments: a whole number and an unambiguous unit.

use std::time::Duration;

const SIZES: &[(&str, u64)] = &[
    ("B", 1),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
];

const AGES: &[(&str, u64)] = &[("s", 1), ("min", 60), ("h", 3600), ("d", 24 * 3600), ("w", 7 * 24 * 3600)];

/// Parses a size in bytes, such as `20GB` or `500MiB`.
pub fn size(text: &str) -> Result<u64, String> {
    parse(text, SIZES, "20GB or 500MiB")
}

/// Parses a duration, such as `30d` or `12h`.
pub fn age(text: &str) -> Result<Duration, String> {
    parse(text, AGES, "30d or 12h").map(Duration::from_secs)
}

fn parse(text: &str, units: &[(&str, u64)], examples: &str) -> Result<u64, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let names = || units.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    if number.is_empty() {
        return Err(format!("expected a whole number and a unit, such as {examples}"));
    }
    if unit.is_empty() {
        return Err(format!("the unit is missing; expected one of {}, such as in {examples}", names()));
    }
    let Some((_, factor)) = units.iter().find(|(name, _)| *name == unit) else {
        let close = units.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit.trim()));
        let hint = close.map_or_else(
            || format!("expected one of {}", names()),
            |(name, _)| format!("did you mean `{number}{name}`?"),
        );
        return Err(format!("`{unit}` is not a valid unit; {hint}"));
    };
    number
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(*factor))
        .ok_or_else(|| "the number is too large".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_durations_are_parsed() {
        assert_eq!(size("20GB"), Ok(20_000_000_000));
        assert_eq!(size("500MiB"), Ok(500 << 20));
        assert_eq!(size("0B"), Ok(0));
        assert_eq!(age("30d"), Ok(Duration::from_hours(30 * 24)));
        assert_eq!(age("12h"), Ok(Duration::from_hours(12)));
        assert_eq!(age("90min"), Ok(Duration::from_mins(90)));
    }

    #[test]
    fn ambiguous_units_are_refused_with_a_suggestion() {
        let check = |text: &str, expect: &str| {
            let error = size(text).expect_err(text);
            assert!(error.contains(expect), "{text:?}: {error}");
        };
        check("", "whole number and a unit");
        check("GB", "whole number and a unit");
        check("-1GB", "whole number and a unit");
        check("20", "the unit is missing");
        check("20gb", "did you mean `20GB`?");
        check("20 GB", "did you mean `20GB`?");
        check("20G", "expected one of B, kB");
        check("1.5GB", "expected one of B, kB");
        check("99999999999TB", "too large");
        check("99999999999999999999B", "too large");
        assert!(age("30").expect_err("no unit").contains("s, min, h, d, w"));
        assert!(age("3m").expect_err("months or minutes").contains("`m` is not a valid unit"));
    }
}
