// Instructions that a machine may have beyond its level.
#pragma once

namespace hadamard {

struct Extras {
  bool avx_vnni, avx512_vnni, avx512_bf16;
};
const Extras &extras(); // of this machine, by level.cpp

} // namespace hadamard
