//! TensorBoard itself reads a file. Skips without Python and TensorBoard: `pip install tensorboard`.

use fs_err::File;
use pipe_tensorboard::{EventWriter, FILE_PREFIX, HyperParameter};
use std::collections::BTreeMap;
use std::io::BufWriter;

/// Prints what TensorBoard finds in a folder.
const SCRIPT: &str = "
import sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import plugin_data_pb2 as hparams
events = EventAccumulator(sys.argv[1], size_guidance={'scalars': 0, 'images': 0})
events.Reload()
tags = events.Tags()
for tag in tags['scalars']:
    print(tag, [(event.step, event.wall_time, round(event.value, 4)) for event in events.Scalars(tag)])
for tag in tags['images']:
    print(tag, [(image.step, image.width, image.height, len(image.encoded_image_string)) for image in events.Images(tag)])
for tag, content in sorted(events.summary_metadata.items()):
    if content.plugin_data.plugin_name == 'hparams':
        data = hparams.HParamsPluginData.FromString(content.plugin_data.content)
        started = data.session_start_info.hparams
        print(tag, {name: str(started[name]).strip() for name in sorted(started)} or str(data).split())
";

const EXPECT: &str = "\
loss [(10, 10.0, 2.5), (20, 20.0, 1.25)]
acc/top1 [(20, 20.0, 0.5)]
sheet [(20, 4, 2, 24)]
_hparams_/experiment ['experiment', '{', 'hparam_infos', '{', 'name:', '\"lr\"', 'type:', 'DATA_TYPE_FLOAT64', '}', 'hparam_infos', '{', 'name:', '\"nesterov\"', 'type:', 'DATA_TYPE_BOOL', '}', 'hparam_infos', '{', 'name:', '\"optimizer\"', 'type:', 'DATA_TYPE_STRING', '}', 'metric_infos', '{', 'name', '{', 'tag:', '\"acc/top1\"', '}', '}', '}']
_hparams_/session_end_info ['session_end_info', '{', 'status:', 'STATUS_SUCCESS', '}']
_hparams_/session_start_info {'lr': 'number_value: 0.1', 'nesterov': 'bool_value: true', 'optimizer': 'string_value: \"SGD\"'}
";

#[test]
fn tensorboard_reads_scalars_images_and_hyper_parameters() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join(format!("{FILE_PREFIX}0"));
    let file = BufWriter::new(File::create(path).expect("a file"));
    let mut events = EventWriter::new(file).expect("written");
    let parameters = BTreeMap::from([
        ("lr".to_owned(), HyperParameter::Number(0.1)),
        ("optimizer".to_owned(), HyperParameter::Text("SGD".into())),
        ("nesterov".to_owned(), HyperParameter::Flag(true)),
    ]);
    events.hyper_parameters(&parameters, &["acc/top1"]).expect("written");
    events.scalar("loss", 10, 2.5).expect("written");
    events.scalar("loss", 20, 1.25).expect("written");
    events.scalar("acc/top1", 20, 0.5).expect("written");
    let png = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\0\x04\0\0\0\x02";
    events.image("sheet", 20, png).expect("written");
    assert!(events.image("sheet", 20, b"GIF89a").is_err());
    events.finish().expect("written");
    if let Some(found) = pipe_testkit::python("tensorboard", SCRIPT, folder.path()) {
        assert_eq!(found, EXPECT);
    }
}
