//! [`grouped`]: counts with thousands separators.

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_separated() {
        let texts = [0, 12, 999, 1000, 13_320, 1_234_567].map(grouped);
        assert_eq!(texts, ["0", "12", "999", "1,000", "13,320", "1,234,567"]);
    }
}
