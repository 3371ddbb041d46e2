//! [`ALL`]: the commands of `pipe`.
//!
//! A command is a file `commands/NAME.rs` with its arguments and what it does, a file `commands/NAME/view.rs` with what it prints,
//! and two lines here: its module and its entry in [`ALL`].

mod bases;
mod cache;
mod check;
mod completions;
mod init;
mod logs;
mod ls;
mod metrics;
mod model;
mod plan;
mod predict;
mod run;
mod runs;
mod schema;
mod serve;
mod show;
mod stages;
mod status;
mod why;

use crate::error::CommandError;
use crate::exit::Code;
use crate::logging;
use clap::{ArgAction, ArgMatches};

/// Every command, in the order of `pipe --help`.
pub(crate) const ALL: &[Entry] = &[
    Entry::of::<init::Init>(),
    Entry::of::<run::Run>(),
    Entry::of::<check::Check>(),
    Entry::of::<plan::Plan>(),
    Entry::of::<why::Why>(),
    Entry::of::<predict::Predict>(),
    Entry::of::<serve::Serve>(),
    Entry::of::<runs::Runs>(),
    Entry::of::<show::Show>(),
    Entry::of::<logs::Logs>(),
    Entry::of::<metrics::Metrics>(),
    Entry::of::<status::Status>(),
    Entry::of::<ls::Ls>(),
    Entry::of::<stages::Stages>(),
    Entry::of::<bases::Bases>(),
    Entry::of::<schema::Schema>(),
    model::GROUP,
    cache::GROUP,
    Entry::of::<completions::Completions>(),
];

/// A command: its arguments, and what it does with them. The doc comment of the implementing type is its help text.
pub(crate) trait Command: clap::Args {
    /// The word on the command line.
    const NAME: &'static str;

    /// Runs the command.
    fn run(self) -> Result<Code, CommandError>;
}

/// A row of a command list.
pub(crate) enum Entry {
    Command {
        /// The word on the command line.
        name: &'static str,
        /// Adds the arguments.
        augment: fn(clap::Command) -> clap::Command,
        /// Reads the arguments and runs the command.
        run: fn(&ArgMatches) -> Result<Code, CommandError>,
    },
    /// Commands below a common word.
    Group {
        /// The common word.
        name: &'static str,
        /// Help text.
        about: &'static str,
        /// The commands below it.
        entries: &'static [Entry],
    },
}

impl Entry {
    /// Returns the entry of a command.
    pub(crate) const fn of<C: Command>() -> Self {
        Self::Command {
            name: C::NAME,
            augment: C::augment_args,
            run: |matches| C::from_arg_matches(matches).map_err(CommandError::Usage)?.run(),
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Command { name, .. } | Self::Group { name, .. } => name,
        }
    }

    fn command(&self) -> clap::Command {
        match self {
            Self::Command { name, augment, .. } => augment(clap::Command::new(*name)),
            Self::Group { name, about, entries } => clap::Command::new(*name)
                .about(*about)
                .subcommand_required(true)
                .arg_required_else_help(true)
                .disable_help_subcommand(true)
                .subcommands(entries.iter().map(Self::command)),
        }
    }
}

/// Returns the command line of `pipe`.
pub(crate) fn pipe() -> clap::Command {
    let verbose = clap::Arg::new(logging::VERBOSE)
        .short('v')
        .long("verbose")
        .action(ArgAction::Count)
        .global(true)
        .display_order(100)
        .help("Log what `pipe` does to stderr, with times; -vv logs more. RUST_LOG overrides it");
    clap::Command::new("pipe")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Train, evaluate and export video classifiers from one YAML file, without repeating work")
        .after_help(
            "A pipeline file lists stages, such as `ingest`, `frames`, `train` and `evaluate`. `pipe run FILE` runs those whose \
             inputs or parameters changed, and takes the results of the others from the store, the folder `.pipe`.\n\n\
             Exit codes: 0 success, 1 a stage failed, 2 wrong arguments or pipeline file, 130 stopped by Ctrl-C.",
        )
        .disable_help_subcommand(true)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .arg(verbose)
        .subcommands(ALL.iter().map(Entry::command))
}

/// Returns whether a command was given `--output json`.
pub(crate) fn wants_json(matches: &ArgMatches) -> bool {
    let own = matches.try_get_raw("output").ok().flatten();
    own.is_some_and(|mut values| values.any(|value| value == "json"))
        || matches.subcommand().is_some_and(|(_, below)| wants_json(below))
}

/// Runs the command of `entries` that `matches` names.
pub(crate) fn dispatch(entries: &[Entry], matches: &ArgMatches) -> Result<Code, CommandError> {
    let named = matches.subcommand();
    let found = named.and_then(|(name, below)| Some((entries.iter().find(|entry| entry.name() == name)?, below)));
    match found {
        Some((Entry::Command { run, .. }, below)) => run(below),
        Some((Entry::Group { entries, .. }, below)) => dispatch(entries, below),
        None => unreachable!("clap requires a subcommand, and knows only those of the list"),
    }
}

#[cfg(test)]
mod tests {
    use super::{ALL, Entry};
    use std::collections::BTreeSet;
    use std::path::{Path, PathBuf};

    #[test]
    fn the_command_line_is_consistent() {
        super::pipe().debug_assert();
    }

    /// Returns the file of each command, relative to `src/commands`: that of `pipe model diff` is `model/diff.rs`.
    fn listed(entries: &[Entry], folder: &Path) -> Vec<PathBuf> {
        let files = |entry: &Entry| {
            let path = folder.join(entry.name().replace('-', "_"));
            match entry {
                Entry::Command { .. } => vec![path.with_extension("rs")],
                Entry::Group { entries, .. } => listed(entries, &path),
            }
        };
        entries.iter().flat_map(files).collect()
    }

    /// Adds the files below a folder that implement a command.
    fn collect(root: &Path, folder: &Path, found: &mut BTreeSet<PathBuf>) {
        for entry in fs_err::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                collect(root, &path, found);
            } else if fs_err::read_to_string(&path).expect("text").contains("\nimpl Command for ") {
                found.insert(path.strip_prefix(root).expect("below the root").to_owned());
            }
        }
    }

    /// The compiler does not warn about a command that no list has.
    #[test]
    fn every_command_is_listed() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/commands");
        let mut written = BTreeSet::new();
        collect(&root, &root, &mut written);
        assert_eq!(listed(ALL, Path::new("")).into_iter().collect::<BTreeSet<_>>(), written);
    }
}
