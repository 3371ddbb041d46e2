// The loops that `rows.h` declares, compiled for several instruction sets; the processor's is chosen when the program starts.

#include "rows.h"
#include <cstring>

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define FOR_EACH_PROCESSOR __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define FOR_EACH_PROCESSOR
#endif
// The loops must be part of the function that is compiled several times.
#define INLINE static inline __attribute__((always_inline))

namespace rows {
namespace {

INLINE float load(const float* from) {
  return *from;
}

INLINE float load(const Bfloat16* from) {
  const uint32_t bits = static_cast<uint32_t>(from->bits) << 16;
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

INLINE void store(float value, float* to) {
  *to = value;
}

// Rounds to the nearest, and to the even one of two. A NaN stays one.
INLINE void store(float value, Bfloat16* to) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  const uint32_t rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
  to->bits = static_cast<uint16_t>(value == value ? rounded : 0x7fc0);
}

// A NaN stays one, as in libtorch's activations.
INLINE float limited(float value, Limits limits) {
  value = value < limits.low ? limits.low : value;
  return value > limits.high ? limits.high : value;
}

// The gradient, where `y` is not at a limit.
INLINE float passing(float dy, float y, Limits limits) {
  return y <= limits.low || y >= limits.high ? 0.0f : dy;
}

// Sums are of the differences from the first row, so that the mean of equal values is that value, and that of similar ones is as exact as
// they are.
template <typename T>
INLINE void moments_of(Size size, const T* __restrict x, float* __restrict mean, float* __restrict squares) {
  const auto [rows, channels] = size;
  for (int64_t c = 0; c < channels; ++c) {
    mean[c] = 0;
    squares[c] = 0;
  }
  for (int64_t r = 1; r < rows; ++r) {
    for (int64_t c = 0; c < channels; ++c) {
      mean[c] += load(x + r * channels + c) - load(x + c);
    }
  }
  for (int64_t c = 0; c < channels; ++c) {
    mean[c] = load(x + c) + mean[c] / static_cast<float>(rows);
  }
  // The rows are in the cache now.
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < channels; ++c) {
      const float difference = load(x + r * channels + c) - mean[c];
      squares[c] += difference * difference;
    }
  }
}

template <bool has_residual, typename T>
INLINE void normalise_of(
    Size size, const T* __restrict x, const T* __restrict residual, Affine affine, Limits limits, T* __restrict y) {
  const float *__restrict mean = affine.mean, *__restrict scale = affine.scale, *__restrict bias = affine.bias;
  for (int64_t r = 0; r < size.rows; ++r) {
    const int64_t row = r * size.channels;
    for (int64_t c = 0; c < size.channels; ++c) {
      float value = (load(x + row + c) - mean[c]) * scale[c] + bias[c];
      if (has_residual) {
        value += load(residual + row + c);
      }
      store(limited(value, limits), y + row + c);
    }
  }
}

template <bool is_limited, bool has_residual, typename T>
INLINE void gradient_sums_of(
    Size size, const T* __restrict dy, const T* __restrict x, Affine affine, Limits limits, GradientSums sums,
    const T* __restrict y, T* __restrict passed) {
  const float *__restrict mean = affine.mean, *__restrict scale = affine.scale, *__restrict bias = affine.bias;
  float *__restrict gradient = sums.gradient, *__restrict product = sums.product;
  for (int64_t c = 0; c < size.channels; ++c) {
    gradient[c] = 0;
    product[c] = 0;
  }
  for (int64_t r = 0; r < size.rows; ++r) {
    const int64_t row = r * size.channels;
    for (int64_t c = 0; c < size.channels; ++c) {
      const float difference = load(x + row + c) - mean[c];
      float value = load(dy + row + c);
      if (has_residual) {
        value = passing(value, load(y + row + c), limits);
        store(value, passed + row + c);
      } else if (is_limited) {
        value = passing(value, difference * scale[c] + bias[c], limits);
      }
      gradient[c] += value;
      product[c] += value * difference;
    }
  }
}

template <bool is_limited, typename T>
INLINE void gradient_of(
    Size size, const T* __restrict dy, const T* __restrict x, Affine affine, Limits limits, Means means,
    T* __restrict dx) {
  const float *__restrict mean = affine.mean, *__restrict scale = affine.scale, *__restrict bias = affine.bias;
  const float *__restrict offset = means.offset, *__restrict slope = means.slope;
  for (int64_t r = 0; r < size.rows; ++r) {
    const int64_t row = r * size.channels;
    for (int64_t c = 0; c < size.channels; ++c) {
      const float difference = load(x + row + c) - mean[c];
      float value = load(dy + row + c);
      if (is_limited) {
        value = passing(value, difference * scale[c] + bias[c], limits);
      }
      store((value - offset[c] - difference * slope[c]) * scale[c], dx + row + c);
    }
  }
}

INLINE bool is_limited(Limits limits) {
  return limits.low > UNLIMITED.low || limits.high < UNLIMITED.high;
}

} // namespace

FOR_EACH_PROCESSOR void combine_moments(
    Size size, int64_t part_rows, const float* means, const float* squares, double* mean, double* square) {
  const auto [rows, channels] = size;
  const int64_t parts = (rows + part_rows - 1) / part_rows;
  for (int64_t c = 0; c < channels; ++c) {
    mean[c] = 0;
    square[c] = 0;
  }
  const auto weight = [&](int64_t part) {
    return static_cast<double>(part + 1 < parts ? part_rows : rows - part * part_rows);
  };
  for (int64_t part = 0; part < parts; ++part) {
    for (int64_t c = 0; c < channels; ++c) {
      mean[c] += weight(part) * (static_cast<double>(means[part * channels + c]) - means[c]);
    }
  }
  for (int64_t c = 0; c < channels; ++c) {
    mean[c] = means[c] + mean[c] / static_cast<double>(rows);
  }
  for (int64_t part = 0; part < parts; ++part) {
    for (int64_t c = 0; c < channels; ++c) {
      const double difference = means[part * channels + c] - mean[c];
      square[c] += squares[part * channels + c] + weight(part) * difference * difference;
    }
  }
}

FOR_EACH_PROCESSOR void combine_sums(int64_t parts, int64_t channels, const float* sums, double* sum) {
  for (int64_t c = 0; c < channels; ++c) {
    sum[c] = 0;
  }
  for (int64_t part = 0; part < parts; ++part) {
    for (int64_t c = 0; c < channels; ++c) {
      sum[c] += sums[part * channels + c];
    }
  }
}

// The functions of `rows.h` for one kind of numbers.
#define FOR_NUMBERS(T)                                                                                              \
  FOR_EACH_PROCESSOR void moments(Size size, const T* x, float* mean, float* squares) {                             \
    moments_of(size, x, mean, squares);                                                                             \
  }                                                                                                                 \
  FOR_EACH_PROCESSOR void normalise(Size size, const T* x, const T* residual, Affine affine, Limits limits, T* y) { \
    if (residual == nullptr) {                                                                                      \
      normalise_of<false>(size, x, residual, affine, limits, y);                                                    \
    } else {                                                                                                        \
      normalise_of<true>(size, x, residual, affine, limits, y);                                                     \
    }                                                                                                               \
  }                                                                                                                 \
  FOR_EACH_PROCESSOR void gradient_sums(                                                                            \
      Size size, const T* dy, const T* x, Affine affine, Limits limits, GradientSums sums) {                        \
    const T* y = nullptr;                                                                                           \
    T* passed = nullptr;                                                                                            \
    if (is_limited(limits)) {                                                                                       \
      gradient_sums_of<true, false>(size, dy, x, affine, limits, sums, y, passed);                                  \
    } else {                                                                                                        \
      gradient_sums_of<false, false>(size, dy, x, affine, limits, sums, y, passed);                                 \
    }                                                                                                               \
  }                                                                                                                 \
  FOR_EACH_PROCESSOR void gradient_sums_of_residual(                                                                \
      Size size, const T* dy, const T* x, Affine affine, Limits limits, GradientSums sums, Residual<T> residual) {  \
    gradient_sums_of<true, true>(size, dy, x, affine, limits, sums, residual.y, residual.passed);                   \
  }                                                                                                                 \
  FOR_EACH_PROCESSOR void gradient(                                                                                 \
      Size size, const T* dy, const T* x, Affine affine, Limits limits, Means means, T* dx) {                       \
    if (is_limited(limits)) {                                                                                       \
      gradient_of<true>(size, dy, x, affine, limits, means, dx);                                                    \
    } else {                                                                                                        \
      gradient_of<false>(size, dy, x, affine, limits, means, dx);                                                   \
    }                                                                                                               \
  }

FOR_NUMBERS(float)
FOR_NUMBERS(Bfloat16)

} // namespace rows
