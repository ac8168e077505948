// The call of nn.Module: straight to forward() where no hook wants to see it, without a Python frame in between.
#include "python.h"

namespace hadamard::python {
namespace {

PyObject *hooks_of_all; // a dict, empty where no hook concerns every module
PyObject *hook_names[4], *forward_name, *hooked_name;

// Whether a dict of hooks is there and empty; what is neither is left to the call in Python.
bool is_empty(PyObject *hooks) { return hooks && PyDict_Check(hooks) && PyDict_GET_SIZE(hooks) == 0; }

PyObject *call(PyObject *self, PyObject *const *args, Py_ssize_t n, PyObject *keywords) {
  return guarded([&]() -> PyObject * {
    Object own(checked(PyObject_GenericGetDict(self, nullptr)));
    bool plain = is_empty(hooks_of_all);
    for (PyObject *name : hook_names) plain = plain && is_empty(PyDict_GetItemWithError(own.get(), name));
    if (plain) {
      Object forward(checked(PyObject_GetAttr(self, forward_name)));
      return PyObject_Vectorcall(forward.get(), args, size_t(n), keywords);
    }
    Object given(checked(PyTuple_New(n))), named(checked(PyDict_New()));
    for (Py_ssize_t i = 0; i < n; ++i) PyTuple_SET_ITEM(given.get(), i, Object::share(args[i]).take());
    for (Py_ssize_t i = 0; keywords && i < PyTuple_GET_SIZE(keywords); ++i)
      if (PyDict_SetItem(named.get(), PyTuple_GET_ITEM(keywords, i), args[n + i]) < 0) throw PythonError{};
    return PyObject_CallMethodObjArgs(self, hooked_name, given.get(), named.get(), nullptr);
  });
}

// _hooks_of_all_modules(dict)
PyObject *set_hooks(PyObject *, PyObject *dict) {
  Py_INCREF(dict);
  Py_XSETREF(hooks_of_all, dict);
  Py_RETURN_NONE;
}
PyMethodDef functions[] = {{"_hooks_of_all_modules", set_hooks, METH_O, nullptr}, {}};
PyMethodDef method = {
    "__call__", (PyCFunction)(void *)call, METH_FASTCALL | METH_KEYWORDS,
    "__call__($self, /, *args, **kwargs)\n--\n\nRuns forward(*args, **kwargs), and the hooks before and after it."};

} // namespace

void init_module_call(PyObject *module) {
  static const char *const names[] = {"_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks"};
  for (int i = 0; i < 4; ++i) hook_names[i] = checked(PyUnicode_InternFromString(names[i]));
  forward_name = checked(PyUnicode_InternFromString("forward"));
  hooked_name = checked(PyUnicode_InternFromString("_call_hooked"));
  // A method of any object, so that Module stays a class like any other.
  Object descriptor(checked(PyDescr_NewMethod(&PyBaseObject_Type, &method)));
  if (PyModule_AddObjectRef(module, "_call_module", descriptor.get()) < 0 ||
      PyModule_AddFunctions(module, functions) < 0)
    throw PythonError{};
}

} // namespace hadamard::python
