// Products of matrices: picks the file that knows the dtype.
#include "extras.h"
#include "level.h"

namespace hadamard::LEVEL {

void gemm_single(const Gemm &), gemm_double(const Gemm &), gemm_integer(const Gemm &), gemm_dot(const Gemm &);

void gemm(const Gemm &g) {
  if (g.m == 0 || g.n == 0 || g.batch == 0) return;
#if defined(__AVX512F__)
  if (dtype_in(g.dtype, set_of(DType::U8) | set_of(DType::I8) | set_of(DType::I16)) && extras().avx512_vnni)
    return gemm_dot(g);
  if (g.dtype == DType::BF16 && extras().avx512_vnni && extras().avx512_bf16) return gemm_dot(g);
#elif defined(__AVX2__)
  if (dtype_in(g.dtype, set_of(DType::U8) | set_of(DType::I8) | set_of(DType::I16)) && extras().avx_vnni)
    return gemm_dot(g);
#endif
  if (g.dtype == DType::F64 || g.dtype == DType::C128) gemm_double(g);
  else if (dtype_in(g.dtype, integers)) gemm_integer(g);
  else gemm_single(g);
}

} // namespace hadamard::LEVEL
