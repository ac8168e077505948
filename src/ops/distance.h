// Euclidean distances between all rows of two lists of rows, and their gradient, without storing the differences.
#pragma once
#include "tensor.h"

namespace hadamard::ops {

// y[…, i, j] = |a[…, i] - b[…, j]|; contiguous tensors of one dtype, float32 or float64, and one batch shape.
void euclidean(const Tensor &y, const Tensor &a, const Tensor &b);
// Σ_j w[…, i, j] (a[…, i] - b[…, j]): the gradient for a, w being the gradient for the distances over these.
Tensor weighted_differences(const Tensor &w, const Tensor &a, const Tensor &b);

} // namespace hadamard::ops
