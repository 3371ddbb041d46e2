// What `tch` does not offer of libtorch: process groups of c10d, batch normalisation over them, tensors on the device of another one, and
// loading the CUDA libraries. `src/c10d.rs` is the only caller.
//
// No exception leaves a function: it returns an error, and `pipe_error` has the text. Only members of Gloo that
// ProcessGroupGloo.hpp passes on are touched, because Gloo's own headers are stand-ins.

#define USE_C10D_GLOO 1
#include "errors.h"
#include <ATen/ATen.h>
#include <dlfcn.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

namespace {

struct Group {
  c10::intrusive_ptr<c10d::TCPStore> store;
  c10::intrusive_ptr<c10d::ProcessGroupGloo> processes;
  // How long a reduction may take.
  std::chrono::milliseconds timeout{0};
};

// Adds up the values of all processes, in place. Gloo works in the memory of the CPU.
void all_reduce(Group& group, at::Tensor& tensor) {
  at::Tensor host = tensor.is_cpu() ? tensor : tensor.cpu();
  std::vector<at::Tensor> tensors{host};
  c10d::AllreduceOptions options;
  options.reduceOp = c10d::ReduceOp::SUM;
  options.timeout = group.timeout;
  group.processes->allreduce(tensors, options)->wait();
  if (!tensor.is_cpu()) {
    tensor.copy_(host);
  }
}

// The axes over which statistics are taken: all but the channels.
std::vector<int64_t> axes_of(const at::Tensor& x) {
  std::vector<int64_t> axes{0};
  for (int64_t axis = 2; axis < x.dim(); ++axis) {
    axes.push_back(axis);
  }
  return axes;
}

// A value per channel with the axes of `x`.
at::Tensor per_channel(const at::Tensor& values, const at::Tensor& x) {
  std::vector<int64_t> shape(x.dim(), 1);
  shape[1] = values.size(0);
  return values.view(shape);
}

// Batch normalisation with the statistics of the batches of all processes together. A process with `share` 0 takes part without
// contributing.
struct SyncBatchNorm : torch::autograd::Function<SyncBatchNorm> {
  static at::Tensor forward(
      torch::autograd::AutogradContext* context,
      const at::Tensor& x,
      const at::Tensor& weight,
      const at::Tensor& bias,
      at::Tensor running_mean,
      at::Tensor running_var,
      double momentum,
      double eps,
      int64_t share,
      int64_t group) {
    const auto channels = x.size(1);
    const auto wide = x.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
    auto [var, mean] = at::var_mean(x.to(wide), axes_of(x), /*unbiased=*/false);
    // In 64 bits, so that the difference of squares below is exact enough: [count, sums, sums of squares].
    mean = mean.to(at::kDouble);
    const auto square = var.to(at::kDouble).add_(mean * mean);
    const double own = share == 0 ? 0.0 : static_cast<double>(x.numel() / channels);
    auto sums = at::cat({at::full({1}, own, mean.options()), mean * own, square * own});
    all_reduce(*reinterpret_cast<Group*>(group), sums);
    const double count = sums[0].item<double>();
    TORCH_CHECK(count > 1, "batch normalisation needs more than one value per channel");
    mean = sums.slice(0, 1, 1 + channels) / count;
    var = (sums.slice(0, 1 + channels) / count).sub_(mean * mean).clamp_min_(0.0);
    running_mean.mul_(1 - momentum).add_(mean.to(running_mean.scalar_type()), momentum);
    running_var.mul_(1 - momentum).add_(var.to(running_var.scalar_type()), momentum * count / (count - 1));
    const auto invstd = (var + eps).rsqrt_().to(wide);
    mean = mean.to(wide);
    var = var.to(wide);
    context->save_for_backward({x, weight, mean, var, invstd});
    context->saved_data["count"] = count;
    context->saved_data["eps"] = eps;
    context->saved_data["share"] = share;
    context->saved_data["group"] = group;
    return at::batch_norm(x, weight, bias, mean, var, /*training=*/false, 0.0, eps, /*cudnn_enabled=*/false);
  }

  static torch::autograd::tensor_list backward(
      torch::autograd::AutogradContext* context,
      torch::autograd::tensor_list gradients) {
    const auto saved = context->get_saved_variables();
    const auto &x = saved[0], &weight = saved[1], &mean = saved[2], &var = saved[3], &invstd = saved[4];
    const double count = context->saved_data["count"].toDouble();
    const auto share = context->saved_data["share"].toInt();
    auto& group = *reinterpret_cast<Group*>(context->saved_data["group"].toInt());
    // As if the statistics were constants; then what comes through the statistics.
    auto [of_x, of_weight, of_bias] = at::native_batch_norm_backward(
        gradients[0], x, weight, mean, var, mean, invstd, /*train=*/false,
        context->saved_data["eps"].toDouble(), {true, true, true});
    auto sums = at::cat({of_bias, of_weight}).to(at::kDouble).mul_(share);
    all_reduce(group, sums);
    if (share == 0) {
      of_x.zero_();
    } else {
      const auto channels = weight.size(0);
      const auto mean_of_gradient = (sums.slice(0, 0, channels) / count).to(invstd.scalar_type());
      const auto mean_of_product = (sums.slice(0, channels) / count).to(invstd.scalar_type());
      const auto scale = invstd * weight;
      const auto slope = scale * invstd * mean_of_product;
      const auto offset = slope * mean - scale * mean_of_gradient;
      of_x = of_x.to(invstd.scalar_type())
                 .sub_(x.to(invstd.scalar_type()) * per_channel(slope, x))
                 .add_(per_channel(offset, x))
                 .to(x.scalar_type());
    }
    const at::Tensor none;
    return {of_x, of_weight, of_bias, none, none, none, none, none, none};
  }
};

} // namespace

extern "C" {

const char* pipe_error() {
  return last_error.c_str();
}

// Returns a group that has only its store. The first process passes a listening socket in `listener`, the others -1; they wait for it.
Group* pipe_c10d_new(const char* host, uint16_t port, int listener, int64_t timeout_ms) {
  return guarded<Group*>(nullptr, [&] {
    c10d::TCPStoreOptions options;
    options.port = port;
    options.isServer = listener >= 0;
    options.waitWorkers = false;
    options.timeout = std::chrono::milliseconds(timeout_ms);
    if (listener >= 0) {
      options.masterListenFd = listener;
    }
    auto group = std::make_unique<Group>();
    group->store = c10::make_intrusive<c10d::TCPStore>(std::string(host), options);
    return group.release();
  });
}

// Connects all processes with each other. Gloo listens at `own_address`.
int pipe_c10d_connect(
    Group* group, int rank, int size, const char* own_address, int64_t timeout_ms, int64_t reduction_ms) {
  return guarded<int>(-1, [&] {
    auto options = c10::make_intrusive<c10d::ProcessGroupGloo::Options>(std::chrono::milliseconds(timeout_ms));
    options->devices.push_back(c10d::ProcessGroupGloo::createDeviceForHostname(own_address));
    options->threads = 1;
    auto names = c10::make_intrusive<c10d::PrefixStore>("gloo", group->store);
    group->processes = c10::make_intrusive<c10d::ProcessGroupGloo>(names, rank, size, options);
    group->timeout = std::chrono::milliseconds(reduction_ms);
    return 0;
  });
}

void pipe_c10d_free(Group* group) {
  guarded<int>(-1, [&] {
    delete group;
    return 0;
  });
}

int pipe_c10d_all_reduce(Group* group, at::Tensor* tensor) {
  return guarded<int>(-1, [&] {
    all_reduce(*group, *tensor);
    return 0;
  });
}

int pipe_c10d_broadcast(Group* group, at::Tensor* tensor) {
  return guarded<int>(-1, [&] {
    at::Tensor host = tensor->is_cpu() ? *tensor : tensor->cpu();
    std::vector<at::Tensor> tensors{host};
    c10d::BroadcastOptions options;
    options.timeout = group->timeout;
    group->processes->broadcast(tensors, options)->wait();
    if (!tensor->is_cpu()) {
      tensor->copy_(host);
    }
    return 0;
  });
}

int pipe_c10d_set(Group* group, const char* key, const uint8_t* value, size_t len) {
  return guarded<int>(-1, [&] {
    group->store->set(key, std::vector<uint8_t>(value, value + len));
    return 0;
  });
}

// Waits for a value, and returns 0 with memory that `pipe_c10d_free_value` frees; 1 after the time.
int pipe_c10d_get(Group* group, const char* key, int64_t timeout_ms, uint8_t** value, size_t* len) {
  return guarded<int>(-1, [&] {
    try {
      group->store->wait({key}, std::chrono::milliseconds(timeout_ms));
    } catch (const c10::DistStoreError&) {
      return 1;
    }
    const auto found = group->store->get(key);
    *value = new uint8_t[found.size()];
    *len = found.size();
    std::memcpy(*value, found.data(), found.size());
    return 0;
  });
}

void pipe_c10d_free_value(uint8_t* value) {
  delete[] value;
}

// Returns a new tensor.
at::Tensor* pipe_sync_batch_norm(
    Group* group,
    const at::Tensor* x,
    const at::Tensor* weight,
    const at::Tensor* bias,
    const at::Tensor* running_mean,
    const at::Tensor* running_var,
    double momentum,
    double eps,
    int contributes) {
  return guarded<at::Tensor*>(nullptr, [&] {
    return new at::Tensor(SyncBatchNorm::apply(
        *x, *weight, *bias, *running_mean, *running_var, momentum, eps,
        static_cast<int64_t>(contributes), reinterpret_cast<int64_t>(group)));
  });
}

// Loads a shared library with its symbols visible to the others.
int pipe_load_library(const char* path) {
  if (dlopen(path, RTLD_NOW | RTLD_GLOBAL) != nullptr) {
    return 0;
  }
  const char* text = dlerror();
  last_error = text == nullptr ? "unknown" : text;
  return -1;
}

} // extern "C"
