//! Black-box tests: they run the real `pipe` in a folder of their own and look at exit code, output and files only.

#![expect(clippy::unwrap_used, reason = "a test may fail where it likes")]

mod cache;
mod change;
mod check;
mod command;
mod crash;
mod drawn;
mod faults;
mod fetch;
mod golden;
mod lock;
mod main_job;
mod mistakes;
mod model;
mod race;
mod records;
mod remote;
mod select;
mod share;
mod soak;
mod space;
mod ucf101;
