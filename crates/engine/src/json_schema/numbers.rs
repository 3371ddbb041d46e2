//! [`help`]: what is wrong with a text that was probably meant as a number.

/// Returns how to write the number that `text` probably means; `None` if it does not look like a number.
pub(super) fn help(text: &str) -> Option<String> {
    let text = text.trim();
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if !digits.starts_with(|first: char| first.is_ascii_digit() || first == '.') {
        let minus = text.strip_prefix(['−', '–'])?;
        return is_decimal(minus).then(|| format!("write -{minus}, with an ASCII minus sign"));
    }
    let sign = if text.starts_with('-') { "-" } else { "" };
    let leading_zero = digits.len() > 1 && digits.starts_with('0') && digits.bytes().all(|byte| byte.is_ascii_digit());
    if leading_zero {
        let significant = digits.trim_start_matches('0');
        let significant = if significant.is_empty() { "0" } else { significant };
        return Some(format!("YAML reads a number that begins with 0 as text: write {sign}{significant}"));
    }
    match text.parse::<f64>() {
        Ok(number) if !number.is_finite() => return Some(format!("{text} is too large for a number")),
        Ok(_) => return Some(format!("write {text} without quotes")),
        Err(_) => {}
    }
    let without = |dropped: &[char]| digits.replace(dropped, "");
    if is_decimal(&without(&['_'])) || is_decimal(&without(&['\''])) || is_decimal(&without(&[' '])) {
        return Some("write the digits of a number without separators".into());
    }
    let pointed = digits.replacen(',', ".", 1);
    if is_decimal(&pointed) {
        return Some(format!("write {sign}{pointed}, with a decimal point"));
    }
    let percent = digits.strip_suffix('%').map(str::trim_end).and_then(|number| number.parse::<f64>().ok());
    percent.map(|percent| format!("write {}, a percentage is not a number", percent / 100.0))
}

fn is_decimal(text: &str) -> bool {
    let text = text.strip_prefix('-').unwrap_or(text);
    text.starts_with(|first: char| first.is_ascii_digit()) && text.parse::<f64>().is_ok_and(f64::is_finite)
}

#[cfg(test)]
mod tests {
    use super::help;

    #[test]
    fn the_help_says_what_is_wrong_with_the_number() {
        let check = |text: &str, expect: &str| assert_eq!(help(text).as_deref().unwrap_or("none"), expect, "{text}");
        check("5", "write 5 without quotes");
        check("0.5", "write 0.5 without quotes");
        check("010", "YAML reads a number that begins with 0 as text: write 10");
        check("01", "YAML reads a number that begins with 0 as text: write 1");
        check("-007", "YAML reads a number that begins with 0 as text: write -7");
        check("00", "YAML reads a number that begins with 0 as text: write 0");
        check("1e400", "1e400 is too large for a number");
        check("-1e999", "-1e999 is too large for a number");
        check("0,01", "write 0.01, with a decimal point");
        check("-0,5", "write -0.5, with a decimal point");
        check("1_000", "write the digits of a number without separators");
        check("10 000", "write the digits of a number without separators");
        check("50%", "write 0.5, a percentage is not a number");
        check("−1", "write -1, with an ASCII minus sign");
        check("none", "none");
        check("ten", "none");
        check("infinity", "none");
        check("1.2.3", "none");
        check("", "none");
    }
}
