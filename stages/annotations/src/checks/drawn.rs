//! What `test_share` held out, and whether that is far from the share.

use super::plural;
use crate::findings::{Finding, Occurrences};
use crate::split::Drawn;
use pipe_schemas::stages::annotations::Severity;

/// Splits are drawn one by one, so a small number of groups rarely gives the exact share.
const MAX_DEVIATION: f64 = 0.05;

/// Returns what is held out, in words.
pub(super) fn note(drawn: Drawn) -> String {
    let Drawn { share, num_videos, num_test_videos, num_groups, num_test_groups } = drawn;
    let videos = format!("{num_test_videos} of {}", plural(num_videos as u64, "video"));
    let groups = format!("{num_test_groups} of {}", plural(num_groups as u64, "group"));
    let what = if num_groups == 0 { videos } else { format!("{groups} with {videos}") };
    format!("`test_share: {share}` holds out {what}, {:.1} %", 100.0 * test_share(drawn))
}

/// Returns the finding that the share of test videos is far from `test_share`, or a finding without occurrences.
pub(super) fn finding(drawn: Drawn) -> Finding {
    let mut occurrences = Occurrences::default();
    if (test_share(drawn) - drawn.share).abs() > MAX_DEVIATION {
        occurrences.add(|| note(drawn));
    }
    let one = format!("{}; try another `seed`, or name test videos in a list", note(drawn));
    Finding { severity: Severity::Warn, many: one.clone(), one, hint: None, occurrences }
}

fn test_share(drawn: Drawn) -> f64 {
    drawn.num_test_videos as f64 / drawn.num_videos.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_that_is_far_off_is_a_finding() {
        let drawn = Drawn { share: 0.25, num_videos: 32, num_test_videos: 12, num_groups: 16, num_test_groups: 6 };
        assert_eq!(note(drawn), "`test_share: 0.25` holds out 6 of 16 groups with 12 of 32 videos, 37.5 %");
        assert_eq!(finding(drawn).occurrences.count, 1);
        let near = Drawn { num_test_videos: 9, num_groups: 0, num_test_groups: 0, ..drawn };
        assert_eq!(note(near), "`test_share: 0.25` holds out 9 of 32 videos, 28.1 %");
        assert_eq!(finding(near).occurrences.count, 0);
    }
}
