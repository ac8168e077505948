// Connectionist temporal classification; ctc_loss in Python checks the operands.
#pragma once
#include "ops/all.h"

namespace hadamard::ops {

// The loss of each sequence, without history, and the logarithms of all alignments' beginnings, for the gradient.
// log_probs: (T, N, C), float32 or float64; labels: (N, S), int64.
std::tuple<Tensor, Tensor> ctc_loss(const Tensor &log_probs, const Tensor &labels, const Dims &input_lengths,
                                    const Dims &target_lengths, int64_t blank);
// The gradient for log_probs from g, that for the losses.
Tensor ctc_gradient(const Tensor &g, const Tensor &log_probs, const Tensor &labels, const Dims &input_lengths,
                    const Dims &target_lengths, int64_t blank, const Tensor &loss, const Tensor &alpha,
                    bool zero_infinity);

} // namespace hadamard::ops
