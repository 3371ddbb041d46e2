//! Label formats, one per module, all parsed to [`ParsedLists`]: [`read`]. The table of all formats is [`reader`].

mod activitynet;
mod auto;
mod class_folder;
mod file_list;
mod hmdb51;
mod kinetics;
mod sthv2;
mod table;
mod ucf101;

use crate::error::AnnotationsError;
use crate::label_map;
use crate::lists::{ListFile, Location, ParsedLists, RowSplit, Sink, name_of};
use crate::split;
use fs_err as fs;
use pipe_schemas::stages::annotations::{AnnotationFormat, AnnotationsParams};
use pipe_schemas::tables::{Split, VideoRow};
use pipe_stage::Sources;

/// Maximum size of a list. The list of a million videos is smaller.
const MAX_LIST_BYTES: u64 = 256 << 20;

/// Parses one list, and adds its rows to a sink.
type ParseList = fn(&ListFile, Role, &AnnotationsParams, &mut Sink);

/// How the labels of a format are read.
enum Reader {
    /// From the lists that `train`, `test` and `file` name.
    Named(ParseList),
    /// From lists with fixed names; the number is that of the split.
    Fixed(fn(&Sources, u32) -> Result<ParsedLists, AnnotationsError>),
    /// From the paths of the videos.
    Paths(fn(&[VideoRow]) -> Result<ParsedLists, AnnotationsError>),
    /// As the format that is detected from the lists.
    Detected,
}

fn reader(format: AnnotationFormat) -> Reader {
    match format {
        AnnotationFormat::Auto => Reader::Detected,
        AnnotationFormat::Ucf101 => Reader::Fixed(ucf101::read),
        AnnotationFormat::Hmdb51 => Reader::Fixed(hmdb51::read),
        AnnotationFormat::VideoList => Reader::Named(file_list::parse_videos),
        AnnotationFormat::RawframeList => Reader::Named(file_list::parse_rawframes),
        AnnotationFormat::Kinetics => Reader::Named(kinetics::parse),
        AnnotationFormat::Sthv2 => Reader::Named(sthv2::parse),
        AnnotationFormat::Activitynet => Reader::Named(activitynet::parse),
        AnnotationFormat::ClassFolder => Reader::Paths(class_folder::read),
        AnnotationFormat::Table => Reader::Named(table::parse),
    }
}

/// Returns whether a format reads lists, and not only the paths of the videos.
pub(crate) fn reads_lists(format: AnnotationFormat) -> bool {
    !matches!(reader(format), Reader::Paths(_))
}

/// Reads the labels in `format`. Returns the format with them, which for `auto` is the detected one.
///
/// # Errors
/// All wrong lines, or the problem with a file. For `auto`, also if the format can't be detected.
pub(crate) fn read(
    format: AnnotationFormat,
    params: &AnnotationsParams,
    sources: &Sources,
    videos: &[VideoRow],
) -> Result<(AnnotationFormat, ParsedLists), AnnotationsError> {
    let lists = match reader(format) {
        Reader::Named(parse) => read_named(parse, sources, params)?,
        Reader::Fixed(read) => read(sources, params.split)?,
        Reader::Paths(read) => read(videos)?,
        Reader::Detected => return read(auto::detect(sources, params)?, params, sources, videos),
    };
    Ok((format, lists))
}

/// Reads the lists that `train`, `test` and `file` name, and the label map.
fn read_named(
    parse: ParseList,
    sources: &Sources,
    params: &AnnotationsParams,
) -> Result<ParsedLists, AnnotationsError> {
    let mut sink = Sink::default();
    let map = params.label_map.as_ref().map(|name| read_path(sources, name)).transpose()?;
    let classes = map.map(|map| label_map::read(&map, &mut sink));
    let roles = [
        (&params.train, Role(Some(Split::Train))),
        (&params.test, Role(Some(Split::Test))),
        (&params.file, Role(None)),
    ];
    for (name, role) in roles.into_iter().filter_map(|(name, role)| name.as_ref().map(|name| (name, role))) {
        parse(&read_path(sources, name)?, role, params, &mut sink);
    }
    sink.finish(classes)
}

/// The split that a list is for, or `None` if each of its rows names a subset.
#[derive(Debug, Clone, Copy)]
struct Role(Option<Split>);

impl Role {
    /// Returns the split of a row with this subset. A subset that contradicts the list is an error.
    fn split(self, subset: Option<&str>, location: &Location, sink: &mut Sink) -> RowSplit {
        let Some(split) = self.0 else {
            return subset.map_or(RowSplit::Unknown, |word| RowSplit::Subset(sink.intern(word)));
        };
        if let Some(word) = subset.filter(|word| split::usual(word).is_some_and(|usual| usual != split)) {
            let list = if split == Split::Train { "training" } else { "test" };
            let message = format!("the {list} list contains a row of the subset `{word}`");
            sink.error(location.clone(), message, "set `file` to this list, and choose rows with `subsets`");
        }
        RowSplit::Known(split)
    }
}

/// Reads the file at the path `name`, or else the only file with that name.
fn read_path(sources: &Sources, name: &str) -> Result<ListFile, AnnotationsError> {
    let name = name.trim_start_matches("./");
    match sources.files.iter().find(|file| file.path == name) {
        Some(file) => read_at(sources, &file.path, name),
        None => read_list(sources, name),
    }
}

/// Reads the only file with this name, in any folder below the root.
fn read_list(sources: &Sources, name: &str) -> Result<ListFile, AnnotationsError> {
    let root = || sources.root.clone();
    let mut found = sources.files.iter().filter(|file| name_of(&file.path) == name);
    let Some(file) = found.next() else {
        return Err(AnnotationsError::NoFile { root: root(), name: name.into() });
    };
    if let Some(second) = found.next() {
        let (first, second) = (file.path.clone(), second.path.clone());
        return Err(AnnotationsError::TwoFiles { root: root(), name: name.into(), first, second });
    }
    read_at(sources, &file.path, name)
}

/// Reads the file at `path` below the root. Messages use `name`.
fn read_at(sources: &Sources, path: &str, name: &str) -> Result<ListFile, AnnotationsError> {
    let full = sources.root.join(path);
    let size_bytes = fs::metadata(&full)?.len();
    if size_bytes > MAX_LIST_BYTES {
        return Err(AnnotationsError::TooLarge { path: path.into(), size_bytes });
    }
    ListFile::new(name, fs::read(full)?)
}
