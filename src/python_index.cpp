// x[…] and x[…] = v: integers, slices, None and … become views; tensors, lists and arrays go to ops::index.
#include "python.h"

#include "ops/all.h"

namespace hadamard::python {
namespace {

bool is_mask(const Tensor &t) { return t.dtype() == DType::Bool || t.dtype() == DType::U8; }

std::optional<int64_t> bound(PyObject *o) {
  if (o == Py_None) return {};
  int64_t i;
  if (PyLong_Check(o) && !PyBool_Check(o)) { // clipped like Python's own slices
    int over;
    i = PyLong_AsLongLongAndOverflow(o, &over);
    return over > 0 ? INT64_MAX : over < 0 ? INT64_MIN + 1 : i;
  }
  if (!as_integer(o, i, true))
    throw Error(Raises::type, "slice indices must be integers or None or have an __index__ method", "index");
  return i;
}

Tensor as_index(PyObject *o) { // a list, range or array as an index tensor
  Object t(from_data(o, std::nullopt, std::nullopt, true));
  const Tensor &r = unwrap(t.get());
  return is_mask(r) ? r : to(r, DType::I64);
}

// One part of the key, sorted out once.
struct Part {
  enum { integer, slice, none, ellipsis, boolean, tensor } kind;
  int64_t i = 0;
  PyObject *o = nullptr;
  Tensor t;
};

Part part_of(PyObject *o) {
  int64_t i;
  if (PySlice_Check(o)) return {Part::slice, 0, o, {}};
  if (o == Py_None) return {Part::none, 0, o, {}};
  if (o == Py_Ellipsis) return {Part::ellipsis, 0, o, {}};
  if (PyBool_Check(o)) return {Part::boolean, o == Py_True, o, {}};
  if (is_tensor(o)) {
    const Tensor &t = unwrap(o);
    if (t.dim() == 0 && dtype_in(t.dtype(), integers) && t.dtype() != DType::U8 && !t.is_meta())
      return {Part::integer, item(t).i, o, {}};
    if (t.dim() == 0 && t.dtype() == DType::Bool) return {Part::boolean, !item(t).is_zero(), o, {}};
    return {Part::tensor, 0, o, t};
  }
  if (as_integer(o, i, false)) return {Part::integer, i, o, {}};
  if (!PySequence_Check(o))
    throw Error(Raises::index,
                std::string("only integers, slices (`:`), ellipsis (`...`), None and long or byte Variables are valid "
                            "indices (got ") +
                    Py_TYPE(o)->tp_name + ")",
                "index");
  return {Part::tensor, 0, o, as_index(o)};
}

using Parts = ShortList<Part, 3>;
Parts parts_of(PyObject *key) {
  Parts r;
  bool as_tuple = PyTuple_Check(key);
  if (PyList_Check(key) && PyList_GET_SIZE(key) < 32) { // a list that holds more than numbers is meant as a tuple
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(key) && !as_tuple; ++i) {
      PyObject *o = PyList_GET_ITEM(key, i);
      as_tuple = PySlice_Check(o) || o == Py_None || o == Py_Ellipsis || is_tensor(o) || PySequence_Check(o);
    }
    if (as_tuple)
      warn("Using a non-tuple sequence for multidimensional indexing is deprecated and will be changed in pytorch 2.9; "
           "use x[tuple(seq)] instead of x[seq]. In pytorch 2.9 this will be interpreted as tensor index, "
           "x[torch.tensor(seq)], which will result either in an error or a different result");
  }
  if (!as_tuple) {
    r.push_back(part_of(key));
    return r;
  }
  for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(key); ++i) r.push_back(part_of(PySequence_Fast_GET_ITEM(key, i)));
  return r;
}

// The view that the plain parts make, and for ops::index one entry per remaining part.
Tensor walk(const Tensor &self, PyObject *key, TensorList &indices) {
  Parts parts = parts_of(key);
  int64_t named = 0;
  for (auto &p : parts)
    named += p.kind == Part::integer || p.kind == Part::slice ? 1
             : p.kind == Part::tensor                         ? (is_mask(p.t) ? p.t.dim() : 1)
                                                              : 0;
  if (self.dim() == 0 && named && (parts[0].kind == Part::integer || parts[0].kind == Part::slice)) {
    if (parts[0].kind == Part::slice)
      throw Error(Raises::index, "slice() cannot be applied to a 0-dim tensor.", "index");
    throw Error(
        Raises::index,
        "invalid index of a 0-dim tensor. Use `tensor.item()` in Python or `tensor.item<T>()` in C++ to convert "
        "a 0-dim tensor to a number",
        "index");
  }
  if (named > self.dim())
    throw Error(Raises::index, text("too many indices for tensor of dimension %ld", long(self.dim())), "index")
        .arg("self", self);
  Tensor made;
  auto x = [&]() -> const Tensor & { return made ? made : self; };
  int64_t d = 0, at = 0; // dimension of x; dimension of self, for messages
  for (auto &p : parts) {
    switch (p.kind) {
    case Part::integer: {
      int64_t n = x().shape()[d];
      if (p.i < -n || p.i >= n)
        throw Error(Raises::index,
                    text("index %ld is out of bounds for dimension %ld with size %ld", long(p.i), long(at), long(n)),
                    "index")
            .at(at)
            .arg("self", self);
      made = ops::select(x(), d, p.i);
      ++at;
      break;
    }
    case Part::slice: {
      auto *s = reinterpret_cast<PySliceObject *>(p.o);
      int64_t step = bound(s->step).value_or(1);
      HD_CHECK(step > 0, value, "step must be greater than zero");
      if (s->start != Py_None || s->stop != Py_None || step != 1)
        made = ops::slice(x(), d, bound(s->start), bound(s->stop), step);
      indices.emplace_back();
      ++d, ++at;
      break;
    }
    case Part::none:
      made = ops::unsqueeze(x(), d++);
      indices.emplace_back();
      break;
    case Part::ellipsis: {
      int64_t skip = self.dim() - named;
      for (int64_t k = 0; k < skip; ++k) indices.emplace_back();
      d += skip, at += skip;
      break;
    }
    case Part::boolean: // a dimension of one, taken once or not at all
      made = ops::unsqueeze(x(), d++);
      indices.push_back(zeros({p.i}, DType::I64));
      break;
    case Part::tensor:
      indices.push_back(p.t);
      d += is_mask(p.t) ? p.t.dim() : 1;
      at += is_mask(p.t) ? p.t.dim() : 1;
      break;
    }
  }
  while (!indices.empty() && !indices.back()) indices.pop_back();
  if (!made) return self;
  return made;
}

Tensor drop_leading_ones(const Tensor &v, int64_t dims) {
  Tensor r = v;
  while (r.dim() > dims && r.shape()[0] == 1) r = ops::select(r, 0, 0);
  return r;
}

} // namespace

// A subclass may take indexing over where it is in the key: by its _get_at(tensor, key) and _set_at(tensor, key,
// value).
static Object taken_over(PyObject *key, const char *name) {
  auto by = [&](PyObject *o) -> Object {
    PyTypeObject *type = subclass_of(o);
    Object f(type ? PyObject_GetAttrString(reinterpret_cast<PyObject *>(type), name) : nullptr);
    if (!f) PyErr_Clear();
    return f;
  };
  if (!PyTuple_Check(key)) return by(key);
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(key); ++i)
    if (Object f = by(PyTuple_GET_ITEM(key, i))) return f;
  return {};
}

static PyObject *read(PyObject *self, PyObject *key) {
  if (Object f = taken_over(key, "_get_at")) return PyObject_CallFunctionObjArgs(f.get(), self, key, nullptr);
  const Tensor &t = unwrap(self);
  TensorList indices;
  Tensor x = walk(t, key, indices);
  if (!indices.empty()) return wrap_like(subclass_of(self), ops::index(x, {indices.begin(), indices.end()}));
  if (x.is(t)) { // x[...] and x[:] are new views of all
    x = make_view(t, t.shape(), t.strides(), t->offset, "AliasBackward0",
                  [](const Backward &b) -> TensorList { return {b.grad()}; });
  }
  return wrap_like(subclass_of(self), std::move(x));
}

PyObject *get_item(PyObject *self, PyObject *key) {
  try {
    return read(self, key);
  } catch (...) {
    set_error("getitem", {{"x", self}, {"index", key}});
    return nullptr;
  }
}

static void write(PyObject *self, PyObject *key, PyObject *value) {
  const Tensor &t = unwrap(self);
  if (!value) throw Error(Raises::type, "Tensor does not support deleting items");
  if (Object f = taken_over(key, "_set_at")) {
    Object done(checked(PyObject_CallFunctionObjArgs(f.get(), self, key, value, nullptr)));
    return;
  }
  if (grad_enabled() && t.requires_grad() && !grad_fn(t))
    throw Error(Raises::runtime, "a view of a leaf Variable that requires grad is being used in an in-place operation.",
                "leaf");
  Tensor v;
  Scalar s;
  bool number = PyFloat_Check(value) || PyComplex_Check(value) ||
                (as_number(value, s) && (s.kind == Scalar::integer || PyBool_Check(value)));
  if ((!number && !is_tensor(value)) || !as_operand(value, v))
    throw Error(Raises::type,
                std::string("can't assign a ") + Py_TYPE(value)->tp_name + " to a torch." + info(t.dtype()).legacy);
  TensorList indices;
  Tensor x = walk(t, key, indices);
  if (!(v.device() == x.device()) && v.dim() == 0) v = to(v, x.device());
  if (indices.empty()) {
    v = drop_leading_ones(v, x.dim());
    copy_(x, v.dim() ? ops::expand(v, x.shape()) : v);
  } else {
    if (v->wrapped || v.dim() == 0) v = to(v, x.dtype());
    HD_CHECK(v.dtype() == x.dtype(), runtime,
             "Index put requires the source and destination dtypes match, got %s for the destination and %s for the "
             "source.",
             info(x.dtype()).scalar, info(v.dtype()).scalar);
    ops::index_put_(x, {indices.begin(), indices.end()}, v, false);
  }
}

int set_item(PyObject *self, PyObject *key, PyObject *value) {
  try {
    write(self, key, value);
    return 0;
  } catch (...) {
    set_error("setitem", {{"x", self}, {"index", key}, {"value", value ? value : Py_None}});
    return -1;
  }
}

} // namespace hadamard::python
