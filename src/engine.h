// What belongs to a backward pass under way: what a hook may ask of it, and names for what it records.
#pragma once
#include "autograd.h"

namespace hadamard {

uint64_t current_task();      // the number of this thread's pass; 0 outside of one
bool will_run(const Node &n); // whether the pass computes the gradient that n receives
// Names the gradients that `node` gave just now; nodes before `first` are somebody else's.
void name_second(const Node &node, const TensorList &grads, uint64_t first);

} // namespace hadamard
