// Products of matrices of integers, modulo the width of the result.
#include "gemm.h"

namespace hadamard::LEVEL {

void gemm_integer(const Gemm &g) {
  static constexpr Kind kinds[] = {make_kind<uint8_t, uint8_t>(), make_kind<int8_t, int8_t>(),
                                   make_kind<int16_t, int16_t>(), make_kind<int32_t, int32_t>(),
                                   make_kind<int64_t, int64_t>()};
  static constexpr Kind wide[] = {make_kind<uint8_t, int32_t>(), make_kind<int8_t, int32_t>(),
                                  make_kind<int16_t, int32_t>()};
  const Kind *table = g.result == g.dtype ? kinds : wide;
  run(table[int(g.dtype) - int(DType::U8)], g);
}

} // namespace hadamard::LEVEL
