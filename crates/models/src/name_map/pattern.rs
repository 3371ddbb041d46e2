//! Patterns of names: `#` stands for a number, and `*`, at the end, for the rest of the name.

/// Returns what the placeholders of a pattern stand for in `name`, or `None` if the name does not fit.
pub(super) fn capture<'a>(mut name: &'a str, pattern: &str) -> Option<Vec<&'a str>> {
    let mut found = Vec::new();
    for character in pattern.chars() {
        let taken = match character {
            '*' => name.len(),
            '#' => match name.bytes().take_while(u8::is_ascii_digit).count() {
                0 => return None,
                digits => digits,
            },
            other => {
                name = name.strip_prefix(other)?;
                continue;
            }
        };
        let (value, rest) = name.split_at(taken);
        found.push(value);
        name = rest;
    }
    name.is_empty().then_some(found)
}

/// Writes the pattern with these values of its placeholders, or returns `None` if it has another number of them.
pub(super) fn fill(pattern: &str, values: &[&str]) -> Option<String> {
    let mut values = values.iter();
    let mut filled = String::new();
    for character in pattern.chars() {
        match character {
            '#' | '*' => filled.push_str(values.next()?),
            other => filled.push(other),
        }
    }
    values.next().is_none().then_some(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rename(name: &str, from: &str, to: &str) -> Option<String> {
        fill(to, &capture(name, from)?)
    }

    #[test]
    fn placeholders_are_kept() {
        let check = |name: &str, from: &str, to: &str, expect: Option<&str>| {
            assert_eq!(rename(name, from, to).as_deref(), expect, "{name}");
        };
        check("layer1.10.bn2.running_var", "layer#.#.bn#.*", "l#.#.conv#.bn.*", Some("l1.10.conv2.bn.running_var"));
        check("layer4.0.x", "layer4.*", "s5.*", Some("s5.0.x"));
        check("fc.weight", "fc.weight", "head.weight", Some("head.weight"));
        check("layer1.bn2.weight", "layer#.#.bn#.*", "*", None);
        check("layerx.0.bn1.weight", "layer#.#.bn#.*", "*", None);
        check("fc.weights", "fc.weight", "head.weight", None);
        check("", "fc.*", "head.*", None);
        check("a.1.b", "a.#.b", "c", None);
    }
}
