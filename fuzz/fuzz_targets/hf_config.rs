//! Runs the target `hf_config` of `fuzz/harness` with libFuzzer.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pipe_fuzz_harness::run("hf_config", data));
