// Steps of optimisers: what the kernels are given.
#include "ops/optimizer.h"

#include <cmath>

#include "cpu/fused.h"
#include "cpu/threads.h"
#include "ops/all.h"

namespace hadamard {
namespace ops {
namespace {

// Whether parameter i and what belongs to it lie alike in memory, in one dtype that the kernels know.
bool suits(const Tensors *const *lists, int count, size_t i) {
  const Tensor &p = (*lists[0])[i];
  if (dtype_in(p.dtype(), ~(set_of(DType::F32) | set_of(DType::F64))) || p.is_meta() ||
      !is_dense(p.shape(), p.strides()))
    return false;
  for (int k = 1; k < count; ++k) {
    if (lists[k]->empty()) continue;
    const Tensor &t = (*lists[k])[i];
    if (!t || t.dtype() != p.dtype() || t.is_meta() || !(t.shape() == p.shape()) || !(t.strides() == p.strides()) ||
        t->storage == p->storage)
      return false;
  }
  return true;
}
bool all_suit(std::initializer_list<const Tensors *> lists) {
  const Tensors &params = **lists.begin();
  if (grad_enabled()) return false;
  for (const Tensors *l : lists)
    if (!l->empty() && l->size() != params.size()) return false;
  for (size_t i = 0; i < params.size(); ++i)
    if (!suits(lists.begin(), int(lists.size()), i)) return false;
  return true;
}

template <class T> T *data(const Tensors &list, size_t i) { return list.empty() ? nullptr : list[i].data<T>(); }

// The same step on pieces of its elements.
template <class T> void run(Step<T> step, const Update<T> &u) {
  parallel_for(u.n, 32768, [&](long begin, long end) {
    Update<T> part = u;
    auto move = [&](auto *&p) { p = p ? p + begin : p; };
    move(part.p), move(part.g), move(part.first), move(part.second), move(part.largest);
    part.n = end - begin;
    step(part);
  });
}
int64_t elements(const Tensors &list) {
  int64_t n = 0;
  for (const Tensor &t : list) n += t.numel();
  return n;
}
template <class F> void with_type(const Tensor &p, const F &f) {
  if (p.dtype() == DType::F64) f(double());
  else f(float());
}
} // namespace

bool adam_step(const Tensors &params, const Tensors &grads, const Tensors &means, const Tensors &squares,
               const Tensors &largest, const Tensors &steps, double lr, double beta1, double beta2, double eps,
               double weight_decay, bool maximize, bool decoupled) {
  if (!all_suit({&params, &grads, &means, &squares, &largest}) || steps.size() != params.size()) return false;
  for (const Tensor &t : steps)
    if (t.dtype() != DType::F32 || t.dim() || t.is_meta()) return false;
  LongWork unlocked(elements(params));
  double last = 0, rate = 0, root = 0; // of the step before, which most parameters share
  for (size_t i = 0; i < params.size(); ++i) {
    double step = double(*steps[i].data<float>() += 1);
    steps[i].bump();
    if (step != last) rate = lr / (1 - std::pow(beta1, step)), root = std::sqrt(1 - std::pow(beta2, step));
    last = step;
    with_type(params[i], [&](auto t) {
      using T = decltype(t);
      Update<T> u = {};
      u.p = data<T>(params, i), u.g = data<T>(grads, i), u.first = data<T>(means, i);
      u.second = data<T>(squares, i), u.largest = data<T>(largest, i);
      u.n = params[i].numel(), u.negate = maximize;
      u.decay = decoupled ? T(0) : T(weight_decay), u.shrink = decoupled ? T(1 - lr * weight_decay) : T(1);
      u.rate = T(rate), u.root = T(root);
      u.beta2 = T(beta2), u.eps = T(eps), u.weight = T(1 - beta1), u.square = T(1 - beta2);
      run(of<T>(*level().fused).adam, u);
    });
    params[i].bump(), means[i].bump(), squares[i].bump();
    if (!largest.empty()) largest[i].bump();
  }
  return true;
}

bool sgd_step(const Tensors &params, const Tensors &grads, const Tensors &velocities, bool fresh, double lr,
              double momentum, double dampening, double weight_decay, bool nesterov, bool maximize) {
  if (!all_suit({&params, &grads, &velocities})) return false;
  LongWork unlocked(elements(params));
  for (size_t i = 0; i < params.size(); ++i) {
    with_type(params[i], [&](auto t) {
      using T = decltype(t);
      Update<T> u = {};
      u.p = data<T>(params, i), u.g = data<T>(grads, i), u.first = data<T>(velocities, i);
      u.n = params[i].numel(), u.negate = maximize, u.fresh = fresh, u.nesterov = nesterov;
      u.decay = T(weight_decay), u.rate = T(lr), u.beta1 = T(momentum), u.weight = T(1 - dampening);
      run(of<T>(*level().fused).sgd, u);
    });
    params[i].bump();
    if (!velocities.empty()) velocities[i].bump();
  }
  return true;
}
} // namespace ops
} // namespace hadamard
