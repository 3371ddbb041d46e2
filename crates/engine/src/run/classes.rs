//! Compares the number of classes in labels with the number that a later stage expects, before that stage and those between run.

use super::Run;
use crate::events::{FailedBy, Failure};
use pipe_cache::ActionRecord;
use pipe_schemas::PortType;
use pipe_schemas::stages::annotations::NUM_CLASSES;
use std::collections::BTreeSet;

impl Run<'_> {
    /// Returns why labels do not fit the stages that read them, directly or through others.
    pub(super) fn check_num_classes(&self, stage: usize, record: &ActionRecord) -> Result<(), Failure> {
        let spec = self.plan.stage(stage);
        let has_labels = spec.outputs.iter().any(|output| output.port_type == PortType::Annotations);
        let Some(found) = record.figures.get(NUM_CLASSES).filter(|_| has_labels) else { return Ok(()) };
        let found = *found as u64;
        for reader in 0..self.plan.num_stages() {
            let reading = self.plan.stage(reader);
            let Some((param, expected)) = reading.num_classes else { continue };
            if found != u64::from(expected) && self.plan.with_needed(BTreeSet::from([reader])).contains(&stage) {
                let error = format!(
                    "the labels have {found} {}, but the stage `{}` sets `{param}: {expected}`",
                    if found == 1 { "class" } else { "classes" },
                    reading.name.as_str()
                );
                let help = format!("remove `{param}` to use the number of the labels, or correct the labels");
                return Err(Failure { by: FailedBy::Stage, help: Some(help), ..Failure::of_run(error) });
            }
        }
        Ok(())
    }
}
