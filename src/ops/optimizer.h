// Steps of optimisers on all their parameters in one call. Each says whether it could: where it returns false nothing
// has changed, and the optimiser's Python does the same step op by op.
#pragma once
#include "tensor.h"

namespace hadamard::ops {

// `steps` are the counts so far, 0-d float32; they grow by one. `largest` is empty but for amsgrad.
bool adam_step(const Tensors &params, const Tensors &grads, const Tensors &means, const Tensors &squares,
               const Tensors &largest, const Tensors &steps, double lr, double beta1, double beta2, double eps,
               double weight_decay, bool maximize, bool decoupled);
// `velocities` is empty without momentum; where `fresh`, they begin as the gradients.
bool sgd_step(const Tensors &params, const Tensors &grads, const Tensors &velocities, bool fresh, double lr,
              double momentum, double dampening, double weight_decay, bool nesterov, bool maximize);

} // namespace hadamard::ops
