// class Tensor: the object, its operators and attributes. The hot road of x * y starts at binary_slot below.
#include "python.h"

#include <cmath>
#include <memory>
#include <structmember.h>

#include "ops/all.h"

namespace hadamard::python {

PyTypeObject *tensor_type;

namespace {

TensorObject *as(PyObject *o) { return reinterpret_cast<TensorObject *>(o); }

constexpr int keep = 128; // dead Tensor objects kept for the next results
TensorObject *spare[keep];
int spares = 0;

PyObject *new_object(Tensor t) {
  TensorObject *o;
  if (spares) {
    o = spare[--spares];
    _Py_NewReference(reinterpret_cast<PyObject *>(o));
    Py_INCREF(tensor_type);
  } else {
    o = PyObject_GC_New(TensorObject, tensor_type);
    if (!o) throw PythonError{};
  }
  t->python = o;
  new (&o->t) Tensor(std::move(t));
  o->dict = o->weak = nullptr;
  return reinterpret_cast<PyObject *>(o); // tracked by the collector only once it has a __dict__
}

void tensor_dealloc(PyObject *self) {
  auto *o = as(self);
  PyTypeObject *type = Py_TYPE(self);
  if (PyObject_GC_IsTracked(self)) PyObject_GC_UnTrack(self);
  if (o->weak) PyObject_ClearWeakRefs(self);
  Py_CLEAR(o->dict);
  if (o->t && o->t->python == self) o->t->python = nullptr;
  o->t.~Tensor();
  if (type == tensor_type && spares < keep) spare[spares++] = o;
  else PyObject_GC_Del(self);
  Py_DECREF(type);
}
int tensor_traverse(PyObject *self, visitproc visit, void *arg) {
  Py_VISIT(Py_TYPE(self));
  Py_VISIT(as(self)->dict);
  return 0;
}
int tensor_clear(PyObject *self) {
  Py_CLEAR(as(self)->dict);
  return 0;
}
PyObject *get_dict(PyObject *self, void *) {
  PyObject *dict = PyObject_GenericGetDict(self, nullptr);
  if (dict && !PyObject_GC_IsTracked(self)) PyObject_GC_Track(self);
  return dict;
}
int tensor_setattr(PyObject *self, PyObject *name, PyObject *value) {
  int r = PyObject_GenericSetAttr(self, name, value);
  if (as(self)->dict && !PyObject_GC_IsTracked(self)) PyObject_GC_Track(self);
  return r;
}

// ---- operators

// Another operand: a tensor, or a number or ndarray, which `made` becomes. nullptr: none of these. A list is an error
// here, where torch would repeat the list.
const Tensor *operand(PyObject *o, Tensor &made, const char *symbol) {
  if (is_tensor(o)) return &unwrap(o);
  if (PyList_Check(o) || PyTuple_Check(o)) {
    // What was written goes into the facts as the name of the argument, so that the mend can say it.
    Object written(PyObject_Repr(o));
    const char *name = written ? PyUnicode_AsUTF8(written.get()) : nullptr;
    if (!name) PyErr_Clear();
    Error e(Raises::type,
            std::string("unsupported operand type(s) for ") + symbol + ": 'Tensor' and '" + Py_TYPE(o)->tp_name + "'",
            "list_operand");
    e.args.push_back({name ? name : "[…]", {int64_t(PySequence_Size(o))}, default_dtype(), "cpu"});
    throw e.in(symbol);
  }
  return as_operand(o, made) ? &made : nullptr;
}

// A number on the left: torch's 1 - x is rsub, and 1 / x a product with the reciprocal.
void name_reversed(const Tensor &y, const Tensor &a, const char *symbol) {
  if (a->wrapped && (*symbol == '-' || *symbol == '/')) named(y, *symbol == '-' ? "RsubBackward1" : "MulBackward0");
}

template <class F> PyObject *binary_slot(PyObject *a, PyObject *b, const char *symbol, F f) {
  try {
    if (Py_TYPE(a) == tensor_type && Py_TYPE(b) == tensor_type) return new_object(f(as(a)->t, as(b)->t));
    Tensor made;
    const Tensor *x = operand(a, made, symbol), *y = x ? operand(b, made, symbol) : nullptr; // one of them is a tensor
    if (!y) Py_RETURN_NOTIMPLEMENTED;
    Tensor z = f(*x, *y);
    name_reversed(z, *x, symbol);
    PyTypeObject *subclass = subclass_of(a);
    return wrap_like(subclass ? subclass : subclass_of(b), std::move(z));
  } catch (...) {
    set_error(symbol, {{"a", a}, {"b", b}});
    return nullptr;
  }
}
template <class F> PyObject *inplace_slot(PyObject *a, PyObject *b, const char *symbol, F f) {
  try {
    Tensor made;
    const Tensor *y = operand(b, made, symbol);
    if (!y) Py_RETURN_NOTIMPLEMENTED;
    f(unwrap(a), *y);
    Py_INCREF(a);
    return a;
  } catch (...) {
    set_error(symbol, {{"a", a}, {"b", b}});
    return nullptr;
  }
}
#define SLOT(op, symbol)                                                                                               \
  PyObject *nb_##op(PyObject *a, PyObject *b) {                                                                        \
    return binary_slot(a, b, symbol, [](const Tensor &x, const Tensor &y) { return ops::op(x, y); });                  \
  }                                                                                                                    \
  PyObject *nb_inplace_##op(PyObject *a, PyObject *b) {                                                                \
    return inplace_slot(a, b, symbol "=", [](const Tensor &x, const Tensor &y) { apply_inplace(ops::op, x, y); });     \
  }
SLOT(add, "+")
SLOT(sub, "-")
SLOT(mul, "*")
SLOT(div, "/")
SLOT(bitwise_and, "&")
SLOT(bitwise_or, "|")
SLOT(bitwise_xor, "^")
SLOT(bitwise_left_shift, "<<")
SLOT(bitwise_right_shift, ">>")
#undef SLOT

// Ops whose checks live in the table (integer division, powers) go by name.
PyObject *op_of_module(const char *name) {
  Object module(checked(PyImport_ImportModule("hadamard._C")));
  return checked(PyObject_GetAttrString(module.get(), name));
}
template <class F> PyObject *by_name(PyObject *a, PyObject *b, const char *symbol, F op) {
  return guarded([&]() -> PyObject * {
    Tensor made;
    for (PyObject *o : {a, b})
      if (!PyFloat_CheckExact(o) && !PyLong_CheckExact(o) && !operand(o, made, symbol)) Py_RETURN_NOTIMPLEMENTED;
    PyObject *given[] = {a, b};
    return PyObject_Vectorcall(op(), given, 2, nullptr);
  });
}
#define BY_NAME(name, symbol)                                                                                          \
  by_name(a, b, symbol, [] {                                                                                           \
    static PyObject *const op = op_of_module(name);                                                                    \
    return op;                                                                                                         \
  })
PyObject *nb_floor_divide(PyObject *a, PyObject *b) { return BY_NAME("floor_divide", "//"); }
PyObject *nb_remainder(PyObject *a, PyObject *b) { return BY_NAME("remainder", "%"); }
PyObject *nb_power(PyObject *a, PyObject *b, PyObject *) { return BY_NAME("pow", "**"); }
#undef BY_NAME
PyObject *by_method(PyObject *a, PyObject *b, const char *name) {
  if (!is_tensor(b) && !PyNumber_Check(b)) Py_RETURN_NOTIMPLEMENTED;
  return PyObject_CallMethod(a, name, "O", b);
}
PyObject *nb_inplace_floor_divide(PyObject *a, PyObject *b) { return by_method(a, b, "floor_divide_"); }
PyObject *nb_inplace_remainder(PyObject *a, PyObject *b) { return by_method(a, b, "remainder_"); }
PyObject *nb_inplace_power(PyObject *a, PyObject *b, PyObject *) { return by_method(a, b, "pow_"); }

PyObject *nb_matmul(PyObject *a, PyObject *b) {
  return guarded([&]() -> PyObject * {
    if (is_tensor(a) && is_tensor(b) && !autocasting()) {
      PyTypeObject *subclass = subclass_of(a);
      return wrap_like(subclass ? subclass : subclass_of(b), ops::matmul(unwrap(a), unwrap(b)));
    }
    auto array = [](PyObject *o) {
      return !is_tensor(o) && PyObject_HasAttrString(o, "__array_interface__") && PySequence_Check(o);
    };
    Tensor x, y;
    if ((!is_tensor(a) && !array(a)) || (!is_tensor(b) && !array(b))) {
      if (PyList_Check(a) || PyList_Check(b)) operand(PyList_Check(a) ? a : b, x, "@");
      PyObject *number = is_tensor(a) ? b : a;
      if (!PyFloat_Check(number) && !PyLong_Check(number) && !PyComplex_Check(number)) Py_RETURN_NOTIMPLEMENTED;
      auto type = [](PyObject *o) { return is_tensor(o) ? "Tensor" : Py_TYPE(o)->tp_name; };
      throw Error(Raises::type, text("unsupported operand type(s) for @: '%s' and '%s'", type(a), type(b)),
                  "number_operand")
          .in("@")
          .arg(is_tensor(a) ? "a" : "b", unwrap(is_tensor(a) ? a : b));
    }
    as_operand(a, x);
    as_operand(b, y);
    if (autocasting()) autocast(Autocast::lower, &x), autocast(Autocast::lower, &y);
    PyTypeObject *subclass = subclass_of(a);
    return wrap_like(subclass ? subclass : subclass_of(b), ops::matmul(x, y));
  });
}
PyObject *nb_neg(PyObject *a) {
  return guarded([&] { return wrap_like(subclass_of(a), ops::neg(unwrap(a))); });
}
PyObject *nb_pos(PyObject *a) {
  return guarded([&]() -> PyObject * {
    if (unwrap(a).dtype() == DType::Bool)
      throw Error(Raises::runtime, "The `+` operator, on a bool tensor is not supported.");
    Py_INCREF(a);
    return a;
  });
}
PyObject *nb_abs(PyObject *a) {
  return guarded([&] { return wrap_like(subclass_of(a), ops::abs(unwrap(a))); });
}
PyObject *nb_invert(PyObject *a) {
  return guarded([&]() -> PyObject * {
    const Tensor &t = unwrap(a);
    if (!dtype_in(t.dtype(), integers | boolean))
      throw Error(Raises::type, "~ (operator.invert) is only implemented on integer and Boolean-type tensors");
    return wrap(t.dtype() == DType::Bool ? ops::logical_not(t) : ops::bitwise_not(t));
  });
}
int nb_bool(PyObject *a) {
  try {
    const Tensor &t = unwrap(a);
    HD_CHECK(t.numel() != 0, runtime, "Boolean value of Tensor with no values is ambiguous");
    HD_CHECK(t.numel() == 1, runtime, "Boolean value of Tensor with more than one value is ambiguous");
    return !item(t).is_zero();
  } catch (...) {
    set_error("bool", {{"x", a}});
    return -1;
  }
}
Scalar only_element(PyObject *a) {
  const Tensor &t = unwrap(a);
  if (t.numel() != 1)
    throw Error(Raises::value, "only one element tensors can be converted to Python scalars", "item").arg("self", t);
  static bool said = false; // under Python's lock
  if (!said && t.requires_grad()) {
    said = true;
    warn("Converting a tensor with requires_grad=True to a scalar may lead to unexpected behavior.\nConsider using "
         "tensor.detach() first.");
  }
  return item(t);
}
PyObject *nb_float(PyObject *a) {
  return guarded([&]() -> PyObject * {
    Scalar s = only_element(a);
    HD_CHECK(s.kind != Scalar::complex_ || s.im == 0, runtime,
             "value cannot be converted to type double without overflow");
    return PyFloat_FromDouble(s.re);
  });
}
PyObject *nb_int(PyObject *a) {
  return guarded([&]() -> PyObject * {
    Scalar s = only_element(a);
    return s.kind <= Scalar::integer ? PyLong_FromLongLong(s.i) : PyLong_FromDouble(s.re);
  });
}
PyObject *nb_index(PyObject *a) {
  return guarded([&]() -> PyObject * {
    const Tensor &t = unwrap(a);
    if (t.numel() != 1 || !dtype_in(t.dtype(), integers | boolean))
      throw Error(Raises::type, "only integer tensors of a single element can be converted to an index", "index");
    return PyLong_FromLongLong(item(t).i);
  });
}

PyObject *compare(PyObject *a, PyObject *b, int op) {
  auto slot = [&](auto f, const char *symbol) { return binary_slot(a, b, symbol, f); };
  if (b == Py_None || PyUnicode_Check(b) || PyType_Check(b)) Py_RETURN_NOTIMPLEMENTED;
  switch (op) {
  case Py_EQ: return slot([](const Tensor &x, const Tensor &y) { return ops::eq(x, y); }, "==");
  case Py_NE: return slot([](const Tensor &x, const Tensor &y) { return ops::ne(x, y); }, "!=");
  case Py_LT: return slot([](const Tensor &x, const Tensor &y) { return ops::lt(x, y); }, "<");
  case Py_LE: return slot([](const Tensor &x, const Tensor &y) { return ops::le(x, y); }, "<=");
  case Py_GT: return slot([](const Tensor &x, const Tensor &y) { return ops::gt(x, y); }, ">");
  default: return slot([](const Tensor &x, const Tensor &y) { return ops::ge(x, y); }, ">=");
  }
}
Py_hash_t tensor_hash(PyObject *a) {
  Py_hash_t h = Py_hash_t(reinterpret_cast<uintptr_t>(a) >> 4);
  return h == -1 ? -2 : h;
}
Py_ssize_t tensor_length(PyObject *a) {
  const Tensor &t = unwrap(a);
  if (!t.dim()) {
    PyErr_SetString(PyExc_TypeError, "len() of a 0-d tensor");
    return -1;
  }
  return Py_ssize_t(t.shape()[0]);
}
PyObject *tensor_repr(PyObject *a) {
  static PyObject *f = nullptr;
  if (!f) {
    Object m(PyImport_ImportModule("hadamard._tensor_str"));
    if (!m) return nullptr;
    f = PyObject_GetAttrString(m.get(), "tensor_repr");
    if (!f) return nullptr;
  }
  return PyObject_CallFunctionObjArgs(f, a, nullptr);
}

// ---- the buffer protocol: memoryview(t), and NumPy's road to a tensor's memory

struct Exported {
  Tensor t; // keeps the memory
  std::vector<Py_ssize_t> shape, strides;
};
const char *buffer_format(DType t) {
  static_assert(sizeof(long) == 8 && sizeof(int) == 4);
  static const char *formats[] = {"?", "B", "b", "h", "i", "l", "e", nullptr, "f", "d", "Zf", "Zd"};
  static_assert(sizeof(formats) / sizeof(*formats) == dtype_count);
  return formats[int(t)];
}
int get_buffer(PyObject *self, Py_buffer *view, int flags) {
  const Tensor &t = as(self)->t;
  view->obj = nullptr;
  auto refuse = [](const char *why) {
    PyErr_SetString(PyExc_BufferError, why);
    return -1;
  };
  const char *format = buffer_format(t.dtype());
  if (t.is_meta()) return refuse("a meta tensor has no memory");
  if (t.requires_grad()) return refuse("a buffer of a tensor that requires grad: use tensor.detach()");
  if (!format) return refuse("bfloat16 has no format as a buffer: use tensor.float()");
  try {
    auto e = std::make_unique<Exported>(Exported{t, {}, {}});
    int64_t step = t.itemsize();
    for (int64_t d = 0; d < t.dim(); ++d) {
      e->shape.push_back(Py_ssize_t(t.shape()[d]));
      e->strides.push_back(Py_ssize_t(t.strides()[d] * step));
    }
    modes.fusing = false; // the consumer may write there, unseen
    *view = {};
    view->buf = t.raw();
    view->len = Py_ssize_t(t.numel() * step);
    view->itemsize = Py_ssize_t(step);
    view->ndim = int(t.dim());
    view->shape = e->shape.data();
    view->strides = e->strides.data();
    view->format = const_cast<char *>(format);
    char order = (flags & PyBUF_C_CONTIGUOUS) == PyBUF_C_CONTIGUOUS       ? 'C'
                 : (flags & PyBUF_F_CONTIGUOUS) == PyBUF_F_CONTIGUOUS     ? 'F'
                 : (flags & PyBUF_ANY_CONTIGUOUS) == PyBUF_ANY_CONTIGUOUS ? 'A'
                 : (flags & PyBUF_STRIDES) == PyBUF_STRIDES               ? 0
                                                                          : 'C';
    if (order && !PyBuffer_IsContiguous(view, order))
      return refuse("this tensor is not contiguous: use tensor.contiguous()");
    if ((flags & PyBUF_STRIDES) != PyBUF_STRIDES) view->strides = nullptr;
    if ((flags & PyBUF_ND) != PyBUF_ND) view->shape = nullptr;
    if ((flags & PyBUF_FORMAT) != PyBUF_FORMAT) view->format = nullptr;
    view->internal = e.release();
    view->obj = self;
    Py_INCREF(self);
    return 0;
  } catch (...) {
    set_error();
    return -1;
  }
}
void release_buffer(PyObject *, Py_buffer *view) { delete static_cast<Exported *>(view->internal); }

// ---- attributes

#define GET(name, ...)                                                                                                 \
  PyObject *get_##name(PyObject *self, void *) {                                                                       \
    return guarded([&]() -> PyObject * {                                                                               \
      [[maybe_unused]] const Tensor &t = as(self)->t;                                                                  \
      __VA_ARGS__                                                                                                      \
    });                                                                                                                \
  }
GET(shape, return size_object(t.shape());)
GET(ndim, return PyLong_FromLongLong(t.dim());)
GET(dtype, Py_INCREF(dtype_object(t.dtype())); return dtype_object(t.dtype());)
GET(device, return device_object(t.device());)
GET(requires_grad, return PyBool_FromLong(t.requires_grad());)
GET(is_leaf, return PyBool_FromLong(!grad_fn(t));)
GET(grad_fn, return node_object(grad_fn(t));)
GET(grad,
    if (!(t->meta && (t->meta->grad || t->meta->retains_grad)) && grad_fn(t)) warn(
        "The .grad attribute of a Tensor that is not a leaf Tensor is being accessed. Its .grad attribute won't be "
        "populated during autograd.backward(). If you indeed want the .grad field to be populated for a non-leaf "
        "Tensor, use .retain_grad() on the non-leaf Tensor. If you access the non-leaf Tensor by mistake, make sure "
        "you access the leaf Tensor instead. See github.com/pytorch/pytorch/pull/30531 for more information.");
    return wrap(t->meta ? t->meta->grad : Tensor());)
GET(retains_grad, return PyBool_FromLong(t->meta && t->meta->retains_grad);)
GET(output_nr, (void)grad_fn(t); return PyLong_FromLong(t->output);)
GET(version, return PyLong_FromUnsignedLong(t.version());)
GET(base, return t->base ? wrap(Tensor(Ref<TensorImpl>(t->base))) : (Py_INCREF(Py_None), Py_None);)
GET(itemsize, return PyLong_FromLongLong(t.itemsize());)
GET(nbytes, return PyLong_FromLongLong(t.itemsize() * t.numel());)
GET(is_meta, return PyBool_FromLong(t.is_meta());)
GET(is_cpu, return PyBool_FromLong(!t.is_meta());)
GET(false, Py_RETURN_FALSE;)
GET(data, Tensor d = alias(t); d->storage = t->storage; d->untracked = true; return wrap(d);)
GET(T, if (t.dim() == 2) return wrap(named(ops::transpose(t, 0, 1), "PermuteBackward0")); static bool said = false;
    if (!std::exchange(said, true))
        warn(t.dim()
                 ? "The use of `x.T` on tensors of dimension other than 2 to reverse their shape is deprecated and it "
                   "will throw an error in a future release. Consider `x.mT` to transpose batches of matrices or "
                   "`x.permute(*torch.arange(x.ndim - 1, -1, -1))` to reverse the dimensions of a tensor."
                 : "Tensor.T is deprecated on 0-D tensors. This function is the identity in these cases.");
    Dims order; for (int64_t d = t.dim(); d-- > 0;) order.push_back(d); return wrap(ops::permute(t, order));)
GET(mT, HD_CHECK(t.dim() >= 2, runtime,
                 "tensor.mT is only supported on matrices or batches of matrices. Got %ld-D tensor.", long(t.dim()));
    return wrap(ops::transpose(t, -2, -1));)
GET(H, HD_CHECK(t.dim() == 2 || t.dim() == 0, runtime,
                "tensor.H is only supported on matrices (2-D tensors). Got %ld-D tensor.%s", long(t.dim()),
                t.dim() > 2 ? " For batches of matrices, consider using tensor.mH" : "");
    Tensor x = t.dim() ? ops::transpose(t, 0, 1) : t; return wrap(t.is_complex() ? ops::conj(x) : x);)
GET(mH, HD_CHECK(t.dim() >= 2, runtime,
                 "tensor.mH is only supported on matrices or batches of matrices. Got %ld-D tensor.", long(t.dim()));
    Tensor x = ops::transpose(t, -2, -1); return wrap(t.is_complex() ? ops::conj(x) : x);)
GET(real, return wrap(ops::real_part(t));)
GET(imag, return wrap(ops::imag_part(t));)
GET(name, Py_RETURN_NONE;)
#undef GET

int set_requires_grad_attr(PyObject *self, PyObject *value, void *) {
  try {
    int on = value ? PyObject_IsTrue(value) : 0;
    if (on < 0) return -1;
    set_requires_grad(as(self)->t, on);
    return 0;
  } catch (...) {
    set_error();
    return -1;
  }
}
int set_grad(PyObject *self, PyObject *value, void *) {
  try {
    const Tensor &t = as(self)->t;
    if (!value || value == Py_None) {
      if (t->meta) t->meta->grad = Tensor();
      return 0;
    }
    if (!is_tensor(value))
      throw Error(Raises::type, text("assigned grad expected to be a Tensor or None but got grad of type %s",
                                     Py_TYPE(value)->tp_name));
    const Tensor &g = unwrap(value);
    HD_CHECK(!g.is(t), runtime, "can't assign Variable as its own grad");
    HD_CHECK(g.dtype() == t.dtype(), runtime, "assigned grad has data of a different type");
    HD_CHECK(g.device() == t.device(), runtime, "assigned grad has data located on a different device");
    HD_CHECK(g.shape() == t.shape(), runtime, "assigned grad has data of a different size");
    meta(t).grad = g;
    return 0;
  } catch (...) {
    set_error();
    return -1;
  }
}
int set_data(PyObject *self, PyObject *value, void *) {
  try {
    if (!value || !is_tensor(value))
      throw Error(Raises::type,
                  text("Variable data has to be a tensor, but got %s", value ? Py_TYPE(value)->tp_name : "nothing"));
    const Tensor &t = as(self)->t, &from = unwrap(value);
    HD_CHECK(!t.requires_grad() || differentiable(from), runtime,
             "data set to a tensor that requires gradients must be floating point or complex dtype");
    t->storage = from->storage;
    t->dtype = from.dtype();
    t->shape = from.shape();
    t->strides = from.strides();
    t->offset = from->offset;
    t->numel = from.numel();
    t->contiguous = from.is_contiguous();
    return 0;
  } catch (...) {
    set_error();
    return -1;
  }
}

PyGetSetDef attributes[] = {
    {"shape", get_shape, nullptr, "The sizes of the dimensions, as torch.Size.", nullptr},
    {"ndim", get_ndim, nullptr, "The number of dimensions.", nullptr},
    {"dtype", get_dtype, nullptr, "The type of the elements.", nullptr},
    {"device", get_device, nullptr, "Where the elements live.", nullptr},
    {"requires_grad", get_requires_grad, set_requires_grad_attr, "Whether gradients flow to this tensor.", nullptr},
    {"is_leaf", get_is_leaf, nullptr, "True where no recorded op made this tensor.", nullptr},
    {"grad_fn", get_grad_fn, nullptr, "The recorded op that made this tensor, or None.", nullptr},
    {"grad", get_grad, set_grad, "The gradient that backward() added up, or None.", nullptr},
    {"_grad", get_grad, set_grad, nullptr, nullptr},
    {"retains_grad", get_retains_grad, nullptr, nullptr, nullptr},
    {"output_nr", get_output_nr, nullptr, nullptr, nullptr},
    {"__dict__", get_dict, PyObject_GenericSetDict, nullptr, nullptr},
    {"_version", get_version, nullptr, "How many in-place writes the storage has seen.", nullptr},
    {"_base", get_base, nullptr, "Of a view: the tensor it looks into.", nullptr},
    {"itemsize", get_itemsize, nullptr, "Bytes of one element.", nullptr},
    {"nbytes", get_nbytes, nullptr, "Bytes of all elements.", nullptr},
    {"is_meta", get_is_meta, nullptr, nullptr, nullptr},
    {"is_cpu", get_is_cpu, nullptr, nullptr, nullptr},
    {"is_cuda", get_false, nullptr, nullptr, nullptr},
    {"is_mps", get_false, nullptr, nullptr, nullptr},
    {"is_xpu", get_false, nullptr, nullptr, nullptr},
    {"is_sparse", get_false, nullptr, nullptr, nullptr},
    {"is_quantized", get_false, nullptr, nullptr, nullptr},
    {"is_nested", get_false, nullptr, nullptr, nullptr},
    {"is_mkldnn", get_false, nullptr, nullptr, nullptr},
    {"data", get_data, set_data, "The same elements without history; writes to it are not tracked.", nullptr},
    {"T", get_T, nullptr, "All dimensions reversed, as a view.", nullptr},
    {"mT", get_mT, nullptr, "The last two dimensions swapped, as a view.", nullptr},
    {"H", get_H, nullptr, "The conjugate transpose of a matrix.", nullptr},
    {"mH", get_mH, nullptr, "The last two dimensions swapped and conjugated.", nullptr},
    {"real", get_real, nullptr, nullptr, nullptr},
    {"imag", get_imag, nullptr, nullptr, nullptr},
    {"name", get_name, nullptr, nullptr, nullptr},
    {}};

// ---- methods that are not ops

PyObject *method_size(PyObject *self, PyObject *const *args, Py_ssize_t n, PyObject *keywords) {
  return guarded([&]() -> PyObject * {
    const Tensor &t = as(self)->t;
    Py_ssize_t all = n + (keywords ? PyTuple_GET_SIZE(keywords) : 0);
    if (all == 0 || args[0] == Py_None) return size_object(t.shape());
    int64_t d;
    if (!as_integer(args[0], d, true))
      throw Error(Raises::type,
                  text("size(): argument 'dim' (position 1) must be int, not %s", Py_TYPE(args[0])->tp_name));
    return PyLong_FromLongLong(t.size(d));
  });
}
PyObject *method_stride(PyObject *self, PyObject *const *args, Py_ssize_t n, PyObject *keywords) {
  return guarded([&]() -> PyObject * {
    const Tensor &t = as(self)->t;
    Py_ssize_t all = n + (keywords ? PyTuple_GET_SIZE(keywords) : 0);
    if (all) {
      int64_t d;
      if (!as_integer(args[0], d, true))
        throw Error(Raises::type,
                    text("stride(): argument 'dim' (position 1) must be int, not %s", Py_TYPE(args[0])->tp_name));
      return PyLong_FromLongLong(t.stride(d));
    }
    PyObject *r = checked(PyTuple_New(Py_ssize_t(t.dim())));
    for (int64_t d = 0; d < t.dim(); ++d) PyTuple_SET_ITEM(r, Py_ssize_t(d), PyLong_FromLongLong(t.strides()[d]));
    return r;
  });
}
PyObject *method_dim(PyObject *self, PyObject *) { return PyLong_FromLongLong(as(self)->t.dim()); }
PyObject *method_nelement(PyObject *self, PyObject *) { return PyLong_FromLongLong(as(self)->t.numel()); }
PyObject *method_element_size(PyObject *self, PyObject *) { return PyLong_FromLongLong(as(self)->t.itemsize()); }
PyObject *method_data_ptr(PyObject *self, PyObject *) {
  modes.fusing = false; // whoever has the address may write there, unseen
  return PyLong_FromVoidPtr(as(self)->t.is_meta() ? nullptr : as(self)->t.raw());
}
PyObject *method_offset(PyObject *self, PyObject *) { return PyLong_FromLongLong(as(self)->t->offset); }
PyObject *method_is_contiguous(PyObject *self, PyObject *args, PyObject *keywords) {
  return guarded([&] {
    static char word[] = "memory_format", *words[] = {word, nullptr};
    PyObject *given = nullptr;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "|O:is_contiguous", words, &given)) throw PythonError{};
    Format f = Format::contiguous;
    HD_CHECK(!given || as_format(given, f), type,
             "is_contiguous(): argument 'memory_format' must be torch.memory_format, not %s", Py_TYPE(given)->tp_name);
    return PyBool_FromLong(ops::is_contiguous(as(self)->t, f));
  });
}
PyObject *method_item(PyObject *self, PyObject *) {
  return guarded([&] { return number_object(item(as(self)->t)); });
}
PyObject *nested(const Tensor &t, int64_t d, const char *p) {
  if (d == t.dim()) return number_object(load(p, t.dtype()));
  Object list(checked(PyList_New(Py_ssize_t(t.shape()[d]))));
  for (int64_t i = 0; i < t.shape()[d]; ++i)
    PyList_SET_ITEM(list.get(), Py_ssize_t(i), checked(nested(t, d + 1, p + i * t.strides()[d] * t.itemsize())));
  return list.take();
}
PyObject *method_tolist(PyObject *self, PyObject *) {
  return guarded([&]() -> PyObject * {
    const Tensor &t = as(self)->t;
    HD_CHECK(!t.is_meta(), not_implemented, "Cannot copy out of meta tensor; no data!");
    return nested(t, 0, t.raw());
  });
}
PyObject *method_requires_grad_(PyObject *self, PyObject *const *args, Py_ssize_t n, PyObject *keywords) {
  return guarded([&]() -> PyObject * {
    int on = n || keywords ? PyObject_IsTrue(args[0]) : 1;
    if (on < 0) throw PythonError{};
    set_requires_grad(as(self)->t, on);
    Py_INCREF(self);
    return self;
  });
}
PyObject *method_retain_grad(PyObject *self, PyObject *) {
  return guarded([&]() -> PyObject * {
    const Tensor &t = as(self)->t;
    HD_CHECK(t.requires_grad(), runtime, "can't retain_grad on Tensor that has requires_grad=False");
    if (Node *fn = grad_fn(t)) {
      AutogradMeta &m = meta(t);
      if (!m.retains_grad) {
        m.retains_grad = true;
        fn->watched().retain.push_back(t.impl());
      }
    }
    Py_RETURN_NONE;
  });
}
PyObject *method_is_inference(PyObject *self, PyObject *) { return PyBool_FromLong(as(self)->t->inference); }
PyObject *method_storage_bytes(PyObject *self, PyObject *) { return PyLong_FromSize_t(as(self)->t->storage->bytes); }
PyObject *method_storage_ptr(PyObject *self, PyObject *) { return PyLong_FromVoidPtr(as(self)->t->storage.get()); }

// Tensor._make_subclass(cls, data, require_grad=False)
PyObject *make_subclass(PyObject *, PyObject *args, PyObject *kwargs) {
  static const char *keywords[] = {"cls", "data", "require_grad", nullptr};
  PyObject *cls, *data;
  int require = 0;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O!O!|p", const_cast<char **>(keywords), &PyType_Type, &cls,
                                   tensor_type, &data, &require))
    return nullptr;
  return guarded([&]() -> PyObject * {
    Tensor d = alias(unwrap(data));
    if (require) set_requires_grad(d, true);
    return wrap_as(reinterpret_cast<PyTypeObject *>(cls), d);
  });
}
PyObject *as_subclass(PyObject *self, PyObject *cls) {
  return guarded([&]() -> PyObject * {
    if (!PyType_Check(cls) || !PyType_IsSubtype(reinterpret_cast<PyTypeObject *>(cls), tensor_type))
      throw Error(Raises::type, "cls must be a type (got " + std::string(Py_TYPE(cls)->tp_name) + ")");
    const Tensor &t = as(self)->t;
    Tensor again =
        record(alias(t), "AliasBackward0", {t}, {}, [](const Backward &b) -> TensorList { return {b.grad()}; });
    return wrap_as(reinterpret_cast<PyTypeObject *>(cls), again);
  });
}

PyMethodDef methods[] = {
    {"size", (PyCFunction)(void *)method_size, METH_FASTCALL | METH_KEYWORDS,
     "size(dim=None): the shape, or the size of one dimension."},
    {"stride", (PyCFunction)(void *)method_stride, METH_FASTCALL | METH_KEYWORDS,
     "stride(dim=None): steps in elements."},
    {"dim", method_dim, METH_NOARGS, "The number of dimensions."},
    {"ndimension", method_dim, METH_NOARGS, nullptr},
    {"nelement", method_nelement, METH_NOARGS, "The number of elements."},
    {"element_size", method_element_size, METH_NOARGS, "Bytes of one element."},
    {"data_ptr", method_data_ptr, METH_NOARGS, "The address of the first element."},
    {"storage_offset", method_offset, METH_NOARGS, "Where in the storage the first element is, in elements."},
    {"is_contiguous", (PyCFunction)(void *)method_is_contiguous, METH_VARARGS | METH_KEYWORDS, nullptr},
    {"item", method_item, METH_NOARGS, "The only element, as a Python number."},
    {"tolist", method_tolist, METH_NOARGS, "The elements as nested Python lists."},
    {"requires_grad_", (PyCFunction)(void *)method_requires_grad_, METH_FASTCALL | METH_KEYWORDS, nullptr},
    {"retain_grad", method_retain_grad, METH_NOARGS, "Keep .grad of a tensor that is not a leaf."},
    {"is_inference", method_is_inference, METH_NOARGS, nullptr},
    {"_storage_bytes", method_storage_bytes, METH_NOARGS, nullptr},
    {"_storage_id", method_storage_ptr, METH_NOARGS, nullptr},
    {"_make_subclass", (PyCFunction)(void *)make_subclass, METH_VARARGS | METH_KEYWORDS | METH_STATIC, nullptr},
    {"as_subclass", as_subclass, METH_O, "The same tensor as an instance of a subclass."},
    {}};

PyMemberDef members[] = {{"__dictoffset__", T_PYSSIZET, offsetof(TensorObject, dict), READONLY, nullptr},
                         {"__weaklistoffset__", T_PYSSIZET, offsetof(TensorObject, weak), READONLY, nullptr},
                         {}};

// Tensor(2, 3): not initialised; Tensor([…]): float32 data. torch's old constructor.
PyObject *tensor_new(PyTypeObject *type, PyObject *args, PyObject *) {
  return guarded([&]() -> PyObject * {
    Py_ssize_t n = PyTuple_GET_SIZE(args);
    PyObject *first = n ? PyTuple_GET_ITEM(args, 0) : nullptr;
    Dims size;
    if (!n) return wrap_as(type, empty({0}, default_dtype()));
    if (is_tensor(first)) {
      const Tensor &t = unwrap(first);
      HD_CHECK(type != tensor_type || t.dtype() == default_dtype(), type, "expected %s (got %s)",
               info(default_dtype()).legacy, info(t.dtype()).legacy);
      return wrap_as(type, alias(t));
    }
    if (PyLong_Check(first) && as_dims(args, size)) return wrap_as(type, empty(size, default_dtype()));
    if (Py_TYPE(first) != &PyTuple_Type && PyTuple_Check(first) && as_dims(first, size)) // torch.Size
      return wrap_as(type, empty(size, default_dtype()));
    if (!PyList_Check(first) && !PyTuple_Check(first) && !PyObject_HasAttrString(first, "__array_interface__"))
      throw Error(Raises::type, text("new(): data must be a sequence (got %s)", Py_TYPE(first)->tp_name));
    Object t(from_data(first, default_dtype(), std::nullopt, false));
    return wrap_as(type, alias(unwrap(t.get())));
  });
}

PyType_Slot slots[] = {{Py_tp_new, (void *)tensor_new},
                       {Py_tp_dealloc, (void *)tensor_dealloc},
                       {Py_tp_traverse, (void *)tensor_traverse},
                       {Py_tp_clear, (void *)tensor_clear},
                       {Py_tp_setattro, (void *)tensor_setattr},
                       {Py_tp_repr, (void *)tensor_repr},
                       {Py_tp_hash, (void *)tensor_hash},
                       {Py_tp_richcompare, (void *)compare},
                       {Py_tp_getset, attributes},
                       {Py_tp_methods, methods},
                       {Py_tp_members, members},
                       {Py_mp_subscript, (void *)get_item},
                       {Py_mp_ass_subscript, (void *)set_item},
                       {Py_mp_length, (void *)tensor_length},
                       {Py_sq_length, (void *)tensor_length},
                       {Py_bf_getbuffer, (void *)get_buffer},
                       {Py_bf_releasebuffer, (void *)release_buffer},
                       {Py_nb_add, (void *)nb_add},
                       {Py_nb_subtract, (void *)nb_sub},
                       {Py_nb_multiply, (void *)nb_mul},
                       {Py_nb_true_divide, (void *)nb_div},
                       {Py_nb_floor_divide, (void *)nb_floor_divide},
                       {Py_nb_remainder, (void *)nb_remainder},
                       {Py_nb_power, (void *)nb_power},
                       {Py_nb_matrix_multiply, (void *)nb_matmul},
                       {Py_nb_and, (void *)nb_bitwise_and},
                       {Py_nb_or, (void *)nb_bitwise_or},
                       {Py_nb_xor, (void *)nb_bitwise_xor},
                       {Py_nb_lshift, (void *)nb_bitwise_left_shift},
                       {Py_nb_rshift, (void *)nb_bitwise_right_shift},
                       {Py_nb_inplace_add, (void *)nb_inplace_add},
                       {Py_nb_inplace_subtract, (void *)nb_inplace_sub},
                       {Py_nb_inplace_multiply, (void *)nb_inplace_mul},
                       {Py_nb_inplace_true_divide, (void *)nb_inplace_div},
                       {Py_nb_inplace_floor_divide, (void *)nb_inplace_floor_divide},
                       {Py_nb_inplace_remainder, (void *)nb_inplace_remainder},
                       {Py_nb_inplace_power, (void *)nb_inplace_power},
                       {Py_nb_inplace_and, (void *)nb_inplace_bitwise_and},
                       {Py_nb_inplace_or, (void *)nb_inplace_bitwise_or},
                       {Py_nb_inplace_xor, (void *)nb_inplace_bitwise_xor},
                       {Py_nb_inplace_lshift, (void *)nb_inplace_bitwise_left_shift},
                       {Py_nb_inplace_rshift, (void *)nb_inplace_bitwise_right_shift},
                       {Py_nb_negative, (void *)nb_neg},
                       {Py_nb_positive, (void *)nb_pos},
                       {Py_nb_absolute, (void *)nb_abs},
                       {Py_nb_invert, (void *)nb_invert},
                       {Py_nb_bool, (void *)nb_bool},
                       {Py_nb_float, (void *)nb_float},
                       {Py_nb_int, (void *)nb_int},
                       {Py_nb_index, (void *)nb_index},
                       {Py_tp_doc, (void *)"A tensor: numbers of one dtype in a strided window of memory, with the "
                                           "history of how they were computed."},
                       {}};
PyType_Spec spec = {"torch.Tensor", sizeof(TensorObject), 0,
                    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC, slots};

} // namespace

void init_tensor(PyObject *module) {
  tensor_type = reinterpret_cast<PyTypeObject *>(checked(PyType_FromSpec(&spec)));
  PyModule_AddObjectRef(module, "Tensor", reinterpret_cast<PyObject *>(tensor_type));
  // ndarray * tensor asks the tensor: NumPy gives way to the higher priority.
  Object priority(PyLong_FromLong(1000));
  PyObject_SetAttrString(reinterpret_cast<PyObject *>(tensor_type), "__array_priority__", priority.get());
}

namespace {
std::vector<PyTypeObject *> plain; // Parameter and its like
}
void results_are_tensors(PyTypeObject *type) { plain.push_back(type); }
PyTypeObject *subclass_among(PyTypeObject *type) {
  if (!PyType_IsSubtype(type, tensor_type)) return nullptr;
  for (auto *p : plain)
    if (PyType_IsSubtype(type, p)) return nullptr;
  return type;
}
PyObject *wrap_like(PyTypeObject *subclass, Tensor t) {
  return subclass && t && !t->python ? wrap_as(subclass, t) : wrap(std::move(t));
}

PyObject *wrap(Tensor t) {
  if (!t) Py_RETURN_NONE;
  if (auto *known = static_cast<PyObject *>(t->python)) {
    Py_INCREF(known);
    return known;
  }
  if (t->wrapped) return new_object(to(t, result_type(&t, 1))); // what numbers alone gave, of the default dtype
  return new_object(std::move(t));
}
PyObject *wrap_as(PyTypeObject *type, const Tensor &t) {
  if (type == tensor_type) return new_object(t);
  auto *o = as(checked(type->tp_alloc(type, 0)));
  new (&o->t) Tensor(t);
  o->dict = o->weak = nullptr;
  t->python = o;
  return reinterpret_cast<PyObject *>(o);
}

bool as_operand(PyObject *o, Tensor &t) {
  if (is_tensor(o)) {
    t = unwrap(o);
    return true;
  }
  Scalar s;
  if (as_number(o, s)) {
    t = number(s);
    return true;
  }
  if (PySequence_Check(o) && PyObject_HasAttrString(o, "__array_interface__")) {
    t = from_buffer(o);
    return true;
  }
  return false;
}

} // namespace hadamard::python
