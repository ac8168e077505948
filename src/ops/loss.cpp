// Losses: how far predictions are from targets. Reduction 0 keeps every term, 1 averages, 2 sums.
#include "ops/ctc.h"
#include "ops/reduce.h"

namespace hadamard {
namespace ops {
// softmax.cpp
Tensor log_softmax(const Tensor &x, int64_t dim, std::optional<DType> dtype);

namespace {

enum Reduced : int64_t { none, averaged, summed };
using OptTensor = std::optional<Tensor>;

Tensor reduced(const Tensor &terms, int64_t reduction) {
  if (reduction == averaged) return mean(terms, std::nullopt, false, std::nullopt);
  if (reduction == summed) return sum(terms, std::nullopt, false, std::nullopt);
  return terms;
}

// The gradient of each of n terms before their reduction.
Tensor spread(const Tensor &g, int64_t reduction, int64_t n) { return reduction == averaged ? g / double(n) : g; }

// ---- differences of two tensors

// terms(a, b) are the losses, slope(d) the derivative by the difference d = a - b; both in the computing dtype.
template <class Terms, class Slope>
Tensor difference_loss(const Tensor &input, const Tensor &target, int64_t reduction, const char *kernel,
                       const char *node, Terms terms, Slope slope) {
  const Tensor both[] = {input, target};
  DType t = result_type(both, 2);
  HD_CHECK(dtype_in(t, floats), not_implemented, "\"%s_cpu\" not implemented for '%s'", kernel, info(t).scalar);
  Tensor y;
  int64_t n;
  {
    NoGrad no;
    Tensor all = terms(to(input, compute_of(t)) - to(target, compute_of(t)));
    n = all.numel();
    y = to(reduced(all, reduction), t);
  }
  Dims x_shape = input.shape(), y_shape = target.shape();
  DType x_dtype = input.dtype(), y_dtype = target.dtype();
  return record(y, node, {input, target}, {Keep{input}, Keep{target}}, [=](const Backward &b) -> TensorList {
    Tensor d = to(b.saved(0), compute_of(t)) - to(b.saved(1), compute_of(t));
    Tensor g = slope(d) * spread(widened(b.grad()), reduction, n);
    TensorList r(2);
    if (b.wants(0)) r[0] = reduce_grad(g, x_shape, x_dtype);
    if (b.wants(1)) r[1] = reduce_grad(-g, y_shape, y_dtype);
    return r;
  });
}

Tensor mse_loss(const Tensor &input, const Tensor &target, int64_t reduction) {
  return difference_loss(
      input, target, reduction, "mse", "MseLossBackward0", [](const Tensor &d) { return d * d; },
      [](const Tensor &d) { return d * 2.0; });
}

Tensor l1_loss(const Tensor &input, const Tensor &target, int64_t reduction) {
  return reduced(abs(input - target), reduction);
}

Tensor smooth_l1_loss(const Tensor &input, const Tensor &target, int64_t reduction, double beta) {
  HD_CHECK(beta >= 0, runtime, "smooth_l1_loss does not support negative values for beta.");
  return difference_loss(
      input, target, reduction, "smooth_l1", "SmoothL1LossBackward0",
      [beta](const Tensor &d) {
        Tensor a = abs(d);
        return beta == 0 ? a : where(a < beta, d * d * (0.5 / beta), a - 0.5 * beta);
      },
      [beta](const Tensor &d) { return beta == 0 ? sign(d) : where(abs(d) < beta, d / beta, sign(d)); });
}

Tensor huber_loss(const Tensor &input, const Tensor &target, int64_t reduction, double delta) {
  HD_CHECK(delta > 0, runtime, "huber_loss does not support non-positive values for delta.");
  return difference_loss(
      input, target, reduction, "huber", "HuberLossBackward0",
      [delta](const Tensor &d) {
        Tensor a = abs(d);
        return where(a <= delta, d * d * 0.5, (a - 0.5 * delta) * delta);
      },
      [delta](const Tensor &d) { return where(abs(d) <= delta, d, sign(d) * delta); });
}

Tensor kl_div(const Tensor &input, const Tensor &target, int64_t reduction, bool log_target) {
  HD_CHECK(!input.is_complex() && !target.is_complex(), runtime, "kl_div: Complex inputs not supported.");
  HD_CHECK(input.is_float() && target.is_float(), runtime, "kl_div: Integral inputs not supported.");
  if (log_target) return reduced(exp(target) * (target - input), reduction);
  return reduced(xlogy(target, target) - target * input, reduction);
}

// ---- binary cross entropy

Tensor binary_cross_entropy(const Tensor &input, const Tensor &target, const OptTensor &weight, int64_t reduction) {
  HD_CHECK(input.is_float(), not_implemented, "\"binary_cross_entropy\" not implemented for '%s'",
           info(input.dtype()).scalar);
  HD_CHECK(target.dtype() == input.dtype(), runtime, "Found dtype %s but expected %s", info(target.dtype()).scalar,
           info(input.dtype()).scalar);
  Tensor w = weight ? *weight : Tensor(), y;
  refuse_grad(w, "binary_cross_entropy", "weight");
  int64_t n;
  {
    NoGrad no;
    Tensor x = widened(input), t = widened(target);
    if (!x.is_meta()) {
      HD_CHECK(!item(all((x >= 0) & (x <= 1), std::nullopt, false)).is_zero(), runtime,
               "all elements of input should be between 0 and 1");
      HD_CHECK(!item(all((t >= 0) & (t <= 1), std::nullopt, false)).is_zero(), runtime,
               "all elements of target should be between 0 and 1");
    }
    Tensor terms = (t - 1) * clamp_min(log1p(-x), Scalar(-100.0)) - t * clamp_min(log(x), Scalar(-100.0));
    if (w) terms = terms * w;
    n = terms.numel();
    y = to(reduced(terms, reduction), input.dtype());
  }
  Dims x_shape = input.shape(), t_shape = target.shape();
  DType dtype = input.dtype();
  return record(y, "BinaryCrossEntropyBackward0", {input, target}, {Keep{input}, Keep{target}, Keep{w}},
                [=](const Backward &b) -> TensorList {
                  // The logarithms are cut off at -100, the derivative is that of the uncut ones, its denominator cut.
                  Tensor x = widened(b.saved(0)), t = widened(b.saved(1)), w = b.saved(2);
                  Tensor g = spread(widened(b.grad()), reduction, n);
                  if (w) g = g * w;
                  TensorList r(2);
                  if (b.wants(0))
                    r[0] = reduce_grad(g * (x - t) / clamp_min((1.0 - x) * x, Scalar(1e-12)), x_shape, dtype);
                  if (b.wants(1))
                    r[1] = reduce_grad(g * (clamp_min(log1p(-x), Scalar(-100.0)) - clamp_min(log(x), Scalar(-100.0))),
                                       t_shape, dtype);
                  return r;
                });
}

// (1 - t) x + (1 + (p - 1) t) (log(1 + exp(-|x|)) + max(-x, 0)): nothing in it overflows.
Tensor binary_cross_entropy_with_logits(const Tensor &input, const Tensor &target, const OptTensor &weight,
                                        const OptTensor &pos_weight, int64_t reduction) {
  HD_CHECK(input.is_float(), not_implemented, "\"log_sigmoid_cpu\" not implemented for '%s'",
           info(input.dtype()).scalar);
  Tensor w = weight ? *weight : Tensor(), p = pos_weight ? *pos_weight : Tensor();
  refuse_grad(w, "binary_cross_entropy_with_logits", "weight");
  refuse_grad(p, "binary_cross_entropy_with_logits", "pos_weight");
  const Tensor both[] = {input, target};
  DType dtype = result_type(both, 2);
  Tensor y;
  int64_t n;
  {
    NoGrad no;
    Tensor x = widened(input), t = widened(target), terms = -logsigmoid(x);
    if (p) terms = terms * ((p - 1) * t + 1);
    terms = (1 - t) * x + terms;
    if (w) terms = terms * w;
    n = terms.numel();
    y = to(reduced(terms, reduction), dtype);
  }
  Dims x_shape = input.shape(), t_shape = target.shape();
  DType x_dtype = input.dtype(), t_dtype = target.dtype();
  return record(y, "BinaryCrossEntropyWithLogitsBackward0", {input, target},
                {Keep{input}, Keep{target}, Keep{w}, Keep{p}}, [=](const Backward &b) -> TensorList {
                  Tensor x = widened(b.saved(0)), t = widened(b.saved(1)), w = b.saved(2), p = b.saved(3);
                  Tensor g = spread(widened(b.grad()), reduction, n);
                  if (w) g = g * w;
                  TensorList r(2);
                  if (b.wants(0)) {
                    Tensor d = p ? (1 - t) - ((p - 1) * t + 1) * sigmoid(-x) : sigmoid(x) - t;
                    r[0] = reduce_grad(g * d, x_shape, x_dtype);
                  }
                  if (b.wants(1)) {
                    Tensor d = p ? -x - logsigmoid(x) * (p - 1) : -x;
                    r[1] = reduce_grad(g * d, t_shape, t_dtype);
                  }
                  return r;
                });
}

// ---- classes

[[noreturn]] void size_mismatch(const char *line, const Tensor &input, const Tensor &target) {
  throw Error(Raises::runtime, line, "loss").arg("input", input).arg("target", target);
}

// f(i, where class 0 of target i lies) for the n targets of an input (N, C, K).
template <class F> void for_targets(int64_t n, int64_t classes, int64_t inner, const F &f) {
  for (int64_t i = 0, row = 0; i < n; row += classes * inner)
    for (int64_t k = 0; k < inner; ++k, ++i) f(i, row + k);
}
// The gradient of an input of that shape where its terms have the gradients -g * share, without history. Nothing where
// the three are not as they were computed: a hook may have saved `at` and `share` in another form.
Tensor unpick_classes(const Dims &shape, int64_t classes, int64_t inner, const Tensor &at, const Tensor &share,
                      const Tensor &g) {
  for (const Tensor *t : {&at, &share, &g})
    if (t->is_meta() || !t->is_contiguous()) return {};
  if (at.dtype() != DType::I64 || share.dtype() != g.dtype() || at.numel() * classes != numel(shape) ||
      !(share.shape() == at.shape()) || (g.dim() && !(g.shape() == at.shape())))
    return {};
  Tensor r = zeros(shape, g.dtype());
  auto run = [&]<class T>(Type<T>) {
    const int64_t *picked = at.data<int64_t>(), step = g.dim() ? 1 : 0;
    const T *from = g.data<T>(), *parts = share.data<T>();
    T *to_ = r.data<T>();
    for_targets(at.numel(), classes, inner, [&](int64_t i, int64_t place) {
      HD_CHECK(picked[i] >= 0 && picked[i] < classes, index, "Target %ld is out of bounds.", long(picked[i]));
      to_[place + picked[i] * inner] -= from[i * step] * parts[i];
    });
  };
  if (g.dtype() == DType::F64) run(Type<double>{});
  else run(Type<float>{});
  return r;
}

// -w[t] x[n, t, k] for input (N, C, K) and target (N, K), or (C) and a single one. Targets equal to ignore_index have
// the weight 0.
Tensor pick_classes(const Tensor &input, const Tensor &target, const Tensor &weight, int64_t reduction,
                    int64_t ignore_index, const char *kernel, const char *node) {
  HD_CHECK(target.dtype() == DType::I64 || target.dtype() == DType::U8, runtime,
           "expected target dtype to be Long or Byte, but got %s", info(target.dtype()).scalar);
  HD_CHECK(input.is_float(), not_implemented, "\"%s\" not implemented for '%s'", kernel, info(input.dtype()).scalar);
  HD_CHECK(!weight || weight.dtype() == input.dtype(), runtime, "expected scalar type %s but found %s",
           info(input.dtype()).scalar, info(weight ? weight.dtype() : DType::F32).scalar);
  int64_t c_dim = input.dim() == 1 ? 0 : 1, classes = input.size(c_dim);
  bool single = input.dim() == 1;
  DType dtype = input.dtype(), wide = compute_of(dtype);
  Tensor at, share, total, y; // the class read for each target, its weight, the sum of weights
  int64_t inner = 1;
  for (int64_t d = 2; d < input.dim(); ++d) inner *= input.shape()[d];
  {
    NoGrad no;
    Tensor x = contiguous(widened(input)), t = contiguous(to(target, DType::I64));
    at = empty(target.shape(), DType::I64, input.device());
    share = empty(target.shape(), wide, input.device());
    Tensor terms = empty(target.shape(), wide, input.device());
    Tensor w = weight ? contiguous(widened(weight)) : Tensor();
    if (!input.is_meta()) {
      const int64_t *from = t.data<int64_t>();
      int64_t *to_ = at.data<int64_t>();
      auto run = [&]<class T>(Type<T>) {
        const T *values = x.data<T>(), *weights = w ? w.data<T>() : nullptr;
        T *out = terms.data<T>(), *parts = share.data<T>();
        for_targets(target.numel(), classes, inner, [&](int64_t i, int64_t place) {
          int64_t c = from[i];
          if (c == ignore_index) {
            to_[i] = 0;
            parts[i] = out[i] = 0;
            return;
          }
          if (c < 0 || c >= classes)
            throw Error(Raises::index, text("Target %ld is out of bounds.", long(c)), "target")
                .arg("input", input)
                .arg("target", target);
          to_[i] = c;
          parts[i] = weights ? weights[c] : T(1);
          out[i] = -parts[i] * values[place + c * inner];
        });
      };
      if (wide == DType::F64) run(Type<double>{});
      else run(Type<float>{});
    }
    if (reduction == none) {
      y = terms;
    } else {
      y = sum(terms, std::nullopt, false, std::nullopt);
      if (reduction == averaged) {
        total = sum(share, std::nullopt, false, std::nullopt);
        y = y / total;
      }
    }
    y = to(y, dtype);
  }
  Dims shape = input.shape();
  return record(y, node, {input}, {Keep{at}, Keep{share}, Keep{total}}, [=](const Backward &b) -> TensorList {
    Tensor at = b.saved(0), g = widened(b.grad());
    if (reduction == averaged) g = g / b.saved(2);
    if (!grad_enabled())
      if (Tensor gx = unpick_classes(shape, classes, inner, at, b.saved(1), g)) return {to(gx, dtype)};
    g = -(g * b.saved(1));
    if (single) at = reshape(at, Dims{1}), g = reshape(g, Dims{1});
    else at = unsqueeze(at, 1), g = unsqueeze(g, 1);
    return {to(scatter_add(zeros(shape, g.dtype(), g.device()), c_dim, at, g), dtype)};
  });
}

Tensor nll_loss(const Tensor &input, const Tensor &target, const OptTensor &weight, int64_t reduction,
                int64_t ignore_index) {
  Tensor w = weight ? *weight : Tensor();
  HD_CHECK(input.dim() > 0 && input.dim() <= 2, runtime, "input tensor should be 1D or 2D");
  HD_CHECK(target.dim() <= 1, runtime, "0D or 1D target tensor expected, multi-target not supported");
  bool single = input.dim() == 1;
  if (single ? target.dim() == 1 && target.size(0) != 1 : target.dim() == 0 || input.size(0) != target.size(0))
    size_mismatch(text("size mismatch (got input: %s, target: %s)", brackets(input.shape()).c_str(),
                       brackets(target.shape()).c_str())
                      .c_str(),
                  input, target);
  HD_CHECK(
      !w || (w.dim() <= 1 && w.numel() == input.size(-1)), runtime,
      "weight tensor should be defined either for all %ld classes or no classes but got weight tensor of shape: %s",
      long(input.size(-1)), brackets(w ? w.shape() : Dims{}).c_str());
  refuse_grad(w, "nll_loss_forward", "weight");
  Tensor t = single && target.dim() == 1 ? reshape(target, Dims{}) : target;
  return pick_classes(input, t, w, reduction, ignore_index, "nll_loss_out_frame", "NllLossBackward0");
}

Tensor nll_loss2d(const Tensor &input, const Tensor &target, const OptTensor &weight, int64_t reduction,
                  int64_t ignore_index) {
  Tensor w = weight ? *weight : Tensor();
  refuse_grad(w, "nll_loss2d_forward", "weight");
  HD_CHECK(target.dim() == 3, runtime,
           "only batches of spatial targets supported (3D tensors) but got targets of dimension: %ld",
           long(target.dim()));
  HD_CHECK(input.dim() == 4, runtime,
           "only batches of spatial inputs supported (4D tensors), but got input of dimension: %ld", long(input.dim()));
  HD_CHECK(!w || w.numel() == input.size(1), runtime, "weight tensor should be defined either for all or no classes");
  if (!(target.shape() == Dims{input.size(0), input.size(2), input.size(3)}))
    size_mismatch(text("size mismatch (got input: %s , target: %s", brackets(input.shape()).c_str(),
                       brackets(target.shape()).c_str())
                      .c_str(),
                  input, target);
  return pick_classes(input, target, w, reduction, ignore_index, "nll_loss2d_forward_out_frame", "NllLoss2DBackward0");
}

// (C), (N, C) or (N, C, d…); more than two dimensions after C are seen as one.
Tensor nll_loss_nd(const Tensor &input, const Tensor &target, const OptTensor &weight, int64_t reduction,
                   int64_t ignore_index) {
  HD_CHECK(input.dim() >= 1, value, "Expected 1 or more dimensions (got %ld)", long(input.dim()));
  HD_CHECK(input.dim() == 1 || (target.dim() && input.size(0) == target.size(0)), value,
           "Expected input batch_size (%ld) to match target batch_size (%ld).", long(input.size(0)),
           long(target.dim() ? target.size(0) : 0));
  if (input.dim() <= 2) return nll_loss(input, target, weight, reduction, ignore_index);
  if (input.dim() == 4) return nll_loss2d(input, target, weight, reduction, ignore_index);
  Dims expected(input.shape());
  expected.erase(1);
  if (!(target.shape() == expected))
    size_mismatch(
        text("Expected target size %s, got %s", brackets(expected).c_str(), brackets(target.shape()).c_str()).c_str(),
        input, target);
  int64_t n = input.size(0), c = input.size(1), inner = 1;
  for (size_t d = 1; d < expected.size(); ++d) inner *= expected[d];
  Tensor flat = view(contiguous(input), Dims{n, c, 1, inner}), t = view(contiguous(target), Dims{n, 1, inner});
  Tensor y = nll_loss2d(flat, t, weight, reduction, ignore_index);
  return reduction == none ? view(y, expected) : y;
}

Tensor along_classes(const Tensor &w, const Tensor &like, int64_t dim) {
  Dims shape(size_t(like.dim()), 1);
  shape[dim] = w.numel();
  return view(w, shape);
}

Tensor cross_entropy_loss(const Tensor &input, const Tensor &target, const OptTensor &weight, int64_t reduction,
                          int64_t ignore_index, double label_smoothing) {
  int64_t dim = input.dim() == 1 ? 0 : 1;
  bool probabilities = input.shape() == target.shape();
  if (probabilities) {
    HD_CHECK(target.is_float(), runtime, "Expected floating point type for target with class probabilities, got %s",
             info(target.dtype()).scalar);
    HD_CHECK(ignore_index < 0, runtime, "ignore_index is not supported for floating point target");
  }
  if (label_smoothing > 0)
    HD_CHECK(label_smoothing <= 1, runtime, "label_smoothing must be between 0.0 and 1.0. Got: %g", label_smoothing);
  double classes = input.dim() > dim ? double(input.shape()[dim]) : 1;
  Tensor w = weight ? *weight : Tensor();
  if (probabilities) {
    HD_CHECK(!w || (w.dim() == 1 && double(w.numel()) == classes), runtime,
             "cross_entropy: weight tensor should be defined either for all %ld classes or no classes but got weight "
             "tensor of shape: %s",
             long(classes), brackets(w ? w.shape() : Dims{}).c_str());
    Tensor t = target, p = log_softmax(input, dim, std::nullopt);
    if (label_smoothing > 0) t = t * (1 - label_smoothing) + label_smoothing / classes;
    Tensor terms = p * t;
    if (w) terms = terms * along_classes(w, input, dim);
    if (reduction == none) return -sum(terms, Dims{dim}, false, std::nullopt);
    Tensor y = -sum(terms, std::nullopt, false, std::nullopt);
    return reduction == averaged ? named(y / (double(input.numel()) / classes), "DivBackward1") : y;
  }
  Tensor p = log_softmax(input, dim, std::nullopt);
  Tensor hard = nll_loss_nd(p, target, weight, reduction, ignore_index);
  if (label_smoothing <= 0) return hard;
  Tensor soft = w ? -sum(p * along_classes(w, input, dim), Dims{dim}, false, std::nullopt)
                  : -sum(p, Dims{dim}, false, std::nullopt);
  Tensor counted = target != ignore_index;
  soft = where(counted, soft, Scalar(0.0));
  if (reduction != none) soft = sum(soft, std::nullopt, false, std::nullopt);
  if (reduction == averaged) {
    Tensor parts = counted;
    if (w) {
      Tensor at = reshape(where(counted, to(target, DType::I64), Scalar(0)), Dims{target.numel()});
      parts = where(reshape(counted, Dims{target.numel()}), gather(w, 0, at), Scalar(0.0));
    }
    soft = soft / sum(parts, std::nullopt, false, std::nullopt);
  }
  return hard * (1 - label_smoothing) + soft * (label_smoothing / classes);
}
} // namespace
} // namespace ops

const OpTable &loss_ops() {
  using namespace ops;
  static const OpTable t = {
      def<ctc_loss>("_ctc_loss", "log_probs, labels, input_lengths, target_lengths, blank", function),
      def<ctc_gradient>("_ctc_gradient",
                        "grad, log_probs, labels, input_lengths, target_lengths, blank, loss, alpha, zero_infinity",
                        function),
      def<mse_loss>("mse_loss", "input, target, reduction=1", function),
      def<l1_loss>("l1_loss", "input, target, reduction=1", function),
      def<smooth_l1_loss>("smooth_l1_loss", "input, target, reduction=1, beta=1.0", function),
      def<huber_loss>("huber_loss", "input, target, reduction=1, delta=1.0", function),
      def<kl_div>("kl_div", "input, target, reduction=1, *, log_target=False", function),
      def<binary_cross_entropy>("binary_cross_entropy", "input, target, weight=None, reduction=1", function),
      def<binary_cross_entropy_with_logits>("binary_cross_entropy_with_logits",
                                            "input, target, weight=None, pos_weight=None, reduction=1", function),
      def<nll_loss>("nll_loss", "input, target, weight=None, reduction=1, ignore_index=-100", function),
      def<nll_loss2d>("nll_loss2d", "input, target, weight=None, reduction=1, ignore_index=-100", function),
      def<nll_loss_nd>("nll_loss_nd", "input, target, weight=None, reduction=1, ignore_index=-100", function),
      def<cross_entropy_loss>("cross_entropy_loss",
                              "input, target, weight=None, reduction=1, ignore_index=-100, label_smoothing=0.0",
                              function),
  };
  return t;
}

} // namespace hadamard
