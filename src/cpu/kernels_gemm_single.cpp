// Products of matrices computed in float32.
#include "gemm.h"

namespace hadamard::LEVEL {

void gemm_single(const Gemm &g) {
  static constexpr Kind half = make_kind<f16, f16>(), brain = make_kind<bf16, bf16>(),
                        single = make_kind<float, float>(), pair = make_kind<c64, c64>();
  run(g.dtype == DType::F32 ? single : g.dtype == DType::F16 ? half : g.dtype == DType::BF16 ? brain : pair, g);
}

} // namespace hadamard::LEVEL
