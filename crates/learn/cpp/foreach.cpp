// Operations of libtorch on lists of tensors, which `tch` does not offer: one call for all weights of a network. `src/foreach.rs` is the
// only caller.

#include "errors.h"
#include <ATen/ATen.h>
#include <vector>

extern "C" {

struct TensorList {
  const at::Tensor* const* tensors;
  size_t len;
};

} // extern "C"

namespace {

std::vector<at::Tensor> of(TensorList list) {
  std::vector<at::Tensor> tensors;
  tensors.reserve(list.len);
  for (size_t at = 0; at < list.len; ++at) {
    tensors.push_back(*list.tensors[at]);
  }
  return tensors;
}

} // namespace

extern "C" {

// Returns a new tensor: the p-norm of each tensor. There must be at least one.
at::Tensor* pipe_foreach_norm(TensorList tensors, double p) {
  return guarded<at::Tensor*>(nullptr, [&] { return new at::Tensor(at::stack(at::_foreach_norm(of(tensors), p))); });
}

int pipe_foreach_mul(TensorList tensors, const at::Tensor* factor) {
  return guarded<int>(-1, [&] {
    at::_foreach_mul_(of(tensors), *factor);
    return 0;
  });
}

// The lists have the same length; that of `buffers` is 0 without momentum.
int pipe_fused_sgd(
    TensorList weights,
    TensorList gradients,
    TensorList buffers,
    double lr,
    double weight_decay,
    double momentum,
    double dampening,
    int nesterov,
    int is_first_step) {
  return guarded<int>(-1, [&] {
    at::_fused_sgd_(
        of(weights), of(gradients), of(buffers), weight_decay, momentum, lr, dampening, nesterov != 0, /*maximize=*/false,
        is_first_step != 0);
    return 0;
  });
}

// The lists have the same length; that of `maxima` is 0 without AMSGrad.
int pipe_fused_adam(
    TensorList weights,
    TensorList gradients,
    TensorList averages,
    TensorList squares,
    TensorList maxima,
    double step,
    double lr,
    double beta1,
    double beta2,
    double eps,
    double weight_decay,
    int is_decoupled) {
  return guarded<int>(-1, [&] {
    const auto tensors = of(weights);
    const auto steps = at::full({}, step, tensors.at(0).options().dtype(at::kFloat).requires_grad(false));
    const auto update = [&](auto change) {
      change(
          tensors, of(gradients), of(averages), of(squares), of(maxima), std::vector<at::Tensor>(tensors.size(), steps), lr,
          beta1, beta2, weight_decay, eps, /*amsgrad=*/maxima.len > 0, /*maximize=*/false);
    };
    if (is_decoupled != 0) {
      update([](auto&&... args) { at::_fused_adamw_(args...); });
    } else {
      update([](auto&&... args) { at::_fused_adam_(args...); });
    }
    return 0;
  });
}

} // extern "C"
