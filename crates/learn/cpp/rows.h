// The loops of `batch_norm.cpp`. A tensor is rows of channels here: a row is a position of a clip, and its channels are next to each other
// in memory. All sums are per channel.

#pragma once
#include <cstdint>
#include <limits>

namespace rows {

// A number of 16 bits: the upper half of a float.
struct Bfloat16 {
  uint16_t bits;
};

struct Size {
  int64_t rows;
  int64_t channels;
};

// The values that an activation lets through, such as [0, 6]; gradients pass only strictly between.
struct Limits {
  float low;
  float high;
};
constexpr Limits UNLIMITED{-std::numeric_limits<float>::infinity(), std::numeric_limits<float>::infinity()};

// The mean of each channel, and the sum of the squared differences from it.
void moments(Size size, const float* x, float* mean, float* squares);
void moments(Size size, const Bfloat16* x, float* mean, float* squares);

// Combines the means and squared differences of parts; all but the last have `part_rows` rows. The result is in 64 bits.
void combine_moments(
    Size size, int64_t part_rows, const float* means, const float* squares, double* mean, double* square);

// Adds up the sums of parts.
void combine_sums(int64_t parts, int64_t channels, const float* sums, double* sum);

// The normalised value is (x - mean) * scale + bias.
struct Affine {
  const float *mean, *scale, *bias;
};

// y = the normalised value, plus `residual` unless it is null, within the limits.
void normalise(Size size, const float* x, const float* residual, Affine affine, Limits limits, float* y);
void normalise(Size size, const Bfloat16* x, const Bfloat16* residual, Affine affine, Limits limits, Bfloat16* y);

// The sums of the gradient that passes the limits, and of its product with x - mean.
struct GradientSums {
  float *gradient, *product;
};
void gradient_sums(
    Size size, const float* dy, const float* x, Affine affine, Limits limits, GradientSums sums);
void gradient_sums(
    Size size, const Bfloat16* dy, const Bfloat16* x, Affine affine, Limits limits, GradientSums sums);

// The same after a residual sum: what passes depends on `y`, the result of `normalise`, and is stored in `passed`.
template <typename T>
struct Residual {
  const T* y;
  T* passed;
};
void gradient_sums_of_residual(
    Size size, const float* dy, const float* x, Affine affine, Limits limits, GradientSums sums, Residual<float> residual);
void gradient_sums_of_residual(
    Size size, const Bfloat16* dy, const Bfloat16* x, Affine affine, Limits limits, GradientSums sums,
    Residual<Bfloat16> residual);

// dx = (dy - offset - (x - mean) * slope) * scale, where `dy` counts if it passes the limits.
struct Means {
  const float *offset, *slope;
};
void gradient(Size size, const float* dy, const float* x, Affine affine, Limits limits, Means means, float* dx);
void gradient(
    Size size, const Bfloat16* dy, const Bfloat16* x, Affine affine, Limits limits, Means means, Bfloat16* dx);

} // namespace rows
