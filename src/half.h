// float16 and bfloat16 to float32 and back, one number at a time. Rounds to nearest, ties to even.
#pragma once
#include <bit>
#include <cmath>

#include "dtype.h"

namespace hadamard {

inline float to_float(bf16 x) { return std::bit_cast<float>(uint32_t(x.bits) << 16); }
inline float to_float(f16 x) {
  // The exponent is moved into place by a product, which also makes denormals right.
  uint32_t sign = uint32_t(x.bits & 0x8000) << 16, rest = x.bits & 0x7fff;
  uint32_t magnitude = std::bit_cast<uint32_t>(std::bit_cast<float>(rest << 13) * 0x1p112f);
  return std::bit_cast<float>((rest >= 0x7c00 ? 0x7f800000 | rest << 13 : magnitude) | sign);
}
inline bf16 to_bf16(float x) {
  uint32_t u = std::bit_cast<uint32_t>(x);
  return {uint16_t(x != x ? 0x7fc0 : (u + 0x7fff + (u >> 16 & 1)) >> 16)};
}
inline f16 to_f16(float x) {
  uint32_t u = std::bit_cast<uint32_t>(x), sign = u >> 16 & 0x8000, a = u & 0x7fffffff;
  if (a > 0x7f800000) return {uint16_t(sign | 0x7e00)};
  if (a >= 0x477ff000) return {uint16_t(sign | 0x7c00)};
  if (a < 0x38800000) return {uint16_t(sign | uint32_t(std::nearbyint(std::bit_cast<float>(a) * 0x1p24f)))};
  return {uint16_t(sign | (a + ((a >> 13) & 1) - 0x37fff001u) >> 13)};
}

} // namespace hadamard
