//! Writes the seeds of all targets to `FOLDER/TARGET/seed-N`, for libFuzzer.

use pipe_fuzz_harness::TARGETS;
use std::path::Path;

fn main() -> std::io::Result<()> {
    let folder = std::env::args_os().nth(1).expect("write_seeds FOLDER");
    for target in TARGETS {
        let folder = Path::new(&folder).join(target.name);
        fs_err::create_dir_all(&folder)?;
        for (number, seed) in (target.seeds)().iter().enumerate() {
            fs_err::write(folder.join(format!("seed-{number}")), seed)?;
        }
    }
    Ok(())
}
