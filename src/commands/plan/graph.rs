//! [`mermaid`]: a plan as a Mermaid flowchart, which GitHub, GitLab and many editors draw.

use pipe_engine::{Forecast, Plan, StageForecast};
use std::collections::BTreeMap;
use std::fmt::Write;

/// The colours of the node classes that [`class`] returns.
const CLASSES: &str = "    classDef hit fill:#d9f2d9,stroke:#2e7d32,color:#000
    classDef run fill:#ffe9c7,stroke:#b26a00,color:#000
    classDef undecided fill:#eeeeee,stroke:#757575,color:#000
    classDef error fill:#f9d0d0,stroke:#b71c1c,color:#000
";

/// Returns the flowchart. A node is a stage with its kind, coloured by what a run would do with it; an edge is a connection with
/// its ports.
pub(super) fn mermaid(plan: &Plan, forecasts: &[StageForecast]) -> String {
    let classes: BTreeMap<&str, &str> =
        forecasts.iter().map(|forecast| (forecast.stage.as_str(), class(&forecast.forecast))).collect();
    let mut text = "flowchart LR\n".to_owned();
    for &position in plan.order() {
        let stage = plan.stage(position);
        let (name, kind) = (stage.name.as_str(), stage.contract.kind);
        let class = classes.get(name).unwrap_or(&"undecided");
        // Names of stages and ports have no character that is special in a quoted label.
        let _ = writeln!(text, "    s{position}[\"{name}<br/><i>{kind}</i>\"]:::{class}");
    }
    for (from, to, connection) in plan.connections() {
        let (output, input) = (&connection.output.name, &connection.input);
        let ports = if output == input { input.clone() } else { format!("{output} → {input}") };
        let _ = writeln!(text, "    s{from} -->|\"{ports}\"| s{to}");
    }
    text + CLASSES.trim_end()
}

fn class(forecast: &Forecast) -> &'static str {
    match forecast {
        Forecast::Hit { .. } => "hit",
        Forecast::Miss { .. } => "run",
        Forecast::Undecided { .. } => "undecided",
        Forecast::Error { .. } => "error",
    }
}
