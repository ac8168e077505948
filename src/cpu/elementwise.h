// The ops of ops/elementwise.h as this level's kernels see them.
#pragma once
#include "loops.h"

namespace hadamard::LEVEL {
namespace {
namespace ops {
#include "../ops/elementwise.h"
}
// Long chains of operations, each of which waits for the one before.
// clang-format off
#define X(op) template <> constexpr bool in_pairs<ops::op> = true;
X(exp) X(expm1) X(log) X(log2) X(log10) X(log1p) X(tanh) X(erf) X(erfc) X(sigmoid) X(logsigmoid) X(silu) X(silu_slope)
X(gelu) X(gelu_slope) X(gelu_tanh) X(gelu_tanh_slope) X(mish) X(tanhshrink)
#undef X
// clang-format on
} // namespace
} // namespace hadamard::LEVEL
