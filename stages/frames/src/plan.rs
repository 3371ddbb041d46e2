//! Which parts there are, and what decides each.

use pipe_schemas::stages::frames::FramesParams;
use pipe_schemas::tables::VideoRow;
use pipe_stage::json_fields;
use pipe_stage::protocol::PlannedPart;
use serde_json::json;
use std::collections::BTreeMap;
use std::path::Path;

/// Returns the bucket of a video.
pub(crate) fn bucket(video_id: &str, buckets: u32) -> u32 {
    let hash = blake3::hash(video_id.as_bytes());
    let (words, _) = hash.as_bytes().as_chunks::<8>();
    (u64::from_le_bytes(words[0]) % u64::from(buckets.max(1))) as u32
}

/// Sorts videos into buckets, by the names of their parts; within a bucket they keep their order.
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

/// Returns the parts; see the table in the crate's documentation.
pub(crate) fn parts(videos: &[VideoRow], params: &FramesParams) -> Vec<PlannedPart> {
    let FramesParams { sample, resize, encode, limits, buckets, on_error: _ } = params;
    let with = json!({ "sample": sample, "resize": resize, "encode": encode, "limits": limits });
    let part = |(name, videos): (String, Vec<&VideoRow>)| {
        let mut fields = vec![(vec!["bucket".to_owned()], name.clone())];
        fields.extend(json_fields(&["with"], &with));
        let items = videos.into_iter().map(|video| (video.video_id.clone(), decides(video)));
        PlannedPart { name, fields, items: items.collect() }
    };
    by_part(videos, *buckets).into_iter().map(part).collect()
}

/// Returns what of a video decides its frames: content, and the extension, from which FFmpeg guesses the container where
/// the content leaves a doubt.
fn decides(video: &VideoRow) -> String {
    let extension = Path::new(&video.path).extension().map(|extension| extension.to_string_lossy().into_owned());
    format!("{} {}", video.digest, extension.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_fixed_for_ever() {
        // BLAKE3 of the empty string begins af1349b9f5f9a1a6.
        assert_eq!(u64::from(bucket("", u32::MAX)), 0xa6a1_f9f5_b949_13af % u64::from(u32::MAX));
        assert_eq!(bucket("anything", 1), 0);
    }

    #[test]
    fn videos_spread_over_buckets() {
        let mut counts = [0; 8];
        (0..8000).for_each(|number| counts[bucket(&format!("v_{number}"), 8) as usize] += 1);
        assert!(counts.iter().all(|count| (850..1150).contains(count)), "{counts:?}");
    }
}
