// Products of matrices computed in float64.
#include "gemm.h"

namespace hadamard::LEVEL {

void gemm_double(const Gemm &g) {
  static constexpr Kind real = make_kind<double, double>(), pair = make_kind<c128, c128>();
  run(g.dtype == DType::F64 ? real : pair, g);
}

} // namespace hadamard::LEVEL
