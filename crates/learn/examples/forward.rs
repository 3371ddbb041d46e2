//! Runs a network at inference, for `cargo xtask bench forward`. A line on stdin asks for one more pass.
//!
//! `forward '{"type": "R3D"}' N T H W channels_last|contiguous` prints `ready`, and then the seconds of each pass.

#![expect(clippy::print_stdout, reason = "the output of a program")]

use pipe_graph::ClipShape;
use pipe_learn::{Network, pin_threads, restart_with_settings};
use pipe_schemas::networks::ModelParams;
use std::error::Error;
use std::io::Write;
use std::time::Instant;
use tch::{Kind, Tensor};

fn main() -> Result<(), Box<dyn Error>> {
    restart_with_settings();
    pin_threads();
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [backbone, sizes @ .., format] = args.as_slice() else { return Err("too few arguments".into()) };
    let sizes: Vec<usize> = sizes.iter().map(|size| size.parse()).collect::<Result<_, _>>()?;
    let [clips, frames, height, width] = sizes.as_slice() else { return Err("expected N T H W".into()) };
    let params = ModelParams { backbone: serde_json::from_str(backbone)?, ..ModelParams::default() };
    let clip = ClipShape { channels: 3, frames: *frames, height: *height, width: *width };
    let network = Network::new(pipe_models::build(&params, clip, 400)?, 0).for_inference()?;
    let size = [*clips, *frames, *height, *width, 3].map(|size| size as i64);
    let pixels = Tensor::rand(size, (Kind::Float, tch::Device::Cpu)).permute([0, 4, 1, 2, 3]);
    let clips = if format == "channels_last" { pixels } else { pixels.contiguous() };
    let _no_grad = tch::no_grad_guard();
    let _ = network.forward(&clips, None)?;
    println!("ready");
    for line in std::io::stdin().lines() {
        line?;
        let start = Instant::now();
        let _ = network.forward(&clips, None)?;
        println!("{}", start.elapsed().as_secs_f64());
        std::io::stdout().flush()?;
    }
    Ok(())
}
