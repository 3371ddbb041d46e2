//! Runs the target `torch_zip` of `fuzz/harness` with libFuzzer.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pipe_fuzz_harness::run("torch_zip", data));
