//! The threads and the device that a training computes with, from its parameters and its grant.

use crate::error::Stopped;
use crate::processes::{compute_threads, threads_of_each};
use pipe_learn::{Device, LearnError, open_device};
use pipe_schemas::stages::train::{ComputeDevice, NumProcesses, TrainParams};
use pipe_stage::protocol::{self, Grant, Request};
use pipe_stage::{Context, StageError};

/// Returns the device of a training, ready for use. With `auto` it is the granted one; several processes take one each in turn.
pub(crate) fn device(context: &Context, params: &TrainParams, rank: u32) -> Result<Device, StageError> {
    let device = match chosen(params.device, &context.grant().devices, rank) {
        protocol::Device::Cpu => Device::Cpu,
        protocol::Device::Cuda(index) => Device::Cuda(index as usize),
    };
    open_device(device).map_err(|error| Stopped::Learn(LearnError::from(error)).into_stage_error())
}

fn chosen(wanted: ComputeDevice, granted: &[protocol::Device], rank: u32) -> protocol::Device {
    match wanted {
        ComputeDevice::Cpu => protocol::Device::Cpu,
        ComputeDevice::Cuda(index) => protocol::Device::Cuda(index),
        ComputeDevice::Auto => match granted {
            [] => protocol::Device::Cpu,
            granted => granted[rank as usize % granted.len()],
        },
    }
}

/// Returns the threads and the device that the bits of the result of a request of `train` or `lr_finder` depend on. `elsewhere` says whether
/// the other processes have machines of their own.
pub fn computes_with(request: &Request, elsewhere: bool) -> Grant {
    let granted = &request.grant;
    // Both kinds have these parameters. Others, and those that are not valid, are errors of the stage.
    let params = TrainParams {
        threads: request.params["threads"].as_u64().and_then(|threads| u32::try_from(threads).ok()),
        device: serde_json::from_value(request.params["device"].clone()).unwrap_or_default(),
        num_processes: NumProcesses(request.params["num_processes"].as_u64().map_or(1, |count| count as u32)),
        ..TrainParams::default()
    };
    let threads = threads_of_each(granted.threads, params.num_processes.0, elsewhere);
    Grant::devices(compute_threads(&params, threads), vec![chosen(params.device, &granted.devices, 0)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::Device::{Cpu, Cuda};

    #[test]
    fn the_device_is_the_one_that_was_asked_for_or_granted() {
        assert_eq!(chosen(ComputeDevice::Auto, &[], 0), Cpu);
        assert_eq!(chosen(ComputeDevice::Auto, &[Cpu], 3), Cpu);
        assert_eq!(
            [0, 1, 2].map(|rank| chosen(ComputeDevice::Auto, &[Cuda(1), Cuda(4)], rank)),
            [Cuda(1), Cuda(4), Cuda(1)]
        );
        assert_eq!(chosen(ComputeDevice::Cpu, &[Cuda(1)], 0), Cpu);
        assert_eq!(chosen(ComputeDevice::Cuda(2), &[Cpu], 0), Cuda(2));
    }
}
