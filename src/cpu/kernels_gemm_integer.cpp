// Products of matrices of integers, modulo the width of the result.
#include "gemm.h"

namespace hadamard::LEVEL {
namespace {

#if defined(__x86_64__)
// An int64 that is an int32: one multiplication in place of the three that 64 bits take.
struct Short {
  uint64_t bits;
};
template <> struct Element<Short> : Element<uint64_t> {
  template <class V> static HD_INLINE V multiply_add(V c, V a, V b) {
#if defined(__AVX512F__)
    return c + (V)_mm512_mul_epi32((__m512i)a, (__m512i)b);
#elif defined(__AVX2__)
    return c + (V)_mm256_mul_epi32((__m256i)a, (__m256i)b);
#else
    return c + (V)_mm_mul_epi32((__m128i)a, (__m128i)b);
#endif
  }
};

// Reading both operands once costs little beside eight rows and columns of products.
bool all_short(const int64_t *p, const Axis &batch, long batches, Axis x, long nx, Axis y, long ny) {
  if (steps(x, 1)) {
    const Axis other = x;
    const long n = nx;
    x = y, nx = ny, y = other, ny = n;
  }
  if (steps(batch, 0)) batches = 1;
  for (long z = 0; z < batches; ++z)
    for (long i = 0; i < nx; ++i) {
      const int64_t *row = p + at(batch, z) + at(x, i);
      uint64_t high = 0;
      if (steps(y, 1))
        for (long j = 0; j < ny; ++j) high |= uint64_t(row[j]) + 0x80000000;
      else
        for (long j = 0; j < ny; ++j) high |= uint64_t(row[at(y, j)]) + 0x80000000;
      if (high >> 32) return false;
    }
  return true;
}
#endif

} // namespace

void gemm_integer(const Gemm &g) {
  static constexpr Kind kinds[] = {make_kind<uint8_t, uint8_t>(), make_kind<int8_t, int8_t>(),
                                   make_kind<int16_t, int16_t>(), make_kind<int32_t, int32_t>(),
                                   make_kind<int64_t, int64_t>()};
  static constexpr Kind wide[] = {make_kind<uint8_t, int32_t>(), make_kind<int8_t, int32_t>(),
                                  make_kind<int16_t, int32_t>()};
#if defined(__x86_64__)
  static constexpr Kind fast = make_kind<int64_t, int64_t, Short>();
  if (g.dtype == DType::I64 && g.m >= 8 && g.n >= 8 && g.route != Route::reference &&
      all_short((const int64_t *)g.a, g.a_batch, g.batch, g.a_m, g.m, g.a_k, g.k) &&
      all_short((const int64_t *)g.b, g.b_batch, g.batch, g.b_k, g.k, g.b_n, g.n))
    return run(fast, g);
#endif
  const Kind *table = g.result == g.dtype ? kinds : wide;
  run(table[int(g.dtype) - int(DType::U8)], g);
}

} // namespace hadamard::LEVEL
