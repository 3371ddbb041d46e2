//! [`Eta`]: the time that is left for a stage.
//!
//! The first items are slow: libraries are loaded, caches are empty, the first batch is prepared. Therefore the time counts from
//! the first report on, and only the newer half of it.

use std::time::{Duration, Instant};

/// Maximum number of reports that are kept.
const MAX_REPORTS: usize = 128;

/// Nothing is estimated from less time.
const MIN_TIME: Duration = Duration::from_secs(3);

/// What was done when.
#[derive(Debug, Default)]
pub(super) struct Eta {
    reports: Vec<(Instant, u64)>,
}

impl Eta {
    /// Takes a report that so many items are done. The number never falls.
    pub(super) fn add(&mut self, done: u64, now: Instant) {
        if self.reports.last().is_some_and(|(_, last)| *last == done) {
            return;
        }
        if self.reports.len() == MAX_REPORTS {
            let mut index = 0;
            self.reports.retain(|_| {
                index += 1;
                index % 2 == 1
            });
        }
        self.reports.push((now, done));
    }

    /// Returns the time that is left until `total` items are done; `None` if too little is known.
    pub(super) fn left(&self, total: u64, now: Instant) -> Option<Duration> {
        let (&(first, _), &(last, done)) = (self.reports.first()?, self.reports.last()?);
        let time = last.saturating_duration_since(first);
        if time < MIN_TIME {
            return None;
        }
        let middle = first + time / 2;
        let &(since, before) = self.reports.iter().rev().find(|(at, _)| *at <= middle)?;
        let secs_per_item = last.saturating_duration_since(since).as_secs_f64() / (done - before) as f64;
        let left = Duration::try_from_secs_f64(secs_per_item * total.saturating_sub(done) as f64).ok()?;
        Some(left.saturating_sub(now.saturating_duration_since(last)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the estimates in seconds after each of `count` items, which take as long as `secs` says.
    fn estimates(first: u64, count: u64, total: u64, secs: impl Fn(u64) -> f64) -> Vec<Option<f64>> {
        let (mut eta, mut now) = (Eta::default(), Instant::now());
        let estimate = |item: u64| {
            now += Duration::from_secs_f64(secs(item));
            eta.add(first + item, now);
            eta.left(total, now).map(|left| left.as_secs_f64())
        };
        (1..=count).map(estimate).collect()
    }

    #[test]
    fn a_slow_start_hardly_counts() {
        // The first item takes half a minute, the next four take four times as long as the others.
        let slow = |item| match item {
            1 => 30.0,
            2..=5 => 2.0,
            _ => 0.5,
        };
        let found = estimates(0, 400, 1000, slow);
        for (item, found) in (1..).zip(found).skip(20) {
            let (found, truth) = (found.expect("known by now"), (1000.0 - item as f64) * 0.5);
            assert!(found < 1.3 * truth && found > 0.9 * truth, "after {item}: {found} for {truth}");
        }
    }

    #[test]
    fn items_that_were_there_before_do_not_count() {
        let found = estimates(5000, 20, 10_000, |_| 1.0);
        assert_eq!(found[..3], [None, None, None], "too little time");
        assert!(
            found[3..]
                .iter()
                .zip(4..)
                .all(|(found, item)| found.is_some_and(|found| (found - f64::from(5000 - item)).abs() < 1.0)),
            "{found:?}"
        );
    }

    #[test]
    fn an_estimate_falls_while_nothing_is_reported_and_is_never_negative() {
        let (mut eta, start) = (Eta::default(), Instant::now());
        let at = |secs| start + Duration::from_secs(secs);
        (1..=10).for_each(|item| eta.add(item, at(item)));
        assert_eq!(eta.left(20, at(10)), Some(Duration::from_secs(10)));
        assert_eq!(eta.left(20, at(14)), Some(Duration::from_secs(6)));
        assert_eq!(eta.left(20, at(40)), Some(Duration::ZERO));
        assert_eq!(eta.left(5, at(10)), Some(Duration::ZERO), "more than announced");
        assert_eq!(Eta::default().left(5, start), None);
    }
}
