use super::*;
use crate::list::Segment;
use pipe_schemas::stages::augment::{
    Blend, Blending, CenterCrop, Flip, RandomCrop, RandomResizedCrop, Resize, Sampler, Scale, ThreeCrop, Transform,
};
use pipe_schemas::tables::FrameIndexRow;

fn frames(video_id: &str, num_frames: u32) -> FrameIndexRow {
    FrameIndexRow {
        video_id: video_id.into(),
        shard: "s".into(),
        row_group: 0,
        num_frames,
        width_px: 341,
        height_px: 256,
        fps: 25.0,
    }
}

fn video(frames: &FrameIndexRow, class_index: u32) -> Video<'_> {
    Video { frames, segment: None, class_indices: vec![class_index] }
}

fn pipeline(clip_len: u32, num_clips: u32, transforms: Vec<Transform>) -> ClipPipeline {
    ClipPipeline { sampler: Sampler::frames(clip_len, 1, num_clips), transforms }
}

fn params(train: &ClipPipeline) -> AugmentParams {
    AugmentParams { seed: 3, train: train.clone(), ..Default::default() }
}

fn random() -> Vec<Transform> {
    vec![RandomCrop { size: 224 }.into(), Flip::default().into()]
}

fn epoch_of(pipeline: &ClipPipeline, videos: &[Video<'_>]) -> Vec<SampleRow> {
    train_epoch(&params(pipeline), videos, 0).expect("drawn").rows
}

fn epoch(pipeline: &ClipPipeline, index: &[FrameIndexRow], epoch: u32) -> Vec<SampleRow> {
    let videos: Vec<_> = index.iter().map(|frames| video(frames, 0)).collect();
    train_epoch(&params(pipeline), &videos, epoch).expect("drawn").rows
}

#[test]
fn each_clip_of_a_video_is_a_row() {
    let index = [frames("a", 100), frames("b", 90)];
    let segments = epoch(&pipeline(1, 8, random()), &index, 0);
    assert_eq!(segments.len(), 2);
    assert!(segments.iter().all(|row| row.frame_indices.len() == 8 && row.view == 0));
    let clips = epoch(&pipeline(16, 3, random()), &index, 0);
    assert_eq!(clips.len(), 6);
    assert!(clips.iter().all(|row| row.frame_indices.len() == 16));
    assert_eq!(clips.iter().map(|row| row.position).collect::<Vec<_>>(), (0..6).collect::<Vec<_>>());
    let mut views: Vec<_> = clips.iter().map(|row| (row.video_id.as_str(), row.view)).collect();
    views.sort_unstable();
    assert_eq!(views, [("a", 0), ("a", 1), ("a", 2), ("b", 0), ("b", 1), ("b", 2)]);
}

#[test]
fn rows_do_not_depend_on_other_videos() {
    let index: Vec<_> = (0..40).map(|video| frames(&format!("v{video:02}"), 50 + video)).collect();
    let pipeline = pipeline(4, 2, random());
    let all = epoch(&pipeline, &index, 5);
    let some: Vec<_> = index.iter().step_by(3).cloned().collect();
    let some_rows = epoch(&pipeline, &some, 5);
    let names: Vec<_> = some.iter().map(|row| &row.video_id).collect();
    // Even the order of two videos stays.
    let mut left: Vec<SampleRow> = all.into_iter().filter(|row| names.contains(&&row.video_id)).collect();
    number(&mut left);
    assert_eq!(left, some_rows);
}

/// A segment is drawn from as a video of its frames would be; another segment, or the whole video, is another sample.
#[test]
fn a_segment_is_a_video_of_its_own() {
    let whole = frames("v", 100);
    let cut = |start: u32, end: u32| {
        let (start_secs, end_secs) = (f64::from(start) / 25.0, f64::from(end) / 25.0);
        Video { segment: Some(Segment { start_secs, end_secs, frames: start..end }), ..video(&whole, 0) }
    };
    let videos = [video(&whole, 0), cut(10, 40), cut(60, 90), cut(95, 97)];
    let params = params(&pipeline(8, 3, random()));
    let rows = train_epoch(&params, &videos, 2).expect("drawn").rows;
    assert_eq!(rows.len(), 12);
    for video in &videos {
        let trimmed_frames =
            FrameIndexRow { video_id: video.name(), num_frames: video.frame_range().len() as u32, ..whole.clone() };
        let trimmed = train_epoch(&params, &[super::tests::video(&trimmed_frames, 0)], 2).expect("drawn").rows;
        let trimmed_test = test_rows(&params.train, &[super::tests::video(&trimmed_frames, 0)]);
        let test = test_rows(&params.train, std::slice::from_ref(video));
        let found: Vec<&SampleRow> = rows.iter().filter(|row| of(row, video)).collect();
        assert_eq!(found.len(), 3);
        let first = video.frame_range().start;
        for (row, like) in found.into_iter().zip(&trimmed) {
            let indices: Vec<u32> = like.frame_indices.iter().map(|index| index + first).collect();
            assert_eq!((&row.frame_indices, row.crop_x, row.view), (&indices, like.crop_x, like.view));
            assert!(row.frame_indices.iter().all(|index| video.frame_range().contains(index)), "{row:?}");
            assert_eq!(row.start_secs.zip(row.end_secs), video.times());
        }
        assert_eq!(test.expect("views").rows.len(), trimmed_test.expect("views").rows.len());
    }
}

#[test]
fn all_labels_of_a_mirrored_clip_are_mapped() {
    let index = [frames("a", 50)];
    let videos = [Video { class_indices: vec![1, 4, 5], ..video(&index[0], 0) }];
    let flip = |flip_ratio| {
        let flip_label_map = [("4".to_owned(), 0), ("1".to_owned(), 7)].into();
        vec![RandomCrop { size: 224 }.into(), Flip { flip_ratio, flip_label_map }.into()]
    };
    let drawn = |flip_ratio| epoch_of(&pipeline(8, 1, flip(flip_ratio)), &videos);
    let (plain, mirrored) = (drawn(0.0), drawn(1.0));
    assert_eq!(plain[0].class_indices().collect::<Vec<_>>(), [1, 4, 5]);
    assert_eq!(mirrored[0].class_indices().collect::<Vec<_>>(), [0, 5, 7]);
    // Labels change nothing else.
    let alone = epoch_of(&pipeline(8, 1, flip(0.0)), &[video(&index[0], 1)]);
    assert_eq!(SampleRow { more_class_indices: vec![4, 5], ..alone[0].clone() }, plain[0]);
}

#[test]
fn epochs_differ_in_order_and_draws() {
    let index: Vec<_> = (0..40).map(|video| frames(&format!("v{video:02}"), 80)).collect();
    let pipeline = pipeline(1, 8, random());
    let (zero, one) = (epoch(&pipeline, &index, 0), epoch(&pipeline, &index, 1));
    let order = |rows: &[SampleRow]| rows.iter().map(|row| row.video_id.clone()).collect::<Vec<_>>();
    assert_ne!(order(&zero), order(&one));
    assert!(!order(&zero).is_sorted());
    let by_video: BTreeMap<_, _> = one.iter().map(|row| (&row.video_id, row)).collect();
    let same = zero.iter().filter(|row| row.frame_indices == by_video[&row.video_id].frame_indices).count();
    assert!(same < 4, "{same} of 40 videos drew the same frames");
    assert_eq!(zero, epoch(&pipeline, &index, 0));
}

#[test]
fn a_video_may_come_again_with_draws_of_its_own() {
    let index = [frames("a", 100), frames("b", 90)];
    let videos: Vec<_> = index.iter().map(|frames| video(frames, 0)).collect();
    let mut params = params(&pipeline(8, 2, random()));
    let once = train_epoch(&params, &videos, 0).expect("drawn").rows;
    params.num_sample = 3;
    let rows = train_epoch(&params, &videos, 0).expect("drawn").rows;
    let mut views: Vec<_> = rows.iter().map(|row| (row.video_id.as_str(), row.view)).collect();
    views.sort_unstable();
    assert_eq!(views, ["a", "b"].map(|video| [0, 1, 2, 3, 4, 5].map(|view| (video, view))).concat());
    // The first time is as if there were no other.
    let draws = |rows: &[SampleRow]| -> BTreeMap<_, _> {
        let key = |row: &SampleRow| (row.video_id.clone(), row.view);
        rows.iter().filter(|row| row.view < 2).map(|row| (key(row), (row.crop_x, row.frame_indices[0]))).collect()
    };
    assert_eq!(draws(&once), draws(&rows));
    let distinct: std::collections::BTreeSet<_> =
        rows.iter().map(|row| (&row.video_id, row.crop_x.to_bits(), &row.frame_indices)).collect();
    assert_eq!(distinct.len(), 12);
}

#[test]
fn balanced_epochs_show_all_classes_equally_often() {
    let index: Vec<_> = (0..40).map(|video| frames(&format!("v{video:02}"), 80)).collect();
    // 34 videos of class 0, 4 of class 1, 2 of class 5.
    let class = |place| [0, 1, 5][usize::from(place >= 34) + usize::from(place >= 38)];
    let videos: Vec<_> = index.iter().enumerate().map(|(place, frames)| video(frames, class(place))).collect();
    let params = AugmentParams { epoch_videos: EpochVideos::ClassBalanced, ..params(&pipeline(1, 8, random())) };
    let mut shown = std::collections::BTreeSet::new();
    for epoch in 0..12 {
        let rows = train_epoch(&params, &videos, epoch).expect("drawn").rows;
        assert_eq!(rows.len(), 40);
        let count = |class_index| rows.iter().filter(|row| row.class_index == class_index).count();
        let mut counts = [count(0), count(1), count(5)];
        counts.sort_unstable();
        assert_eq!(counts, [13, 13, 14]);
        let mut of_two: Vec<_> = rows.iter().filter(|row| row.class_index == 5).map(|row| row.view).collect();
        of_two.sort_unstable();
        assert!(of_two[..12] == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5], "{of_two:?}");
        shown.extend(rows.into_iter().map(|row| row.video_id));
    }
    assert_eq!(shown.len(), 40);
}

#[test]
fn batches_are_blended_within_themselves() {
    let index: Vec<_> = (0..30).map(|video| frames(&format!("v{video:02}"), 80)).collect();
    let videos: Vec<_> = index.iter().map(|frames| video(frames, 0)).collect();
    let (mixup, cutmix) = (Blend::MixupBlending { alpha: 0.8 }, Blend::CutmixBlending { alpha: 1.0 });
    let blending = |augments: &[Blend], probs: &[f64]| {
        let blending = Blending { batch_size: 8, augments: augments.to_vec(), probs: probs.to_vec() };
        AugmentParams { blending: Some(blending), ..params(&pipeline(1, 8, random())) }
    };
    for epoch in 0..20 {
        let rows = train_epoch(&blending(&[mixup, cutmix], &[]), &videos, epoch).expect("drawn").rows;
        for (batch, rows) in rows.chunks(8).enumerate() {
            let first = 8 * batch as u32;
            let mixed: Vec<_> = rows.iter().filter(|row| row.mix_position.is_some()).collect();
            for row in &mixed {
                let partner = row.mix_position.expect("mixed");
                assert!(partner != row.position && (first..first + rows.len() as u32).contains(&partner));
                assert!(row.mix_share > 0.0 && row.mix_share <= 1.0);
                assert_eq!((row.mix_share, &row.mix_box), (mixed[0].mix_share, &mixed[0].mix_box));
                if let [left, top, width, height] = row.mix_box[..] {
                    assert!(left + width <= 224 && top + height <= 224);
                    let share = f64::from(width * height) / (224.0 * 224.0);
                    assert!((share - f64::from(row.mix_share)).abs() < 1e-6);
                }
            }
        }
    }
    let rows = train_epoch(&blending(&[mixup], &[0.0]), &videos, 0).expect("drawn").rows;
    assert!(rows.iter().all(|row| row.mix_position.is_none() && row.mix_share == 0.0 && row.mix_box.is_empty()));
}

#[test]
fn test_views_are_numbered_crop_by_crop() {
    let index = [frames("a", 64), frames("b", 64)];
    let videos: Vec<_> = index.iter().map(|frames| video(frames, 7)).collect();
    let pipeline = pipeline(8, 2, vec![ThreeCrop { crop_size: 256 }.into()]);
    let drawn = test_rows(&pipeline, &videos).expect("views");
    assert_eq!(drawn.size.map(|size| size.width_height), Some((256, 256)));
    let first: Vec<_> =
        drawn.rows.iter().take(6).map(|row| (row.view, row.frame_indices[0], row.crop_x as u32)).collect();
    assert_eq!(first, [(0, 0, 0), (1, 56, 0), (2, 0, 84), (3, 56, 84), (4, 0, 42), (5, 56, 42)]);
    let places: Vec<_> = drawn.rows.iter().map(|row| (row.epoch, row.position, row.class_index)).collect();
    assert_eq!(places, (0..12).map(|position| (0, position, 7)).collect::<Vec<_>>());
    assert_eq!((drawn.rows[6].video_id.as_str(), drawn.rows[6].view), ("b", 0));
}

#[test]
fn a_pipeline_without_a_last_size_is_refused() {
    let index = [frames("a", 64), frames("b", 64), frames("c", 64)];
    let videos: Vec<_> = index.iter().map(|frames| video(frames, 0)).collect();
    let crop: Transform = RandomResizedCrop { area_range: [0.08, 1.0], aspect_ratio_range: [0.75, 1.33] }.into();
    let error = train_epoch(&params(&pipeline(1, 8, vec![crop.clone()])), &videos, 0).expect_err("mixed");
    assert!(error.to_string().starts_with("clips differ in size: train clips of `a` have "), "{error}");
    let whole = vec![crop, Resize { scale: Scale::Exact([224, 200]) }.into()];
    let drawn = train_epoch(&params(&pipeline(1, 8, whole)), &videos, 0).expect("one size");
    assert_eq!(drawn.size.map(|size| size.width_height), Some((224, 200)));
}

#[test]
fn what_does_not_fit_is_named() {
    let index = [frames("a", 64), frames("empty", 0)];
    let videos: Vec<_> = index.iter().map(|frames| video(frames, 0)).collect();
    let error = test_rows(&pipeline(1, 8, vec![]), &videos).expect_err("no frames");
    assert!(matches!(&error, AugmentError::Draw { part: "test", source: ClipError::Video { video_id, .. } }
        if video_id == "empty"));
    let large = pipeline(1, 8, vec![CenterCrop { crop_size: 300 }.into()]);
    assert!(train_epoch(&params(&large), &videos, 0).is_err());
}
