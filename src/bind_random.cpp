// The Python class Generator. What it shares with tensors and devices is added by hadamard/random.py.
#include "bind_random.h"

#include "patient_lock.h"
#include "tensor.h"

#include <cstring>
#include <string>

namespace nb = nanobind;

namespace hadamard {
namespace {

// Seeds are 64 bits; negative ones count from the top, as in torch.
uint64_t seed_from(nb::handle value) {
  if (!PyLong_Check(value.ptr()))
    throw std::runtime_error(std::string("manual_seed expected a long, but got ") + Py_TYPE(value.ptr())->tp_name);
  unsigned long long seed = PyLong_AsUnsignedLongLong(value.ptr());
  if (!PyErr_Occurred()) return seed;
  PyErr_Clear();
  long long negative = PyLong_AsLongLong(value.ptr());
  if (!PyErr_Occurred()) return uint64_t(negative);
  PyErr_Clear();
  throw nb::value_error("Overflow when unpacking long long");
}

} // namespace

void bind_random(nb::module_ &m) {
  using Lock = PatientLock;
  nb::class_<Generator>(m, "Generator", nb::is_weak_referenceable(),
                        "Generator(device='cpu')\n\n"
                        "A stream of random numbers with torch's mt19937: the same seed gives the same numbers.\n\n"
                        ">>> import hadamard as H\n"
                        ">>> g = H.Generator().manual_seed(0)\n"
                        ">>> H.randn(3, generator=g)\n"
                        "tensor([ 1.5410, -0.2934, -2.1788])\n")
      .def(
          "__init__",
          [](Generator *self, nb::handle device) {
            std::string name = nb::str(device).c_str();
            if (!device.is_none() && device_from(name).kind != DeviceKind::cpu)
              throw std::runtime_error("Hadamard was not built with device '" + name + "': a Generator is on the cpu");
            new (self) Generator;
          },
          nb::arg("device") = nb::none())
      .def(
          "manual_seed",
          [](nb::handle_t<Generator> self, nb::handle seed) {
            uint64_t bits = seed_from(seed);
            auto &g = nb::cast<Generator &>(self);
            Lock lock(g.mutex);
            g.manual_seed(bits);
            return nb::borrow(self);
          },
          nb::arg("seed"),
          "Starts the stream of this seed (64 bits; negative ones count from the top); returns itself.")
      .def(
          "seed",
          [](Generator &g) {
            Lock lock(g.mutex);
            return g.seed();
          },
          "Seeds from the system's randomness and returns that seed.")
      .def(
          "initial_seed",
          [](Generator &g) {
            Lock lock(g.mutex);
            return g.initial_seed();
          },
          "The seed of this stream.")
      .def(
          "clone_state",
          [](Generator &g) {
            auto *copy = new Generator;
            Lock lock(g.mutex);
            copy->copy_state(g);
            return copy;
          },
          nb::rv_policy::take_ownership, "A generator that goes on with the same numbers.")
      .def("get_offset", [](Generator &) -> int { throw std::runtime_error("CPU Generator does not use offset"); })
      .def("set_offset", [](Generator &, int64_t) { throw std::runtime_error("CPU Generator does not use offset"); })
      .def("_state_bytes",
           [](Generator &g) {
             char bytes[Generator::state_bytes];
             {
               Lock lock(g.mutex);
               g.get_state(bytes);
             }
             return nb::bytes(bytes, sizeof bytes);
           })
      .def("_set_state_bytes", [](Generator &g, nb::bytes bytes) {
        if (bytes.size() != Generator::state_bytes)
          throw std::runtime_error("Expected a CPUGeneratorImplState of size " +
                                   std::to_string(Generator::state_bytes) +
                                   " but found the input RNG state size to be " + std::to_string(bytes.size()));
        Lock lock(g.mutex);
        if (!g.set_state(bytes.data())) throw std::runtime_error("Invalid mt19937 state");
      });
  m.attr("default_generator") = nb::cast(&default_generator(), nb::rv_policy::reference);
}

Generator *generator_from(PyObject *from) {
  Generator *g = nullptr;
  return nb::try_cast(nb::handle(from), g) ? g : nullptr;
}

} // namespace hadamard
