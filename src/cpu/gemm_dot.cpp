// Products of int8, int16 and bfloat16 by instructions that some machines of a level have: VNNI, AVX512_BF16.
//
// Compiled with these instructions; kernels_gemm.cpp asks the machine before it calls. Without them, as in
// tests/native, it is compiled to the plain meaning of each.
#include "gemm.h"

namespace hadamard::LEVEL {
namespace {

// Two int16, summed in int32 in one step.
struct DotPair {
  uint32_t bits;
};
template <> struct Element<DotPair> : Element<Pair> {
  template <class V> static HD_INLINE V multiply_add(V c, V a, V b) {
#if defined(__AVX512VNNI__)
    return (V)_mm512_dpwssd_epi32((__m512i)c, (__m512i)a, (__m512i)b);
#elif defined(__AVXVNNI__)
    return (V)_mm256_dpwssd_avx_epi32((__m256i)c, (__m256i)a, (__m256i)b);
#else
    return Element<Pair>::multiply_add(c, a, b);
#endif
  }
};

// Four int8. The instruction takes those of A without a sign: they are packed 128 too large, and the sums start from
// -128 times the sums of B.
struct Quad {
  uint32_t bits;
};
template <> struct Element<Quad> {
  using Sum = uint32_t;
  using Bits = uint32_t;
  using Narrow = int8_t;
  static constexpr int unit = 4;
  static constexpr bool opens = true;
  template <class V> static HD_INLINE V multiply_add(V c, V a, V b) {
#if defined(__AVX512VNNI__)
    return (V)_mm512_dpbusd_epi32((__m512i)c, (__m512i)a, (__m512i)b);
#elif defined(__AVXVNNI__)
    return (V)_mm256_dpbusd_avx_epi32((__m256i)c, (__m256i)a, (__m256i)b);
#else
    using I = Vector<int, sizeof(V) / 4>;
    for (int shift = 0; shift < 32; shift += 8) c += (a >> shift & 0xff) * (V)((I)(b << (24 - shift)) >> 24);
    return c;
#endif
  }
};

// Two bfloat16, summed in float32, the second first. Denormal numbers count as zero.
struct BrainPair {
  uint32_t bits;
};
template <> struct Element<BrainPair> {
  using Sum = float;
  using Bits = uint32_t;
  using Narrow = uint16_t;
  static constexpr int unit = 2;
  static constexpr bool opens = false;
  template <class V, class U> static HD_INLINE V multiply_add(V c, U a, U b) {
#if defined(__AVX512BF16__)
    return (V)_mm512_dpbf16_ps((__m512)c, (__m512bh)a, (__m512bh)b);
#else
    c += (V)(a & 0xffff0000) * (V)(b & 0xffff0000);
    return c + (V)(a << 16) * (V)(b << 16);
#endif
  }
};

} // namespace

void gemm_dot(const Gemm &g) {
  static constexpr Kind u8 = make_kind<uint8_t, uint8_t, DotPair>(), i8 = make_kind<int8_t, int8_t, Quad>(),
                        i16 = make_kind<int16_t, int16_t, DotPair>(), u8_wide = make_kind<uint8_t, int32_t, DotPair>(),
                        i8_wide = make_kind<int8_t, int32_t, Quad>(), i16_wide = make_kind<int16_t, int32_t, DotPair>();
  const bool wide = g.result == DType::I32;
  switch (g.dtype) {
  case DType::U8: return run(wide ? u8_wide : u8, g);
  case DType::I8: return run(wide ? i8_wide : i8, g);
  case DType::I16: return run(wide ? i16_wide : i16, g);
  default: break;
  }
#if !defined(__AVXVNNI__) // which comes without bfloat16
  static constexpr Kind brain = make_kind<bf16, bf16, BrainPair>();
  run(brain, g);
#endif
}

} // namespace hadamard::LEVEL
