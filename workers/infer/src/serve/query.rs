//! [`Query`]: what a request asks for, parsed from its URL.

use crate::predict::window_plan;
use pipe_stage::protocol::predict::WindowJob;
use pipe_stage_predict::WindowPlan;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// Number of classes in a response, unless the request names another.
const TOP_K: u32 = 5;

/// The parameters that have one value. `alert` may be repeated.
const SINGLE: [&str; 6] = ["name", "path", "smooth", "stride", "top_k", "window"];

/// What a request asks for.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Query {
    /// Number of classes in the response.
    pub(super) top_k: usize,
    /// A file below the root.
    pub(super) path: Option<String>,
    /// The name of an upload.
    pub(super) name: Option<String>,
    /// Windows of the video; without it, the video is predicted as a whole.
    pub(super) windows: Option<WindowPlan>,
}

impl Query {
    /// Parses the part of a URL after `?`. Every parameter counts, or is an error.
    ///
    /// # Errors
    /// What is wrong, as a lower-case fragment.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let (mut values, mut alerts) = (BTreeMap::new(), Vec::new());
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let key = decoded(key).ok_or("the name of a parameter is not UTF-8")?;
            let value = decoded(value).ok_or_else(|| format!("the value of `{key}` is not UTF-8"))?;
            if key == "alert" {
                alerts.push(value);
            } else if !SINGLE.contains(&key.as_str()) {
                return Err(format!("`{key}` is not a parameter; expected alert, {}", SINGLE.join(", ")));
            } else if values.insert(key.clone(), value).is_some() {
                return Err(format!("`{key}` is given more than once"));
            }
        }
        if values.contains_key("path") && values.contains_key("name") {
            return Err(
                "`name` is the name of an upload, and `path` names a file below the root; use one of them".into()
            );
        }
        let top_k = number(&values, "top_k", 1..=u32::MAX)?.unwrap_or(TOP_K) as usize;
        let windows = windows(&values, alerts)?;
        Ok(Self { top_k, path: values.remove("path"), name: values.remove("name"), windows })
    }
}

/// Returns the windows that parameters ask for, as the options of `pipe predict`.
fn windows(values: &BTreeMap<String, String>, alerts: Vec<String>) -> Result<Option<WindowPlan>, String> {
    let (length_secs, stride_secs) = (seconds(values, "window")?, seconds(values, "stride")?);
    let smoothing = number(values, "smooth", 1..=10_000)?;
    let Some(length_secs) = length_secs else {
        let given = [("stride", stride_secs.is_some()), ("smooth", smoothing.is_some()), ("alert", !alerts.is_empty())];
        let alone = given.into_iter().find(|(_, is_given)| *is_given);
        return alone.map_or(Ok(None), |(key, _)| Err(format!("`{key}` needs `window`, the length of the windows")));
    };
    let job = WindowJob {
        length_secs,
        stride_secs: stride_secs.unwrap_or(length_secs),
        smoothing: smoothing.unwrap_or(1) as usize,
        alerts,
    };
    window_plan(&job).map(Some)
}

fn seconds(values: &BTreeMap<String, String>, key: &str) -> Result<Option<f64>, String> {
    let parse = |text: &String| text.parse().map_err(|_| format!("`{key}` is `{text}`, expected a number of seconds"));
    values.get(key).map(parse).transpose()
}

/// Returns a whole number of a range.
fn number<T>(values: &BTreeMap<String, String>, key: &str, range: RangeInclusive<T>) -> Result<Option<T>, String>
where
    T: FromStr + PartialOrd + Display,
{
    let parse = |text: &String| {
        let number = text.parse().ok().filter(|number| range.contains(number));
        let (start, end) = (range.start(), range.end());
        number.ok_or_else(|| format!("`{key}` is `{text}`, expected a whole number from {start} to {end}"))
    };
    values.get(key).map(parse).transpose()
}

/// Returns a text without percent-encoding; `None` if it is not UTF-8.
fn decoded(text: &str) -> Option<String> {
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let Some((&first, tail)) = rest.split_first() {
        let code = tail.get(..2).and_then(|code| u8::from_str_radix(std::str::from_utf8(code).ok()?, 16).ok());
        match (first, code) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            (b'+', _) => {
                bytes.push(b' ');
                rest = tail;
            }
            _ => {
                bytes.push(first);
                rest = tail;
            }
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_parameter_counts() {
        let query = Query::parse("top_k=3&&path=a%2Fb+c%25.avi").expect("a query");
        assert_eq!((query.top_k, query.path.as_deref(), query.name), (3, Some("a/b c%.avi"), None));
        assert_eq!(Query::parse("path=%zz%4").expect("a query").path.as_deref(), Some("%zz%4"));
        assert_eq!(Query::parse("").expect("a query").top_k, 5);
        let query = Query::parse("window=2&stride=0.5&smooth=3&alert=a%3E%3D0.5&alert=b>=0.75").expect("a query");
        let plan = query.windows.expect("windows");
        let classes: Vec<&str> = plan.rules.iter().map(|rule| rule.class.as_str()).collect();
        assert_eq!((plan.windows.length_secs, plan.windows.stride_secs, plan.smoothing), (2.0, 0.5, 3));
        assert_eq!(classes, ["a", "b"]);
    }

    #[test]
    fn what_would_be_ignored_is_an_error() {
        for (text, expect) in [
            ("top_k=0", "`top_k` is `0`, expected a whole number from 1"),
            ("top_k", "`top_k` is ``"),
            ("topk=3", "`topk` is not a parameter; expected alert, name,"),
            ("top_k=1&top_k=2", "`top_k` is given more than once"),
            ("path=%ff", "the value of `path` is not UTF-8"),
            ("path=a&name=b", "use one of them"),
            ("window=x", "`window` is `x`, expected a number of seconds"),
            ("window=nan", "the length of a window is NaN s"),
            ("window=1&smooth=0", "`smooth` is `0`, expected a whole number from 1 to 10000"),
            ("window=1&smooth=1.5", "`smooth` is `1.5`"),
            ("window=1&alert=a>=2", "the alert rule `a>=2`: "),
            ("stride=1", "`stride` needs `window`"),
            ("smooth=2", "`smooth` needs `window`"),
            ("alert=a>=0.5", "`alert` needs `window`"),
        ] {
            let error = Query::parse(text).expect_err(text);
            assert!(error.contains(expect), "{text}: {error}");
        }
    }
}
