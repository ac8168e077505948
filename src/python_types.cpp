// dtype, device, sizes and numbers in Python; errors on their way there.
#include "python.h"

#include <stdexcept>

namespace hadamard::python {

namespace {

struct DTypeObject {
  PyObject_HEAD DType t;
};
struct DeviceObject {
  PyObject_HEAD Device d;
};
PyTypeObject *dtype_type, *device_type;
PyObject *dtypes[dtype_count], *size_type;

PyObject *new_dtype(DType t) {
  auto *o = PyObject_New(DTypeObject, dtype_type);
  o->t = t;
  return reinterpret_cast<PyObject *>(o);
}
DType dtype_of_object(PyObject *o) { return reinterpret_cast<DTypeObject *>(o)->t; }

PyObject *dtype_repr(PyObject *o) { return PyUnicode_FromFormat("torch.%s", info(dtype_of_object(o)).name); }
PyObject *dtype_reduce(PyObject *o, PyObject *) { // pickled by name, which torch can read too
  return PyUnicode_FromString(info(dtype_of_object(o)).name);
}
PyObject *dtype_itemsize(PyObject *o, void *) { return PyLong_FromLong(size_of(dtype_of_object(o))); }
PyObject *dtype_is_float(PyObject *o, void *) { return PyBool_FromLong(dtype_in(dtype_of_object(o), floats)); }
PyObject *dtype_is_complex(PyObject *o, void *) { return PyBool_FromLong(dtype_in(dtype_of_object(o), complexes)); }
PyObject *dtype_is_signed(PyObject *o, void *) {
  return PyBool_FromLong(dtype_of_object(o) != DType::Bool && dtype_of_object(o) != DType::U8);
}
PyObject *dtype_to_real(PyObject *o, PyObject *) {
  PyObject *r = dtype_object(real_of(dtype_of_object(o)));
  Py_INCREF(r);
  return r;
}
PyObject *dtype_to_complex(PyObject *o, PyObject *) {
  PyObject *r = dtype_object(complex_of(dtype_of_object(o)));
  Py_INCREF(r);
  return r;
}
PyObject *module_name(PyObject *, void *) { return PyUnicode_FromString("torch"); }
PyGetSetDef dtype_attributes[] = {{"itemsize", dtype_itemsize, nullptr, "bytes of one element", nullptr},
                                  {"is_floating_point", dtype_is_float, nullptr, nullptr, nullptr},
                                  {"is_complex", dtype_is_complex, nullptr, nullptr, nullptr},
                                  {"is_signed", dtype_is_signed, nullptr, nullptr, nullptr},
                                  {"__module__", module_name, nullptr, nullptr, nullptr},
                                  {}};
PyMethodDef dtype_methods[] = {{"__reduce__", dtype_reduce, METH_NOARGS, nullptr},
                               {"to_real", dtype_to_real, METH_NOARGS, nullptr},
                               {"to_complex", dtype_to_complex, METH_NOARGS, nullptr},
                               {}};
PyType_Slot dtype_slots[] = {{Py_tp_repr, (void *)dtype_repr},
                             {Py_tp_methods, dtype_methods},
                             {Py_tp_getset, dtype_attributes},
                             {Py_tp_doc, (void *)"The type of a tensor's elements: float32, int64, …"},
                             {}};
PyType_Spec dtype_spec = {"torch.dtype", sizeof(DTypeObject), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
                          dtype_slots};

const Device &device_of(PyObject *o) { return reinterpret_cast<DeviceObject *>(o)->d; }
PyObject *device_repr(PyObject *o) {
  Device d = device_of(o);
  return d.index < 0 ? PyUnicode_FromFormat("device(type='%s')", name(d).c_str())
                     : PyUnicode_FromFormat("device(type='%s', index=%d)", name(d).c_str(), int(d.index));
}
PyObject *device_str(PyObject *o) {
  Device d = device_of(o);
  return d.index < 0 ? PyUnicode_FromString(name(d).c_str())
                     : PyUnicode_FromFormat("%s:%d", name(d).c_str(), int(d.index));
}
PyObject *device_kind(PyObject *o, void *) { return PyUnicode_FromString(name(device_of(o)).c_str()); }
PyObject *device_index(PyObject *o, void *) {
  if (device_of(o).index < 0) Py_RETURN_NONE;
  return PyLong_FromLong(device_of(o).index);
}
Py_hash_t device_hash(PyObject *o) { return Py_hash_t(device_of(o).kind) * 131 + device_of(o).index + 7; }
PyObject *device_compare(PyObject *a, PyObject *b, int op) {
  if (!PyObject_TypeCheck(b, device_type) || (op != Py_EQ && op != Py_NE)) Py_RETURN_NOTIMPLEMENTED;
  bool same = device_of(a).kind == device_of(b).kind && device_of(a).index == device_of(b).index;
  return PyBool_FromLong(same == (op == Py_EQ));
}
PyObject *device_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
  static const char *keywords[] = {"type", "index", nullptr};
  PyObject *kind = nullptr, *index = Py_None;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|O:device", const_cast<char **>(keywords), &kind, &index))
    return nullptr;
  return guarded([&] {
    Device d;
    if (!as_device(kind, d))
      throw Error(Raises::type,
                  text("device(): argument 'type' (position 1) must be str, not %s", Py_TYPE(kind)->tp_name));
    if (index != Py_None) {
      int64_t i;
      if (!as_integer(index, i, false))
        throw Error(Raises::type,
                    text("device(): argument 'index' (position 2) must be int, not %s", Py_TYPE(index)->tp_name));
      d.index = int8_t(i);
    }
    auto *o = reinterpret_cast<DeviceObject *>(type->tp_alloc(type, 0));
    if (o) o->d = d;
    return reinterpret_cast<PyObject *>(o);
  });
}
PyObject *device_reduce(PyObject *o, PyObject *) {
  Device d = device_of(o);
  return d.index < 0 ? Py_BuildValue("O(s)", device_type, name(d).c_str())
                     : Py_BuildValue("O(si)", device_type, name(d).c_str(), int(d.index));
}
PyMethodDef device_methods[] = {{"__reduce__", device_reduce, METH_NOARGS, nullptr}, {}};
PyGetSetDef device_attributes[] = {{"type", device_kind, nullptr, "\"cpu\" or \"meta\"", nullptr},
                                   {"index", device_index, nullptr, "the number of the device, or None", nullptr},
                                   {}};
PyType_Slot device_slots[] = {
    {Py_tp_repr, (void *)device_repr},
    {Py_tp_str, (void *)device_str},
    {Py_tp_hash, (void *)device_hash},
    {Py_tp_richcompare, (void *)device_compare},
    {Py_tp_new, (void *)device_new},
    {Py_tp_getset, device_attributes},
    {Py_tp_methods, device_methods},
    {Py_tp_doc, (void *)"device(type, index=None): where a tensor lives: \"cpu\" or \"meta\""},
    {}};
PyType_Spec device_spec = {"torch.device", sizeof(DeviceObject), 0, Py_TPFLAGS_DEFAULT, device_slots};

} // namespace

void init_types(PyObject *module) {
  dtype_type = reinterpret_cast<PyTypeObject *>(checked(PyType_FromSpec(&dtype_spec)));
  device_type = reinterpret_cast<PyTypeObject *>(checked(PyType_FromSpec(&device_spec)));
  PyModule_AddObjectRef(module, "dtype", reinterpret_cast<PyObject *>(dtype_type));
  PyModule_AddObjectRef(module, "device", reinterpret_cast<PyObject *>(device_type));
  for (int i = 0; i < dtype_count; ++i) {
    dtypes[i] = new_dtype(DType(i));
    PyModule_AddObjectRef(module, info(DType(i)).name, dtypes[i]);
    if (*info(DType(i)).alias) PyModule_AddObjectRef(module, info(DType(i)).alias, dtypes[i]);
  }
}

PyObject *dtype_object(DType t) { return dtypes[int(t)]; }
bool as_dtype(PyObject *o, DType &t) {
  if (Py_TYPE(o) == dtype_type) {
    t = dtype_of_object(o);
    return true;
  }
  if (o == (PyObject *)&PyFloat_Type) t = DType::F64;
  else if (o == (PyObject *)&PyLong_Type) t = DType::I64;
  else if (o == (PyObject *)&PyBool_Type) t = DType::Bool;
  else if (o == (PyObject *)&PyComplex_Type) t = DType::C128;
  else return false;
  return true;
}
PyObject *device_object(Device d) {
  auto *o = reinterpret_cast<DeviceObject *>(device_type->tp_alloc(device_type, 0));
  if (o) o->d = d;
  return reinterpret_cast<PyObject *>(o);
}
bool as_device(PyObject *o, Device &d) {
  if (Py_TYPE(o) == device_type) {
    d = device_of(o);
    return true;
  }
  if (!PyUnicode_Check(o)) return false;
  d = device_from(PyUnicode_AsUTF8(o));
  return true;
}

bool as_format(PyObject *o, Format &f) {
  Object number(PyObject_GetAttrString(o, "_memory_format"));
  if (!number) {
    PyErr_Clear();
    return false;
  }
  f = Format(PyLong_AsLong(number.get()));
  return true;
}

void set_size_type(PyObject *type) {
  Py_XINCREF(type);
  Py_XSETREF(size_type, type);
}
PyObject *size_object(const Dims &d) {
  auto *type = size_type ? reinterpret_cast<PyTypeObject *>(size_type) : &PyTuple_Type;
  PyObject *t = type->tp_alloc(type, Py_ssize_t(d.size()));
  if (!t) return nullptr;
#if PY_VERSION_HEX >= 0x030e0000
  reinterpret_cast<PyTupleObject *>(t)->ob_hash = -1; // not known yet; only tuple's own constructors write that
#endif
  for (size_t i = 0; i < d.size(); ++i) PyTuple_SET_ITEM(t, Py_ssize_t(i), PyLong_FromLongLong(d[i]));
  return t;
}

PyObject *number_object(const Scalar &s) {
  switch (s.kind) {
  case Scalar::boolean: return PyBool_FromLong(s.i != 0);
  case Scalar::integer: return PyLong_FromLongLong(s.i);
  case Scalar::floating: return PyFloat_FromDouble(s.re);
  default: return PyComplex_FromDoubles(s.re, s.im);
  }
}

bool as_number(PyObject *o, Scalar &s) {
  if (PyFloat_Check(o)) s = Scalar(PyFloat_AS_DOUBLE(o));
  else if (PyBool_Check(o)) s = Scalar(o == Py_True);
  else if (PyLong_Check(o)) {
    int over;
    int64_t v = PyLong_AsLongLongAndOverflow(o, &over);
    if (over) throw Error(Raises::value, "Overflow when unpacking long long");
    s = Scalar(v);
  } else if (PyComplex_Check(o)) s = Scalar(std::complex<double>(PyComplex_RealAsDouble(o), PyComplex_ImagAsDouble(o)));
  else if (is_tensor(o) || PyUnicode_Check(o) || PySequence_Check(o)) return false;
  else if (PyObject_HasAttrString(o, "__array_interface__") && PyObject_HasAttrString(o, "item")) { // a NumPy scalar
    Object v(PyObject_CallMethod(o, "item", nullptr));
    if (!v) {
      PyErr_Clear();
      return false;
    }
    if (v.get() == o || Py_TYPE(v.get()) == Py_TYPE(o)) return false;
    return as_number(v.get(), s);
  } else if (PyIndex_Check(o)) {
    Object v(PyNumber_Index(o));
    if (!v) {
      PyErr_Clear();
      return false;
    }
    return as_number(v.get(), s);
  } else return false;
  return true;
}

bool as_integer(PyObject *o, int64_t &i, bool tensors) {
  if (PyLong_Check(o)) {
    if (PyBool_Check(o)) return false;
    int over;
    i = PyLong_AsLongLongAndOverflow(o, &over);
    if (over) throw Error(Raises::runtime, "Overflow when unpacking long long");
    return true;
  }
  if (PyFloat_Check(o) || !PyIndex_Check(o)) return false;
  if (is_tensor(o) && (!tensors || unwrap(o).dim() != 0)) return false;
  Object v(PyNumber_Index(o));
  if (!v) {
    PyErr_Clear();
    return false;
  }
  i = PyLong_AsLongLong(v.get());
  if (i == -1 && PyErr_Occurred()) throw PythonError{};
  return true;
}

bool as_dims(PyObject *o, Dims &d) {
  int64_t i;
  d.clear();
  if (PyTuple_Check(o) || PyList_Check(o)) {
    Py_ssize_t n = PySequence_Fast_GET_SIZE(o);
    PyObject **items = PySequence_Fast_ITEMS(o);
    for (Py_ssize_t k = 0; k < n; ++k) {
      if (!as_integer(items[k], i, true)) return false;
      d.push_back(i);
    }
    return true;
  }
  if (!as_integer(o, i, true)) return false;
  d.push_back(i);
  return true;
}

// ---- errors

void set_error() noexcept {
  try {
    throw;
  } catch (const PythonError &) {
  } catch (const Error &e) {
    static PyObject *const kinds[] = {
        PyExc_RuntimeError, PyExc_ValueError,    PyExc_TypeError,         PyExc_IndexError,  PyExc_NotImplementedError,
        PyExc_MemoryError,  PyExc_OverflowError, PyExc_ZeroDivisionError, PyExc_ImportError, PyExc_AssertionError};
    PyObject *type = kinds[int(e.raises)];
    Object args(PyList_New(0));
    for (auto &a : e.args) {
      Object shape(PyTuple_New(Py_ssize_t(a.shape.size())));
      for (size_t i = 0; i < a.shape.size(); ++i)
        PyTuple_SET_ITEM(shape.get(), Py_ssize_t(i), PyLong_FromLongLong(a.shape[i]));
      Object row(Py_BuildValue("(sOss)", a.name.c_str(), shape.get(), info(a.dtype).name, a.device.c_str()));
      PyList_Append(args.get(), row.get());
    }
    Object facts(Py_BuildValue("{s:s,s:s,s:s,s:O,s:L}", "kind", e.kind.c_str(), "op", e.op.c_str(), "line",
                               e.line.c_str(), "args", args.get(), "dim", (long long)e.dim));
    Object help;
    if (facts) {
      Object module(PyImport_ImportModule("hadamard.errors"));
      if (module) help = Object(PyObject_CallMethod(module.get(), "explain", "O", facts.get()));
    }
    PyErr_Clear(); // an explanation that fails leaves the first line
    Object message(help && PyUnicode_Check(help.get()) && PyUnicode_GetLength(help.get())
                       ? PyUnicode_FromFormat("%s\n%U", e.line.c_str(), help.get())
                       : PyUnicode_DecodeUTF8(e.line.data(), Py_ssize_t(e.line.size()), "replace"));
    Object exception(message ? PyObject_CallFunctionObjArgs(type, message.get(), nullptr) : nullptr);
    if (!exception) return;
    if (facts && PyObject_SetAttrString(exception.get(), "hadamard", facts.get()) < 0) PyErr_Clear();
    PyErr_SetObject(type, exception.get());
  } catch (const std::bad_alloc &) { PyErr_NoMemory(); } catch (const std::invalid_argument &e) {
    PyErr_SetString(PyExc_ValueError, e.what());
  } catch (const std::exception &e) { PyErr_SetString(PyExc_RuntimeError, e.what()); } catch (...) {
    PyErr_SetString(PyExc_RuntimeError, "unknown C++ exception");
  }
}

void set_error(const char *op, const std::vector<std::pair<std::string, PyObject *>> &args) noexcept {
  try {
    throw;
  } catch (Error &e) {
    if (e.op.empty()) e.op = op;
    if (e.args.empty())
      for (auto &[name, o] : args) {
        if (is_tensor(o)) e.arg(name.c_str(), unwrap(o));
        else if (PyList_Check(o) || PyTuple_Check(o))
          for (Py_ssize_t i = 0, n = std::min<Py_ssize_t>(PySequence_Fast_GET_SIZE(o), 8); i < n; ++i)
            if (PyObject *t = PySequence_Fast_GET_ITEM(o, i); is_tensor(t))
              e.arg((name + "[" + std::to_string(i) + "]").c_str(), unwrap(t));
      }
    set_error();
  } catch (...) { set_error(); }
}

} // namespace hadamard::python
