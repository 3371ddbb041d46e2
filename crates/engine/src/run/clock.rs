//! [`unix_secs`]: the time that is recorded with a result.

use std::time::{SystemTime, UNIX_EPOCH};

/// Returns the time in seconds since 1970.
#[expect(clippy::disallowed_methods, reason = "recorded with a result for people; no key depends on it")]
pub(super) fn unix_secs() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
