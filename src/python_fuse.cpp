// fuse() as Python calls it, and what explain() is told of its passes.
#include "ops/fuse.h"

#include "python.h"

namespace hadamard::python {
namespace {

// _fused(f, args, kwargs): f(*args, **kwargs), its element-wise ops in passes.
PyObject *fused(PyObject *, PyObject *const *given, Py_ssize_t n) {
  if (n != 3) {
    PyErr_SetString(PyExc_TypeError, "_fused() needs a function, its arguments and its keywords");
    return nullptr;
  }
  if (modes.fusing) return PyObject_Call(given[0], given[1], given[2]);
  modes.fusing = true;
  Object y(PyObject_Call(given[0], given[1], given[2]));
  modes.fusing = false;
  PyObject *type, *value, *traceback;
  PyErr_Fetch(&type, &value, &traceback);
  Object done(guarded([]() -> PyObject * {
    run_waiting();
    Py_RETURN_NONE;
  }));
  if (type) PyErr_Restore(type, value, traceback);
  return done || type ? y.take() : nullptr;
}

thread_local PyObject *passes = nullptr; // the list that is filled, held by record_passes

void note(const FusedPass &p) {
  PyGILState_STATE held = PyGILState_Ensure();
  auto row = [&]() -> PyObject * {
    Object steps(PyList_New(0)), read(PyList_New(0));
    if (!steps || !read) return nullptr;
    for (auto &s : p.steps) {
      Object of(PyTuple_New(s.operands));
      Object numbers(PyTuple_New(s.operands));
      if (!of || !numbers) return nullptr;
      for (int k = 0; k < s.operands; ++k) {
        PyTuple_SET_ITEM(of.get(), k, PyLong_FromLong(s.of[k]));
        PyTuple_SET_ITEM(numbers.get(), k, number_object(s.number[k]));
      }
      Object step(Py_BuildValue("{s:s,s:O,s:n,s:O,s:O}", "op", s.name, "dtype", dtype_object(s.dtype), "written",
                                Py_ssize_t(s.data), "of", of.get(), "numbers", numbers.get()));
      if (!step || PyList_Append(steps.get(), step.get()) < 0) return nullptr;
    }
    for (auto &r : p.read) {
      Object size(size_object(r.shape)), one(size ? Py_BuildValue("(On)", size.get(), Py_ssize_t(r.data)) : nullptr);
      if (!one || PyList_Append(read.get(), one.get()) < 0) return nullptr;
    }
    Object shape(size_object(p.shape));
    return Py_BuildValue("{s:O,s:l,s:l,s:l,s:O,s:O,s:d,s:d,s:d}", "shape", shape.get(), "tile", p.tile, "tiles",
                         p.tiles, "slots", p.slots, "steps", steps.get(), "read", read.get(), "bytes_read",
                         p.bytes_read, "bytes_written", p.bytes_written, "alone", p.alone);
  };
  Object made(row());
  bool failed = !made || PyList_Append(passes, made.get()) < 0;
  made = Object();
  PyGILState_Release(held);
  if (failed) throw PythonError{};
}

// _record_passes(f, list): calls f() and returns its result; the list gets the passes that this thread runs meanwhile,
// each before it runs.
PyObject *record_passes(PyObject *, PyObject *args) {
  PyObject *f, *given;
  if (!PyArg_ParseTuple(args, "OO!", &f, &PyList_Type, &given)) return nullptr;
  Object list = Object::share(given);
  PyObject *outer = passes;
  passes = list.get();
  fuse_hook = note;
  Object y(PyObject_CallNoArgs(f));
  passes = outer;
  fuse_hook = outer ? note : nullptr;
  return y.take();
}

// _place(tensor): where its numbers are; None where it has none yet. Runs nothing.
PyObject *place(PyObject *, PyObject *o) {
  if (!is_tensor(o)) return PyErr_Format(PyExc_TypeError, "_place() needs a tensor");
  const Tensor &t = unwrap(o);
  if (!t->storage->data) Py_RETURN_NONE;
  return PyLong_FromVoidPtr(t->storage->data + t->offset * t.itemsize());
}

PyMethodDef functions[] = {{"_fused", (PyCFunction)(void *)fused, METH_FASTCALL, nullptr},
                           {"_record_passes", record_passes, METH_VARARGS, nullptr},
                           {"_place", place, METH_O, nullptr},
                           {}};

} // namespace

void init_fuse(PyObject *module) {
  if (PyModule_AddFunctions(module, functions) < 0) throw PythonError{};
}

} // namespace hadamard::python
