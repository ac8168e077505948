// Tensors kept for backward in another form: what the host language's saved_tensors_hooks are to the core.
#pragma once
#include "tensor.h"

namespace hadamard {

struct SavedHooks {
  Tensor (*pack)(const Tensor &t);      // what stands for t: a tensor that is_packed knows
  Tensor (*unpack)(const Tensor &kept); // t again, by value
  bool (*is_packed)(const Tensor &kept);
};
extern constinit SavedHooks saved_hooks;

} // namespace hadamard
