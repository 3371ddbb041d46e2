//! Any bytes as label lists of any format: class indices, or line errors.
//!
//! The first byte of the input selects the format and options; zero bytes separate the files.

use crate::scratch;
use pipe_schemas::stages::annotations::{AnnotationFormat, AnnotationsParams, Columns};
use pipe_stage::{SourceFile, Sources};

const FORMATS: [(AnnotationFormat, &str); 11] = [
    (AnnotationFormat::Ucf101, "txt"),
    (AnnotationFormat::Hmdb51, "txt"),
    (AnnotationFormat::VideoList, "txt"),
    (AnnotationFormat::RawframeList, "txt"),
    (AnnotationFormat::Kinetics, "csv"),
    (AnnotationFormat::Sthv2, "json"),
    (AnnotationFormat::Activitynet, "json"),
    (AnnotationFormat::Table, "csv"),
    (AnnotationFormat::Table, "json"),
    (AnnotationFormat::Table, "jsonl"),
    (AnnotationFormat::Auto, "txt"),
];

/// Longer inputs reveal nothing more about a parser that reads line by line.
const MAX_BYTES: usize = 1 << 16;

pub(crate) fn run(data: &[u8]) {
    let Some((&selector, rest)) = data.split_first().filter(|(_, rest)| rest.len() <= MAX_BYTES) else { return };
    let (format, extension) = FORMATS[usize::from(selector) % FORMATS.len()];
    let options = usize::from(selector) / FORMATS.len();
    let params = params(format, extension, options);
    let names: [String; 3] = if format == AnnotationFormat::Ucf101 {
        ["classInd.txt", "trainlist01.txt", "testlist01.txt"].map(str::to_owned)
    } else if format == AnnotationFormat::Hmdb51 {
        ["a_test_split1.txt", "b_test_split1.txt", "c_test_split1.txt"].map(str::to_owned)
    } else {
        ["train", "map", "test"].map(|name| format!("{name}.{extension}"))
    };
    let folder = scratch::folder();
    let mut files = Vec::new();
    let mut contents = rest.splitn(names.len(), |byte| *byte == 0);
    for name in names {
        let content = contents.next().unwrap_or_default();
        fs_err::write(folder.path().join(&name), content).expect("written");
        files.push(SourceFile { path: name, digest: String::new(), size_bytes: content.len() as u64 });
    }
    let sources = Sources { root: folder.path().to_owned(), files };
    if let Err(error) = pipe_stage_annotations::fuzzing::parse_lists(&params, &sources) {
        let text = error.chain().join(": ");
        assert!(!text.is_empty() && text.len() < 20_000, "an error of {} bytes", text.len());
        assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "a control character in an error: {text:?}");
    }
}

fn params(format: AnnotationFormat, extension: &str, options: usize) -> AnnotationsParams {
    let file = |name: &str| Some(format!("{name}.{extension}"));
    let column = |name: &str| Some(name.to_owned());
    let mut params = AnnotationsParams {
        format,
        train: file("train"),
        test: file("test"),
        label_map: (options & 1 != 0 || format == AnnotationFormat::Sthv2).then(|| format!("map.{extension}")),
        multi_class: options & 2 != 0,
        with_offset: options & 4 != 0,
        test_share: None,
        ..AnnotationsParams::default()
    };
    if format == AnnotationFormat::Table {
        params.columns = Columns {
            video: column("f"),
            label: column("c"),
            label_delimiter: params.multi_class.then(|| "+".to_owned()),
            ..Columns::default()
        };
    }
    if matches!(format, AnnotationFormat::Ucf101 | AnnotationFormat::Hmdb51) || options & 8 != 0 {
        (params.train, params.test) = (None, None);
        params.file = file("train");
    }
    params
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let texts = [
        "1 A\n2 B\n\0A/v_A_g01_c01.avi 1\nB/v_B_g01_c02.avi 2\n\0A/v_A_g02_c01.avi\n",
        "a_wave_f_cm_np1_ba_med_0.avi 2\nb.avi 1\n\0c.avi 0\n\0",
        "some/path/000.mp4 1\nother path/1.mp4 0\n\0a\nb\n\0x.mp4 1\n",
        "some/folder 119 0\nother 5 1\n\0a\nb\n\0x 7 1\n",
        "label,youtube_id,time_start,time_end,split\n\"tasting, wine\",---QUuC4vJs,84,94,train\n\0id,name\n0,a\n\0",
        "[{\"id\":\"1\",\"template\":\"Holding [something]\"}]\0{\"Holding something\":\"0\"}\0[]",
        "{\"database\":{\"a\":{\"subset\":\"training\",\"annotations\":[{\"segment\":[0.01,2],\"label\":\"x\"}]}}}\0\0{}",
        "f,c\na.mp4,run\n\"b, c.mp4\",walk\n\0run\nwalk\n\0f,c\n",
        "[{\"f\":\"a\",\"c\":\"x\"},{\"f\":\"b\",\"c\":2}]\0[\"x\"]\0{\"k\":{\"f\":\"a\",\"c\":[1,2]}}",
        "{\"f\":\"a\",\"c\":\"x\"}\n{\"f\":\"b\",\"c\":\"y\"}\n\0\0{\"f\":\"a\",\"c\":\"x\"}",
        "a.mp4 1\nb.mp4 0\n\0\0",
    ];
    let seed = |(selector, text): (usize, &str)| [&[selector as u8], text.as_bytes()].concat();
    texts.into_iter().enumerate().map(seed).collect()
}
