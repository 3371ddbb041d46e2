//! Black-box tests: each runs the real `pipe` in a new folder and looks at exit code, output and files only.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test may panic, and its files and threads are its own"
)]

mod benchmark;
mod bookkeeping;
mod cache;
mod change;
mod check;
mod command;
mod crash;
mod drawn;
mod errors;
mod evaluation;
mod explain;
mod exported;
mod faults;
mod fetch;
mod finder;
mod first;
mod golden;
mod help;
mod inputs;
mod load_from;
mod lock;
mod main_job;
mod mistakes;
mod model;
mod odd_folder;
mod optimize;
mod output;
mod predict;
mod pretrained;
mod race;
mod reading;
mod recipes;
mod records;
mod remote;
mod report;
mod select;
mod serve;
mod share;
mod snapshot;
mod soak;
mod space;
mod states;
mod stopping;
mod streams;
mod ucf101;
mod weights;
