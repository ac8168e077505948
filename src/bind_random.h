// The Python class Generator, for the binding.
#pragma once
#include <nanobind/nanobind.h>

#include "random.h"

namespace hadamard {

void bind_random(nanobind::module_ &m);    // adds Generator and default_generator
Generator *generator_from(PyObject *from); // nullptr: not a Generator

} // namespace hadamard
