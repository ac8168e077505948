// Errors as typed facts: Python's type, torch's first line, and what arrived, for the explanation below it.
#pragma once
#include <exception>
#include <string>
#include <vector>

#include "dtype.h"
#include "shape.h"

namespace hadamard {

class Tensor;

enum class Raises : uint8_t {
  runtime,
  value,
  type,
  index,
  not_implemented,
  memory,
  overflow,
  zero_division,
  import,
  assertion
};

struct Fact { // one argument, as it arrived
  std::string name;
  Dims shape;
  DType dtype;
  std::string device;
};

struct Error : std::exception {
  Raises raises;
  std::string line; // torch's first line
  std::string kind; // "broadcast", "matmul", "dtype" …: the page of the explanation
  std::string op;
  std::vector<Fact> args;
  int64_t dim = -1; // the dimension that clashes, where there is one

  Error(Raises r, std::string line, std::string kind = "") : raises(r), line(std::move(line)), kind(std::move(kind)) {}
  Error &in(const char *name) {
    op = name;
    return *this;
  }
  Error &at(int64_t d) {
    dim = d;
    return *this;
  }
  Error &arg(const char *name, const Tensor &t);
  const char *what() const noexcept override { return line.c_str(); }
};

// printf into a std::string.
std::string text(const char *format, ...) __attribute__((format(printf, 1, 2)));

// Throws unless `condition`; the message is only built when it fails.
#define HD_CHECK(condition, raises, ...)                                                                               \
  do {                                                                                                                 \
    if (__builtin_expect(!(condition), 0))                                                                             \
      throw ::hadamard::Error(::hadamard::Raises::raises, ::hadamard::text(__VA_ARGS__));                              \
  } while (0)

// A warning, delivered by the host language (UserWarning); set by the binding.
void warn(const std::string &message);
extern void (*warning_hook)(const std::string &message);

} // namespace hadamard
