//! Environments of floating-point results: whether bits can be compared, and how an environment is shown.
//!
//! See [`pipe_stage::environment()`] for the names in it.

use pipe_stage::Environment;
use std::collections::BTreeMap;

/// Separates the values of results that were made in several environments.
const SEPARATOR: &str = " + ";

/// Returns the environment of a result that was made from several results. Where these differ, all values are listed.
pub(crate) fn merged<'a>(environments: impl IntoIterator<Item = &'a Environment>) -> Environment {
    let mut values: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, value) in environments.into_iter().flatten() {
        let values = values.entry(name).or_default();
        value.split(SEPARATOR).for_each(|value| {
            if !values.contains(&value) {
                values.push(value);
            }
        });
    }
    values.into_iter().map(|(name, values)| (name.to_owned(), values.join(SEPARATOR))).collect()
}

/// Returns whether equal keys give equal bits in both environments. A result of several environments is never certain to come
/// out again.
pub(crate) fn gives_equal_bits(one: &Environment, two: &Environment) -> bool {
    one == two && !one.is_empty() && !one.values().any(|value| value.contains(SEPARATOR))
}

/// Returns an environment in one line: `AuthenticAMD family 25 model 1 stepping 1, AVX2, 2 threads, cpu, libtorch 2.13.0`.
pub fn environment_line(environment: &Environment) -> String {
    let known = ["processor", "instruction_set", "threads", "device", "driver"];
    let is_known = |name: &str| known.contains(&name);
    let first = known.iter().filter_map(|name| {
        let value = environment.get(*name)?;
        Some(if *name == "threads" { format!("{value} threads") } else { value.clone() })
    });
    let others = environment.iter().filter(|(name, _)| !is_known(name)).map(|(name, value)| format!("{name} {value}"));
    first.chain(others).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(processor: &str, threads: &str) -> Environment {
        [("processor", processor), ("threads", threads), ("libtorch", "2.13.0")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into()
    }

    #[test]
    fn bits_are_equal_in_one_environment_only() {
        let (one, two) = (environment("Zen 3", "2"), environment("Zen 5", "2"));
        assert!(gives_equal_bits(&one, &one.clone()));
        assert!(!gives_equal_bits(&one, &two));
        assert!(!gives_equal_bits(&one, &environment("Zen 3", "4")));
        let mixed = merged([&one, &two, &one]);
        assert_eq!(mixed["processor"], "Zen 3 + Zen 5");
        assert_eq!(mixed["threads"], "2");
        assert!(!gives_equal_bits(&mixed, &mixed.clone()), "it is unknown which part was made where");
        assert_eq!(merged([&mixed, &two]), mixed);
        assert!(!gives_equal_bits(&Environment::new(), &Environment::new()), "results from before environments");
    }

    #[test]
    fn an_environment_is_one_line() {
        assert_eq!(environment_line(&environment("Zen 3", "2")), "Zen 3, 2 threads, libtorch 2.13.0");
    }
}
