// Storages whose bytes move elsewhere while they live: into memory that other processes see.
#pragma once
#include "tensor.h"

namespace hadamard {

// The bytes of s are copied to those of `to` and lie there from now on. What lay before is kept until s goes: arrays of
// other libraries may still look at it.
void move_storage(Storage &s, Ref<Storage> to);

} // namespace hadamard
