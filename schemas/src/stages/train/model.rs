//! The parameters of the network, as far as they determine an epoch. The types are in [`crate::networks`].

use super::epoch_fields::{EpochContext, EpochFields, json, object};
use crate::networks::{ClsHead, ModelParams};
use serde_json::{Map, Value};

impl EpochFields for ModelParams {
    fn epoch_fields(&self, context: EpochContext) -> Map<String, Value> {
        let Self { backbone, cls_head, data_preprocessor } = self;
        object([
            ("backbone", json(backbone)),
            ("cls_head", cls_head.epoch_fields(context).into()),
            ("data_preprocessor", json(data_preprocessor)),
        ])
    }
}

impl EpochFields for ClsHead {
    fn epoch_fields(&self, context: EpochContext) -> Map<String, Value> {
        // `num_classes` only checks the number of classes in the labels. The loss is a field that the stage adds, because it
        // depends on the labels where `loss_cls` is not given.
        let Self { num_classes: _, loss_cls: _, dropout_ratio, init_std, average_clips, label_smooth_eps } = self;
        let mut fields = object([("dropout_ratio", json(dropout_ratio)), ("init_std", json(init_std))]);
        if *label_smooth_eps > 0.0 {
            fields.insert("label_smooth_eps".into(), json(label_smooth_eps));
        }
        if context.validated {
            fields.insert("average_clips".into(), json(average_clips));
        }
        fields
    }
}
