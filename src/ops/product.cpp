// What every product runs through: one plan, one gradient, one set of errors.
#include "ops/product.h"

#include <algorithm>
#include <cstring>

namespace hadamard {
namespace ops {
namespace {

int64_t find(const Labels &labels, uint8_t label) {
  for (size_t i = 0; i < labels.size(); ++i)
    if (labels[i] == label) return int64_t(i);
  return -1;
}

// Size and strides of one label; a dimension of size 1 repeats along a larger one.
Index index_of(const Form &f, uint8_t label, const Tensor &a, const Tensor &b) {
  int64_t i = find(f.a, label), j = find(f.b, label);
  int64_t na = i < 0 ? 1 : a.shape()[i], nb = j < 0 ? 1 : b.shape()[j];
  Index x = {Role::summed, na == 1 ? nb : na, 0, 0, 0, 0};
  if (i >= 0 && na != 1) x.a = a.strides()[i];
  if (j >= 0 && nb != 1) x.b = b.strides()[j];
  // An operand that only repeats along the index might as well lack it.
  bool in_a = i >= 0 && (na != 1 || nb == 1), in_b = j >= 0 && (nb != 1 || na == 1);
  if (find(f.c, label) >= 0) x.role = in_a && in_b ? Role::batch : in_a ? Role::row : Role::column;
  return x;
}

// The gradient of an operand with labels `to` and shape `shape`: the same indices, with the result's gradient in the
// place of the operand. What the operand repeated is summed; what was summed in it alone is repeated.
Tensor operand_gradient(const char *name, const Labels &of_g, const Tensor &g, const Labels &of_other,
                        const Tensor &other, const Labels &to, const Dims &shape) {
  Form f{of_g, of_other, {}};
  Dims middle;
  for (size_t d = 0; d < to.size(); ++d) {
    int64_t i = find(of_g, to[d]), j = find(of_other, to[d]);
    int64_t n = std::max<int64_t>(i < 0 ? 1 : g.shape()[i], j < 0 ? 1 : other.shape()[j]);
    if (i >= 0 && g.shape()[i] == 0) n = 0;
    if ((i < 0 && j < 0) || (shape[d] == 1 && n != 1)) {
      middle.push_back(1);
    } else {
      f.c.push_back(to[d]);
      middle.push_back(n);
    }
  }
  Tensor y = other.is_complex() ? product(name, f, g, conj(other)) : product(name, f, g, other);
  if (f.c.size() != to.size()) y = reshape(y, middle);
  return y.shape() == shape ? y : expand(y, shape);
}

bool is_one(const Scalar &s) {
  return s.kind == Scalar::complex_ ? s.re == 1 && s.im == 0 : s.kind == Scalar::floating ? s.re == 1 : s.i == 1;
}
Tensor scaled(Tensor x, const Scalar &by) {
  if (is_one(by)) return x;
  return mul(x, number(dtype_in(x.dtype(), integers) ? Scalar(by.to_int()) : by));
}
Scalar conjugate(Scalar s) {
  s.im = -s.im;
  return s;
}

struct ProductNode : Node {
  const char *name_;
  Form form;
  Saved a, b;
  Dims shape_a, shape_b, shape_addend;
  Scalar alpha = 1, beta = 1;
  uint8_t at_a = 0, at_b = 1, at_addend = 255; // places among the inputs
  bool had_saved = false, freed = false;

  const char *name() const override { return name_; }
  TensorList apply(const TensorList &grads) override {
    if (freed) throw_released();
    TensorList r(next.size());
    const Tensor &g = grads[0];
    if (!g) return r;
    const char *inner = std::strcmp(name_, "AddmmBackward0") ? name_ : "MmBackward0"; // what its gradients are
    if (at_addend != 255 && wants(at_addend)) r[at_addend] = sum_to(scaled(g, conjugate(beta)), shape_addend);
    Tensor room;
    if (wants(at_a))
      r[at_a] =
          scaled(operand_gradient(inner, form.c, g, form.b, b.get(this, room), form.a, shape_a), conjugate(alpha));
    if (wants(at_b))
      r[at_b] =
          scaled(operand_gradient(inner, form.c, g, form.a, a.get(this, room), form.b, shape_b), conjugate(alpha));
    return r;
  }
  const Saved *kept(size_t i) const override { // where torch has the same matrix, not its transpose
    bool vector = form.b.size() < 2;
    if (form.a.empty() || form.b.empty()) return nullptr;
    if (i == 4) return find(form.c, form.a.back()) < 0 ? &a : nullptr;
    return i == 5 && (vector || find(form.c, form.b.back()) >= 0) ? &b : nullptr;
  }
  void release() override {
    if (!had_saved) return;
    freed = true;
    a.clear();
    b.clear();
  }
  bool released() const override { return freed; }
};

void record_product(const char *name, const Form &form, const Tensor &a, const Tensor &b, const Affine *affine,
                    const Tensor &y) {
  auto *node = new ProductNode;
  Ref<Node> holder = Ref<Node>::adopt(node);
  node->name_ = name;
  node->form = form;
  node->shape_a = a.shape(), node->shape_b = b.shape();
  if (a.requires_grad()) node->b = Saved(b, false);
  if (b.requires_grad()) node->a = Saved(a, false);
  node->had_saved = a.requires_grad() || b.requires_grad();
  if (!affine) {
    connect(*node, {a, b});
  } else {
    node->shape_addend = affine->addend.shape();
    node->alpha = affine->alpha, node->beta = affine->beta;
    if (affine->last) {
      node->at_addend = 2;
      connect(*node, {a, b, affine->addend});
    } else {
      node->at_a = 1, node->at_b = 2, node->at_addend = 0;
      connect(*node, {affine->addend, a, b});
    }
  }
  set_history(y, std::move(holder));
}

// Where the result can be computed in place of `out` itself.
template <class... T> bool fits(const Tensor &out, const Dims &shape, const T &...operands) {
  return out && out.shape() == shape && !overlaps_itself(out.shape(), out.strides()) &&
         !(... || (operands && operands->storage == out->storage));
}
// The op's name in lower case, from "MmBackward0", for errors about out=.
std::string op_of(const char *node) {
  std::string s = node;
  s = s.substr(0, s.find("Backward"));
  for (char &c : s) c = char(tolower(c));
  return s;
}
} // namespace

Dims product_shape(const Form &f, const Tensor &a, const Tensor &b) {
  Dims shape;
  for (uint8_t label : f.c) shape.push_back(index_of(f, label, a, b).size);
  return shape;
}

namespace {
// The kernels read what they are told: whatever an op has checked in its own words, nothing else gets past here.
void check_operands(const Tensor &a, const Tensor &b) {
  HD_CHECK(a.dtype() == b.dtype(), runtime, "expected scalar type %s but found %s", info(a.dtype()).scalar,
           info(b.dtype()).scalar);
  if (a.numel() && b.numel()) check_bool(a, "bmm");
}
} // namespace

void contract(const Form &f, const Tensor &a, const Tensor &b, const Tensor &out, bool accumulate, const Tensor &bias) {
  check_operands(a, b);
  if (!out.numel() || (out.is_meta() && !plan_hook)) return;
  if (a.dtype() == DType::Bool) return fill_data(out, Scalar(false)); // a sum of nothing: there is no kernel
  SmallVec<Index, 8> indices;
  auto add = [&](const Index &x) {
    if (x.size == 1) return;
    HD_CHECK(indices.size() < max_dims, runtime, "products over more than 64 dimensions are not supported");
    indices.push_back(x);
  };
  Dims bias_strides;
  if (bias) bias_strides = expanded_strides(bias.shape(), bias.strides(), out.shape());
  for (size_t d = 0; d < f.c.size(); ++d) {
    Index x = index_of(f, f.c[d], a, b);
    x.c = out.strides()[d];
    if (bias) x.bias = bias_strides[d];
    add(x);
  }
  for (uint8_t label : f.a)
    if (find(f.c, label) < 0) add(index_of(f, label, a, b));
  for (uint8_t label : f.b)
    if (find(f.c, label) < 0 && find(f.a, label) < 0) add(index_of(f, label, a, b));
  Contraction plan(a.dtype(), out.dtype(), indices.begin(), int(indices.size()), !out.is_meta());
  if (plan_hook) plan_hook(plan);
  if (out.is_meta()) return;
  LongWork unlocked(int64_t(plan.multiply_adds() / 16 + plan.bytes() / 8));
  plan.run(a.raw(), b.raw(), out.raw(), {accumulate, bias ? bias.raw() : nullptr, Activation::none});
}

namespace {
// The product as one of two matrices with a fresh result, where there is at most one label in each role and nothing is
// repeated but the bias (which may be undefined).
bool as_matrices(const Form &f, const Tensor &a, const Tensor &b, const Tensor &bias, Matrices &s, Dims &shape) {
  if (f.a.size() > 2 || f.b.size() > 2 || f.c.size() > 2 || a.dtype() != b.dtype() || a.dtype() == DType::Bool ||
      a.device().kind != DeviceKind::cpu || b.device().kind != DeviceKind::cpu)
    return false;
  s = {1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0};
  int64_t row = -1, column = -1;
  bool summed = false;
  for (size_t d = 0; d < f.a.size(); ++d) {
    int64_t in_b = find(f.b, f.a[d]), in_c = find(f.c, f.a[d]);
    if ((in_b < 0) == (in_c < 0)) return false;
    if (in_c >= 0) {
      if (row >= 0) return false;
      row = in_c, s.m = a.shape()[d], s.a_m = a.strides()[d];
    } else {
      if (summed || b.shape()[size_t(in_b)] != a.shape()[d]) return false;
      summed = true, s.k = a.shape()[d], s.a_k = a.strides()[d], s.b_k = b.strides()[size_t(in_b)];
    }
  }
  for (size_t d = 0; d < f.b.size(); ++d) {
    if (find(f.a, f.b[d]) >= 0) continue;
    int64_t in_c = find(f.c, f.b[d]);
    if (in_c < 0 || column >= 0) return false;
    column = in_c, s.n = b.shape()[d], s.b_n = b.strides()[d];
  }
  shape.resize(f.c.size(), 1);
  if (row >= 0) shape[size_t(row)] = s.m, s.c_m = row == 0 && column == 1 ? s.n : 1;
  if (column >= 0) shape[size_t(column)] = s.n, s.c_n = column == 0 && row == 1 ? s.m : 1;
  if (!bias) return true;
  if (bias.dtype() != a.dtype() || bias.device().kind != DeviceKind::cpu || bias.dim() > int64_t(shape.size()))
    return false;
  int64_t missing = int64_t(shape.size()) - bias.dim();
  for (int64_t d = 0; d < bias.dim(); ++d) {
    if (bias.shape()[d] != 1 && bias.shape()[d] != shape[size_t(missing + d)]) return false;
    int64_t step = bias.shape()[d] == 1 ? 0 : bias.strides()[d];
    if (missing + d == row) s.bias_m = step;
    else s.bias_n = step;
  }
  return true;
}
Tensor compute(const Matrices &s, const Dims &shape, const Tensor &a, const Tensor &b, const Tensor &bias) {
  Tensor y = empty(shape, a.dtype());
  if (!y.numel()) return y;
  Contraction plan(a.dtype(), a.dtype(), s);
  LongWork unlocked(int64_t(plan.multiply_adds() / 16 + plan.bytes() / 8));
  plan.run(a.raw(), b.raw(), y.raw(), {false, bias ? bias.raw() : nullptr, Activation::none});
  return y;
}
} // namespace

Tensor product(const char *name, const Form &f, const Tensor &a, const Tensor &b, const Tensor &out) {
  Matrices s;
  Dims plain;
  if (!out && !plan_hook && as_matrices(f, a, b, {}, s, plain)) {
    Tensor y = compute(s, plain, a, b, {});
    if (needs_grad(a, b) && differentiable(y)) record_product(name, f, a, b, nullptr, y);
    return y;
  }
  const Tensor both[] = {a, b};
  Device device = common_device(both, 2, name);
  Dims shape = product_shape(f, a, b);
  bool direct = fits(out, shape, a, b);
  Tensor y = direct ? out : empty(shape, a.dtype(), device);
  contract(f, a, b, y);
  if (out) {
    if (!direct) return write_out(op_of(name).c_str(), out, y);
    out.bump();
    return out;
  }
  if (needs_grad(a, b) && differentiable(y)) record_product(name, f, a, b, nullptr, y);
  return y;
}

Tensor product(const char *name, const Form &f, const Tensor &a, const Tensor &b, const Affine &affine,
               const Tensor &out) {
  const Tensor &c = affine.addend;
  Matrices s;
  Dims plain;
  if (!out && !plan_hook && is_one(affine.alpha) && is_one(affine.beta) && as_matrices(f, a, b, c, s, plain)) {
    Tensor y = compute(s, plain, a, b, c);
    if (needs_grad(a, b, c) && differentiable(y)) record_product(name, f, a, b, &affine, y);
    return y;
  }
  const Tensor all[] = {c, a, b};
  Device device = common_device(all, 3, name);
  Dims shape = product_shape(f, a, b);
  if (auto e = expand_error(c, shape)) throw e->in(op_of(name).c_str()).arg("input", c).arg("mat1", a).arg("mat2", b);
  bool direct = fits(out, shape, a, b, c);
  Tensor y = direct ? out : empty(shape, a.dtype(), device);
  {
    NoGrad no;
    if (is_one(affine.alpha)) {
      // beta = 0 means that the addend is not looked at: its NaN must not spread.
      contract(f, a, b, y, false, affine.beta.is_zero() ? Tensor() : scaled(c, affine.beta));
    } else {
      contract(f, a, b, y);
      Tensor sum = scaled(y, affine.alpha);
      if (!affine.beta.is_zero()) sum = sum + scaled(c, affine.beta);
      copy_data(y, sum);
    }
  }
  if (out) {
    if (!direct) return write_out(op_of(name).c_str(), out, y);
    out.bump();
    return out;
  }
  if (needs_grad(a, b, c) && differentiable(y)) record_product(name, f, a, b, &affine, y);
  return y;
}

// ---- errors

const char *cpp_name(DType t) {
  static const char *const names[] = {"bool",  "unsigned char", "signed char",         "short int",
                                      "int",   "long int",      "c10::Half",           "c10::BFloat16",
                                      "float", "double",        "c10::complex<float>", "c10::complex<double>"};
  return names[int(t)];
}
void check_bool(const Tensor &x, const char *kernel) {
  if (x.is_meta()) return;
  HD_CHECK(x.dtype() != DType::Bool, not_implemented, "\"%s\" not implemented for 'Bool'", kernel);
}
void check_out_dtype(const Tensor &out, const Tensor &x) {
  HD_CHECK(!out || out.dtype() == x.dtype(), runtime, "Expected out tensor to have dtype %s, but got %s instead",
           cpp_name(x.dtype()), cpp_name(out.dtype()));
}
std::string multiplied(int64_t m, int64_t k, int64_t k2, int64_t n) {
  return text("mat1 and mat2 shapes cannot be multiplied (%ldx%ld and %ldx%ld)", long(m), long(k), long(k2), long(n));
}
Error product_error(const char *op, const char *kind, const std::string &line, const char *name_a, const Tensor &a,
                    const char *name_b, const Tensor &b) {
  return Error(Raises::runtime, line, kind).in(op).arg(name_a, a).arg(name_b, b);
}
} // namespace ops

} // namespace hadamard
