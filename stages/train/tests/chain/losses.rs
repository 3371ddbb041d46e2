//! Losses and precisions that do not fit the classes or the machine.

use super::*;

#[test]
fn losses_and_precision_fit_the_classes_and_the_machine() {
    let space = Space::new();
    let check = |change: &dyn Fn(&mut TrainParams), expect: &str| {
        let mut params = params(1, 0);
        change(&mut params);
        assert_eq!(space.bench(&params).plan().expect_err("an error").chain(), [expect]);
    };
    check(
        &|params| params.model.cls_head.loss_cls = Some(weighted(vec![1.0, 2.0, 3.0])),
        "`model.cls_head.loss_cls.class_weight` has 3 values, but there are 2 classes",
    );
    check(
        &|params| {
            params.optim_wrapper.wrapper = WrapperType::AmpOptimWrapper;
            params.optim_wrapper.dtype = Some(AmpDtype::Float16);
        },
        "training in float16 is not possible here: it needs a GPU, and training runs on the processor",
    );
}
