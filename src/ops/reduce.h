// What other families need of reductions: which dimensions, the shapes, and the folds themselves.
#pragma once
#include "ops/all.h"

namespace hadamard::ops {

using Mask = SmallVec<bool, 8>; // one flag per dimension: reduced or kept

Dims reduced_shape(const Tensor &x, const Mask &mask, bool keepdim);
// Puts back the reduced dimensions as 1, so that g broadcasts against x.
Tensor restore(const Tensor &g, const Dims &shape, const Mask &mask, bool keepdim);
// Runs a fold without history.
Tensor fold(Fold f, const Tensor &x, const Mask &mask, bool keepdim, DType result, const char *name);
int64_t count(const Tensor &x, const Mask &mask); // elements that meet in one result
Dims dims_of(const Mask &mask);

// Mean and mean square deviation without history: the deviations are taken from the mean, then squared.
struct Moments {
  Tensor mean, var; // reduced dimensions kept as 1
};
Moments moments(const Tensor &x, const Mask &mask, double correction);

// For arguments that torch takes as constants.
inline void refuse_grad(const Tensor &t, const char *op, const char *name) {
  HD_CHECK(
      !needs_grad(t), runtime,
      "The function '%s' is not differentiable with respect to argument '%s'. This input cannot have requires_grad "
      "True.",
      op, name);
}

// float16 and bfloat16 become float32, in which they are computed.
inline Tensor widened(const Tensor &x) { return to(x, compute_of(x.dtype())); }

} // namespace hadamard::ops
