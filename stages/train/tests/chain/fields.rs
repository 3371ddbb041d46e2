//! What is in the fields of an epoch, which determine whether it is trained again.

use super::*;

#[test]
fn what_fits_no_tensor_is_an_error_of_the_plan() {
    let space = Space::new();
    let check = |change: &dyn Fn(&mut TrainParams), expect: &str| {
        let mut params = params(2, 0);
        change(&mut params);
        assert_eq!(space.bench(&params).plan().expect_err("an error").chain(), [expect]);
    };
    check(
        &|params| params.freeze = Some(Freeze { patterns: vec!["layr1".into()], ..Freeze::default() }),
        "no layer or tensor of the network fits `layr1` in `freeze.patterns`; similar names are `layer1`, `layer2`, `layer3`",
    );
    check(
        &|params| {
            let custom_keys = [("bakbone.conv1".to_owned(), CustomKey::default())].into();
            params.optim_wrapper.paramwise_cfg = Some(ParamwiseCfg { custom_keys, ..ParamwiseCfg::default() });
        },
        "no tensor of the network has `bakbone.conv1` in its name, the key of `optim_wrapper.paramwise_cfg.custom_keys`; similar names are \
         `backbone.conv1`, `backbone.conv1.bn`, `backbone.conv1.conv`",
    );
}

#[test]
fn tensors_with_rates_of_their_own_are_in_the_fields_of_each_epoch() {
    let space = Space::new();
    let with = |params: &TrainParams| {
        let mut params = params.clone();
        params.optim_wrapper.paramwise_cfg = Some(half_rate_of_the_backbone());
        params
    };
    let others = |part: &PlannedPart| part.fields.iter().filter(|(path, _)| path[0] == "lr_of_other_tensors").count();
    let plan = space.plan(&with(&params(3, 0)));
    assert_eq!(plan.iter().map(others).collect::<Vec<_>>(), [1, 1, 1]);
    assert!(space.plan(&params(3, 0)).iter().all(|part| others(part) == 0));
    let later =
        |params: TrainParams| TrainParams { param_scheduler: vec![params.param_scheduler[0].clone()], ..params };
    assert_eq!(same(&plan, &space.plan(&with(&later(params(3, 0))))), [0, 1, 2]);
}

#[test]
fn more_epochs_continue_from_fewer() {
    let space = Space::new();
    for val_interval in [0, 1, 3] {
        let (fewer, more) = (params(5, val_interval), params(8, val_interval));
        assert_eq!(same(&space.plan(&fewer), &space.plan(&more)), [0, 1, 2, 3, 4], "interval {val_interval}");
    }
    assert_eq!(space.plan(&params(8, 0)).len(), 8);
}

#[test]
fn a_later_milestone_keeps_the_epochs_before_the_earlier_one() {
    let space = Space::new();
    let old = params(8, 0);
    let moved = |milestone| TrainParams {
        param_scheduler: vec![old.param_scheduler[0].clone(), multi_step(milestone)],
        ..old.clone()
    };
    // From the epoch of the earlier milestone on, the chain is another one, whatever the fields of its last links.
    assert_eq!(same(&space.plan(&old), &space.plan(&moved(6))), [0, 1, 2, 3, 6, 7]);
    assert_eq!(same(&space.plan(&old), &space.plan(&moved(3))), [0, 1, 2, 4, 5, 6, 7]);
}

#[test]
fn parameters_that_do_not_affect_an_epoch_are_not_in_its_fields() {
    let space = Space::new();
    let old = params(4, 2);
    let plan = space.plan(&old);
    let check = |change: &dyn Fn(&mut TrainParams), expect: &[usize]| {
        let mut new = old.clone();
        change(&mut new);
        assert_eq!(same(&plan, &space.plan(&new)), expect);
    };
    check(&|params| params.model.cls_head.num_classes = Some(2), &[0, 1, 2, 3]);
    check(&|params| params.model.cls_head.average_clips = AverageClips::Score, &[0, 2]);
    check(&|params| params.train_cfg.val_interval = 4, &[0, 2, 3]);
    check(&|params| params.seed = 1, &[]);
    check(&|params| params.model.data_preprocessor.mean[0] = 0.0, &[]);
    check(&|params| params.train_dataloader.batch_size = 4, &[]);
    check(&|params| params.optim_wrapper.clip_grad = Some(ClipGrad::max_norm(1.0)), &[]);
    check(&|params| params.optim_wrapper.accumulative_counts = 2, &[]);
    check(&|params| params.optim_wrapper.paramwise_cfg = Some(half_rate_of_the_backbone()), &[]);
    check(&|params| params.model.cls_head.label_smooth_eps = 0.1, &[]);
    check(&|params| params.model.cls_head.loss_cls = Some(weighted(vec![1.0, 2.0])), &[]);
    check(&|params| params.model.cls_head.loss_cls = Some(Loss::default_for(Labelling::SingleLabel)), &[0, 1, 2, 3]);
    check(&|params| params.ema = Some(Ema::default()), &[]);
    check(&|params| params.freeze = Some(Freeze { only_head: true, ..Freeze::default() }), &[]);
    check(&|params| params.model.backbone = frozen(1), &[]);
    write_samples(&space.path("samples"), |row| row.flip ^= row.epoch == 2);
    check(&|_| (), &[0, 1, 3]);
    // Names of classes go into the model alone.
    write_samples(&space.path("samples"), |_| ());
    let class = |class_index: u32| ClassRow { class_index, class_name: format!("renamed {class_index}") };
    SamplesFolder::open(space.path("samples")).write_classes(&[0, 1].map(class)).expect("written");
    check(&|_| (), &[0, 1, 2, 3]);
}

#[test]
fn learning_rates_of_steps_are_in_the_fields_where_they_change_within_an_epoch() {
    let space = Space::new();
    // An epoch has two steps.
    let warmup = |end: u32| TrainParams {
        param_scheduler: vec![scheduler(
            json!({ "type": "LinearLR", "end": end, "start_factor": 0.1, "by_epoch": false }),
        )],
        ..params(3, 0)
    };
    let plan = space.plan(&warmup(3));
    let names = |part: &PlannedPart| part.fields.iter().filter(|(path, _)| path[0] == "lr_of_steps").count();
    assert_eq!(plan.iter().map(names).collect::<Vec<_>>(), [1, 0, 0]);
    assert_eq!(same(&plan, &space.plan(&warmup(4))), [2]);
}

#[test]
fn schedules_that_read_a_metric_are_in_the_fields() {
    let space = Space::new();
    let plateau = |patience| TrainParams {
        param_scheduler: vec![Scheduler::ReduceOnPlateauLR(ReduceOnPlateauLr {
            patience,
            threshold: 0.99,
            ..ReduceOnPlateauLr::default()
        })],
        ..params(3, 1)
    };
    assert_eq!(same(&space.plan(&plateau(0)), &space.plan(&plateau(1))), [0; 0]);
    let made = space.train(&plateau(0), &[], 3, "plateau");
    space.assemble(&plateau(0), &made, "plateau-out");
    let rates: Vec<f64> = space.log("plateau-out").iter().map(|row| row.lr).collect();
    assert!((rates[0] - rates[1]).abs() < 1e-12, "the first validation is the best so far: {rates:?}");
    assert!(rates[2] < 0.2 * rates[1], "{rates:?}");
    // The rates follow from the logs of the epochs before.
    let continued = space.train(&plateau(0), &made[..2], 3, "continued");
    assert!(state(&continued[0]) == state(&made[2]));
}

/// If this fails on purpose, raise the contract's version where bytes change for equal fields.
#[test]
fn fields_of_an_epoch() {
    let space = Space::new();
    let part = space.plan(&params(2, 2)).pop().expect("an epoch");
    let fields = part.fields.iter().map(|(path, value)| format!("{}: {value}", path.join(".")));
    let mut found = fields.collect::<Vec<_>>();
    found.sort();
    let expect = [
        "epoch: 1",
        "graph: e455a7b6a2e04e51b191aee08c86cf9b1b4071a10d40ad9032a0b874aa9e48d3",
        "inputs.frames: f00d",
        "labelling: \"single_label\"",
        "loss.type: \"CrossEntropyLoss\"",
        "lr: 0.005",
        "rows: 78ad404fd6c7e077f1829e47a4eb0e8c10d3b469fc4769255f2cea75ff124f07",
        "test.frames: 2",
        "test.rows: 8583fe2a110334727b2d753bede16cce1892fa47e33ba1381ea0bc845b507fbd",
        "with.model.backbone.base_channels: 8",
        "with.model.backbone.depth: 18",
        "with.model.backbone.shift_div: 8",
        "with.model.backbone.type: \"ResNetTSM\"",
        "with.model.cls_head.average_clips: \"prob\"",
        "with.model.cls_head.dropout_ratio: 0.2",
        "with.model.cls_head.init_std: 0.01",
        "with.model.data_preprocessor.mean.0: 123.675",
        "with.model.data_preprocessor.mean.1: 116.28",
        "with.model.data_preprocessor.mean.2: 103.53",
        "with.model.data_preprocessor.std.0: 58.395",
        "with.model.data_preprocessor.std.1: 57.12",
        "with.model.data_preprocessor.std.2: 57.375",
        "with.optim_wrapper.clip_grad: null",
        "with.optim_wrapper.optimizer.momentum: 0.9",
        "with.optim_wrapper.optimizer.nesterov: false",
        "with.optim_wrapper.optimizer.type: \"SGD\"",
        "with.optim_wrapper.optimizer.weight_decay: 0.0001",
        "with.seed: 0",
        "with.train_dataloader.batch_size: 2",
    ];
    assert_eq!((CONTRACT.version, part.name.as_str(), part.items.len()), (10, "0001", 0));
    assert_eq!(found, expect);
}
