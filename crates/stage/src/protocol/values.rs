//! Named numbers as JSON, which has no NaN and no infinity: these are written as `null` and read as NaN.

use serde::{Deserialize, Deserializer, Serializer};
use std::collections::BTreeMap;

/// Writes `values` as a JSON object; for `#[serde(with)]`.
pub fn serialize<S: Serializer>(values: &BTreeMap<String, f64>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(values.iter().map(|(name, value)| (name, value.is_finite().then_some(*value))))
}

/// Reads what [`serialize`] wrote.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, f64>, D::Error> {
    let values = BTreeMap::<String, Option<f64>>::deserialize(deserializer)?;
    Ok(values.into_iter().map(|(name, value)| (name, value.unwrap_or(f64::NAN))).collect())
}

#[cfg(test)]
mod tests {
    use crate::protocol::Reply;
    use std::collections::BTreeMap;

    #[test]
    fn a_number_that_json_does_not_have_arrives_as_nan() {
        let values = BTreeMap::from([("loss".to_owned(), f64::INFINITY), ("lr".to_owned(), 0.1)]);
        let json = serde_json::to_string(&Reply::Measured { step: 3, values }).expect("JSON");
        assert_eq!(json, r#"{"reply":"measured","step":3,"values":{"loss":null,"lr":0.1}}"#);
        let Ok(Reply::Measured { step: 3, values }) = serde_json::from_str(&json) else { panic!("{json}") };
        assert!(values["loss"].is_nan());
        assert!((values["lr"] - 0.1).abs() < f64::EPSILON);
    }
}
