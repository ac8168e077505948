// The dispatcher: what every element-wise op, copy and cast goes through.
#include "call.h"

#include <algorithm>
#include <cctype>

#include "cpu/threads.h"
#include "ops/all.h"
#include "ops/fuse.h"

namespace hadamard {

bool (*release_host_lock)() = nullptr;
void (*acquire_host_lock)() = nullptr;

LongWork::LongWork(int64_t elements) : on_(elements >= 32768 && release_host_lock && release_host_lock()) {}
LongWork::~LongWork() {
  if (on_) acquire_host_lock();
}

std::string node_name(const char *op) {
  static constexpr const char *others[][2] = {
      {"pow", "PowBackward1"}, // a number as exponent has a node of its own
      {"add_scaled", "AddBackward0"}, {"gelu_tanh", "GeluBackward0"}, {"logsigmoid", "LogSigmoidBackward0"},
      {"selu", "EluBackward0"},       {"tanhshrink", "SubBackward0"},
  };
  for (auto [name, node] : others)
    if (std::strcmp(op, name) == 0) return node;
  std::string s;
  bool up = true;
  for (const char *p = op; *p; ++p) {
    if (*p == '_') {
      up = true;
      continue;
    }
    // torch writes a letter behind a digit large: Log1P, but Log10 and Log2 stay.
    s += up || (p > op && std::isdigit((unsigned char)p[-1])) ? char(std::toupper((unsigned char)*p)) : *p;
    up = false;
  }
  return s + "Backward0";
}

Device common_device(const Tensor *t, int n, const char *op) {
  int first = -1;
  for (int i = 0; i < n; ++i)
    if (t[i] && (t[i].dim() || !t[i]->wrapped) && !(t[i].dim() == 0 && t[i].device().kind == DeviceKind::cpu)) {
      if (first < 0) first = i;
      else if (!(t[i].device() == t[first].device())) {
        Error e(Raises::runtime,
                "Tensor on device " + name(t[i].device()) + " is not on the expected device " +
                    name(t[first].device()) + "!",
                "device");
        throw e.in(op).arg("a", t[first]).arg("b", t[i]);
      }
    }
  return first < 0 ? t[0].device() : t[first].device();
}

// ---- strided iteration

namespace {
constexpr int64_t grain = 32768; // elements a thread should get at least

void coalesce(Grid &g, int operands) {
  int out = 0;
  for (int d = 0; d < g.ndim; ++d) {
    if (g.shape[d] == 1) continue;
    bool joined = out > 0;
    for (int k = 0; k < operands && joined; ++k) joined = g.stride[out - 1][k] == g.shape[d] * g.stride[d][k];
    if (joined) {
      g.shape[out - 1] *= g.shape[d];
      for (int k = 0; k < operands; ++k) g.stride[out - 1][k] = g.stride[d][k];
    } else {
      g.shape[out] = g.shape[d];
      for (int k = 0; k < operands; ++k) g.stride[out][k] = g.stride[d][k];
      ++out;
    }
  }
  if (!out) {
    g.shape[0] = 1;
    for (int k = 0; k < operands; ++k) g.stride[0][k] = 0;
    out = 1;
  }
  g.ndim = out;
}

// Orders dimensions so that the innermost has the smallest strides, looking at the result first.
void sort_dims(Grid &g, int operands) {
  auto before = [&](int a, int b) { // should dimension a be outside b?
    for (int k = 0; k < operands; ++k) {
      long x = g.stride[a][k], y = g.stride[b][k];
      if (x == 0 || y == 0 || x == y) continue;
      return x > y;
    }
    return true; // no evidence: leave
  };
  for (int i = 1; i < g.ndim; ++i)
    for (int j = i; j > 0 && !before(j - 1, j); --j) {
      std::swap(g.shape[j], g.shape[j - 1]);
      for (int k = 0; k < operands; ++k) std::swap(g.stride[j][k], g.stride[j - 1][k]);
    }
}
} // namespace

namespace {
// A resized out= deserves torch's warning, unless it was empty.
void resize_out(const Tensor &out, const Dims &shape) {
  if (out.numel())
    warn("An output with one or more elements was resized since it had shape " + brackets(out.shape()) +
         ", which does not match the required output shape " + brackets(shape) +
         ". This behavior is deprecated, and in a future PyTorch release outputs will not be resized unless they "
         "have zero elements. You can explicitly reuse an out tensor t by resizing it, inplace, to zero elements "
         "with t.resize_(0).");
  resize(out, shape);
}
} // namespace

void run_grid(const Loop &loop, Grid &g) {
  int64_t n = 1;
  for (int d = 0; d < g.ndim; ++d) n *= g.shape[d];
  if (n == 0) return;
  const Level &l = level();
  if (g.ndim == 1 && n < grain) return l.map(loop, g);
  if (g.ndim > 1) {
    sort_dims(g, loop.operands);
    coalesce(g, loop.operands);
  }
  if (n < 2 * grain || num_threads() == 1) {
    LongWork unlocked(n);
    l.map(loop, g);
    return;
  }
  LongWork unlocked(n);
  // Split the outermost dimension that is long enough; pieces are whole multiples of 64 elements where it is 1-d.
  int split = 0;
  for (int d = 1; d < g.ndim && g.shape[split] < num_threads(); ++d)
    if (g.shape[d] > g.shape[split]) split = d;
  int64_t unit = g.ndim == 1 ? 64 : 1, units = (g.shape[split] + unit - 1) / unit;
  int64_t per_unit = n / g.shape[split] * unit;
  parallel_for(units, std::max<int64_t>(1, grain / std::max<int64_t>(1, per_unit)), [&](long begin, long end) {
    Grid part;
    part.ndim = g.ndim;
    long from = begin * unit, to = std::min<long>(end * unit, g.shape[split]);
    for (int d = 0; d < g.ndim; ++d) {
      part.shape[d] = d == split ? to - from : g.shape[d];
      for (int k = 0; k < loop.operands; ++k) part.stride[d][k] = g.stride[d][k];
    }
    for (int k = 0; k < loop.operands; ++k) part.data[k] = g.data[k] + from * g.stride[split][k];
    l.map(loop, part);
  });
}

namespace {
void put(Grid &g, int k, const Tensor &t, const Dims &to) {
  g.data[k] = t.raw();
  int lead = int(to.size()) - int(t.dim());
  long size = t.itemsize();
  for (int d = 0; d < g.ndim; ++d) {
    int s = d - lead;
    g.stride[d][k] = s < 0 || (t.shape()[s] == 1 && to[d] != 1) ? 0 : t.strides()[s] * size;
  }
}

// Addresses a tensor's elements can have, first to one past the last.
std::pair<const char *, const char *> extent(const Tensor &t) {
  int64_t last = 0;
  for (int64_t d = 0; d < t.dim(); ++d) last += (t.shape()[d] - 1) * t.strides()[d];
  const char *p = t.raw();
  return {p, p + (last + 1) * t.itemsize()};
}
enum class Overlap { none, same, partial };
Overlap overlap(const Tensor &a, const Tensor &b) {
  if (!(a->storage == b->storage) || !a.numel() || !b.numel() || a.is_meta()) return Overlap::none;
  if (a->offset == b->offset && a.shape() == b.shape() && a.strides() == b.strides() && a.dtype() == b.dtype())
    return Overlap::same;
  auto [a0, a1] = extent(a);
  auto [b0, b1] = extent(b);
  return a1 <= b0 || b1 <= a0 ? Overlap::none : Overlap::partial;
}

// Strides of a fresh result: contiguous, or in the order of the operands' strides where they agree on another.
Tensor new_result(const Tensor *in, int n, const Dims &shape, DType t, Device d) {
  bool plain = true;
  for (int i = 0; i < n; ++i)
    if (in[i].dim() && !in[i].is_contiguous()) plain = false;
  if (plain || shape.size() < 2) return empty(shape, t, d);
  SmallVec<int, 8> order; // outermost first
  auto outside = [&](int a, int b) {
    for (int i = 0; i < n; ++i) {
      int lead = int(shape.size()) - int(in[i].dim());
      auto stride = [&](int k) -> int64_t {
        return k < lead || in[i].shape()[k - lead] == 1 ? 0 : in[i].strides()[k - lead];
      };
      int64_t x = stride(a), y = stride(b);
      if (x == 0 || y == 0) continue;
      if (x != y) return x > y;
      if (shape[a] > shape[b]) return false;
    }
    return true;
  };
  for (int i = 0; i < int(shape.size()); ++i) {
    int at = int(order.size());
    while (at > 0 && !outside(order[at - 1], i)) --at;
    order.insert(at, i);
  }
  Dims strides(shape.size(), 1);
  int64_t step = 1;
  for (size_t k = order.size(); k-- > 0;) {
    strides[order[k]] = step;
    step = next_stride(step, shape[order[k]]);
  }
  return empty_strided(shape, strides, t, d);
}

[[noreturn]] void not_implemented(const Elementwise &op, DType t) {
  std::string n = op.name;
  if (n == "neg" && t == DType::Bool)
    throw Error(
        Raises::runtime,
        "Negation, the `-` operator, on a bool tensor is not supported. If you are trying to invert a mask, use "
        "the `~` or `logical_not()` operator instead.",
        "dtype");
  // What torch says where it is not the op's name and "_cpu"; the first that fits.
  static constexpr struct {
    const char *op;
    Set dtypes;
    Raises type;
    const char *text;
  } said[] = {
      {"ceil", complexes, Raises::not_implemented, "ceil is not supported for complex inputs"},
      {"floor", complexes, Raises::not_implemented, "floor is not supported for complex inputs"},
      {"trunc", complexes, Raises::not_implemented, "trunc is not supported for complex inputs"},
      {"clamp", complexes, Raises::not_implemented, "clamp is not supported for complex types"},
      {"clamp_min", complexes, Raises::not_implemented, "\"maximum_cpu\" not implemented for '%s'"},
      {"clamp_max", complexes, Raises::not_implemented, "\"minimum_cpu\" not implemented for '%s'"},
      {"relu", complexes, Raises::not_implemented, "clamp is not supported for complex types"},
      {"relu", boolean, Raises::runtime, "Boolean inputs not supported for relu"},
      {"relu6", complexes, Raises::not_implemented, "clamp is not supported for complex types"},
      {"relu6", boolean, Raises::runtime, "Bool inputs not supported for hardtanh"},
      {"hardtanh", complexes, Raises::not_implemented, "clamp is not supported for complex types"},
      {"hardtanh", boolean, Raises::runtime, "Bool inputs not supported for hardtanh"},
      {"maximum", complexes, Raises::runtime, "maximum not implemented for complex tensors."},
      {"minimum", complexes, Raises::runtime, "minimum not implemented for complex tensors."},
      {"fmax", complexes, Raises::runtime, "fmax not implemented for complex tensors."},
      {"fmin", complexes, Raises::runtime, "fmin not implemented for complex tensors."},
      {"deg2rad", complexes, Raises::runtime, "deg2rad is not supported for complex tensors."},
      {"rad2deg", complexes, Raises::runtime, "rad2deg is not supported for complex tensors."},
      {"heaviside", complexes, Raises::runtime, "heaviside is not yet implemented for complex tensors."},
      {"signbit", complexes, Raises::not_implemented, "signbit is not implemented for complex tensors."},
      {"sign", complexes, Raises::not_implemented,
       "Unlike NumPy, torch.sign is not intended to support complex numbers. Please use torch.sgn instead."},
      {"addcdiv", integers | boolean, Raises::runtime,
       "Integer division with addcdiv is no longer supported, and in a future  release addcdiv will perform a true "
       "division of tensor1 and tensor2. The historic addcdiv behavior can be implemented as (input + value * "
       "torch.trunc(tensor1 / tensor2)).to(input.dtype) for integer inputs and as (input + value * tensor1 / tensor2) "
       "for float inputs. The future addcdiv behavior is just the latter implementation: (input + value * tensor1 / "
       "tensor2), for all dtypes."},
      {"complex", everything, Raises::runtime,
       "Expected both inputs to be Half, Float or Double tensors but got %s and %s"},
  };
  for (auto &s : said)
    if (n == s.op && dtype_in(t, s.dtypes))
      throw Error(s.type, text(s.text, info(t).scalar, info(t).scalar), "dtype").in(op.name);
  static constexpr struct {
    const char *op, *kernel;
  } kernels[] = {
      {"bitwise_left_shift", "lshift_cpu"},
      {"bitwise_right_shift", "rshift_cpu"},
      {"trunc_divide", "div_trunc_cpu"},
      {"floor_divide", "div_floor_cpu"},
      {"gelu", "GeluKernelImpl"},
      {"gelu_tanh", "GeluKernelImpl"},
      {"selu", "elu_cpu"},
      {"round", "round_vml_cpu"},
      {"ceil", "ceil_vml_cpu"},
      {"floor", "floor_vml_cpu"},
      {"trunc", "trunc_vml_cpu"},
      {"erf", "erf_vml_cpu"},
      {"erfc", "erfc_vml_cpu"},
      {"erfinv", "erfinv_vml_cpu"},
      {"lgamma", "lgamma_vml_cpu"},
      {"digamma", "digamma"},
      {"pow", "pow"},
      {"addcmul", "addcmul_cpu_out"},
      {"logsigmoid", "log_sigmoid_cpu"},
      {"add_scaled", "add_cpu"},
  };
  std::string kernel = n + "_cpu";
  for (auto &k : kernels)
    if (n == k.op) kernel = k.kernel;
  throw Error(Raises::not_implemented, "\"" + kernel + "\" not implemented for '" + info(t).scalar + "'", "dtype")
      .in(op.name);
}

} // namespace

void check_minus(std::span<const Tensor> operands) {
  bool all = true, any = false;
  for (auto &t : operands) (t.dtype() == DType::Bool ? any : all) = t.dtype() == DType::Bool;
  if (!any) return;
  throw Error(Raises::runtime,
              all && operands.size() > 1
                  ? "Subtraction, the `-` operator, with two bool tensors is not supported. Use the `^` or "
                    "`logical_xor()` operator instead."
                  : "Subtraction, the `-` operator, with a bool tensor is not supported. If you are trying to invert a "
                    "mask, use the `~` or `logical_not()` operator instead.",
              "dtype");
}

Error clash(const char *op, const Dims &a, const Dims &b, const Broadcast &where) {
  size_t back = std::max(a.size(), b.size()) - size_t(where.clash);
  return Error(Raises::runtime,
               text("The size of tensor a (%ld) must match the size of tensor b (%ld) at non-singleton dimension %d",
                    long(a[a.size() - back]), long(b[b.size() - back]), where.clash),
               "broadcast")
      .in(op)
      .at(where.clash);
}

namespace {
Dims broadcast_all(const Elementwise &op, const Tensor *in, int n) {
  Dims shape = in[0].shape();
  for (int i = 1; i < n; ++i) {
    if (in[i].shape() == shape || in[i].dim() == 0) continue;
    Broadcast b = broadcast(shape, in[i].shape());
    if (b.clash >= 0) {
      Error e = clash(op.name, shape, in[i].shape(), b);
      for (int k = 0; k < n; ++k) e.arg(std::string(1, char('a' + k)).c_str(), in[k]);
      throw e;
    }
    shape = b.shape;
  }
  return shape;
}

struct Typed { // operands in one dtype: 0-d ones as bytes on the stack, others cast to temporaries
  Tensor t[max_operands - 1];
  alignas(16) char bytes[max_operands - 1][16];
  bool local[max_operands - 1] = {};
};

// The general road: promotion, broadcasting, out=, overlap.
Tensor run_general(const Elementwise &op, const Tensor *in, int n, const Tensor &out, bool inplace) {
  Device device = common_device(in, n, op.name);
  if (out) {
    const Tensor both_[] = {out, in[0]};
    if (!(in[0].dim() == 0 && in[0]->wrapped)) common_device(both_, 2, op.name);
  }
  int skip = op.condition ? 1 : 0;
  DType common = result_type(in + skip, n - skip);
  // Numbers alone, as in a gradient's conj(b) or b - 1, stay numbers: rounded to the default dtype they would spoil
  // a float64 result.
  bool numbers = !out && !skip;
  for (int i = 0; i < n; ++i) numbers = numbers && in[i]->wrapped;
  if (numbers && dtype_in(common, floats | complexes)) common = dtype_in(common, complexes) ? DType::C128 : DType::F64;
  if (op.promotes == Promotes::floating && !dtype_in(common, floats | complexes))
    common = numbers ? DType::F64 : default_dtype();
  if (op.id == ops::op_id<ops::sub>) check_minus({in, size_t(n)});
  if (!dtype_in(common, op.dtypes)) not_implemented(op, common);
  const Loop &loop = level().elementwise[op.id][int(common)];
  if (!loop.vectors) not_implemented(op, common);
  Dims shape = broadcast_all(op, in, n);
  if (op.condition && in[0].dtype() != DType::Bool && in[0].dtype() != DType::U8)
    throw Error(Raises::runtime,
                std::string("where expected condition to be a boolean tensor, but got a tensor with dtype ") +
                    info(in[0].dtype()).scalar,
                "dtype");

  DType wanted = loop.result;
  Tensor y = out;
  if (out) {
    if (!inplace || out.shape() == shape)
      HD_CHECK(can_cast(wanted, out.dtype()), runtime, "result type %s can't be cast to the desired output type %s",
               info(wanted).scalar, info(out.dtype()).scalar);
    if (!(out.shape() == shape)) {
      if (inplace)
        throw Error(Raises::runtime,
                    text("output with shape %s doesn't match the broadcast shape %s", brackets(out.shape()).c_str(),
                         brackets(shape).c_str()),
                    "inplace_shape")
            .in(op.name)
            .arg("self", in[0])
            .arg("other", in[n - 1]);
      resize_out(out, shape);
    }
    check_overlap(out);
    if (inplace && out.dtype() == wanted && put_off_inplace(op.name, loop, common, skip, in, n)) return out;
  } else {
    bool later = device.kind == DeviceKind::cpu && waits(shape, in, n);
    y = new_result(in, n, shape, wanted, later ? Device{DeviceKind::meta} : device);
    y->wrapped = numbers;
    if (later) {
      put_off(op.name, loop, common, skip, in, n, y);
      return y;
    }
  }
  if (y.is_meta() || device.kind == DeviceKind::meta) return y;

  Typed typed;
  for (int i = 0; i < n; ++i) {
    DType need = i < skip ? DType::Bool : common;
    if (in[i].dim() == 0) {
      if (in[i].dtype() == need) std::memcpy(typed.bytes[i], in[i].raw(), size_t(in[i].itemsize()));
      else store(typed.bytes[i], need, load(in[i].raw(), in[i].dtype()));
      typed.local[i] = true;
      typed.t[i] = in[i];
      continue;
    }
    typed.t[i] = in[i];
    if (in[i].dtype() != need) {
      Tensor cast = empty_like(in[i], need);
      copy_data(cast, in[i]);
      typed.t[i] = cast;
    } else if (out) {
      Overlap o = overlap(out, in[i]);
      if (o == Overlap::partial) {
        if (is_dense(out.shape(), out.strides()) && is_dense(in[i].shape(), in[i].strides()))
          throw Error(Raises::runtime,
                      "unsupported operation: some elements of the input tensor and the written-to tensor refer to a "
                      "single memory location. Please clone() the tensor before performing the operation.",
                      "overlap");
        Tensor copy = empty_like(in[i], need);
        copy_data(copy, in[i]);
        typed.t[i] = copy;
      }
    }
  }
  Tensor target = y.dtype() == wanted ? y : empty_like(y, wanted);
  Grid g;
  g.ndim = int(shape.size());
  for (int d = 0; d < g.ndim; ++d) g.shape[d] = shape[d];
  put(g, 0, target, shape);
  for (int i = 0; i < n; ++i) {
    if (typed.local[i]) {
      g.data[i + 1] = typed.bytes[i];
      for (int d = 0; d < g.ndim; ++d) g.stride[d][i + 1] = 0;
    } else {
      put(g, i + 1, typed.t[i], shape);
    }
  }
  if (g.ndim == 0) {
    g.ndim = 1;
    g.shape[0] = 1;
    for (int k = 0; k <= n; ++k) g.stride[0][k] = loop.size[k];
  }
  run_grid(loop, g);
  if (!target.is(y)) copy_data(y, target);
  return y;
}

// The short road: operands of one dtype and shape without gaps, on the CPU, and numbers (0-d, or repeated over all of
// the shape) that do not change the dtype. Nothing is to decide but where the numbers lie. Without `fresh` the result
// goes to in[0].
bool run_plain(const Elementwise &op, const Tensor *in, int n, Tensor *fresh) {
  const bool inplace = !fresh;
  if (op.condition) return false;
  const Tensor *full = in;
  for (int i = 1; i < n; ++i) {
    bool better = full->dim() == 0 ? in[i].dim() || (*full)->wrapped : !full->is_contiguous() && in[i].dim();
    if (better) full = in + i;
  }
  const Tensor &a = *full;
  const DType t = a.dtype();
  if (!a.is_contiguous() || a->wrapped || a.is_meta() || !dtype_in(t, op.dtypes)) return false;
  if (op.promotes == Promotes::floating && !dtype_in(t, floats | complexes)) return false;
  const Level &l = level();
  const Loop &loop = l.elementwise[op.id][int(t)];
  if (!loop.vectors) return false;
  if (inplace && (full != in || loop.result != t)) return false;
  alignas(16) char number[max_operands][16];
  Grid g;
  g.ndim = 1;
  g.shape[0] = a.numel();
  for (int i = 0; i < n; ++i) {
    const Tensor &x = in[i];
    g.data[i + 1] = nullptr;
    g.stride[0][i + 1] = loop.size[i + 1];
    if (x.dtype() == t && x.dim() == a.dim() && !x->wrapped) {
      if (x.is_meta() || !(x.shape() == a.shape())) return false;
      if (!x.is_contiguous()) { // one number for all, as the gradient of a sum is
        for (int64_t s : x.strides())
          if (s) return false;
        g.stride[0][i + 1] = 0;
      }
      if (inplace && i && x->storage == a->storage && x->offset != a->offset) return false;
      g.data[i + 1] = x.raw();
    } else if (x.dim() == 0 && (a.dim() || x->wrapped) && !x.is_meta() && x.dtype() != DType::Bool &&
               category(x.dtype()) <= category(t)) { // what subtracts truth values is refused on the general road
      store(number[i], t, load(x.raw(), x.dtype()));
      g.data[i + 1] = number[i];
      g.stride[0][i + 1] = 0;
    } else {
      return false;
    }
  }
  if (fresh) *fresh = empty_as(a, loop.result);
  g.data[0] = (fresh ? *fresh : a).raw();
  g.stride[0][0] = loop.size[0];
  if (g.shape[0] < grain) l.map(loop, g);
  else run_grid(loop, g);
  return true;
}
} // namespace

Tensor run(const Elementwise &op, const Tensor *in, int n, const Tensor &out) {
  Tensor y;
  bool later = false;
  if (modes.fusing)
    for (int i = 0; i < n; ++i) later |= waits(in[i].shape(), in + i, 1);
  if (!out && !later && run_plain(op, in, n, &y)) return y;
  return run_general(op, in, n, out, false);
}
bool is_ours(const Tensor &t) {
  return t->refs.load() == 1 && t->storage->refs.load() == 1 && !t->base && !overlaps_itself(t.shape(), t.strides());
}
Tensor run_slope(const Elementwise &slope, unsigned reads, const Tensor &g, const Tensor *const *v, bool ours) {
  if (!dtype_in(g.dtype(), slope.dtypes)) return {};
  ours = ours && !modes.fusing && !grad_enabled() && g.dim() && is_ours(g);
  const Tensor *in[4] = {&g};
  int n = 1;
  bool recorded = g.requires_grad();
  for (int i = 0; i < 4; ++i)
    if (reads >> i & 1) {
      if (v[i]->dtype() != g.dtype() && !(*v[i])->wrapped) return {};
      recorded |= v[i]->requires_grad();
      ours = ours && (v[i]->shape() == g.shape() || v[i]->dim() == 0);
      in[n++] = v[i];
    }
  if (recorded && grad_enabled()) return {};
  const Borrowed<4> list(*in[0], *in[n > 1 ? 1 : 0], *in[n > 2 ? 2 : 0], *in[n > 3 ? 3 : 0]);
  if (!ours) return run(slope, list.list(), n);
  run_inplace(slope, list.list(), n);
  return g;
}
void run_inplace(const Elementwise &op, const Tensor *in, int n) {
  if ((modes.fusing && in[0]->storage->waiting.load()) || !run_plain(op, in, n, nullptr))
    run_general(op, in, n, in[0], true);
}

void check_out(const char *op, const Tensor &out, bool any) {
  HD_CHECK(!(any && grad_enabled()), runtime,
           "%s(): functions with out=... arguments don't support automatic differentiation, but one of the arguments "
           "requires grad.",
           op);
  if (modes.fusing) run_before_write(out);
}

Tensor write_out(const char *op, const Tensor &out, const Tensor &y) {
  check_out(op, out, y.requires_grad() || out.requires_grad());
  HD_CHECK(can_cast(y.dtype(), out.dtype()), runtime, "result type %s can't be cast to the desired output type %s",
           info(y.dtype()).scalar, info(out.dtype()).scalar);
  const Tensor pair[] = {out, y};
  if (out.device().kind != y.device().kind) common_device(pair, 2, op);
  if (!(out.shape() == y.shape())) resize_out(out, y.shape());
  check_overlap(out);
  copy_data(out, y);
  out.bump();
  return out;
}

// ---- copies

void copy_data(const Tensor &dst, const Tensor &src) {
  if (dst.is_meta() || !dst.numel()) return;
  HD_CHECK(!src.is_meta(), not_implemented, "Cannot copy out of meta tensor; no data!");
  Tensor from = src;
  if (overlap(dst, src) == Overlap::partial) {
    from = empty_like(src);
    copy_data(from, src);
  }
  const Loop &loop = level().cast[int(from.dtype())][int(dst.dtype())];
  Grid g;
  g.ndim = int(dst.dim());
  for (int d = 0; d < g.ndim; ++d) g.shape[d] = dst.shape()[d];
  put(g, 0, dst, dst.shape());
  // src may have more dimensions, all of them 1
  Tensor same = from;
  if (from.dim() > dst.dim()) {
    Dims shape(from.shape().begin() + (from.dim() - dst.dim()), from.shape().end());
    Dims strides(from.strides().begin() + (from.dim() - dst.dim()), from.strides().end());
    same = alias(from, shape, strides, from->offset);
  }
  put(g, 1, same, dst.shape());
  if (g.ndim == 0) {
    g.ndim = 1;
    g.shape[0] = 1;
    g.stride[0][0] = loop.size[0];
    g.stride[0][1] = loop.size[1];
  }
  run_grid(loop, g);
}

void fill_data(const Tensor &t, const Scalar &v) {
  if (t.is_meta() || !t.numel()) return;
  alignas(16) char bytes[16];
  store(bytes, t.dtype(), v);
  const Loop &loop = level().cast[int(t.dtype())][int(t.dtype())];
  Grid g;
  g.ndim = int(t.dim());
  for (int d = 0; d < g.ndim; ++d) {
    g.shape[d] = t.shape()[d];
    g.stride[d][0] = t.strides()[d] * t.itemsize();
    g.stride[d][1] = 0;
  }
  if (t.is_contiguous()) {
    g.ndim = 1;
    g.shape[0] = t.numel();
    g.stride[0][0] = t.itemsize();
    g.stride[0][1] = 0;
  }
  g.data[0] = t.raw();
  g.data[1] = bytes;
  run_grid(loop, g);
}

Tensor to(const Tensor &x, DType t) {
  if (x.dtype() == t) return x;
  Tensor y = put_off_copy(x, t);
  if (!y) {
    y = empty_like(x, t);
    copy_data(y, x);
  }
  DType from = x.dtype();
  return record(y, "ToCopyBackward0", {x}, {}, [from](const Backward &b) -> TensorList {
    const Tensor &g = b.grad();
    return {to(g.is_complex() && !dtype_in(from, complexes) ? ops::real(g) : g, from)};
  });
}

Tensor to(const Tensor &x, Device d) {
  if (x.device() == d) return x;
  HD_CHECK(!x.is_meta(), not_implemented,
           "Cannot copy out of meta tensor; no data! Please use torch.nn.Module.to_empty() instead of "
           "torch.nn.Module.to() when moving module from meta to a different device.");
  Tensor y = is_dense(x.shape(), x.strides()) ? empty_strided(x.shape(), x.strides(), x.dtype(), d)
                                              : empty(x.shape(), x.dtype(), d);
  Device from = x.device();
  return record(y, "ToCopyBackward0", {x}, {},
                [from](const Backward &b) -> TensorList { return {to(b.grad(), from)}; });
}

Tensor clone(const Tensor &x) {
  Tensor y = put_off_copy(x, x.dtype());
  if (!y) {
    y = empty_like(x);
    copy_data(y, x);
  }
  return record(y, "CloneBackward0", {x}, {}, [](const Backward &b) -> TensorList { return {b.grad()}; });
}

Tensor contiguous(const Tensor &x) {
  if (x.is_contiguous()) return x;
  Tensor y = empty(x.shape(), x.dtype(), x.device());
  copy_data(y, x);
  return record(y, "CloneBackward0", {x}, {}, [](const Backward &b) -> TensorList { return {b.grad()}; });
}

Tensor detach(const Tensor &x) { return alias(x); }

void copy_(const Tensor &dst, const Tensor &src) {
  check_inplace(dst);
  Broadcast b = broadcast(dst.shape(), src.shape());
  if (b.clash >= 0 || (!(b.shape == dst.shape()) && src.numel() != dst.numel())) {
    if (b.clash >= 0) throw clash("copy_", dst.shape(), src.shape(), b).arg("self", dst).arg("src", src);
    throw Error(Raises::runtime,
                text("output with shape %s doesn't match the broadcast shape %s", brackets(dst.shape()).c_str(),
                     brackets(b.shape).c_str()),
                "inplace_shape");
  }
  bool recording = grad_enabled() && (src.requires_grad() || dst.requires_grad());
  Ref<Node> holder;
  if (recording && differentiable(dst)) {
    Dims shape = src.shape();
    DType t = src.dtype();
    Device d = src.device();
    auto *node = new FormulaNode("CopyBackwards", {}, [shape, t, d](const Backward &b) -> TensorList {
      TensorList r(2);
      if (b.wants(0)) r[0] = ops::mul(b.grad(), number(Scalar(0)));
      if (b.wants(1)) r[1] = to(reduce_grad(b.grad(), shape, t), d);
      return r;
    });
    holder = Ref<Node>::adopt(node);
    const Tensor in[] = {dst, differentiable(src) ? src : Tensor()};
    connect(*node, in, 2);
  }
  copy_data(dst, src);
  dst.bump();
  if (holder) rebase_history(dst, holder);
}

void fill_(const Tensor &t, const Tensor &value) {
  HD_CHECK(value.dim() == 0, runtime,
           "fill_ only supports 0-dimension value tensor but got tensor with %ld dimensions.", long(value.dim()));
  copy_(t, value);
}
void zero_(const Tensor &t) { copy_(t, number(Scalar(0))); }

// ---- gradients of broadcast operands

Tensor sum_to(const Tensor &g, const Dims &shape) {
  if (g.shape() == shape) return g;
  Dims lead, ones;
  int64_t extra = g.dim() - int64_t(shape.size());
  for (int64_t d = 0; d < g.dim(); ++d)
    if (d < extra || (shape[d - extra] == 1 && g.shape()[d] != 1)) ones.push_back(d);
  Tensor r = g;
  if (!ones.empty()) r = ops::sum(g, ones, true, std::nullopt);
  return extra > 0 ? ops::view(r, shape) : r;
}

Tensor reduce_grad(Tensor g, const Dims &shape, DType t) {
  if (g.dtype() == t && g.shape() == shape) return g;
  Tensor r = sum_to(g, shape);
  if (r.is_complex() && !dtype_in(t, complexes)) r = ops::real(r);
  return to(r, t);
}

} // namespace hadamard
