// Products of vectors, matrices and batches of them: each says which of its dimensions go together, the plan does the
// rest.
#include "ops/product.h"

#include <algorithm>

namespace hadamard {
namespace ops {
namespace {
constexpr uint8_t m = 'm', n = 'n', k = 'k', z = 'z';
const Form dot_form{{k}, {k}, {}}, mv_form{{m, k}, {k}, {m}}, mm_form{{m, k}, {k, n}, {m, n}},
    bmm_form{{z, m, k}, {z, k, n}, {z, m, n}};

template <class... T> void no_history(const char *op, const Tensor &out, const T &...operands) {
  if (out) check_out(op, out, (out.requires_grad() || ... || operands.requires_grad()));
}

// ---- vectors

void check_dot(const char *op, const Tensor &a, const Tensor &b) {
  if (a.dim() != 1 || b.dim() != 1)
    throw product_error(op, "dot",
                        text("1D tensors expected, but got %ldD and %ldD tensors", long(a.dim()), long(b.dim())),
                        "self", a, "tensor", b);
  if (a.dtype() != b.dtype())
    throw product_error(op, "dtype",
                        text("dot : expected both vectors to have same dtype, but found %s and %s",
                             info(a.dtype()).scalar, info(b.dtype()).scalar),
                        "self", a, "tensor", b);
  if (a.numel() != b.numel())
    throw product_error(
        op, "dot",
        text("inconsistent tensor size, expected tensor %s and src %s to have the same number of elements, "
             "but got %ld and %ld elements respectively",
             brackets(a.shape()).c_str(), brackets(b.shape()).c_str(), long(a.numel()), long(b.numel())),
        "self", a, "tensor", b);
  check_bool(a, "dot");
}
void check_dot_out(const Tensor &out, const Tensor &a) {
  HD_CHECK(!out || out.dtype() == a.dtype(), runtime, "result dtype %s does not match input dtype %s",
           info(out.dtype()).scalar, info(a.dtype()).scalar);
}
Tensor dot_into(const Tensor &a, const Tensor &b, const Tensor &out) {
  check_dot("dot", a, b);
  check_dot_out(out, a);
  no_history("dot", out, a, b);
  return product("DotBackward0", dot_form, a, b, out);
}
Tensor vdot(const Tensor &a, const Tensor &b, const Tensor &out) {
  check_dot("vdot", a, b);
  check_dot_out(out, a);
  no_history("vdot", out, a, b);
  if (!a.is_complex()) return product("VdotBackward0", dot_form, a, b, out);
  Tensor y;
  {
    NoGrad no;
    y = product("VdotBackward0", dot_form, conj(a), b, out);
  }
  if (out) return out;
  return record(y, "VdotBackward0", {a, b}, {Keep{a}, Keep{b}}, [](const Backward &back) -> TensorList {
    TensorList r(2);
    if (back.wants(0)) r[0] = conj(back.grad()) * back.saved(1);
    if (back.wants(1)) r[1] = back.grad() * back.saved(0);
    return r;
  });
}
Tensor outer_as(const char *op, const Tensor &a, const Tensor &b) {
  HD_CHECK(a.dim() == 1, runtime, "%s: Expected 1-D argument self, but got %ld-D", op, long(a.dim()));
  HD_CHECK(b.dim() == 1, runtime, "%s: Expected 1-D argument vec2, but got %ld-D", op, long(b.dim()));
  return mul(view(a, {a.numel(), 1}), b);
}
Tensor outer(const Tensor &a, const Tensor &b) { return outer_as("outer", a, b); }

// ---- matrix times vector

void check_mv(const char *op, const Tensor &c, int64_t dims, int64_t size, const Tensor &a, const Tensor &b) {
  if (dims > 1 || a.dim() != 2 || b.dim() != 1)
    throw product_error(
        op, "mv",
        text("vector + matrix @ vector expected, got %ld, %ld, %ld", long(dims), long(a.dim()), long(b.dim())), "self",
        a, "vec", b);
  if (a.shape()[1] != b.shape()[0] || (size != 1 && size != a.shape()[0]))
    throw product_error(op, "matmul",
                        text("size mismatch, got input (%ld), mat (%ldx%ld), vec (%ld)", long(size), long(a.shape()[0]),
                             long(a.shape()[1]), long(b.shape()[0])),
                        "self", a, "vec", b);
  DType first = c ? c.dtype() : b.dtype();
  if (a.dtype() != b.dtype() || first != b.dtype())
    throw product_error(op, "dtype",
                        text("addmv input tensors must have the same dtype, but got %s, %s, and %s", info(first).scalar,
                             info(a.dtype()).scalar, info(b.dtype()).scalar),
                        "self", a, "vec", b);
  check_bool(a, "addmv_impl_cpu");
}
Tensor mv(const Tensor &a, const Tensor &b, const Tensor &out) {
  check_mv("mv", out, 1, a.dim() ? a.shape()[0] : 1, a, b);
  no_history("mv", out, a, b);
  return product("MvBackward0", mv_form, a, b, out);
}
Tensor addmv(const Tensor &c, const Tensor &a, const Tensor &b, const Scalar &beta, const Scalar &alpha,
             const Tensor &out) {
  check_mv("addmv", c, c.dim(), c.dim() ? c.shape()[0] : 1, a, b);
  no_history("addmv", out, c, a, b);
  return product("AddmvBackward0", mv_form, a, b, {c, beta, alpha}, out);
}

// ---- matrix times matrix

void check_mm(const char *op, const Tensor &a, const Tensor &b) {
  if (a.dim() != 2) throw product_error(op, "mm", "self must be a matrix", "self", a, "mat2", b);
  if (b.dim() != 2) throw product_error(op, "mm", "mat2 must be a matrix", "self", a, "mat2", b);
  if (a.shape()[1] != b.shape()[0])
    throw product_error(op, "matmul", multiplied(a.shape()[0], a.shape()[1], b.shape()[0], b.shape()[1]), "self", a,
                        "mat2", b);
  if (a.dtype() != b.dtype())
    throw product_error(
        op, "dtype",
        text("expected m1 and m2 to have the same dtype, but got: %s != %s", cpp_name(a.dtype()), cpp_name(b.dtype())),
        "self", a, "mat2", b);
  if (a.numel() && b.numel()) check_bool(a, "addmm_impl_cpu_");
}
Tensor mm_into(const Tensor &a, const Tensor &b, const Tensor &out) {
  check_mm("mm", a, b);
  no_history("mm", out, a, b);
  check_out_dtype(out, a);
  return product("MmBackward0", mm_form, a, b, out);
}
// int8, or uint8 on the left, summed in int32.
Tensor int_mm(const Tensor &a, const Tensor &b, const Tensor &out) {
  if (!out) (void)a.size(0), (void)b.size(1); // torch makes the result first
  auto need = [&](bool good, const char *kind, const std::string &line) {
    if (!good) throw product_error("_int_mm", kind, "int_mm_out_cpu: " + line, "self", a, "mat2", b);
  };
  need(a.dim() == 2, "mm", text("Expected self to be of dimension 2 but got %ld", long(a.dim())));
  need(b.dim() == 2, "mm", text("Expected mat2 to be of dimension 2 but got %ld", long(b.dim())));
  const int64_t rows = a.shape()[0], columns = b.shape()[1];
  need(a.shape()[1] == b.shape()[0], "matmul",
       text("self.size(1) needs to match mat2.size(0) but got %ld and %ld", long(a.shape()[1]), long(b.shape()[0])));
  need(a.dtype() == DType::I8 || a.dtype() == DType::U8, "dtype",
       text("Expected self dtype to be int8 or uint8 but got %s", cpp_name(a.dtype())));
  need(b.dtype() == DType::I8, "dtype", text("Expected mat2 dtype to be of type int8 but got %s", cpp_name(b.dtype())));
  if (out) {
    HD_CHECK(out.dtype() == DType::I32, runtime, "int_mm_out_cpu: Expected result dtype to be of type kInt but got %s",
             cpp_name(out.dtype()));
    HD_CHECK(out.size(0) == rows, runtime, "int_mm_out_cpu: Expected result.size(0) to be %ld but got %ld", long(rows),
             long(out.size(0)));
    HD_CHECK(out.size(1) == columns, runtime, "int_mm_out_cpu: Expected result.size(1) to be %ld but got %ld",
             long(columns), long(out.size(1)));
    HD_CHECK(out.is_contiguous(), runtime, "int_mm_out_cpu: Expected result to be contiguous.");
  }
  const Tensor both[] = {a, b};
  Tensor y = empty({rows, columns}, DType::I32, common_device(both, 2, "_int_mm"));
  if (a.dtype() == DType::I8) contract(mm_form, a, b, y);
  else contract(mm_form, to(a, DType::I16), to(b, DType::I16), y); // both fit
  return out ? write_out("_int_mm", out, y) : y;
}
void check_addmm(const Tensor &c, const Tensor &a, const Tensor &b) {
  HD_CHECK(a.dim() == 2, runtime, "mat1 must be a matrix, got %ld-D tensor", long(a.dim()));
  HD_CHECK(b.dim() == 2, runtime, "mat2 must be a matrix, got %ld-D tensor", long(b.dim()));
  if (a.shape()[1] != b.shape()[0])
    throw product_error("addmm", "matmul", multiplied(a.shape()[0], a.shape()[1], b.shape()[0], b.shape()[1]), "mat1",
                        a, "mat2", b);
  auto same = [&](const char *one, DType t, DType u) {
    if (t != u)
      throw product_error(
          "addmm", "dtype",
          text("%s and mat2 must have the same dtype, but got %s and %s", one, info(t).scalar, info(u).scalar), "mat1",
          a, "mat2", b);
  };
  same("self", c.dtype(), b.dtype());
  same("mat1", a.dtype(), b.dtype());
  check_bool(a, "addmm_impl_cpu_");
}
Tensor addmm(const Tensor &c, const Tensor &a, const Tensor &b, const Scalar &beta, const Scalar &alpha,
             const Tensor &out) {
  check_addmm(c, a, b);
  no_history("addmm", out, c, a, b);
  check_out_dtype(out, a);
  return product("AddmmBackward0", mm_form, a, b, {c, beta, alpha}, out);
}
Tensor addr(const Tensor &c, const Tensor &a, const Tensor &b, const Scalar &beta, const Scalar &alpha,
            const Tensor &out) {
  HD_CHECK(a.dim() == 1, runtime, "addr: Expected 1-D argument vec1, but got %ld-D", long(a.dim()));
  HD_CHECK(b.dim() == 1, runtime, "addr: Expected 1-D argument vec2, but got %ld-D", long(b.dim()));
  const Tensor all[] = {c, a, b};
  DType t = result_type(all, 3);
  if (dtype_in(t, integers | boolean)) {
    HD_CHECK(beta.kind <= Scalar::integer, runtime,
             "For integral input tensors, argument beta must not be a floating point number.");
    HD_CHECK(alpha.kind <= Scalar::integer, runtime,
             "For integral input tensors, argument alpha must not be a floating point number.");
  }
  no_history("addr", out, c, a, b);
  if (t == DType::Bool) {
    Tensor y = mul(view(a, {a.numel(), 1}), b);
    if (alpha.is_zero()) y = zeros(y.shape(), t, y.device());
    if (!beta.is_zero()) y = logical_or(y, c);
    return out ? write_out("addr", out, y) : y;
  }
  return product("AddrBackward0", {{m}, {n}, {m, n}}, to(a, t), to(b, t), {to(c, t), beta, alpha}, out);
}

// ---- batches of matrices

void check_bmm(const char *op, const Tensor &a, const Tensor &b) {
  if (a.dim() != 3) throw product_error(op, "bmm", "batch1 must be a 3D tensor", "batch1", a, "batch2", b);
  if (b.dim() != 3) throw product_error(op, "bmm", "batch2 must be a 3D tensor", "batch1", a, "batch2", b);
  if (a.shape()[0] != b.shape()[0] || a.shape()[2] != b.shape()[1])
    throw product_error(
        op, "bmm",
        text("Expected size for first two dimensions of batch2 tensor to be: [%ld, %ld] but got: [%ld, %ld].",
             long(a.shape()[0]), long(a.shape()[2]), long(b.shape()[0]), long(b.shape()[1])),
        "batch1", a, "batch2", b);
  if (a.dtype() != b.dtype())
    throw product_error(op, "dtype",
                        text("expected scalar type %s but found %s", info(a.dtype()).scalar, info(b.dtype()).scalar),
                        "batch1", a, "batch2", b);
  check_bool(a, op);
}
Tensor bmm_into(const Tensor &a, const Tensor &b, const Tensor &out) {
  check_bmm("bmm", a, b);
  no_history("bmm", out, a, b);
  check_out_dtype(out, a);
  return product("BmmBackward0", bmm_form, a, b, out);
}
Tensor baddbmm(const Tensor &c, const Tensor &a, const Tensor &b, const Scalar &beta, const Scalar &alpha,
               const Tensor &out) {
  (void)a.size(1), (void)b.size(2); // torch reads them first, to expand the addend
  if (c.dtype() != a.dtype())
    throw product_error("baddbmm", "dtype",
                        text("Input dtypes must be the same, got: input %s, batch1: %s, batch2: %s",
                             cpp_name(c.dtype()), cpp_name(a.dtype()), cpp_name(b.dtype())),
                        "batch1", a, "batch2", b);
  check_bmm("baddbmm", a, b);
  no_history("baddbmm", out, c, a, b);
  check_out_dtype(out, a);
  return product("BaddbmmBackward0", bmm_form, a, b, {c, beta, alpha}, out);
}
Tensor addbmm(const Tensor &c, const Tensor &a, const Tensor &b, const Scalar &beta, const Scalar &alpha,
              const Tensor &out) {
  (void)a.size(1), (void)b.size(2); // torch reads them first, to expand the addend
  if (a.dim() != 3) throw product_error("addbmm", "bmm", "batch1 must be a 3D tensor", "batch1", a, "batch2", b);
  if (b.dim() != 3) throw product_error("addbmm", "bmm", "batch2 must be a 3D tensor", "batch1", a, "batch2", b);
  HD_CHECK(a.shape()[0] == b.shape()[0], runtime, "batch1 and batch2 must have same number of batches, got %ld and %ld",
           long(a.shape()[0]), long(b.shape()[0]));
  HD_CHECK(a.shape()[2] == b.shape()[1], runtime, "Incompatible matrix sizes for bmm (%ldx%ld and %ldx%ld)",
           long(a.shape()[1]), long(a.shape()[2]), long(b.shape()[1]), long(b.shape()[2]));
  HD_CHECK(c.dtype() == b.dtype(), runtime, "self and mat2 must have the same dtype, but got %s and %s",
           info(c.dtype()).scalar, info(b.dtype()).scalar);
  HD_CHECK(a.dtype() == b.dtype(), runtime, "mat1 and mat2 must have the same dtype, but got %s and %s",
           info(a.dtype()).scalar, info(b.dtype()).scalar);
  check_bool(a, "addmm_impl_cpu_");
  no_history("addbmm", out, c, a, b);
  return product("AddbmmBackward0", {{z, m, k}, {z, k, n}, {m, n}}, a, b, {c, beta, alpha}, out);
}

// ---- in place

enum class Misfit { refused, refused_as_addr, resized }; // where self has not the result's shape; torch's differ
template <auto product, Misfit misfit = Misfit::refused>
Tensor in_place(const Tensor &self, const Tensor &a, const Tensor &b, const Scalar &beta, const Scalar &alpha) {
  // What the derivative reads must not be what is written to.
  Tensor y = product(grad_enabled() && self.requires_grad() ? clone(self) : self, a, b, beta, alpha, {});
  if (!(y.shape() == self.shape())) {
    if constexpr (misfit == Misfit::resized) resize(self, y.shape());
    HD_CHECK(misfit != Misfit::refused_as_addr || self.dim() == 2, runtime,
             "2D tensor expected, got %ldD tensor for input", long(self.dim()));
    HD_CHECK(misfit != Misfit::refused_as_addr, runtime, "size mismatch, input: %s, v1: %s, v2: %s",
             brackets(self.shape()).c_str(), brackets(a.shape()).c_str(), brackets(b.shape()).c_str());
    if constexpr (misfit == Misfit::refused)
      throw Error(Raises::runtime,
                  text("Bad in-place call: input tensor size %s and output tensor size %s should match",
                       brackets(self.shape()).c_str(), brackets(y.shape()).c_str()),
                  "inplace_shape");
  }
  assign(self, y);
  return self;
}

// ---- matmul

constexpr int most_batch = 60;
// Labels of the batch dimensions count from the last one, so that operands of different rank line up.
void batch_labels(Labels &l, int64_t count) {
  for (int64_t d = count; d > 0; --d) l.push_back(uint8_t(d));
}
int64_t leading(const Tensor &x) { // rows of x folded to two dimensions
  int64_t r = 1;
  for (int64_t d = 0; d + 1 < x.dim(); ++d) r *= x.shape()[d];
  return r;
}
Tensor matmul_into(const Tensor &a, const Tensor &b, const Tensor &out) {
  int64_t da = a.dim(), db = b.dim();
  auto fail = [&](const char *kind, const std::string &line) {
    throw product_error("matmul", kind, line, "self", a, "other", b);
  };
  if (!da || !db)
    fail("matmul_scalar",
         text("both arguments to matmul need to be at least 1D, but they are %ldD and %ldD", long(da), long(db)));
  HD_CHECK(da < most_batch && db < most_batch, runtime, "matmul of more than %d dimensions", most_batch);
  no_history("matmul", out, a, b);
  if (da == 1 && db == 1) return dot_into(a, b, out);
  if (da == 2 && db == 1) return mv(a, b, out);
  if (da == 2 && db == 2) return mm_into(a, b, out);
  const Dims &sa = a.shape(), &sb = b.shape();
  int64_t ka = sa[da - 1], kb = db == 1 ? sb[0] : sb[db - 2];
  int64_t rows = da == 1 ? 1 : sa[da - 2], columns = db == 1 ? 1 : sb[db - 1];
  if (ka != kb) {
    if (db == 2) fail("matmul", multiplied(leading(a), ka, kb, columns));
    if (db == 1)
      fail("matmul", text("size mismatch, got input (%ld), mat (%ldx%ld), vec (%ld)", long(leading(a)),
                          long(leading(a)), long(ka), long(kb)));
  }
  Form f;
  Dims batch_a, batch_b;
  for (int64_t d = 0; d + 2 < da; ++d) batch_a.push_back(sa[d]);
  for (int64_t d = 0; d + 2 < db; ++d) batch_b.push_back(sb[d]);
  Broadcast both = broadcast(batch_a, batch_b);
  if (both.clash >= 0) {
    int64_t n_dims = int64_t(std::max(batch_a.size(), batch_b.size())), at = both.clash;
    auto size = [&](const Dims &s) { return long(s[size_t(at - (n_dims - int64_t(s.size())))]); };
    throw product_error(
        "matmul", "broadcast",
        text("The size of tensor a (%ld) must match the size of tensor b (%ld) at non-singleton dimension %ld",
             size(batch_a), size(batch_b), long(at)),
        "self", a, "other", b)
        .at(at);
  }
  if (ka != kb)
    fail("bmm", text("Expected size for first two dimensions of batch2 tensor to be: [%ld, %ld] but got: [%ld, %ld].",
                     long(numel(both.shape)), long(ka), long(numel(both.shape)), long(kb)));
  if (a.dtype() != b.dtype())
    fail("dtype", da >= 3 && db >= 3
                      ? text("expected scalar type %s but found %s", info(a.dtype()).scalar, info(b.dtype()).scalar)
                      : text("expected m1 and m2 to have the same dtype, but got: %s != %s", cpp_name(a.dtype()),
                             cpp_name(b.dtype())));
  if (a.numel() && b.numel()) check_bool(a, db == 1 ? "addmv_impl_cpu" : db >= 3 ? "bmm" : "addmm_impl_cpu_");
  check_out_dtype(out, a);
  batch_labels(f.a, da - 2);
  batch_labels(f.b, db - 2);
  batch_labels(f.c, int64_t(both.shape.size()));
  if (da > 1) f.a.push_back(m), f.c.push_back(m);
  f.a.push_back(k);
  f.b.push_back(k);
  if (db > 1) f.b.push_back(n), f.c.push_back(n);
  (void)rows;
  const char *name = da == 1 && db == 2                       ? "SqueezeBackward4"
                     : da == 2 && db > 2 && a.requires_grad() ? "CloneBackward0"
                                                              : "UnsafeViewBackward0";
  return product(name, f, a, b, out);
}

// ---- linear
} // namespace

Tensor linear(const Tensor &x, const Tensor &w, const Tensor &bias) {
  int64_t dx = x.dim(), dw = w.dim();
  auto fail = [&](const char *kind, const std::string &line) {
    Error e = product_error("linear", kind, line, "input", x, "weight", w);
    if (bias) e.arg("bias", bias);
    throw e;
  };
  if (!dx || !dw)
    fail("matmul_scalar",
         text("both arguments to linear need to be at least 1D, but they are %ldD and %ldD", long(dx), long(dw)));
  HD_CHECK(dw <= 2, runtime, "t() expects a tensor with <= 2 dimensions, but self is %ldD", long(dw));
  if (bias && dw != 2) fail("mm", text("mat2 must be a matrix, got %ld-D tensor", long(dw)));
  int64_t depth = x.shape()[dx - 1], wanted = w.shape()[dw - 1];
  if (dw == 1) return matmul(x, w);
  if (depth != wanted) fail("matmul", multiplied(leading(x), depth, wanted, w.shape()[0]));
  if (bias && bias.dtype() != w.dtype())
    fail("dtype", text("self and mat2 must have the same dtype, but got %s and %s", info(bias.dtype()).scalar,
                       info(w.dtype()).scalar));
  if (x.dtype() != w.dtype())
    fail("dtype", bias ? text("mat1 and mat2 must have the same dtype, but got %s and %s", info(x.dtype()).scalar,
                              info(w.dtype()).scalar)
                       : text("expected m1 and m2 to have the same dtype, but got: %s != %s", cpp_name(x.dtype()),
                              cpp_name(w.dtype())));
  if (x.numel() && w.numel()) check_bool(x, "addmm_impl_cpu_");
  Form f;
  batch_labels(f.a, dx - 1);
  f.c = f.a;
  f.a.push_back(k);
  f.b = {n, k};
  f.c.push_back(n);
  if (!bias) return product(dx == 1 ? "SqueezeBackward4" : dx == 2 ? "MmBackward0" : "UnsafeViewBackward0", f, x, w);
  if (bias.dim() > 0 && bias.dim() <= 2 && bias.shape().back() != 1 && bias.shape().back() != w.shape()[0])
    throw expand_error(bias, {leading(x), w.shape()[0]})
        ->in("linear")
        .arg("input", x)
        .arg("weight", w)
        .arg("bias", bias);
  return product(dx == 2             ? "AddmmBackward0"
                 : x.is_contiguous() ? "ViewBackward0"
                                     : "AddBackward0",
                 f, x, w, Affine{bias});
}

namespace {
Tensor bilinear(const Tensor &x, const Tensor &y, const Tensor &w, const Tensor &bias) {
  HD_CHECK(x.dim() == y.dim(), runtime, "bilinear(): input dimensions do not match: got %ld and %ld", long(x.dim()),
           long(y.dim()));
  for (int64_t d = 0; d + 1 < x.dim(); ++d)
    HD_CHECK(x.shape()[d] == y.shape()[d], runtime,
             "bilinear(): input batch dimensions do not match at dim %ld: got %ld and %ld", long(d), long(x.shape()[d]),
             long(y.shape()[d]));
  HD_CHECK(w.dim() == 3, runtime, "bilinear(): weight must be 3-D, but got %ld-D", long(w.dim()));
  HD_CHECK(x.shape().back() == w.shape()[1], runtime,
           "bilinear(): input1 size does not match weight size: got %ld but expected %ld", long(x.shape().back()),
           long(w.shape()[1]));
  HD_CHECK(y.shape().back() == w.shape()[2], runtime,
           "bilinear(): input2 size does not match weight size: got %ld but expected %ld", long(y.shape().back()),
           long(w.shape()[2]));
  HD_CHECK(!bias || (bias.dim() && bias.shape()[0] == w.shape()[0]), runtime,
           "bilinear(): bias size does not match weight size: got %ld but expected %ld",
           bias ? long(bias.shape()[0]) : 0l, long(w.shape()[0]));
  // First x with the weights: (…, out, in2), then y along in2.
  Form first, second;
  batch_labels(first.a, x.dim() - 1);
  Labels batch = first.a;
  first.a.push_back(k);
  first.b = {m, k, n};
  first.c = batch;
  first.c.push_back(m), first.c.push_back(n);
  second.a = first.c;
  second.b = batch;
  second.b.push_back(n);
  second.c = batch;
  second.c.push_back(m);
  Tensor r = product("ViewBackward0", second, product("ViewBackward0", first, x, w), y);
  return bias ? r + bias : r;
}

// ---- compositions

Tensor inner(const Tensor &a, const Tensor &b, const Tensor &out) {
  if (!a.dim() || !b.dim()) {
    Tensor y = mul(a, b);
    return out ? write_out("inner", out, y) : y;
  }
  HD_CHECK(a.shape().back() == b.shape().back(), runtime,
           "inner() the last dimension must match on both input tensors but got shapes %s and %s",
           brackets(a.shape()).c_str(), brackets(b.shape()).c_str());
  HD_CHECK(a.dtype() == b.dtype(), runtime, "both inputs should have same dtype");
  check_bool(a, a.dim() == 1 && b.dim() == 1 ? "dot" : "addmm_impl_cpu_");
  no_history("inner", out, a, b);
  Form f;
  for (int64_t d = 0; d + 1 < a.dim(); ++d) f.a.push_back(uint8_t(d)), f.c.push_back(uint8_t(d));
  for (int64_t d = 0; d + 1 < b.dim(); ++d) f.b.push_back(uint8_t(128 + d)), f.c.push_back(uint8_t(128 + d));
  f.a.push_back(127), f.b.push_back(127);
  return product("ViewBackward0", f, a, b, out);
}

Tensor kron(const Tensor &a, const Tensor &b) {
  int64_t dims = std::max(a.dim(), b.dim());
  Dims wide_a, wide_b, shape;
  for (int64_t d = 0; d < dims; ++d) {
    int64_t i = d - (dims - a.dim()), j = d - (dims - b.dim());
    int64_t na = i < 0 ? 1 : a.shape()[i], nb = j < 0 ? 1 : b.shape()[j];
    wide_a.push_back(na), wide_a.push_back(1);
    wide_b.push_back(1), wide_b.push_back(nb);
    shape.push_back(na * nb);
  }
  Tensor y = reshape(mul(reshape(a, wide_a), reshape(b, wide_b)), shape);
  if (Node *fn = grad_fn(y)) fn->label = "UnsafeViewBackward0";
  return y;
}

// The cheapest order of a chain of matrices, by the textbook's recurrence.
Tensor chain(const Tensors &ms) {
  size_t count = ms.size();
  std::vector<std::vector<double>> cost(count, std::vector<double>(count, 0));
  std::vector<std::vector<size_t>> split(count, std::vector<size_t>(count, 0));
  auto size = [&](size_t i) { return double(i < count ? ms[i].shape()[0] : ms[count - 1].shape()[1]); };
  for (size_t length = 2; length <= count; ++length)
    for (size_t i = 0; i + length <= count; ++i) {
      size_t j = i + length - 1;
      cost[i][j] = -1;
      for (size_t s = i; s < j; ++s) {
        double c = cost[i][s] + cost[s + 1][j] + size(i) * size(s + 1) * size(j + 1);
        if (cost[i][j] < 0 || c < cost[i][j]) cost[i][j] = c, split[i][j] = s;
      }
    }
  auto multiply = [&](auto &self, size_t i, size_t j) -> Tensor {
    return i == j ? ms[i] : mm(self(self, i, split[i][j]), self(self, split[i][j] + 1, j));
  };
  return multiply(multiply, 0, count - 1);
}
Tensor multi_dot(const Tensors &given, const Tensor &out) {
  size_t count = given.size();
  HD_CHECK(count >= 2, runtime, "multi_dot(): expected at least 2 tensors but got %zu", count);
  Tensors ms = given;
  bool row = ms[0].dim() == 1, column = ms[count - 1].dim() == 1;
  if (row) ms[0] = unsqueeze(ms[0], 0);
  if (column) ms[count - 1] = unsqueeze(ms[count - 1], 1);
  for (size_t i = 0; i < count; ++i)
    HD_CHECK(ms[i].dim() == 2, runtime,
             i == 0 || i + 1 == count ? "multi_dot(): tensor %zu must be 1D or 2D but got %ldD"
                                      : "multi_dot(): tensor %zu must be 2D but got %ldD",
             i, long(given[i].dim()));
  for (size_t i = 0; i + 1 < count; ++i)
    HD_CHECK(ms[i].shape()[1] == ms[i + 1].shape()[0], runtime,
             "multi_dot(): tensors %zu and %zu with shapes %s and %s cannot be multiplied", i, i + 1,
             brackets(ms[i].shape()).c_str(), brackets(ms[i + 1].shape()).c_str());
  Tensor y = chain(ms);
  y = view(y, y.shape());
  if (row && column) y = reshape(y, {});
  else if (row) y = squeeze(y, Dims{0});
  else if (column) y = squeeze(y, Dims{1});
  return out ? write_out("multi_dot", out, y) : y;
}
Tensor chain_matmul(const Tensors &ms) {
  for (const Tensor &t : ms)
    HD_CHECK(t.dim() == 2, runtime, "Tensor dimension is %ld, expected 2 instead.", long(t.dim()));
  HD_CHECK(!ms.empty(), runtime, "chain_matmul(): Expected one or more matrices");
  return ms.size() == 1 ? ms[0] : multi_dot(ms, {});
}
} // namespace

Tensor dot(const Tensor &a, const Tensor &b) { return dot_into(a, b, {}); }
Tensor mm(const Tensor &a, const Tensor &b) { return mm_into(a, b, {}); }
Tensor bmm(const Tensor &a, const Tensor &b) { return bmm_into(a, b, {}); }
Tensor matmul(const Tensor &a, const Tensor &b) { return matmul_into(a, b, {}); }
} // namespace ops

const OpTable &product_ops() {
  using namespace ops;
  static const char conv[] = "input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1";
  static const char conv_named[] = "input, weight, bias=None, stride=1, padding='valid', dilation=1, groups=1";
  static const char conv_transpose[] =
      "input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1";
  static const OpTable t = {
      def<dot_into>("dot", "input, tensor, *, out=None"),
      def<vdot>("vdot", "input, other, *, out=None"),
      def<mv>("mv", "input, vec, *, out=None"),
      def<mm_into>("mm", "input, mat2, *, out=None"),
      def<int_mm>("_int_mm", "input, mat2, *, out=None", function),
      def<bmm_into>("bmm", "input, mat2, *, out=None"),
      def<matmul_into>("matmul", "input, other, *, out=None"),
      def<addmm>("addmm", "input, mat1, mat2, *, beta=1, alpha=1, out=None"),
      def<in_place<addmm>>("addmm_", "input, mat1, mat2, *, beta=1, alpha=1", method),
      def<addmv>("addmv", "input, mat, vec, *, beta=1, alpha=1, out=None"),
      def<in_place<addmv>>("addmv_", "input, mat, vec, *, beta=1, alpha=1"),
      def<addr>("addr", "input, vec1, vec2, *, beta=1, alpha=1, out=None"),
      def<in_place<addr, Misfit::refused_as_addr>>("addr_", "input, vec1, vec2, *, beta=1, alpha=1", method),
      def<addbmm>("addbmm", "input, batch1, batch2, *, beta=1, alpha=1, out=None"),
      def<in_place<addbmm, Misfit::resized>>("addbmm_", "input, batch1, batch2, *, beta=1, alpha=1", method),
      def<baddbmm>("baddbmm", "input, batch1, batch2, *, beta=1, alpha=1, out=None"),
      def<in_place<baddbmm>>("baddbmm_", "input, batch1, batch2, *, beta=1, alpha=1", method),
      def<outer>("outer", "input, vec2, *, out=None"),
      def<outer>("ger", "input, vec2, *, out=None"),
      def<inner>("inner", "input, other, *, out=None"),
      def<kron>("kron", "input, other, *, out=None"),
      def<linear>("linear", "input, weight, bias=None", function),
      def<bilinear>("bilinear", "input1, input2, weight, bias=None", function),
      def<chain_matmul>("_chain_matmul", "tensors, *, out=None", function),
      def<tensordot>("_tensordot", "a, b, dims_a, dims_b, *, out=None", function),
      def<einsum>("_einsum", "equation, operands, path", function),
      def<conv1d>("conv1d", conv, function),
      def<conv1d_named>("conv1d", conv_named, function),
      def<conv2d>("conv2d", conv, function),
      def<conv2d_named>("conv2d", conv_named, function),
      def<conv3d>("conv3d", conv, function),
      def<conv3d_named>("conv3d", conv_named, function),
      def<conv_transpose1d>("conv_transpose1d", conv_transpose, function),
      def<conv_transpose2d>("conv_transpose2d", conv_transpose, function),
      def<conv_transpose3d>("conv_transpose3d", conv_transpose, function),
      def<im2col>("im2col", "input, kernel_size, dilation, padding, stride", function),
      def<col2im>("col2im", "input, output_size, kernel_size, dilation, padding, stride", function),
  };
  return t;
}

} // namespace hadamard
