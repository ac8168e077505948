// Connectionist temporal classification: the sum over alignments, forwards for the loss and backwards for its gradient.
// Graves et al., "Connectionist Temporal Classification" (ICML 2006), in logarithms. The labels stand between blanks:
// _ a _ b _.
#include "ops/ctc.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "cpu/fused.h"
#include "cpu/threads.h"

namespace hadamard::ops {
namespace {

template <class T> constexpr T never = -std::numeric_limits<T>::infinity();
constexpr long margin = 2; // states that are not there, on either side

// One sequence: the class of each state, and whether it can follow the state two before it (0 or -inf).
template <class T> struct Sequence {
  const T *log_probs; // of the first step
  long step;          // from one step to the next
  std::vector<int64_t> classes;
  std::vector<T> skip, emitted;

  Sequence(const Tensor &log_probs, const Tensor &labels, long n, int64_t length, int64_t blank)
      : log_probs(log_probs.data<T>() + n * log_probs.size(2)), step(long(log_probs.size(1) * log_probs.size(2))),
        classes(size_t(2 * length + 1), blank), skip(classes.size() + margin, never<T>), emitted(classes.size()) {
    const int64_t *label = labels.data<int64_t>() + n * labels.size(1);
    for (int64_t i = 0; i < length; ++i) {
      classes[size_t(2 * i + 1)] = label[i];
      if (i && label[i] != label[i - 1]) skip[size_t(2 * i + 1)] = 0;
    }
  }
  long states() const { return long(classes.size()); }
  const T *at(long t) { // what the states give off at step t
    for (size_t s = 0; s < classes.size(); ++s) emitted[s] = log_probs[t * step + classes[s]];
    return emitted.data();
  }
};

template <class F> void for_sequences(const Tensor &log_probs, const F &f) {
  LongWork unlocked(log_probs.numel() * 8);
  parallel_for(log_probs.size(1), 1, [&](long begin, long end) {
    for (long n = begin; n < end; ++n) {
      if (log_probs.dtype() == DType::F64) f(double(), n);
      else f(float(), n);
      poll();
    }
  });
}

} // namespace

std::tuple<Tensor, Tensor> ctc_loss(const Tensor &given, const Tensor &given_labels, const Dims &input_lengths,
                                    const Dims &target_lengths, int64_t blank) {
  NoGrad no;
  const Tensor log_probs = contiguous(given, Format::contiguous), labels = contiguous(given_labels, Format::contiguous);
  const int64_t steps = log_probs.size(0), batch = log_probs.size(1), width = 2 * labels.size(1) + 1 + margin;
  Tensor loss = empty({batch}, log_probs.dtype()), alpha = empty({batch, steps, width}, log_probs.dtype());
  for_sequences(log_probs, [&](auto type, long n) {
    using T = decltype(type);
    const auto &kernels = of<T>(*level().fused);
    Sequence<T> q(log_probs, labels, n, target_lengths[size_t(n)], blank);
    const long states = q.states(), length = long(input_lengths[size_t(n)]);
    T *row = alpha.data<T>() + n * steps * width + margin;
    for (long t = 0; t < length; ++t, row += width) {
      const T *emitted = q.at(t);
      std::fill_n(row - margin, margin, never<T>);
      if (t) {
        const T *before = row - width;
        kernels.ctc_step(row, before, before - 1, before - 2, q.skip.data(), emitted, states);
      } else {
        std::fill_n(row, states, never<T>);
        std::copy_n(emitted, std::min(states, 2L), row);
      }
    }
    const double last = length ? double(row[states - 1 - width]) : states == 1 ? 0 : double(never<T>);
    const double other = length && states > 1 ? double(row[states - 2 - width]) : double(never<T>);
    const double m = std::max(last, other);
    loss.data<T>()[n] = T(std::isinf(m) ? -m : -(m + std::log(std::exp(last - m) + std::exp(other - m))));
  });
  return {loss, alpha};
}

Tensor ctc_gradient(const Tensor &g, const Tensor &given, const Tensor &given_labels, const Dims &input_lengths,
                    const Dims &target_lengths, int64_t blank, const Tensor &loss, const Tensor &alpha,
                    bool zero_infinity) {
  NoGrad no;
  const Tensor log_probs = contiguous(given, Format::contiguous), labels = contiguous(given_labels, Format::contiguous);
  const Tensor up = contiguous(g, Format::contiguous);
  const int64_t steps = log_probs.size(0), width = alpha.size(2);
  const long classes = long(log_probs.size(2));
  // The gradient counts on log_probs being a log_softmax, as torch's does: exp(log_probs) is its share.
  Tensor gradient = exp(log_probs);
  for_sequences(log_probs, [&](auto type, long n) {
    using T = decltype(type);
    const auto &kernels = of<T>(*level().fused);
    Sequence<T> q(log_probs, labels, n, target_lengths[size_t(n)], blank);
    const long states = q.states(), length = long(input_lengths[size_t(n)]);
    const T total = loss.data<T>()[n], by = up.data<T>()[n];
    T *to = gradient.data<T>() + n * classes;
    for (long t = length; t < steps; ++t) std::fill_n(to + t * q.step, classes, T(0));
    if (std::isinf(total)) {
      const T instead = zero_infinity ? T(0) : std::numeric_limits<T>::quiet_NaN();
      for (long t = 0; t < length; ++t) std::fill_n(to + t * q.step, classes, instead);
      return;
    }
    std::vector<T> room(size_t(2 * (states + margin) + states), never<T>);
    T *beta = room.data(), *after = beta + states + margin, *share = after + states + margin;
    for (long t = length - 1; t >= 0; --t) {
      const T *emitted = q.at(t);
      if (t + 1 < length) kernels.ctc_step(beta, after, after + 1, after + 2, q.skip.data() + 2, emitted, states);
      else
        for (long s = std::max(0L, states - 2); s < states; ++s) beta[s] = emitted[s];
      kernels.ctc_share(share, alpha.data<T>() + (n * steps + t) * width + margin, beta, emitted, total, states);
      T *row = to + t * q.step;
      for (long s = 0; s < states; ++s) row[q.classes[size_t(s)]] -= share[s];
      for (long c = 0; c < classes; ++c) row[c] *= by;
      std::swap(beta, after);
    }
  });
  return gradient;
}

} // namespace hadamard::ops
