//! [`start`]: log lines on stderr, for `-v` and `RUST_LOG`.

use crate::render;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::FmtSpan;
use tracing_subscriber::fmt::time::uptime;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// The id of the argument `-v`.
pub(crate) const VERBOSE: &str = "verbose";

/// Logs to stderr from now on if `RUST_LOG` is set or `-v` is given at least once. Else nothing is set up, and a log line costs one
/// comparison.
pub(crate) fn start(verbose: u8) {
    let Some(filter) = filter(verbose) else { return };
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .with_timer(uptime())
        .with_span_events(FmtSpan::CLOSE)
        .compact();
    tracing_subscriber::registry().with(lines).with(filter).init();
}

/// Returns whether anything is logged.
pub(crate) fn is_on() -> bool {
    LevelFilter::current() != LevelFilter::OFF
}

/// Returns what to log. `RUST_LOG` holds `target=level` pairs, as in `pipe_engine=debug,info`.
fn filter(verbose: u8) -> Option<Targets> {
    let level = match verbose {
        0 => None,
        1 => Some(LevelFilter::INFO),
        2 => Some(LevelFilter::DEBUG),
        3.. => Some(LevelFilter::TRACE),
    };
    let by_flag = level.map(|level| Targets::new().with_target("pipe", level));
    let Some(directives) = std::env::var_os("RUST_LOG").filter(|directives| !directives.is_empty()) else {
        return by_flag;
    };
    match directives.to_string_lossy().parse() {
        Ok(targets) => Some(targets),
        Err(error) => {
            render::warning(&format!("RUST_LOG is ignored, it is not a list of `target=level`: {error}"));
            by_flag
        }
    }
}
