//! The parts of the stage, and the fields of their keys.

use pipe_schemas::stages::frames::FramesParams;
use pipe_schemas::tables::VideoRow;
use pipe_stage::protocol::PlannedPart;
use pipe_stage::{bucket, content_of, json_fields};
use serde_json::json;
use std::collections::BTreeMap;

/// Groups videos by the name of their part, in their order.
pub(crate) fn by_part(videos: &[VideoRow], buckets: u32) -> BTreeMap<String, Vec<&VideoRow>> {
    let mut sorted: BTreeMap<String, Vec<&VideoRow>> = BTreeMap::new();
    for video in videos {
        sorted.entry(format!("{:05}", bucket(&video.video_id, buckets))).or_default().push(video);
    }
    sorted
}

/// Returns the file name of a part's shard.
pub(crate) fn shard_name(part: &str) -> String {
    format!("shard-{part}.parquet")
}

/// Returns the parts; the table in the crate's documentation lists what their keys contain.
pub(crate) fn parts(videos: &[VideoRow], params: &FramesParams) -> Vec<PlannedPart> {
    let FramesParams { sample, resize, square_pixels, encode, limits, buckets, on_error: _ } = params;
    let with = json!({
        "sample": sample, "resize": resize, "square_pixels": square_pixels, "encode": encode, "limits": limits,
    });
    let part = |(name, videos): (String, Vec<&VideoRow>)| {
        let mut fields = vec![(vec!["bucket".to_owned()], name.clone())];
        fields.extend(json_fields(&["with"], &with));
        let items = videos.into_iter().map(|video| (video.video_id.clone(), content_of(&video.digest, &video.path)));
        PlannedPart { name, fields, items: items.collect() }
    };
    by_part(videos, *buckets).into_iter().map(part).collect()
}
