//! Every way to write labels, one a module, all read to the same [`Listed`]: [`read`].

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
use crate::lists::{ListFile, Listed, Part, Place, Sink, name_of};
use crate::split;
use fs_err as fs;
use pipe_schemas::stages::annotations::{AnnotationFormat, AnnotationsParams};
use pipe_schemas::tables::{Split, VideoRow};
use pipe_stage::Sources;

/// A label list of a million videos has less.
const MAX_LIST_BYTES: u64 = 256 << 20;

/// Reads all lists that the parameters name; `class_folder` reads `videos` in their place.
///
/// # Errors
/// Every wrong line, or what is wrong with the files. `auto` is an error if the format can't be told.
pub(crate) fn read(
    params: &AnnotationsParams,
    sources: Option<&Sources>,
    videos: &[VideoRow],
) -> Result<(AnnotationFormat, Listed), AnnotationsError> {
    let Some(sources) = sources else { return Ok((params.format, class_folder::read(videos)?)) };
    let format = match params.format {
        AnnotationFormat::Auto => auto::detect(sources, params)?,
        format => format,
    };
    let listed = match format {
        AnnotationFormat::Ucf101 => ucf101::read(sources, params.split)?,
        AnnotationFormat::Hmdb51 => hmdb51::read(sources, params.split)?,
        _ => read_named(format, sources, params)?,
    };
    Ok((format, listed))
}

/// Reads the lists that `train`, `test` and `file` name.
fn read_named(
    format: AnnotationFormat,
    sources: &Sources,
    params: &AnnotationsParams,
) -> Result<Listed, AnnotationsError> {
    let mut sink = Sink::default();
    let map = params.label_map.as_ref().map(|name| read_path(sources, name)).transpose()?;
    let classes = map.map(|map| label_map::read(&map, &mut sink));
    let roles = [
        (&params.train, Role(Some(Split::Train))),
        (&params.test, Role(Some(Split::Test))),
        (&params.file, Role(None)),
    ];
    for (name, role) in roles.into_iter().filter_map(|(name, role)| name.as_ref().map(|name| (name, role))) {
        let file = read_path(sources, name)?;
        match format {
            AnnotationFormat::VideoList => file_list::parse(&file, role, &file_list::Shape::videos(params), &mut sink),
            AnnotationFormat::RawframeList => {
                file_list::parse(&file, role, &file_list::Shape::rawframes(params), &mut sink);
            }
            AnnotationFormat::Kinetics => kinetics::parse(&file, role, &mut sink),
            AnnotationFormat::Sthv2 => sthv2::parse(&file, role, &mut sink),
            AnnotationFormat::Activitynet => activitynet::parse(&file, role, &mut sink),
            _ => table::parse(&file, role, params, &mut sink),
        }
    }
    sink.finish(classes)
}

/// Which list a file is; `None` where its rows say that themselves.
#[derive(Debug, Clone, Copy)]
struct Role(Option<Split>);

impl Role {
    /// Returns what a row with this word for its subset is for.
    fn part(self, subset: Option<&str>, place: &Place, sink: &mut Sink) -> Part {
        let Some(split) = self.0 else {
            return subset.map_or(Part::Unsaid, |word| Part::Subset(sink.word(word)));
        };
        if let Some(word) = subset.filter(|word| split::usual(word).is_some_and(|usual| usual != split)) {
            let list = if split == Split::Train { "training" } else { "test" };
            let message = format!("the row is of the subset `{word}`, in the {list} list");
            sink.problem(place.clone(), message, "give the list as `file`, and the rows to be used as `subsets`");
        }
        Part::Of(split)
    }
}

/// Reads the file with the path `name`, or else the one so called.
fn read_path(sources: &Sources, name: &str) -> Result<ListFile, AnnotationsError> {
    let name = name.trim_start_matches("./");
    match sources.files.iter().find(|file| file.path == name) {
        Some(file) => read_at(sources, &file.path, name),
        None => read_list(sources, name),
    }
}

/// Reads the one file called `name`, in whichever folder below the root it lies.
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

/// Reads the file at `path` below the root, by which messages call it `name`.
fn read_at(sources: &Sources, path: &str, name: &str) -> Result<ListFile, AnnotationsError> {
    let full = sources.root.join(path);
    let size_bytes = fs::metadata(&full)?.len();
    if size_bytes > MAX_LIST_BYTES {
        return Err(AnnotationsError::TooLarge { path: path.into(), size_bytes });
    }
    Ok(ListFile { name: name.into(), bytes: fs::read(full)? })
}
