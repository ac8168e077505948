// The ops of ops/elementwise.h as this level's kernels see them.
#pragma once
#include "loops.h"

namespace hadamard::LEVEL {
namespace {
namespace ops {
#include "../ops/elementwise.h"
}
} // namespace
} // namespace hadamard::LEVEL
