// Tensors from data: numbers, nested sequences, buffers, arrays.
#include <cmath>
#include <memory>

#include "python.h"

namespace hadamard::python {

namespace {
struct View {
  Py_buffer buffer;
};
void free_view(void *p) {
  PyGILState_STATE s = PyGILState_Ensure();
  auto *v = static_cast<View *>(p);
  PyBuffer_Release(&v->buffer);
  delete v;
  PyGILState_Release(s);
}
bool dtype_of_format(const char *f, Py_ssize_t size, DType &t) {
  if (*f == '@' || *f == '=' || *f == '<') ++f;
  bool complex = *f == 'Z';
  if (complex) ++f;
  switch (*f) {
  case '?': t = DType::Bool; return true;
  case 'b': t = DType::I8; return true;
  case 'B': t = DType::U8; return true;
  case 'h': t = DType::I16; return true;
  case 'i':
  case 'l':
  case 'q': t = size == 8 ? DType::I64 : DType::I32; return true;
  case 'e': t = DType::F16; return true;
  case 'f': t = complex ? DType::C64 : DType::F32; return true;
  case 'd': t = complex ? DType::C128 : DType::F64; return true;
  default: return false;
  }
}
} // namespace

Tensor from_buffer(PyObject *o) {
  auto view = std::make_unique<View>();
  bool writable = PyObject_GetBuffer(o, &view->buffer, PyBUF_FULL) == 0;
  if (!writable) {
    PyErr_Clear();
    if (PyObject_GetBuffer(o, &view->buffer, PyBUF_FULL_RO) < 0) throw PythonError{};
  }
  Py_buffer &b = view->buffer;
  DType t = DType::F32;
  Dims shape, strides;
  bool known = dtype_of_format(b.format ? b.format : "B", b.itemsize, t) && size_of(t) == b.itemsize;
  std::string format = b.format ? b.format : "B";
  bool negative = false, uneven = false;
  for (int d = 0; d < b.ndim; ++d) {
    shape.push_back(b.shape[d]);
    negative |= b.strides[d] < 0;
    uneven |= b.strides[d] % b.itemsize != 0;
    strides.push_back(b.strides[d] / b.itemsize);
  }
  if (!known || negative || uneven) {
    PyBuffer_Release(&b);
    if (negative)
      throw Error(Raises::value,
                  "At least one stride in the given numpy array is negative, and tensors with negative strides are not "
                  "currently supported. (You can probably work around this by making a copy of your array  with "
                  "array.copy().) ");
    if (known)
      throw Error(Raises::value, "given numpy array strides not a multiple of the element byte size. Copy the numpy "
                                 "array to reallocate the memory.");
    Object kind(PyObject_GetAttrString(o, "dtype")), made(kind ? PyObject_GetAttrString(kind.get(), "type") : nullptr);
    PyErr_Clear();
    if (made) format = std::string("numpy.") + reinterpret_cast<PyTypeObject *>(made.get())->tp_name;
    if (auto at = format.rfind("numpy."); at != std::string::npos) format = format.substr(at);
    throw Error(Raises::type, "can't convert np.ndarray of type " + format +
                                  ". The only supported types are: float64, float32, float16, complex64, complex128, "
                                  "int64, int32, int16, int8, uint8, and bool.");
  }
  if (!writable || b.readonly)
    warn("The given NumPy array is not writable, and PyTorch does not support non-writable tensors. This means writing "
         "to this tensor will result in undefined behavior. You may want to copy the array to protect its data or make "
         "it writable before converting it to a tensor. This type of warning will be suppressed for the rest of this "
         "program.");
  int64_t last = 0;
  for (size_t d = 0; d < shape.size(); ++d) last += shape[d] ? (shape[d] - 1) * strides[d] : 0;
  char *data = static_cast<char *>(b.buf);
  Tensor r = empty({0}, t);
  r->storage =
      borrow_storage(data, size_t(numel(shape) ? last + 1 : 0) * size_t(size_of(t)), view.release(), free_view);
  r->shape = shape;
  r->strides = strides;
  r->numel = numel(shape);
  r->contiguous = is_contiguous(shape, strides);
  return r;
}

namespace {
void measure(PyObject *o, Dims &shape) { // along the first elements
  for (;;) {
    if (is_tensor(o)) {
      for (int64_t s : unwrap(o).shape()) shape.push_back(s);
      return;
    }
    if (!PySequence_Check(o) || PyBytes_Check(o)) return;
    Py_ssize_t n = PySequence_Size(o);
    if (n < 0) throw PythonError{};
    shape.push_back(n);
    HD_CHECK(shape.size() <= 128, value, "too many dimensions '%s'", Py_TYPE(o)->tp_name);
    if (!n) return;
    Object first(checked(PySequence_GetItem(o, 0)));
    o = first.get();
    if (Py_REFCNT(o) == 1) { // held by nobody else
      measure(o, shape);
      return;
    }
  }
}
struct Guess {
  bool any = false;
  DType t = DType::Bool;
  void add(DType d) {
    t = any ? promote(t, d) : d;
    any = true;
  }
};
// Asking a plain list or number for an attribute it lacks costs more than reading it.
bool is_plain(PyObject *o) {
  return PyFloat_CheckExact(o) || PyLong_CheckExact(o) || PyList_CheckExact(o) || PyTuple_CheckExact(o);
}
bool has(PyObject *o, const char *attribute) { return !is_plain(o) && PyObject_HasAttrString(o, attribute); }
void guess(PyObject *o, Guess &g) {
  if (PyFloat_CheckExact(o)) return g.add(default_dtype());
  if (is_tensor(o)) return g.add(unwrap(o).dtype());
  if (PyFloat_Check(o)) return g.add(has(o, "dtype") ? DType::F64 : default_dtype()); // NumPy's own has a dtype
  if (PyBool_Check(o)) return g.add(DType::Bool);
  if (PyLong_Check(o)) return g.add(DType::I64);
  if (PyComplex_Check(o)) return g.add(complex_of(default_dtype()));
  if (PyUnicode_Check(o) || PyBytes_Check(o))
    throw Error(Raises::type, text("new(): invalid data type '%s'", Py_TYPE(o)->tp_name));
  if (PySequence_Check(o) && !has(o, "__array_interface__")) {
    Object fast(checked(PySequence_Fast(o, "not a sequence")));
    for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(fast.get()); ++i)
      guess(PySequence_Fast_GET_ITEM(fast.get(), i), g);
    return;
  }
  if (PyObject_HasAttrString(o, "__array_interface__")) { // NumPy knows its own types
    Object array(o);
    Py_INCREF(o);
    if (!PySequence_Check(o)) {
      Object np(checked(PyImport_ImportModule("numpy")));
      array = Object(checked(PyObject_CallMethod(np.get(), "asarray", "O", o)));
    }
    return g.add(from_buffer(array.get()).dtype());
  }
  throw Error(Raises::runtime, text("Could not infer dtype of %s", Py_TYPE(o)->tp_name));
}
// Stores numbers for as long as they are of the plainest kind; how many that were.
template <class T, class F> Py_ssize_t fill_plain(PyObject *const *items, Py_ssize_t n, char *to, F read) {
  for (Py_ssize_t i = 0; i < n; ++i) {
    T x;
    if (!read(items[i], x)) return i;
    std::memcpy(to + i * Py_ssize_t(sizeof(T)), &x, sizeof(T));
  }
  return n;
}
Py_ssize_t fill_plain(PyObject *const *items, Py_ssize_t n, DType t, char *to) {
  auto number = [](PyObject *o, auto &x) {
    if (!PyFloat_CheckExact(o)) return false;
    x = static_cast<std::remove_reference_t<decltype(x)>>(PyFloat_AS_DOUBLE(o));
    return true;
  };
  auto whole = [](PyObject *o, int64_t &x) {
    int over = 1;
    if (PyLong_CheckExact(o)) x = PyLong_AsLongLongAndOverflow(o, &over);
    return !over;
  };
  switch (t) {
  case DType::F32: return fill_plain<float>(items, n, to, number);
  case DType::F64: return fill_plain<double>(items, n, to, number);
  case DType::I64: return fill_plain<int64_t>(items, n, to, whole);
  default: return 0;
  }
}
void fill(PyObject *o, const Dims &shape, size_t d, const Tensor &t, char *&to) {
  if (d == shape.size()) {
    Scalar s;
    if (is_tensor(o) && unwrap(o).requires_grad())
      warn("Converting a tensor with requires_grad=True to a scalar may lead to unexpected behavior.\nConsider using "
           "tensor.detach() first.\n  tensor([…]) copies the values and drops their history, so no gradient will flow "
           "back\n  try torch.stack([…]), which keeps it");
    if (is_tensor(o))
      s = unwrap(o).numel() == 1
              ? item(unwrap(o))
              : throw Error(Raises::value, "only one element tensors can be converted to Python scalars");
    else if (!as_number(o, s)) {
      if (PyUnicode_Check(o) || PyBytes_Check(o))
        throw Error(Raises::value, text("too many dimensions '%s'", Py_TYPE(o)->tp_name));
      if (PySequence_Check(o))
        throw Error(Raises::type, text("only integer tensors of a single element can be converted to an index"));
      throw Error(Raises::type, text("must be real number, not %s", Py_TYPE(o)->tp_name));
    }
    if (dtype_in(t.dtype(), integers)) {
      HD_CHECK(s.kind != Scalar::floating || std::isfinite(s.re), value, "cannot convert float NaN to integer");
      int bits = int(t.itemsize()) * 8;
      if (s.kind <= Scalar::integer && bits < 64) {
        bool is_unsigned = t.dtype() == DType::U8;
        int64_t low = is_unsigned ? 0 : -(int64_t(1) << (bits - 1)),
                high = is_unsigned ? 255 : (int64_t(1) << (bits - 1)) - 1;
        HD_CHECK(s.i >= low - (is_unsigned ? 255 : 0) && s.i <= high, runtime,
                 "value cannot be converted to type %s without overflow",
                 t.dtype() == DType::U8    ? "uint8_t"
                 : t.dtype() == DType::I8  ? "int8_t"
                 : t.dtype() == DType::I16 ? "int16_t"
                                           : "int");
      }
    }
    HD_CHECK(s.kind != Scalar::complex_ || t.is_complex() || s.im == 0, runtime,
             "value cannot be converted to type %s without overflow", info(t.dtype()).name);
    store(to, t.dtype(), s);
    to += t.itemsize();
    return;
  }
  if (is_tensor(o)) {
    const Tensor &x = unwrap(o);
    Dims rest(shape.begin() + d, shape.end());
    HD_CHECK(x.shape() == rest, value, "expected sequence of length %ld at dim %zu (got %ld)", long(shape[d]), d,
             long(x.dim() ? x.shape()[0] : 0));
    NoGrad no;
    copy_data(alias(t, rest, contiguous_strides(rest), (to - t->storage->data) / t.itemsize()), x);
    to += x.numel() * t.itemsize();
    return;
  }
  if (PyUnicode_Check(o) || !PySequence_Check(o)) throw Error(Raises::type, "not a sequence");
  Object fast(checked(PySequence_Fast(o, "not a sequence")));
  Py_ssize_t n = PySequence_Fast_GET_SIZE(fast.get());
  HD_CHECK(n == shape[d], value, "expected sequence of length %ld at dim %zu (got %zd)", long(shape[d]), d, n);
  Py_ssize_t i = d + 1 == shape.size() ? fill_plain(PySequence_Fast_ITEMS(fast.get()), n, t.dtype(), to) : 0;
  for (to += i * t.itemsize(); i < n; ++i) fill(PySequence_Fast_GET_ITEM(fast.get(), i), shape, d + 1, t, to);
}
} // namespace

PyObject *from_data(PyObject *o, std::optional<DType> t, std::optional<Device> device, bool share) {
  Tensor r;
  Scalar s;
  if (is_tensor(o)) {
    NoGrad no;
    const Tensor &x = unwrap(o);
    if (share && (!t || *t == x.dtype()) && (!device || *device == x.device())) {
      Py_INCREF(o);
      return o;
    }
    r = t && *t != x.dtype() ? to(x, *t) : share ? x : clone(x);
    if (device) r = to(r, *device);
    return wrap(r);
  }
  if (PyUnicode_Check(o) || PyBytes_Check(o))
    throw Error(Raises::type, text("new(): invalid data type '%s'", Py_TYPE(o)->tp_name));
  bool array = has(o, "__array_interface__");
  if (!array && as_number(o, s)) {
    DType natural = s.kind == Scalar::boolean    ? DType::Bool
                    : s.kind == Scalar::integer  ? DType::I64
                    : s.kind == Scalar::floating ? default_dtype()
                                                 : complex_of(default_dtype());
    r = empty({}, t.value_or(natural));
    char *to_ = r.raw();
    fill(o, {}, 0, r, to_);
  } else if (array || PyObject_CheckBuffer(o)) {
    Object held = Object::share(o);
    if (array && !PyObject_CheckBuffer(o)) {
      Object np(checked(PyImport_ImportModule("numpy")));
      held = Object(checked(PyObject_CallMethod(np.get(), "asarray", "O", o)));
    }
    auto *hook = warning_hook;
    if (!share) warning_hook = nullptr;
    Tensor x;
    try {
      x = from_buffer(held.get());
    } catch (...) {
      warning_hook = hook;
      throw;
    }
    warning_hook = hook;
    NoGrad no;
    if (t && *t != x.dtype()) r = to(x, *t);
    else if (share) r = x;
    else {
      r = empty(x.shape(), x.dtype());
      copy_data(r, x);
    }
  } else if (has(o, "__dlpack__")) { // another library's tensor
    Object dlpack(checked(PyImport_ImportModule("hadamard.utils.dlpack")));
    Object f(checked(PyObject_GetAttrString(dlpack.get(), "from_dlpack")));
    Object args(checked(PyTuple_Pack(1, o)));
    Object options(checked(share ? PyDict_New() : Py_BuildValue("{s:O}", "copy", Py_True)));
    Object x(checked(PyObject_Call(f.get(), args.get(), options.get())));
    r = unwrap(x.get());
    if (t && *t != r.dtype()) r = to(r, *t);
  } else {
    Dims shape;
    if (PySequence_Check(o)) measure(o, shape);
    DType type;
    if (t) type = *t;
    else {
      Guess g;
      guess(o, g);
      type = g.any ? g.t : default_dtype();
    }
    r = empty(shape, type);
    char *to_ = r.raw();
    fill(o, shape, 0, r, to_);
  }
  if (device) r = to(r, *device);
  return wrap(r);
}

namespace {
// _from_data(data, dtype, device, share)
PyObject *from_data_function(PyObject *, PyObject *const *given, Py_ssize_t n) {
  if (n != 4) return PyErr_Format(PyExc_TypeError, "_from_data() needs data, dtype, device and share");
  return guarded([&] {
    std::optional<DType> t;
    std::optional<Device> d;
    if (given[1] != Py_None && !as_dtype(given[1], t.emplace()))
      throw Error(Raises::type,
                  std::string("tensor(): argument 'dtype' must be torch.dtype, not ") + Py_TYPE(given[1])->tp_name);
    if (given[2] != Py_None && !as_device(given[2], d.emplace()))
      throw Error(Raises::type,
                  std::string("tensor(): argument 'device' must be torch.device, not ") + Py_TYPE(given[2])->tp_name);
    return from_data(given[0], t, d, PyObject_IsTrue(given[3]) > 0);
  });
}
PyObject *from_buffer_function(PyObject *, PyObject *o) {
  return guarded([&] { return wrap(from_buffer(o)); });
}
PyMethodDef functions[] = {{"_from_data", (PyCFunction)(void *)from_data_function, METH_FASTCALL, nullptr},
                           {"_from_buffer", from_buffer_function, METH_O, nullptr},
                           {}};
} // namespace

void init_data(PyObject *module) {
  if (PyModule_AddFunctions(module, functions) < 0) throw PythonError{};
}

} // namespace hadamard::python
