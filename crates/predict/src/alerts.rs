//! [`Alerts`]: events in the predictions of windows.

use crate::PredictError;
use serde::{Deserialize, Serialize};

/// When a class is an event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AlertRule {
    /// Name of the class.
    pub class: String,
    /// An event begins with the first window whose probability is at least this.
    pub threshold: f32,
    /// An event ends with the first window whose probability is below this. It is at most `threshold`, so that a probability near the
    /// threshold does not make many events.
    pub release: f32,
    /// Events that are shorter are not reported, in seconds.
    pub min_duration_secs: f64,
}

/// A period in which a class was predicted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AlertEvent {
    /// Name of the class.
    pub class: String,
    /// Start of the first window, in seconds from the first frame.
    pub start_secs: f64,
    /// End of the last window.
    pub end_secs: f64,
    /// The highest probability.
    pub max_probability: f32,
    /// Number of windows.
    pub num_windows: u64,
}

/// The state of rules over the windows of a video.
#[derive(Debug, Clone)]
pub struct Alerts {
    rules: Vec<(AlertRule, usize, Option<AlertEvent>)>,
}

impl AlertRule {
    /// Parses `CLASS>=0.8`, with `,release=0.5` and `,min=2.5` after it in any order. By default the release is the threshold, and the
    /// minimum duration is 0 seconds. A class may contain any character.
    ///
    /// # Errors
    /// What is wrong, as a lower-case fragment.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (class, values) = text.rsplit_once(">=").ok_or("expected CLASS>=THRESHOLD, such as `Biking>=0.8`")?;
        let number = |text: &str| text.trim().parse::<f64>().map_err(|_| format!("`{text}` is not a number"));
        let mut values = values.split(',');
        let threshold = number(values.next().unwrap_or_default())?;
        let (mut release, mut min_duration_secs) = (None, None);
        for value in values {
            let (name, place, text) = match value.split_once('=') {
                Some((name @ "release", text)) => (name, &mut release, text),
                Some((name @ "min", text)) => (name, &mut min_duration_secs, text),
                _ => return Err(format!("`{value}` is unknown; expected release=PROBABILITY or min=SECONDS")),
            };
            if place.replace(number(text)?).is_some() {
                return Err(format!("`{name}` is given more than once"));
            }
        }
        let (release, min_duration_secs) = (release.unwrap_or(threshold), min_duration_secs.unwrap_or(0.0));
        let is_probability = |value: f64| (0.0..=1.0).contains(&value);
        if !is_probability(threshold) || !is_probability(release) || release > threshold {
            return Err(format!(
                "the threshold {threshold} and the release {release} must be 0 to 1, and the release not above the threshold"
            ));
        }
        if !min_duration_secs.is_finite() || min_duration_secs < 0.0 {
            return Err(format!("the minimum duration is {min_duration_secs} s, expected 0 or more"));
        }
        let (threshold, release) = (threshold as f32, release as f32);
        Ok(Self { class: class.trim().to_owned(), threshold, release, min_duration_secs })
    }
}

impl Alerts {
    /// Returns the state before the first window.
    ///
    /// # Errors
    /// [`PredictError::UnknownClass`] if a class is not in `labels`.
    pub fn new(rules: &[AlertRule], labels: &[String]) -> Result<Self, PredictError> {
        let find = |rule: &AlertRule| {
            let class = labels.iter().position(|label| *label == rule.class);
            let unknown = || PredictError::UnknownClass { class: rule.class.clone(), labels: labels.to_vec() };
            Ok((rule.clone(), class.ok_or_else(unknown)?, None))
        };
        Ok(Self { rules: rules.iter().map(find).collect::<Result<_, PredictError>>()? })
    }

    /// Adds the probabilities of the next window, and returns the events that ended before it, in the order of the rules. With `None`
    /// the window has no prediction, which ends every event.
    pub fn add(&mut self, (start_secs, end_secs): (f64, f64), probabilities: Option<&[f32]>) -> Vec<AlertEvent> {
        let mut ended = Vec::new();
        for (rule, class, open) in &mut self.rules {
            let probability = probabilities.and_then(|values| values.get(*class)).copied();
            match (open.as_mut(), probability) {
                (Some(event), Some(probability)) if probability >= rule.release => {
                    event.end_secs = end_secs;
                    event.max_probability = event.max_probability.max(probability);
                    event.num_windows += 1;
                }
                (None, Some(probability)) if probability >= rule.threshold => {
                    *open = Some(AlertEvent {
                        class: rule.class.clone(),
                        start_secs,
                        end_secs,
                        max_probability: probability,
                        num_windows: 1,
                    });
                }
                _ => ended.extend(open.take().filter(|event| is_long(event, rule))),
            }
        }
        ended
    }

    /// Returns the events that last until the end of the video.
    pub fn finish(self) -> Vec<AlertEvent> {
        self.rules.into_iter().filter_map(|(rule, _, open)| open.filter(|event| is_long(event, &rule))).collect()
    }
}

fn is_long(event: &AlertEvent, rule: &AlertRule) -> bool {
    // Sums of strides may be off by a rounding error.
    event.end_secs - event.start_secs >= rule.min_duration_secs - 1e-9
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(rule: &str, probabilities: &[f32]) -> Vec<(f64, f64, u64)> {
        let rule = AlertRule::parse(rule).expect("a rule");
        let mut alerts = Alerts::new(&[rule], &["other".into(), "run".into()]).expect("a class");
        let mut found = Vec::new();
        for (number, probability) in probabilities.iter().enumerate() {
            let start = number as f64;
            let values = [1.0 - probability, *probability];
            found.extend(alerts.add((start, start + 2.0), (*probability >= 0.0).then_some(&values[..])));
        }
        found.extend(alerts.finish());
        found.into_iter().map(|event| (event.start_secs, event.end_secs, event.num_windows)).collect()
    }

    #[test]
    fn an_event_lasts_until_the_probability_falls_below_the_release() {
        let probabilities = [0.1, 0.8, 0.6, 0.9, 0.4, 0.7, 0.85];
        assert_eq!(events("run>=0.8", &probabilities), [(1.0, 3.0, 1), (3.0, 5.0, 1), (6.0, 8.0, 1)]);
        assert_eq!(events("run>=0.8,release=0.5", &probabilities), [(1.0, 5.0, 3), (6.0, 8.0, 1)]);
        assert_eq!(events("run>=0.8,min=3,release=0.5", &probabilities), [(1.0, 5.0, 3)]);
        assert_eq!(events("run>=0.8,release=0", &probabilities), [(1.0, 8.0, 6)]);
        // A window without a prediction ends the event.
        assert_eq!(events("run>=0.8", &[0.9, -1.0, 0.9]), [(0.0, 2.0, 1), (2.0, 4.0, 1)]);
    }

    #[test]
    fn rules_are_parsed_and_wrong_ones_explained() {
        let rule = AlertRule::parse("a >= b>=0.5,min=2").expect("a rule");
        assert_eq!((rule.class.as_str(), rule.release, rule.min_duration_secs), ("a >= b", 0.5, 2.0));
        let check = |text: &str, expect: &str| assert_eq!(AlertRule::parse(text).expect_err(text), expect);
        check("run", "expected CLASS>=THRESHOLD, such as `Biking>=0.8`");
        check("run>=much", "`much` is not a number");
        check("run>=0.5,max=3", "`max=3` is unknown; expected release=PROBABILITY or min=SECONDS");
        check("run>=0.5,min=-1", "the minimum duration is -1 s, expected 0 or more");
        check("run>=0.5,min=1,release=0.2,min=2", "`min` is given more than once");
        for wrong in ["run>=1.5", "run>=0.5,release=0.6", "run>=NaN"] {
            assert!(AlertRule::parse(wrong).expect_err(wrong).starts_with("the threshold"), "{wrong}");
        }
        let error = Alerts::new(std::slice::from_ref(&rule), &["run".into()]).expect_err("unknown");
        assert_eq!(error.to_string(), "the network has no class `a >= b`");
        assert_eq!(error.help().as_deref(), Some("its classes are `run`"));
        let labels: Vec<String> = (0..400).map(|class| format!("class {class}")).collect();
        let help = Alerts::new(&[rule], &labels).expect_err("unknown").help().expect("help");
        assert!(help.starts_with("its classes are `class 0`, ") && help.contains("`class 19` and 380 more"), "{help}");
    }
}
