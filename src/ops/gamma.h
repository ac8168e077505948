// The gamma family: binomial counts, and how gamma and beta variables move with their parameters. All in float64.
#pragma once
#include "random.h"
#include "tensor.h"

namespace hadamard::ops {

// Binomial counts of `count` trials (integral values) with chance `p`; tensors of one shape, contiguous, float64.
Tensor binomial(const Tensor &count, const Tensor &p, Generator *g);
// dx/da of x ~ Gamma(a) at fixed P(a, x): -∂P/∂a divided by the density.
Tensor standard_gamma_slope(const Tensor &a, const Tensor &x);
// The same of x ~ Beta(a, total - a), whose second parameter stays, divided by 1 - x.
Tensor dirichlet_slope(const Tensor &x, const Tensor &a, const Tensor &total);

} // namespace hadamard::ops
