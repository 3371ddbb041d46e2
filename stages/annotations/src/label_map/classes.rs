//! The classes of a label map: [`NamedClasses`] in the order of their names, [`NumberedClasses`] by number.

use crate::labels::Number;
use crate::lists::{ClassList, ListFile, Location, Sink, shorten};
use std::collections::BTreeMap;

/// Classes in the order of their names.
#[derive(Default)]
pub(super) struct NamedClasses {
    list: ClassList,
    seen: BTreeMap<String, Location>,
}

impl NamedClasses {
    pub(super) fn add(&mut self, name: &str, location: Location, sink: &mut Sink) {
        if let Some(first) = self.seen.get(name) {
            sink.error(location, format!("`{}` is already a class, at {first}", shorten(name)), "name each class once");
            return;
        }
        self.seen.insert(name.to_owned(), location.clone());
        self.list.names.push(name.to_owned());
        self.list.locations.push(location);
    }

    pub(super) fn finish(self, file: &ListFile, sink: &mut Sink) -> ClassList {
        if self.list.names.is_empty() {
            sink.error(file.location(1), "the file names no classes", "write one per line");
        }
        self.list
    }
}

/// Classes with numbers, in any order.
pub(super) struct NumberedClasses {
    first: Option<u32>,
    by_number: BTreeMap<u32, (String, Location)>,
    by_name: BTreeMap<String, u32>,
}

impl NumberedClasses {
    pub(super) fn new(first: Option<u32>) -> Self {
        Self { first, by_number: BTreeMap::new(), by_name: BTreeMap::new() }
    }

    pub(super) fn add(&mut self, number: &str, name: &str, location: Location, sink: &mut Sink) {
        let least = self.first.unwrap_or(0);
        let whole = Number::whole(number).and_then(|number| u32::try_from(number).ok());
        let Some(number) = whole.filter(|number| *number >= least) else {
            let help = format!("classes are numbered from {least}");
            return sink.error(location, format!("`{}` is not a valid class number", shorten(number)), help);
        };
        if let Some((_, first)) = self.by_number.get(&number) {
            let message = format!("class {number} is already in line {}", first.line);
            sink.error(location, message, "use each number once");
        } else if let Some(first) = self.by_name.get(name) {
            sink.error(location, format!("`{}` is already class {first}", shorten(name)), "name each class once");
        } else {
            self.by_name.insert(name.to_owned(), number);
            self.by_number.insert(number, (name.to_owned(), location));
        }
    }

    pub(super) fn finish(self, file: &ListFile, sink: &mut Sink) -> ClassList {
        let least = self.by_number.keys().next().copied();
        let first = self.first.unwrap_or_else(|| least.unwrap_or(0).min(1));
        for ((number, (_, location)), expected) in self.by_number.iter().zip(first..) {
            if *number != expected {
                let message = format!("class {expected} is missing before class {number}");
                sink.error(location.clone(), message, format!("number classes from {first} without gaps"));
                break; // all further ones are off as well
            }
        }
        if self.by_number.is_empty() {
            sink.error(file.location(1), "the file names no classes", "write one per line, such as `1 ApplyEyeMakeup`");
        }
        let (names, locations) = self.by_number.into_values().unzip();
        ClassList { names, locations, first_number: Some(first) }
    }
}
