// What the files of the binding share. Only these files know Python.
#pragma once
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "autograd.h"
#include "bind.h"
#include "tensor.h"

namespace hadamard::python {

// An owned reference.
class Object {
  PyObject *p_ = nullptr;

public:
  Object() = default;
  explicit Object(PyObject *owned) : p_(owned) {}
  static Object share(PyObject *p) {
    Py_XINCREF(p);
    return Object(p);
  }
  Object(const Object &o) : p_(o.p_) { Py_XINCREF(p_); }
  Object(Object &&o) noexcept : p_(o.p_) { o.p_ = nullptr; }
  Object &operator=(Object o) noexcept {
    std::swap(p_, o.p_);
    return *this;
  }
  ~Object() { Py_XDECREF(p_); }
  PyObject *get() const { return p_; }
  PyObject *take() {
    PyObject *p = p_;
    p_ = nullptr;
    return p;
  }
  explicit operator bool() const { return p_; }
};

struct PythonError {}; // a Python exception is set

// Runs f; a C++ exception becomes the Python one and the result nullptr.
void set_error() noexcept; // inside a catch
// The same, where the error may lack facts: what was called, and its arguments under their names.
void set_error(const char *op, const std::vector<std::pair<std::string, PyObject *>> &args) noexcept;
template <class F> PyObject *guarded(F f) noexcept {
  try {
    return f();
  } catch (...) {
    set_error();
    return nullptr;
  }
}
inline PyObject *checked(PyObject *p) {
  if (!p) throw PythonError{};
  return p;
}

// ---- python_types.cpp
void init_types(PyObject *module);
PyObject *dtype_object(DType t); // borrowed
bool as_dtype(PyObject *o, DType &t);
PyObject *device_object(Device d);
bool as_device(PyObject *o, Device &d);
bool as_format(PyObject *o, Format &f);
PyObject *size_object(const Dims &d);
PyObject *number_object(const Scalar &s);
bool as_number(PyObject *o, Scalar &s);                 // Python and NumPy numbers, not tensors
bool as_integer(PyObject *o, int64_t &i, bool tensors); // anything with __index__ but bool
bool as_dims(PyObject *o, Dims &d);
void set_size_type(PyObject *type);

// ---- python_tensor.cpp
extern PyTypeObject *tensor_type;
struct TensorObject {
  PyObject_HEAD Tensor t;
  PyObject *dict, *weak;
};
void init_tensor(PyObject *module);
inline bool is_tensor(PyObject *o) { return PyObject_TypeCheck(o, tensor_type); }
inline const Tensor &unwrap(PyObject *o) { return reinterpret_cast<TensorObject *>(o)->t; }
PyObject *wrap(Tensor t); // new reference; None for an undefined tensor
PyObject *wrap_as(PyTypeObject *type, const Tensor &t);
// The subclass whose results keep its type, as torch's do; nullptr for Tensor itself and for classes like Parameter.
PyTypeObject *subclass_among(PyTypeObject *type);
inline PyTypeObject *subclass_of(PyObject *o) {
  return Py_TYPE(o) == tensor_type ? nullptr : subclass_among(Py_TYPE(o));
}
void results_are_tensors(PyTypeObject *type);
PyObject *wrap_like(PyTypeObject *subclass, Tensor t);
bool as_operand(PyObject *o, Tensor &t); // tensor, number, or ndarray

// ---- python_data.cpp
void init_data(PyObject *module);
PyObject *from_data(PyObject *data, std::optional<DType> t, std::optional<Device> d, bool share);
Tensor from_buffer(PyObject *o); // shares the memory of a buffer; throws PythonError

// ---- python_args.cpp
void init_ops(PyObject *module);
PyObject *pack(Value &&v);

// ---- python_explain.cpp
void init_explain(PyObject *module);
// From now on each of these ops calls hook(op, *args, **kwargs) in its place; nullptr: as ever.
void watch_ops(PyObject *hook);
// What a hook returned; an error of its own (it has a `kind`) loses the hook's frames, so that it shows the user's.
PyObject *without_frames(PyObject *result);
// The op itself, whoever watches.
PyObject *call_unwatched(PyObject *op, PyObject *const *args, Py_ssize_t n, PyObject *keywords);

// ---- python_fuse.cpp
void init_fuse(PyObject *module);

// ---- python_autocast.cpp
enum class Autocast : uint8_t { none, lower, float32 };
void init_autocast(PyObject *module);
Autocast autocast_rule(const char *op);
inline bool autocasting() { return modes.autocasting; } // in this thread
void autocast(Autocast rule, Tensor *x);
void autocast(Autocast rule, Value *arguments, int count);

// ---- python_index.cpp
PyObject *get_item(PyObject *self, PyObject *key);
int set_item(PyObject *self, PyObject *key, PyObject *value);

// ---- python_graph.cpp
void init_graph(PyObject *module);
PyObject *node_object(Node *n);

// ---- python_module.cpp
void init_module_call(PyObject *module);

// ---- python_optim.cpp
void init_optim(PyObject *module);

// ---- python_dlpack.cpp
void init_dlpack(PyObject *module);

} // namespace hadamard::python
