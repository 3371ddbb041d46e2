//! Counts and sizes as text for people: [`grouped`], [`size_text`].

/// Returns `count` with a comma before each three digits: `13,320`.
pub fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Returns a size as `813 B`, `4.2 kB`, `21.0 MB` or `2.0 GB`: never as 0 of a unit, unless it is 0.
pub fn size_text(bytes: u64) -> String {
    let units = [("GB", 1e9), ("MB", 1e6), ("kB", 1e3)];
    // From where on the text, which is rounded, has a 1 in front of this unit.
    let unit = units.into_iter().find(|(_, size)| bytes as f64 >= 0.99995 * size);
    unit.map_or_else(|| format!("{bytes} B"), |(unit, size)| format!("{:.1} {unit}", bytes as f64 / size))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_a_unit_that_fits() {
        for (bytes, expect) in [
            (0, "0 B"),
            (813, "813 B"),
            (999, "999 B"),
            (1000, "1.0 kB"),
            (999_949, "999.9 kB"),
            (999_950, "1.0 MB"),
            (21_040_000, "21.0 MB"),
            (999_960_000, "1.0 GB"),
            (2_000_000_000, "2.0 GB"),
            (12_345_000_000_000, "12345.0 GB"),
        ] {
            assert_eq!(size_text(bytes), expect, "{bytes}");
        }
    }

    #[test]
    fn thousands_are_separated() {
        let texts = [0, 12, 999, 1000, 13_320, 1_234_567].map(grouped);
        assert_eq!(texts, ["0", "12", "999", "1,000", "13,320", "1,234,567"]);
    }
}
