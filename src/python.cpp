// The module hadamard._C: types, ops from the tables, and switches of the core. No logic lives here.
#include <chrono>
#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <thread>

#include "bind_random.h"
#include "cpu/level.h"
#include "cpu/threads.h"
#include "memory.h"
#include "ops/all.h"
#include "python.h"

namespace nb = nanobind;
using namespace hadamard;

static thread_local PyThreadState *suspended = nullptr;

NB_MODULE(_C, m) {
  using namespace hadamard::python;
  nb::set_leak_warnings(false);
  nb::register_exception_translator([](const std::exception_ptr &p, void *) {
    try {
      std::rethrow_exception(p);
    } catch (...) { set_error(); }
  });
  release_host_lock = [] {
    if (!PyGILState_Check()) return false;
    suspended = PyEval_SaveThread();
    return true;
  };
  acquire_host_lock = [] {
    try {
      PyEval_RestoreThread(suspended);
    } catch (...) {
      // The interpreter is ending and unwinds this thread. The frames above must not be: wait for the process to end.
      for (;;) std::this_thread::sleep_for(std::chrono::hours(1));
    }
  };
  static const auto main_thread = std::this_thread::get_id(); // only there does Python handle signals
  poll_hook = [] {
    if (std::this_thread::get_id() != main_thread) return;
    PyGILState_STATE held = PyGILState_Ensure();
    int failed = PyErr_CheckSignals();
    PyGILState_Release(held);
    if (failed) throw PythonError{};
  };
  warning_hook = [](const std::string &s) {
    // At the user's line, not at a line of ours that called the op.
    Object module(PyImport_ImportModule("hadamard.errors"));
    if (!module || !Object(PyObject_CallMethod(module.get(), "warn", "s", s.c_str()))) throw PythonError{};
  };
  try {
    if (const char *wanted = std::getenv("HADAMARD_LEVEL"))
      if (*wanted && !find_level(wanted))
        throw Error(Raises::import, std::string("HADAMARD_LEVEL=") + wanted +
                                        " is not one of the levels of this machine: " + available_levels());
    init_types(m.ptr());
    init_tensor(m.ptr());
    init_data(m.ptr());
    init_graph(m.ptr());
    init_ops(m.ptr());
    init_dlpack(m.ptr());
    init_explain(m.ptr());
    init_fuse(m.ptr());
    init_autocast(m.ptr());
    init_module_call(m.ptr());
    init_optim(m.ptr());
    bind_random(m);
  } catch (...) {
    set_error();
    throw nb::python_error();
  }

  m.def(
      "_results_are_tensors", [](nb::type_object t) { results_are_tensors(reinterpret_cast<PyTypeObject *>(t.ptr())); },
      "Ops on this subclass of Tensor give plain tensors.");
  m.def("_set_size_type", [](nb::object t) { set_size_type(t.ptr()); });
  m.def(
      "_to",
      [](nb::object self, nb::object dtype, nb::object device, bool copy, nb::object format) {
        DType t;
        Device d;
        Format f;
        return nb::steal(wrap(
            ops::to(unwrap(self.ptr()), !dtype.is_none() && as_dtype(dtype.ptr(), t) ? std::optional(t) : std::nullopt,
                    !device.is_none() && as_device(device.ptr(), d) ? std::optional(d) : std::nullopt, copy,
                    !format.is_none() && as_format(format.ptr(), f) ? std::optional(f) : std::nullopt)));
      },
      nb::arg("self"), nb::arg("dtype").none(), nb::arg("device").none(), nb::arg("copy"),
      nb::arg("format").none() = nb::none());

  m.def("is_grad_enabled", &grad_enabled, "Whether ops are recorded for backward().");
  m.def("_set_grad_enabled", &set_grad_enabled);
  m.def("is_inference_mode_enabled", &inference_enabled, "Whether inference_mode() is on.");
  m.def("_set_inference_enabled", &set_inference_enabled);
  m.def("is_anomaly_enabled", &anomaly_enabled, "Whether gradients are checked for NaN.");
  m.def("_set_anomaly_enabled", &set_anomaly_enabled);
  m.def(
      "get_default_dtype", [] { return nb::borrow(dtype_object(default_dtype())); },
      "The dtype of new floating tensors, float32 unless set otherwise.");
  m.def(
      "set_default_dtype",
      [](nb::object o) {
        DType t;
        if (!as_dtype(o.ptr(), t))
          throw Error(Raises::type,
                      "invalid dtype object: only floating-point types are supported as the default type");
        set_default_dtype(t);
      },
      nb::arg("d"));

  m.def("get_num_threads", &num_threads, "How many threads a kernel may use.");
  m.def("set_num_threads", [](nb::object n) {
    if (!PyLong_Check(n.ptr()))
      throw Error(Raises::runtime, std::string("set_num_threads expects an int, but got ") + Py_TYPE(n.ptr())->tp_name);
    long k = PyLong_AsLong(n.ptr());
    HD_CHECK(k > 0 && k < 4096, runtime, "set_num_threads expects a positive integer");
    set_num_threads(int(k));
  });
  m.def("_level", [] { return level().name; });
  m.def("_levels", &available_levels);
  m.def("empty_cache", &empty_cache, "Gives cached memory back to the system.");
  m.def(
      "memory_stats",
      [] {
        MemoryStats s = memory_stats();
        nb::dict d;
        d["allocated_bytes.current"] = s.allocated;
        d["allocated_bytes.peak"] = s.peak;
        d["reserved_bytes.current"] = s.reserved;
        d["cached_bytes.current"] = s.cached;
        return d;
      },
      "Bytes that tensors of more than 4 KiB hold, held at most, and that wait for reuse.");
  m.def("reset_peak_memory_stats", &reset_peak_memory_stats);
}
