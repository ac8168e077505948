// The call of nn.Module: straight to forward() where no hook wants to see it, without a Python frame in between. And
// what nn asks of tensors at every call.
#include "python.h"

namespace hadamard::python {
namespace {

PyObject *hooks_of_all; // a dict, empty where no hook concerns every module
PyObject *hook_names[4], *store_names[3], *forward_name, *hooked_name, *call_name, *getattr_name, *getattribute_name;
PyObject *call_descriptor, *getattr_function; // Module's own methods

// Whether a dict of hooks is there and empty; what is neither is left to the call in Python.
bool is_empty(PyObject *hooks) { return hooks && PyDict_Check(hooks) && PyDict_GET_SIZE(hooks) == 0; }

// Whether a class has no __getattribute__ of its own.
bool usual_attributes(PyTypeObject *type) {
  static PyObject *const usual = _PyType_Lookup(&PyBaseObject_Type, getattribute_name);
  return _PyType_Lookup(type, getattribute_name) == usual;
}
// The function `forward` of self's class, if that is what self.forward means. Borrowed; no bound method is made for it.
PyObject *plain_forward(PyObject *self, PyObject *own) {
  PyObject *forward = _PyType_Lookup(Py_TYPE(self), forward_name);
  if (!forward || !PyFunction_Check(forward) || !usual_attributes(Py_TYPE(self)) ||
      PyDict_GetItemWithError(own, forward_name))
    return nullptr;
  return forward;
}

PyObject *call(PyObject *self, PyObject *args, PyObject *keywords) {
  return guarded([&]() -> PyObject * {
    Object own(checked(PyObject_GenericGetDict(self, nullptr)));
    bool plain = is_empty(hooks_of_all);
    for (PyObject *name : hook_names) plain = plain && is_empty(PyDict_GetItemWithError(own.get(), name));
    if (!plain) {
      Object named(keywords ? Py_NewRef(keywords) : checked(PyDict_New()));
      return PyObject_CallMethodObjArgs(self, hooked_name, args, named.get(), nullptr);
    }
    constexpr Py_ssize_t room = 6;
    Py_ssize_t n = PyTuple_GET_SIZE(args);
    if (n < room && (!keywords || PyDict_GET_SIZE(keywords) == 0))
      if (PyObject *found = plain_forward(self, own.get())) {
        Object forward = Object::share(found); // it may replace itself
        PyObject *given[room] = {self};
        for (Py_ssize_t i = 0; i < n; ++i) given[i + 1] = PyTuple_GET_ITEM(args, i);
        return PyObject_Vectorcall(forward.get(), given, size_t(n + 1), nullptr);
      }
    Object forward(checked(PyObject_GetAttr(self, forward_name)));
    return PyObject_Call(forward.get(), args, keywords);
  });
}

PyMethodDef method = {
    "__call__",
    (PyCFunction)(void *)+[](PyObject *self, PyObject *args, PyObject *keywords) { return call(self, args, keywords); },
    METH_VARARGS | METH_KEYWORDS,
    "__call__($self, /, *args, **kwargs)\n--\n\nRuns forward(*args, **kwargs), and the hooks before and after it."};

#if PY_VERSION_HEX < 0x030c0000
// What Module.__getattr__ would find, without the AttributeError that Python before 3.12 makes first.
PyObject *get_attribute(PyObject *self, PyObject *name) {
  PyObject *found = _PyObject_GenericGetAttrWithDict(self, name, nullptr, 1);
  if (found || PyErr_Occurred()) return found;
  return guarded([&]() -> PyObject * {
    Object own(checked(PyObject_GenericGetDict(self, nullptr)));
    for (PyObject *store : store_names) {
      PyObject *members = PyDict_GetItemWithError(own.get(), store);
      if (!members || !PyDict_Check(members)) break;
      if (PyObject *member = PyDict_GetItemWithError(members, name)) return Py_NewRef(member);
      if (PyErr_Occurred()) throw PythonError{};
    }
    return PyObject_CallFunctionObjArgs(getattr_function, self, name, nullptr);
  });
}
#endif

// _call_directly(cls): a subclass of Module gets slots of ours where Python would find and call methods of Module's.
// Python makes its own anew when somebody changes the methods.
PyObject *call_directly(PyObject *, PyObject *cls) {
  auto *type = reinterpret_cast<PyTypeObject *>(cls);
  if (_PyType_Lookup(type, call_name) == call_descriptor) type->tp_call = call;
#if PY_VERSION_HEX < 0x030c0000
  PyObject *finds = _PyType_Lookup(type, getattr_name);
  if (!getattr_function) getattr_function = Py_XNewRef(finds); // the first is Module itself
  if (finds == getattr_function && usual_attributes(type)) type->tp_getattro = get_attribute;
#endif
  Py_RETURN_NONE;
}

// _hooks_of_all_modules(dict)
PyObject *set_hooks(PyObject *, PyObject *dict) {
  Py_INCREF(dict);
  Py_XSETREF(hooks_of_all, dict);
  Py_RETURN_NONE;
}
// _same_size(a, b): whether two tensors have the same shape
PyObject *same_size(PyObject *, PyObject *const *given, Py_ssize_t n) {
  if (n != 2 || !is_tensor(given[0]) || !is_tensor(given[1]))
    return PyErr_Format(PyExc_TypeError, "_same_size() needs two tensors");
  return PyBool_FromLong(unwrap(given[0]).shape() == unwrap(given[1]).shape());
}
PyMethodDef functions[] = {{"_hooks_of_all_modules", set_hooks, METH_O, nullptr},
                           {"_call_directly", call_directly, METH_O, nullptr},
                           {"_same_size", (PyCFunction)(void *)same_size, METH_FASTCALL, nullptr},
                           {}};

} // namespace

void init_module_call(PyObject *module) {
  auto intern = [](const char *name) { return checked(PyUnicode_InternFromString(name)); };
  static const char *const hooks[] = {"_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks"};
  static const char *const stores[] = {"_parameters", "_buffers", "_modules"};
  for (int i = 0; i < 4; ++i) hook_names[i] = intern(hooks[i]);
  for (int i = 0; i < 3; ++i) store_names[i] = intern(stores[i]);
  forward_name = intern("forward"), hooked_name = intern("_call_hooked"), call_name = intern("__call__");
  getattr_name = intern("__getattr__"), getattribute_name = intern("__getattribute__");
  // A method of any object, so that Module stays a class like any other.
  call_descriptor = checked(PyDescr_NewMethod(&PyBaseObject_Type, &method));
  if (PyModule_AddObjectRef(module, "_call_module", call_descriptor) < 0 ||
      PyModule_AddFunctions(module, functions) < 0)
    throw PythonError{};
}

} // namespace hadamard::python
