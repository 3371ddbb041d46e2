//! [`Log`]: the lines of `latest/<pipeline>.log`.
//!
//! ```text
//! STAGE KEY CHECK   the result with this key is the newest one, and the link leads to it
//! STAGE - CHECK     the link is being replaced
//! # rebuilt         everything before this line is void
//! ```
//!
//! `CHECK` is the beginning of the BLAKE3 of the text before it; lines of older versions have none.

use super::Keys;
use pipe_cache::{ActionKey, Digest};
use std::collections::BTreeMap;

/// Written in place of a key while a link is replaced.
pub(super) const UNSURE: &str = "-";

/// Begins a block of lines that replaces all lines before.
const REBUILT: &str = "# rebuilt";

/// Number of hexadecimal digits in a check.
const CHECK_DIGITS: usize = 8;

/// What a log says.
#[derive(Debug, Default)]
pub(super) struct Log {
    pub(super) known: BTreeMap<String, Known>,
    /// Whether a line can't be read. It may have been the newest one of a stage.
    pub(super) is_damaged: bool,
}

/// The state of a stage according to the log.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) key: Option<ActionKey>,
    /// Whether the link points at the result with this key.
    pub(super) linked: bool,
}

impl Log {
    /// Reads a log from its start.
    pub(super) fn read(bytes: &[u8]) -> Self {
        let mut log = Self::default();
        log.read_on(bytes);
        log
    }

    /// Reads lines that were appended.
    pub(super) fn read_on(&mut self, bytes: &[u8]) {
        for line in bytes.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
            let text = str::from_utf8(line).ok();
            if text == Some(REBUILT) {
                *self = Self::default();
            } else if text.and_then(|text| self.add(text)).is_none() {
                self.is_damaged = true;
            }
        }
    }

    /// Adds a line; `None` if it can't be read.
    fn add(&mut self, line: &str) -> Option<()> {
        let mut words = line.split(' ');
        let (stage, what, check) = (words.next()?, words.next()?, words.next());
        let checked = line.rsplit_once(' ').map_or("", |(before, _)| before);
        if check.is_some_and(|check| check != self::check(checked)) || words.next().is_some() {
            return None;
        }
        if what == UNSURE {
            self.known.entry(stage.to_owned()).or_default().linked = false;
        } else {
            self.known.insert(stage.to_owned(), Known { key: Some(what.parse().ok()?), linked: true });
        }
        Some(())
    }

    pub(super) fn keys(&self) -> Keys {
        self.known.iter().filter_map(|(stage, known)| Some((stage.clone(), known.key?))).collect()
    }

    /// Returns the shortest text with the same content.
    pub(super) fn text(&self) -> String {
        let lines = self.known.iter().filter_map(|(stage, known)| {
            let unsure = if known.linked { String::new() } else { line(stage, UNSURE) };
            Some(line(stage, &known.key?.to_string()) + &unsure)
        });
        lines.collect()
    }
}

/// Returns the text of a line.
pub(super) fn line(stage: &str, what: &str) -> String {
    let text = format!("{stage} {what}");
    let check = check(&text);
    // The first newline ends the line that a killed run may have left incomplete.
    format!("\n{text} {check}\n")
}

/// Returns lines that replace a damaged log. The links are checked when the next result is published.
pub(super) fn rebuilt(keys: &Keys) -> String {
    let lines = keys.iter().map(|(stage, key)| line(stage, &key.to_string()) + &line(stage, UNSURE));
    format!("\n{REBUILT}\n{}", lines.collect::<String>())
}

fn check(text: &str) -> String {
    Digest::of(text.as_bytes()).hex()[..CHECK_DIGITS].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> ActionKey {
        Digest::of(name.as_bytes()).hex().parse().expect("hex")
    }

    #[test]
    fn every_changed_byte_is_noticed() {
        let text =
            line("frames", &key("1").to_string()) + &line("frames", UNSURE) + &line("a@n=1", &key("2").to_string());
        let right = Log::read(text.as_bytes());
        assert!(!right.is_damaged);
        for position in 0..text.len() {
            for flip in [1, 0x20, 0x80] {
                let mut bytes = text.clone().into_bytes();
                bytes[position] ^= flip;
                let log = Log::read(&bytes);
                assert!(log.is_damaged, "byte {position}: {}", String::from_utf8_lossy(&bytes));
            }
        }
        let with_mark = [b"\xEF\xBB\xBF", text.as_bytes()].concat();
        assert!(Log::read(&with_mark).is_damaged, "a byte-order mark");
        let mut cut = text.clone().into_bytes();
        cut.truncate(text.len() - 9);
        assert!(Log::read(&cut).is_damaged);
        cut.extend(rebuilt(&right.keys()).into_bytes());
        let log = Log::read(&cut);
        assert_eq!((log.is_damaged, log.keys()), (false, right.keys()));
    }

    #[test]
    fn lines_of_older_versions_are_read() {
        let log = Log::read(format!("\na {}\n\na -\n", key("1")).as_bytes());
        assert!(!log.is_damaged);
        assert_eq!(log.known["a"], Known { key: Some(key("1")), linked: false });
        assert_eq!(Log::read(log.text().as_bytes()).known, log.known);
    }
}
