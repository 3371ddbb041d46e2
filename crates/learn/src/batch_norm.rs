//! [`fused_batch_norm`]: the function of `cpp/batch_norm.cpp`, as safe Rust.

#![expect(unsafe_code, reason = "a function of C++")]

use crate::c10d::{BatchNormCall, check};
use std::ffi::{c_int, c_void};
use tch::{TchError, Tensor};

unsafe extern "C" {
    fn pipe_fused_batch_norm(
        x: *const c_void,
        weight: *const c_void,
        bias: *const c_void,
        residual: *const c_void,
        running_mean: *const c_void,
        running_var: *const c_void,
        momentum: f64,
        eps: f64,
        low: f64,
        high: f64,
        result: *mut *mut c_void,
    ) -> c_int;
}

/// What follows a batch normalisation.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tail<'a> {
    /// What is added to the normalised values.
    pub(crate) residual: Option<&'a Tensor>,
    /// The limits of the result.
    pub(crate) limits: [f64; 2],
}

impl Tail<'_> {
    pub(crate) const NOTHING: Self = Self { residual: None, limits: [f64::NEG_INFINITY, f64::INFINITY] };
}

/// Normalises with the statistics of the batch, updates the running ones, adds a residual and limits the result. Gradients flow through the
/// statistics too. Returns `None` for tensors that it does not compute with: it takes 32-bit floats and bfloat16 on the CPU whose channels
/// are next to each other in memory.
pub(crate) fn fused_batch_norm(call: BatchNormCall<'_>, tail: Tail<'_>) -> Result<Option<Tensor>, TchError> {
    let BatchNormCall { x, weight, bias, running_mean, running_var, momentum, eps, contributes: _ } = call;
    let pointer = |tensor: &Tensor| tensor.as_ptr().cast::<c_void>();
    let residual = tail.residual.map_or(std::ptr::null(), pointer);
    let ([x, weight, bias, mean, var], [low, high]) =
        ([x, weight, bias, running_mean, running_var].map(pointer), tail.limits);
    let mut result = std::ptr::null_mut();
    // SAFETY: a tensor of `tch` is a pointer to one of libtorch, and all of them live until the call returns.
    check(unsafe {
        pipe_fused_batch_norm(x, weight, bias, residual, mean, var, momentum, eps, low, high, &raw mut result)
    })
    .map_err(TchError::Torch)?;
    // SAFETY: it is null or a new tensor, which nothing else owns.
    Ok((!result.is_null()).then(|| unsafe { Tensor::from_ptr(result.cast()) }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::use_threads;
    use tch::{Device, Kind};

    /// The shapes have channels that fill no register, several parts of rows, and a last part that is shorter.
    const SHAPES: [&[i64]; 5] =
        [&[2, 3, 5, 7], &[2, 24, 40, 30], &[1, 100, 3, 20, 19], &[3, 1, 2, 9, 9], &[40, 600, 1, 2]];
    const NAMES: [&str; 7] = ["result", "of x", "of weight", "of bias", "of residual", "running mean", "running var"];

    /// The operands of one call. They are drawn with means far from 0, so that sums of squares would lose digits.
    fn operands(shape: &[i64], kind: Kind) -> [Tensor; 7] {
        tch::manual_seed(3);
        let draw = |shape: &[i64]| Tensor::randn(shape, (Kind::Float, Device::Cpu));
        let channels = [shape[1]];
        let format = |x: Tensor| to_channels_last(&x.to_kind(kind));
        let x = format(draw(shape) * 2.0 + 10.0);
        let (dy, residual) = (format(draw(shape)), format(draw(shape)));
        [x, draw(&channels) + 1.0, draw(&channels), residual, draw(&channels), draw(&channels).abs(), dy]
    }

    fn to_channels_last(x: &Tensor) -> Tensor {
        let inner: Vec<i64> = (2..x.dim() as i64).collect();
        let there: Vec<i64> = [vec![0], inner, vec![1]].concat();
        let back: Vec<i64> = [vec![0, x.dim() as i64 - 1], (1..x.dim() as i64 - 1).collect()].concat();
        x.permute(there).contiguous().permute(back)
    }

    /// Returns what [`NAMES`] says, in 64 bits. `fused` is `None` for libtorch's ops.
    fn results(operands: &[Tensor; 7], with_residual: bool, limits: [f64; 2], is_fused: bool) -> Vec<Tensor> {
        let [x, weight, bias, residual, running_mean, running_var, dy] =
            operands.each_ref().map(|operand| if is_fused { operand.copy() } else { operand.to_kind(Kind::Double) });
        let [x, weight, bias, residual] = [x, weight, bias, residual].map(|tensor| tensor.set_requires_grad(true));
        let y = if is_fused {
            let call = BatchNormCall {
                x: &x,
                weight: &weight,
                bias: &bias,
                running_mean: &running_mean,
                running_var: &running_var,
                momentum: 0.1,
                eps: 1e-5,
                contributes: true,
            };
            let tail = Tail { residual: with_residual.then_some(&residual), limits };
            fused_batch_norm(call, tail).expect("it computes").expect("the tensors are supported")
        } else {
            let (weight, bias) = (Some(&weight), Some(&bias));
            let y = x.batch_norm(weight, bias, Some(&running_mean), Some(&running_var), true, 0.1, 1e-5, false);
            let y = if with_residual { y + &residual } else { y };
            match limits {
                [0.0, 6.0] => y.relu6(),
                [0.0, _] => y.relu(),
                _ => y,
            }
        };
        (&y * dy).sum(None).backward();
        let of_residual = if with_residual { residual.grad() } else { residual.zeros_like() };
        let all = [y.detach(), x.grad(), weight.grad(), bias.grad(), of_residual, running_mean, running_var];
        all.into_iter().map(|tensor| tensor.to_kind(Kind::Double)).collect()
    }

    #[test]
    fn it_computes_what_libtorch_computes_in_64_bits() {
        use_threads(2);
        for (kind, tolerance, share_at_limits) in [(Kind::Float, 1e-4, 0.002), (Kind::BFloat16, 0.06, 0.05)] {
            for shape in SHAPES {
                for (is_limited, limits) in
                    [(false, Tail::NOTHING.limits), (true, [0.0, f64::INFINITY]), (true, [0.0, 6.0])]
                {
                    for with_residual in [false, true] {
                        let operands = operands(shape, kind);
                        let found = results(&operands, with_residual, limits, true);
                        let expected = results(&operands, with_residual, limits, false);
                        for ((name, found), expected) in NAMES.iter().zip(&found).zip(&expected) {
                            // A value next to a limit may be on either side of it in 32 bits, and then its gradient is another one.
                            let far = (found - expected)
                                .abs()
                                .gt(tolerance * expected.abs().max().double_value(&[]).max(1.0));
                            let share = far.to_kind(Kind::Double).mean(Kind::Double).double_value(&[]);
                            let may_differ = if name.starts_with("of ") && is_limited { share_at_limits } else { 0.0 };
                            assert!(
                                share <= may_differ,
                                "{name} of {shape:?} {kind:?} {limits:?} {with_residual}: {share}"
                            );
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn the_result_does_not_depend_on_the_number_of_threads() {
        let operands = operands(SHAPES[1], Kind::Float);
        let of_threads = [1, 2, 5].map(|threads| {
            use_threads(threads);
            results(&operands, true, [0.0, 6.0], true)
        });
        for other in &of_threads[1..] {
            assert!(of_threads[0].iter().zip(other).all(|(left, right)| left.equal(right)));
        }
    }

    /// A background that does not change has no noise for an activation to cut at.
    #[test]
    fn equal_values_have_their_mean() {
        let [x, weight, _, residual, mean, var, dy] = operands(&[2, 24, 40, 30], Kind::Float);
        let x = to_channels_last(&x.mean_dim([0, 2, 3].as_slice(), true, Kind::Float).expand_as(&x));
        let bias = Tensor::zeros([24], (Kind::Float, Device::Cpu));
        let found = results(&[x, weight, bias, residual, mean, var, dy], false, Tail::NOTHING.limits, true);
        assert_eq!(found[0].not_equal(0.0).any().int64_value(&[]), 0);
    }

    #[test]
    fn a_value_that_is_not_a_number_stays_one() {
        for kind in [Kind::Float, Kind::BFloat16] {
            let operands = operands(SHAPES[0], kind);
            let _ = operands[0].get(0).get(1).fill_(f64::NAN);
            let found = results(&operands, false, [0.0, 6.0], true);
            let expected = results(&operands, false, [0.0, 6.0], false);
            for name in [0, 1] {
                assert!(found[name].isnan().equal(&expected[name].isnan()), "{} {kind:?}", NAMES[name]);
            }
        }
    }

    #[test]
    fn other_tensors_are_left_to_libtorch() {
        let is_supported = |change: &dyn Fn(&Tensor) -> Tensor| {
            let [x, weight, bias, residual, mean, var, _] = operands(SHAPES[0], Kind::Float);
            let x = change(&x);
            let (weight, bias, running_mean, running_var) = (&weight, &bias, &mean, &var);
            let call = BatchNormCall {
                x: &x,
                weight,
                bias,
                running_mean,
                running_var,
                momentum: 0.1,
                eps: 1e-5,
                contributes: true,
            };
            let tail = Tail { residual: Some(&residual), ..Tail::NOTHING };
            fused_batch_norm(call, tail).expect("no error").is_some()
        };
        assert!(is_supported(&Tensor::shallow_clone));
        assert!(!is_supported(&Tensor::contiguous));
        assert!(!is_supported(&|x| x.to_kind(Kind::Double)));
        assert!(!is_supported(&|x| x.to_kind(Kind::BFloat16)), "the residual has another kind");
        assert!(!is_supported(&|x| to_channels_last(&x.slice(3, 0, 6, 1))), "the residual has another shape");
        assert!(!is_supported(&|x| x.empty_like().to_device(Device::Cpu).reshape([2, 3, 35])));
    }
}
