// Batch normalisation in training together with what follows it: a residual sum and an activation. libtorch computes them one after the
// other, and reads or writes each value 14 times on the way forward and back, and 17 times with a residual sum; here it is 8 and 11
// times. `src/batch_norm.rs` is the only caller.
//
// Parts of a tensor have the same size whatever the number of threads, so that the result does not depend on it.

#include "errors.h"
#include "rows.h"
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>
#include <algorithm>
#include <optional>
#include <vector>

#if defined(__GNUC__) && !defined(__clang__) && !defined(INTRA_OP_PARALLEL)
#error "compile with -fopenmp; without it, at::parallel_for is a plain loop"
#endif

namespace {

// So many values fit into the cache of a core, with those of another tensor.
constexpr int64_t PART_VALUES = 16384;
// Sums of parts take memory too.
constexpr int64_t MIN_PART_ROWS = 32;
// Sums in 32 bits of more rows would lose digits.
constexpr int64_t MAX_PART_ROWS = 512;

at::MemoryFormat channels_last(const at::Tensor& x) {
  return x.dim() == 4 ? at::MemoryFormat::ChannelsLast : at::MemoryFormat::ChannelsLast3d;
}

// A tensor as rows of channels.
struct Rows {
  explicit Rows(const at::Tensor& x) : size{x.numel() / x.size(1), x.size(1)} {
    part = std::clamp(PART_VALUES / size.channels, MIN_PART_ROWS, MAX_PART_ROWS);
    parts = (size.rows + part - 1) / part;
  }

  // Calls `work(part, first value, size)` for each part.
  template <typename F>
  void for_each_part(F work) const {
    at::parallel_for(0, parts, 1, [&](int64_t from, int64_t to) {
      for (int64_t at = from; at < to; ++at) {
        const int64_t row = at * part;
        work(at, row * size.channels, rows::Size{std::min(part, size.rows - row), size.channels});
      }
    });
  }

  rows::Size size;
  int64_t part, parts;
};

at::Tensor floats(at::IntArrayRef shape) {
  return at::empty(shape, at::TensorOptions().dtype(at::kFloat));
}

const float* data(const at::Tensor& x) {
  return x.const_data_ptr<float>();
}

// Calls `work` with a null pointer of the kind of numbers in `x`.
template <typename F>
void for_kind_of(const at::Tensor& x, F work) {
  if (x.scalar_type() == at::kBFloat16) {
    work(static_cast<rows::Bfloat16*>(nullptr));
  } else {
    work(static_cast<float*>(nullptr));
  }
}

template <typename T>
const T* values(const at::Tensor& x) {
  return x.defined() ? static_cast<const T*>(x.const_data_ptr()) : nullptr;
}

template <typename T>
T* mutable_values(const at::Tensor& x) {
  return x.defined() ? static_cast<T*>(x.mutable_data_ptr()) : nullptr;
}

template <typename T>
T* from(T* first, int64_t offset) {
  return first == nullptr ? nullptr : first + offset;
}

struct Moments {
  at::Tensor mean, square;
};

// The mean of each channel, and the sum of the squared differences from it, in 64 bits.
Moments moments(const Rows& rows, const at::Tensor& x) {
  const auto channels = rows.size.channels;
  const auto means = floats({rows.parts, channels}), squares = floats({rows.parts, channels});
  for_kind_of(x, [&](auto* kind) {
    using T = std::remove_pointer_t<decltype(kind)>;
    const auto* x_values = values<T>(x);
    auto *mean = means.mutable_data_ptr<float>(), *square = squares.mutable_data_ptr<float>();
    rows.for_each_part([&](int64_t part, int64_t first, rows::Size size) {
      rows::moments(size, x_values + first, mean + part * channels, square + part * channels);
    });
  });
  auto mean = at::empty({channels}, at::TensorOptions().dtype(at::kDouble)), square = at::empty_like(mean);
  rows::combine_moments(
      rows.size, rows.part, data(means), data(squares), mean.mutable_data_ptr<double>(),
      square.mutable_data_ptr<double>());
  return {mean, square};
}

struct FusedBatchNorm : torch::autograd::Function<FusedBatchNorm> {
  static at::Tensor forward(
      torch::autograd::AutogradContext* context,
      const at::Tensor& x,
      const at::Tensor& weight,
      const at::Tensor& bias,
      const std::optional<at::Tensor>& residual,
      at::Tensor running_mean,
      at::Tensor running_var,
      double momentum,
      double eps,
      double low,
      double high) {
    const Rows rows(x);
    const auto count = static_cast<double>(rows.size.rows);
    const auto [wide_mean, square] = moments(rows, x);
    running_mean.mul_(1 - momentum).add_(wide_mean, momentum);
    running_var.mul_(1 - momentum).add_(square / (count - 1), momentum);
    const auto mean = wide_mean.to(at::kFloat);
    const auto invstd = (square / count + eps).rsqrt_().to(at::kFloat);
    const auto scale = invstd * weight, offset = bias.contiguous();
    const auto limits = rows::Limits{static_cast<float>(low), static_cast<float>(high)};
    const auto other = residual ? residual->contiguous(channels_last(x)) : at::Tensor();
    auto y = at::empty_like(x);
    for_kind_of(x, [&](auto* kind) {
      using T = std::remove_pointer_t<decltype(kind)>;
      const auto *x_values = values<T>(x), *others = values<T>(other);
      auto* y_values = mutable_values<T>(y);
      const rows::Affine affine{data(mean), data(scale), data(offset)};
      rows.for_each_part([&](int64_t, int64_t first, rows::Size size) {
        rows::normalise(size, x_values + first, from(others, first), affine, limits, y_values + first);
      });
    });
    // The backward pass finds out from `x` what passes the limits, but after a residual sum it needs the result.
    const bool needs_result = residual && low > rows::UNLIMITED.low;
    context->save_for_backward({x, needs_result ? y : at::Tensor(), mean, invstd, scale, offset});
    context->saved_data["low"] = low;
    context->saved_data["high"] = high;
    context->saved_data["has_residual"] = residual.has_value();
    return y;
  }

  static torch::autograd::tensor_list backward(
      torch::autograd::AutogradContext* context,
      torch::autograd::tensor_list gradients) {
    const auto saved = context->get_saved_variables();
    const auto &x = saved[0], &y = saved[1], &mean = saved[2], &invstd = saved[3];
    const rows::Affine affine{data(mean), data(saved[4]), data(saved[5])};
    rows::Limits limits{
        static_cast<float>(context->saved_data["low"].toDouble()),
        static_cast<float>(context->saved_data["high"].toDouble())};
    const bool has_residual = context->saved_data["has_residual"].toBool();
    const Rows rows(x);
    const auto channels = rows.size.channels;
    auto dy = gradients[0].contiguous(channels_last(x));
    // What passes the limits is the gradient of the residual, too.
    const auto passed = y.defined() ? at::empty_like(x) : at::Tensor();
    const auto of_gradient = floats({rows.parts, channels}), of_product = floats({rows.parts, channels});
    for_kind_of(x, [&](auto* kind) {
      using T = std::remove_pointer_t<decltype(kind)>;
      const auto *dy_values = values<T>(dy), *y_values = values<T>(y), *x_values = values<T>(x);
      auto* passed_values = mutable_values<T>(passed);
      auto *gradient = of_gradient.mutable_data_ptr<float>(), *product = of_product.mutable_data_ptr<float>();
      rows.for_each_part([&](int64_t part, int64_t first, rows::Size size) {
        const rows::GradientSums sums{gradient + part * channels, product + part * channels};
        const auto *of_y = dy_values + first, *of_x = x_values + first;
        if (y.defined()) {
          const rows::Residual<T> residual{y_values + first, passed_values + first};
          rows::gradient_sums_of_residual(size, of_y, of_x, affine, limits, sums, residual);
        } else {
          rows::gradient_sums(size, of_y, of_x, affine, limits, sums);
        }
      });
    });
    if (y.defined()) {
      dy = passed;
      limits = rows::UNLIMITED;
    }
    const auto sum = at::empty({2, channels}, at::TensorOptions().dtype(at::kDouble));
    rows::combine_sums(rows.parts, channels, data(of_gradient), sum[0].mutable_data_ptr<double>());
    rows::combine_sums(rows.parts, channels, data(of_product), sum[1].mutable_data_ptr<double>());
    const auto means = sum / static_cast<double>(rows.size.rows);
    const auto offset = means[0].to(at::kFloat), slope = (means[1] * invstd * invstd).to(at::kFloat);
    const auto dx = at::empty_like(x);
    for_kind_of(x, [&](auto* kind) {
      using T = std::remove_pointer_t<decltype(kind)>;
      const auto *dy_values = values<T>(dy), *x_values = values<T>(x);
      auto* dx_values = mutable_values<T>(dx);
      rows.for_each_part([&](int64_t, int64_t first, rows::Size size) {
        const rows::Means mean_gradients{data(offset), data(slope)};
        rows::gradient(size, dy_values + first, x_values + first, affine, limits, mean_gradients, dx_values + first);
      });
    });
    const at::Tensor none;
    const auto of_weight = (sum[1] * invstd).to(at::kFloat), of_bias = sum[0].to(at::kFloat);
    return {dx, of_weight, of_bias, has_residual ? dy : none, none, none, none, none, none, none};
  }
};

// Whether the loops are for such tensors.
bool is_supported(const at::Tensor& x, const at::Tensor& weight, const at::Tensor* residual) {
  return x.device().is_cpu() && (x.dim() == 4 || x.dim() == 5) && x.numel() > 0 &&
      (x.scalar_type() == at::kFloat || x.scalar_type() == at::kBFloat16) && weight.scalar_type() == at::kFloat &&
      x.is_contiguous(channels_last(x)) &&
      (residual == nullptr || (residual->sizes() == x.sizes() && residual->scalar_type() == x.scalar_type()));
}

} // namespace

extern "C" {

// Returns a new tensor: the normalised values plus `residual` unless it is null, between `low` and `high`. Stores null if the loops are
// not for such tensors.
int pipe_fused_batch_norm(
    const at::Tensor* x,
    const at::Tensor* weight,
    const at::Tensor* bias,
    const at::Tensor* residual,
    const at::Tensor* running_mean,
    const at::Tensor* running_var,
    double momentum,
    double eps,
    double low,
    double high,
    at::Tensor** result) {
  return guarded<int>(-1, [&] {
    *result = nullptr;
    if (is_supported(*x, *weight, residual)) {
      const auto other = residual == nullptr ? std::nullopt : std::make_optional(*residual);
      *result = new at::Tensor(FusedBatchNorm::apply(
          *x, *weight, *bias, other, *running_mean, *running_var, momentum, eps, low, high));
    }
    return 0;
  });
}

} // extern "C"
