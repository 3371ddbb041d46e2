//! What the first process tells the others after each epoch: the figures of its validation. They decide learning rates and whether
//! training ends.

use crate::error::Stopped;
use pipe_learn::ProcessGroup;
use pipe_schemas::stages::evaluate::Figures;
use pipe_stage::StageError;
use serde::{Deserialize, Serialize};

/// [`Figures`] with the bits of the values, because JSON has no NaN.
#[derive(Debug, Serialize, Deserialize)]
struct Told {
    values: Vec<(String, u64)>,
    num_videos: u64,
}

fn key(epoch: u32) -> String {
    format!("epoch/{epoch}")
}

/// Tells the figures of the validation after an epoch, if there is one.
pub(crate) fn tell_epoch(group: &ProcessGroup, epoch: u32, figures: Option<&Figures>) -> Result<(), StageError> {
    let told = figures.map(|Figures { values, num_videos }| Told {
        values: values.iter().map(|(name, value)| (name.clone(), value.to_bits())).collect(),
        num_videos: *num_videos,
    });
    group.tell(&key(epoch), &serde_json::to_vec(&told)?).map_err(Stopped::from_group)
}

/// Waits for what [`tell_epoch`] tells, however long the validation takes.
pub(crate) fn hear_epoch(group: &ProcessGroup, epoch: u32) -> Result<Option<Figures>, StageError> {
    let told = group.hear(&key(epoch), || Ok(())).map_err(Stopped::from_group)?;
    let told: Option<Told> = serde_json::from_slice(&told)?;
    Ok(told.map(|Told { values, num_videos }| Figures {
        values: values.into_iter().map(|(name, bits)| (name, f64::from_bits(bits))).collect(),
        num_videos,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use pipe_learn::{GroupError, Rendezvous};
    use std::time::Duration;

    #[test]
    fn figures_are_heard_as_they_are_told() {
        let (listener, rendezvous) = Rendezvous::on_this_machine(1).expect("a socket");
        let group = ProcessGroup::host::<GroupError>(&rendezvous, listener, Duration::from_secs(30), || Ok(()));
        let group = group.expect("a group of one");
        let values = vec![("top1".to_owned(), 0.1), ("map".to_owned(), f64::NAN)];
        tell_epoch(&group, 3, Some(&Figures { values, num_videos: 7 })).expect("told");
        tell_epoch(&group, 4, None).expect("told");
        let heard = hear_epoch(&group, 3).expect("heard").expect("figures");
        assert_eq!((heard.get("top1"), heard.num_videos), (Some(0.1), 7));
        assert!(heard.get("map").is_some_and(f64::is_nan));
        assert_eq!(hear_epoch(&group, 4).expect("heard"), None);
    }
}
