// Products of matrices: picks the file that knows the dtype.
#include "level.h"

namespace hadamard::LEVEL {

void gemm_single(const Gemm &), gemm_double(const Gemm &), gemm_integer(const Gemm &);

void gemm(const Gemm &g) {
  if (g.m == 0 || g.n == 0 || g.batch == 0) return;
  if (g.dtype == DType::F64 || g.dtype == DType::C128) gemm_double(g);
  else if (dtype_in(g.dtype, integers)) gemm_integer(g);
  else gemm_single(g);
}

} // namespace hadamard::LEVEL
