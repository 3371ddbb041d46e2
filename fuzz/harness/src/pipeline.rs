//! Any bytes as a pipeline file: a plan, or problems with a valid position in the text.

use crate::scratch;

pub(crate) fn run(data: &[u8]) {
    let folder = scratch::folder();
    let file = folder.path().join("p.yaml");
    fs_err::write(&file, data).expect("written");
    let Err(problems) = pipe_engine::load(&file, &[]) else { return };
    assert!(!problems.0.is_empty(), "refused without a problem");
    for problem in &problems.0 {
        let (offset, length) = problem.place.range();
        let text = &problem.place.source.text;
        assert!(text.is_char_boundary(offset) && text.is_char_boundary(offset + length), "{problem:?}");
        let (line, column) = problem.place.line_column();
        assert!(line >= 1 && column >= 1);
    }
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let command = "pipeline: p\nvars: { a: 1 }\nstages:\n  x:\n    uses: command\n    with: { run: [echo, \"${a}\"], outputs: { r: r.txt } }\n";
    let data = "pipeline: p\nstages:\n  clips: { uses: synthesize, with: { groups: 3, test_groups: 1 } }\n  videos: { uses: ingest, inputs: { folder: clips.videos } }\n  labels: { uses: annotations, inputs: { videos: videos, lists: clips.lists }, with: { format: ucf101 } }\n";
    let matrix = "pipeline: p\nextends: []\nstages:\n  x: &x { uses: command, matrix: { n: [1, 2] }, with: { shell: \"true\", outputs: { r: r } } }\n  y: !replace { uses: command, with: { run: [a], outputs: { r: r } } }\n";
    [command, data, matrix].map(|text| text.as_bytes().to_vec()).into()
}
