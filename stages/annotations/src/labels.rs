//! Maps listed labels to class indices: [`resolve`]. An unknown label never becomes a class.

use crate::error::AnnotationsError;
use crate::findings::Occurrences;
use crate::lists::{ClassList, Label, Location, ParsedLists, Row, RowSplit, Segment, shorten, without_extension};
use crate::paths;
use pipe_schemas::stages::annotations::AnnotationsParams;
use pipe_schemas::tables::Split;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

mod numbers;
#[cfg(test)]
mod tests;

pub(crate) use numbers::Number;

/// Maximum number of classes; more than any data set has.
const MAX_CLASSES: i64 = 1_000_000;

/// Rows with class indices, and the labels that are not classes.
#[derive(Debug, Clone)]
pub(crate) struct Resolved {
    pub(crate) classes: ClassList,
    pub(crate) entries: Vec<Entry>,
    pub(crate) off_by_one: Occurrences,
    pub(crate) out_of_range: Occurrences,
    pub(crate) unknown_class: Occurrences,
}

/// A listed video, or a segment of it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    /// As listed.
    pub(crate) path: String,
    /// Another name under which the video may be in the folder.
    pub(crate) alias: Option<String>,
    /// `None` if the entry is not used.
    pub(crate) split: Option<Split>,
    /// Class indices from 0, sorted. Several only with `multi_class`.
    pub(crate) classes: Vec<u32>,
    /// Empty if unknown.
    pub(crate) group: String,
    pub(crate) segment: Option<Segment>,
    pub(crate) location: Location,
}

impl Entry {
    /// Returns the path without extension, in normal form.
    pub(crate) fn normal_name(&self) -> String {
        without_extension(&paths::normal(&self.path)).to_owned()
    }
}

/// Maps the labels of all rows to class indices.
///
/// # Errors
/// If there is no class, or the labels do not tell how many there are.
pub(crate) fn resolve(listed: ParsedLists, params: &AnnotationsParams) -> Result<Resolved, AnnotationsError> {
    let ParsedLists { mut rows, classes } = listed;
    numbers::decide(&mut rows, classes.as_ref())?;
    let range = LabelRange::of(&rows);
    let classes = match classes {
        Some(classes) => classes,
        None => class_list(&rows, range.as_ref(), params)?,
    };
    let first = i64::from(params.first_label.or(classes.first_number).unwrap_or(0));
    let count = classes.names.len() as i64;
    if count == 0 {
        return Err(AnnotationsError::NoClasses);
    }
    let mut off_by_one = Occurrences::default();
    if let Some((range, message)) =
        range.as_ref().and_then(|range| Some((range, range.off_by_one(first, count, params)?)))
    {
        off_by_one.add(|| format!("{message} ({})", range.example_location(first)));
    }
    let mut resolver = Resolver::new(&classes, first);
    let entries = rows.into_iter().map(|row| resolver.entry(row)).collect();
    let Resolver { out_of_range, unknown_class, .. } = resolver;
    Ok(Resolved { classes, entries, off_by_one, out_of_range, unknown_class })
}

fn name(label: &Label) -> Option<&Rc<str>> {
    match label {
        Label::Name(name) => Some(name),
        Label::Cell(_) | Label::Number(_) => None,
    }
}

fn is_used(row: &Row) -> bool {
    matches!(row.split, RowSplit::Known(_))
}

/// Returns the classes if no file names them: the names of the labels in alphabetical order, or their numbers.
///
/// # Errors
/// If neither the lists nor the parameters determine the number of classes.
fn class_list(
    rows: &[Row],
    range: Option<&LabelRange>,
    params: &AnnotationsParams,
) -> Result<ClassList, AnnotationsError> {
    let mut names: BTreeMap<&str, &Location> = BTreeMap::new();
    for row in rows.iter().filter(|row| is_used(row)) {
        for name in row.labels.iter().filter_map(name) {
            names.entry(name).or_insert(&row.location);
        }
    }
    if !names.is_empty() {
        let (names, locations) = names.into_iter().map(|(name, location)| (name.to_owned(), location.clone())).unzip();
        return Ok(ClassList { names, locations, first_number: None });
    }
    let first = i64::from(params.first_label.unwrap_or(0));
    let count = match (params.num_classes, range) {
        (Some(count), _) => i64::from(count),
        (None, Some(range)) => range.num_classes(first)?,
        (None, None) => 0,
    };
    let names = (first..first + count).map(|number| number.to_string()).collect();
    Ok(ClassList { names, locations: Vec::new(), first_number: None })
}

/// The range of the numeric labels.
#[derive(Debug)]
struct LabelRange {
    lowest: i64,
    lowest_location: Location,
    highest: i64,
    highest_location: Location,
    /// Number of different labels, without negative ones.
    num_different: i64,
}

impl LabelRange {
    fn of(rows: &[Row]) -> Option<Self> {
        let number = |label: &Label| if let Label::Number(number) = label { Some(*number) } else { None };
        let numbers = rows
            .iter()
            .filter(|row| is_used(row))
            .flat_map(|row| row.labels.iter().filter_map(number).map(move |number| (number, &row.location)));
        let mut range: Option<Self> = None;
        let mut different = BTreeSet::new();
        for (number, location) in numbers {
            if number >= 0 {
                different.insert(number);
            }
            match &mut range {
                None => {
                    let (lowest_location, highest_location) = (location.clone(), location.clone());
                    let highest = number;
                    range = Some(Self { lowest: number, lowest_location, highest, highest_location, num_different: 0 });
                }
                Some(range) if number < range.lowest => {
                    (range.lowest, range.lowest_location) = (number, location.clone());
                }
                Some(range) if number > range.highest => {
                    (range.highest, range.highest_location) = (number, location.clone());
                }
                Some(_) => {}
            }
        }
        range.map(|range| Self { num_different: different.len() as i64, ..range })
    }

    /// Returns the number of classes if the highest label is the last class.
    ///
    /// # Errors
    /// If most of these classes would have no video: then the highest label is a mistake, or the lists are an extract.
    fn num_classes(&self, first: i64) -> Result<i64, AnnotationsError> {
        let count = self.highest.saturating_sub(first).saturating_add(1).max(0);
        if count > MAX_CLASSES || count > self.num_different.saturating_mul(2) {
            return Err(AnnotationsError::FewLabels {
                highest: self.highest,
                location: self.highest_location.to_string(),
                num_classes: count as u64,
                num_different: self.num_different as u64,
            });
        }
        Ok(count)
    }

    /// Returns a message if the labels look shifted by one.
    ///
    /// Shifted up means: the lowest label is one above the first class, and the highest is one above the last class (or equals it
    /// if neither a label map nor `num_classes` defines the last class). Shifted down: the lowest label is one below.
    fn off_by_one(&self, first: i64, count: i64, params: &AnnotationsParams) -> Option<String> {
        let (lowest, highest, last) = (self.lowest, self.highest, first + count - 1);
        let open_ended = params.label_map.is_none() && params.num_classes.is_none();
        let up = lowest == first + 1 && (highest == last + 1 || (open_ended && highest == last));
        let down = lowest == first - 1 && highest < last;
        let right = if up { first + 1 } else { first - 1 };
        (up || down).then(|| {
            let advice = if (0..=1).contains(&right) { format!("; set `first_label: {right}`") } else { String::new() };
            format!("labels go from {lowest} to {highest}, classes from {first} to {last}{advice}")
        })
    }

    /// Returns the line of a label that is not a class.
    fn example_location(&self, first: i64) -> &Location {
        if self.lowest < first { &self.lowest_location } else { &self.highest_location }
    }
}

struct Resolver<'a> {
    indices: BTreeMap<&'a str, u32>,
    /// Indices by name with `_` replaced by a space; `None` if several classes share that name.
    loose: BTreeMap<String, Option<u32>>,
    first: i64,
    count: i64,
    out_of_range: Occurrences,
    unknown_class: Occurrences,
}

impl<'a> Resolver<'a> {
    fn new(classes: &'a ClassList, first: i64) -> Self {
        let indices: BTreeMap<&str, u32> = classes.names.iter().map(String::as_str).zip(0..).collect();
        let mut loose = BTreeMap::new();
        for (name, index) in &indices {
            loose.entry(name.replace('_', " ")).and_modify(|index| *index = None).or_insert(Some(*index));
        }
        let count = classes.names.len() as i64;
        Self {
            indices,
            loose,
            first,
            count,
            out_of_range: Occurrences::default(),
            unknown_class: Occurrences::default(),
        }
    }

    fn entry(&mut self, row: Row) -> Entry {
        let split = if let RowSplit::Known(split) = row.split { Some(split) } else { None };
        // Labels of rows that are not used are not checked.
        let labels = if split.is_some() { &row.labels[..] } else { &[] };
        let mut classes: Vec<u32> = labels.iter().filter_map(|label| self.class(label, &row.location)).collect();
        classes.sort_unstable();
        classes.dedup();
        let split = split.filter(|_| !classes.is_empty());
        let Row { path, alias, group, segment, location, .. } = row;
        Entry { path, alias, split, classes, group, segment, location }
    }

    fn class(&mut self, label: &Label, location: &Location) -> Option<u32> {
        match label {
            Label::Number(number) => {
                let index = number.checked_sub(self.first).filter(|index| (0..self.count).contains(index));
                if index.is_none() {
                    let (first, last) = (self.first, self.first + self.count - 1);
                    self.out_of_range.add(|| format!("{number} is not between {first} and {last} ({location})"));
                }
                index.map(|index| index as u32)
            }
            Label::Name(name) | Label::Cell(name) => {
                let index = self.indices.get(&**name).copied();
                let index = index.or_else(|| self.loose.get(&name.replace('_', " ")).copied().flatten());
                if index.is_none() {
                    let near = self.indices.keys().find(|known| known.eq_ignore_ascii_case(name));
                    let near = near.map(|near| format!(", did you mean `{near}`?")).unwrap_or_default();
                    self.unknown_class.add(|| format!("`{}` ({location}){near}", shorten(name)));
                }
                index
            }
        }
    }
}
