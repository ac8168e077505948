// One pass of fuse(): steps of one shape, run for a tile of it, then for the next.
#pragma once
#include <vector>

#include "cpu/chain.h"
#include "ops/fuse.h"

namespace hadamard::fusing {

// Where a step's operand comes from: a step, memory, or a number.
struct Source {
  int step = -1;       // the step that it is the result of
  bool inside = false; // as it comes from that step: same shape, same layout
  Ref<Storage> memory; // otherwise, where it lies
  int64_t offset = 0;
  Dims stride; // in bytes, 0 where repeated
  alignas(16) char number[16];

  bool is_number() const { return step < 0 && !memory; }
};

// An op that waits: element by element, or a sum (or the like) over the last dimensions of its one operand.
struct Step {
  const char *name;
  const Loop *loop;    // nullptr of a reduction
  Dims shape, stride;  // of the result (of a reduction: of its operand), strides in bytes
  Ref<Storage> result; // empty where an op in place overwrote it
  int sources = 1;
  Source in[max_operands - 1];
  DType type, from; // of the result, and of the operands
  // Of a reduction:
  Fold fold = Fold::sum;
  int64_t row = 0; // elements that meet in one result

  int64_t numel() const { return hadamard::numel(shape); }
  int64_t size(int k) const { // of an element of operand k, the result first
    return loop ? loop->size[k] : size_of(k ? from : type);
  }
};

// What is known of each step where the passes are made.
struct Part {
  int level = 0, pass = -1, last_use = -1;
  bool needed = false, written = false; // written: to memory
};

class Pass {
  struct Operand {
    char *data = nullptr; // in memory, or in numbers_
    int slot = -1;        // in the tile
    Dims stride;          // over the dimensions of the pass
    bool number = false;
    long move = 0; // from a tile to the next, in bytes
  };
  struct Instruction {
    const Step *step;
    int operand[max_operands];
    // Its grid on a tile, joined as far as its own operands allow; the first dimension is `factor` times as long as
    // the tile's part of the dimension that is split.
    int ndim = 0;
    long factor = 1;
    Dims shape;
    SmallVec<long, 4 * max_operands> stride = {}; // [dim][operand]
    bool dense = false;        // each operand runs through the tile or is a number: no grid is needed
    long vector[max_operands]; // then: from a vector to the next, in bytes
    int covers = 0;            // steps from here on that run as one chain: links_[first_link] to links_[last_link]
    int first_link = 0, last_link = 0;
    long partial = -1; // of a reduction to one number: its place in partials_
  };

  Dims shape_;
  std::vector<Operand> operands_;
  std::vector<Instruction> code_;
  int split_ = 0; // the dimension of which a tile has a part; whole behind it, one index before it
  long part_ = 1, parts_ = 1, tiles_ = 1, inner_ = 1;
  long slots_ = 0, slot_bytes_ = 0;
  long row_ = 0; // elements of a row that has to lie in one tile; the whole shape: it is reduced chunk by chunk
  std::vector<Link> links_;        // of chains
  std::vector<int> link_operands_; // that they read or write
  std::vector<char> numbers_;      // each repeated over as many vectors as a chain has at once
  std::vector<char> partials_;

public:
  Pass(const std::vector<Step> &steps, const std::vector<Part> &parts, const std::vector<int> &mine);
  // Whether its reductions can be had tile by tile with the order of summation that they have alone.
  bool fits() const;
  void run();
  void tell(const std::vector<Step> &steps, const std::vector<Part> &parts, const std::vector<int> &mine) const;

private:
  int in_memory(char *data, const Dims &stride);
  Operand repeated(const Source &number, const Loop &loop, int64_t size);
  void order_dims();
  bool cut(long bytes, long itemsize);
  bool is_read_behind(int operand, size_t i) const;
  void link();
  void place(long index, char *scratch, char **at) const;
  void run_tiles(long begin, long end, char *scratch);
  void run_fold(const Instruction &c, const char *from, long index, long elements);
  void finish(const Instruction &c) const;
};

} // namespace hadamard::fusing
