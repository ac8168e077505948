"""PyTorch's own error messages explained: facts read from the pasted words, then the same pages as for our errors."""

import re

from hadamard import errors

_SIZES = r"\[([\d, ]*)\]"


def _shape(words) -> tuple:
    return tuple(int(n) for n in re.findall(r"\d+", words))


def _cross(words) -> tuple:
    """64x784 as a shape."""
    return tuple(int(n) for n in words.split("x"))


def _arg(name, shape, dtype="", device="cpu"):
    return (name, shape, dtype, device)


def _matmul(m, code):
    a, b = _cross(m[1]), _cross(m[2])
    if re.search(r"F\.linear|linear\(|Linear|addmm", code):
        return "linear", [_arg("input", a), _arg("weight", b[::-1])]
    return "mm", [_arg("mat1", a), _arg("mat2", b)]


# Words of a first line, and what they say of the op and its arguments.
_READERS = [
    (r"mat1 and mat2 shapes cannot be multiplied \((\d+x\d+) and (\d+x\d+)\)", _matmul),
    (
        r"size mismatch, got input \(\d+\), mat \((\d+x\d+)\), vec \((\d+)\)",
        lambda m, _: ("mv", [_arg("mat", _cross(m[1])), _arg("vec", (int(m[2]),))]),
    ),
    (
        rf"weight of size {_SIZES}, expected input{_SIZES} to have",
        lambda m, _: ("conv2d", [_arg("input", _shape(m[2])), _arg("weight", _shape(m[1]))]),
    ),
    (
        rf"target size \(torch\.Size\({_SIZES}\)\).* input size \(torch\.Size\({_SIZES}\)\)",
        lambda m, _: ("loss", [_arg("input", _shape(m[2])), _arg("target", _shape(m[1]))]),
    ),
    (
        rf"stack expects each tensor to be equal size, but got {_SIZES} at entry 0 and {_SIZES} at entry (\d+)",
        lambda m, _: ("stack", [_arg("0", _shape(m[1])), _arg(m[3], _shape(m[2]))]),
    ),
]

# Where the words do not hold the shapes, or have no page: (words, lines); {1} … are what they caught.
_SAYINGS = [
    (
        r"The size of tensor a \((\d+)\) must match the size of tensor b \((\d+)\) at non-singleton dimension (\d+)",
        "broadcasting lines shapes up from the right; in dimension {3} of the result a has {1} and b has "
        "{2}: they must "
        "be equal, or one of them 1|print(a.shape, b.shape) before that line shows which of the two is not what you "
        "think|try b.unsqueeze(d) or b[:, None] where a dimension is missing, b.T where two are swapped, a @ b where "
        "the product of matrices was meant",
    ),
    (
        r"Expected size for first two dimensions of batch2 tensor to be: \[(\d+), (\d+)\] but got: \[(\d+), (\d+)\]",
        "bmm multiplies ({1}, n, {2}) by ({1}, {2}, p); the second one begins with ({3}, {4})|try "
        "b.transpose(1, 2) if its "
        "last two sizes are swapped, matmul if it is one matrix for the whole batch",
    ),
    (
        r"Expected input batch_size \((\d+)\) to match target batch_size \((\d+)\)",
        "a row of scores for each target: there are {1} rows and {2} targets|try flatten(1) before the last "
        "layer if the "
        "batch became larger on the way (a view or reshape that folded other dimensions into it), "
        "or target.flatten() with input.flatten(0, 1) for sequences",
    ),
    (
        r"Target (-?\d+) is out of bounds",
        "a class is an index into the scores of a sample: 0 to the number of scores - 1, and {1} is none of them"
        "|try target - 1 if classes are counted from 1, or a last layer with more outputs",
    ),
    (
        r"index out of range in self",
        "an embedding has rows 0 to num_embeddings - 1, and an index is beyond them"
        "|try num_embeddings = largest index + 1; print(x.min(), x.max()) shows what came",
    ),
    (
        r"CUDA out of memory",
        "the result does not fit the memory that is left on the device"
        "|try a smaller batch, no_grad() where no gradient is wanted, and total += loss.item() instead of "
        "total += loss, "
        "which keeps every graph",
    ),
    (
        r"Expected all tensors to be on the same device",
        "one operand is on another device than the rest"
        "|try x.to(weight.device), or model.to(device) once and x.to(device), y.to(device) for each batch; "
        "tensors made "
        "inside forward want device=x.device",
    ),
    (
        r"size mismatch for ([\w.]+): copying a param with shape torch\.Size\((\[[\d, ]*\])\).* is "
        r"torch\.Size\((\[[\d, ]*\])\)",
        "the file has {2} for {1}, the model {3}: they were built with other sizes"
        "|try the same constructor arguments as when it was saved, or leave that layer out of the dict and "
        "load_state_dict(…, strict=False)",
    ),
    (
        r"Missing key\(s\) in state_dict|Unexpected key\(s\) in state_dict",
        "the names in the file are not those of the model"
        "|keys that begin with module. come from DataParallel: try {{k.removeprefix('module.'): v for k, v "
        "in d.items()}}"
        "|keys that begin with model. come from a wrapper around it: load into wrapper.model, or remove the prefix",
    ),
    (
        r"one of the variables needed for gradient computation has been modified by an inplace operation",
        "backward needs the value that was overwritten|try y = y + 1 instead of y += 1, relu(inplace=False), "
        "or a clone() "
        "before the write|torch.autograd.set_detect_anomaly(True) names the forward line",
    ),
    (
        r"Sizes of tensors must match except in dimension (\d+)\. Expected size (\d+) but got size (\d+)",
        "cat joins along dimension {1}; every other size must be equal, and here {2} meets {3}"
        "|try cat along the dimension that differs, or stack for a new one",
    ),
    (
        r"must have the same dtype, but got:? (?:c10::)?(\w+)(?: and | != )(?:c10::)?(\w+)",
        "a product wants operands of one dtype, and has {1} and {2}; float64 (Double) mostly comes from NumPy, int64 "
        "(Long) from tensor([1, 2])|try x.float() on the data, or x.to(weight.dtype)",
    ),
    (
        r"expected scalar type (\w+) but found (\w+)",
        "{2} came where {1} is wanted; Double mostly comes from NumPy, Long from tensor([1, 2])"
        "|try x.float() for data, y.long() for classes, or x.to(weight.dtype)",
    ),
    (
        r"Found dtype (\w+) but expected (\w+)",
        "a loss or a gradient got {1} where {2} is wanted|try target.float() for a loss, x.float() for data from NumPy",
    ),
    (
        r"CUDA error: device-side assert triggered",
        "a kernel found an index outside its range, most often a class that is not in 0 … classes - 1"
        "|run it once on the CPU, or with CUDA_LAUNCH_BLOCKING=1: the message then names the op and the line",
    ),
    (
        r"(?:Expected|expected) (\d)D .*input.* (?:got|but got) (?:input of size: |.*?)(\[[\d, ]*\])",
        "{2} has another number of dimensions than the layer wants|try x.unsqueeze(0) for one sample without a batch, "
        "x.unsqueeze(1) for images without channels",
    ),
]


def explain_message(pasted) -> str:
    """The explanation of an error message of PyTorch, or of a whole traceback that ends in one, as lines of text.

    >>> from hadamard._explain.messages import explain_message
    >>> print(explain_message("RuntimeError: mat1 and mat2 shapes cannot be multiplied (64x784 and 400x120)"))
    RuntimeError: mat1 and mat2 shapes cannot be multiplied (64x784 and 400x120)
      mat1   (64, 784)
                  ^
      mat2  (400, 120)
              ^  summed over: 784 in mat1, 400 in mat2
      a layer, a product or a matmul wants the last size of the first to be the first of the second
    """
    error, message, place, code = _read(pasted)
    title = f"{error}: {message}" if error else message
    first = message.splitlines()[0] if message else ""
    lines = _explained(first, message, code)
    if not lines:
        lines = [
            "these words are not among those that explain --error knows",
            "run the program with hadamard run: most errors then come with the shapes and an edit that fits",
        ]
    if place:
        lines.append(f"in {place}" + (f": {code.splitlines()[-1].strip()}" if code else ""))
    return "\n".join([title, *("  " + line for line in lines)])


def _read(pasted):
    """(type, message, "file, line n", its code and what was called there) of a message or a traceback."""
    text = pasted.strip("\n")
    found = list(re.finditer(r"^(?:[\w.]*\.)?(\w*(?:Error|Exception|Warning|Interrupt)): (.*)", text, re.MULTILINE))
    place, code = "", ""
    frames = re.findall(r'^\s*File "([^"]+)", line (\d+), in .*\n((?:(?!\s*File ").*\n)?)', text, re.MULTILINE)
    own = [f for f in frames if "site-packages" not in f[0] and "dist-packages" not in f[0]]
    if own:
        place = f"{own[-1][0].rpartition('/')[2]}, line {own[-1][1]}"
        code = "".join(f[2] for f in frames if f not in own) + own[-1][2]
    if not found:
        return "", text.strip(), place, code
    last = found[-1]
    return last[1], text[last.start(2) :].strip(), place, code


def _explained(first, message, code):
    for words, reader in _READERS:
        match = re.search(words, message)
        if match:
            op, args = reader(match, code)
            said = errors.explain({"kind": "", "op": op, "line": first, "args": args, "dim": -1})
            if said:
                lines = [line.removeprefix("  ") for line in said.splitlines()]
                return lines + _more(op, lines)
    for words, saying in _SAYINGS:
        match = re.search(words, message)
        if match:
            return saying.format(match[0], *match.groups()).split("|")
    said = errors.explain({"kind": "", "op": "", "line": first, "args": [], "dim": -1})
    return [line.removeprefix("  ") for line in said.splitlines()]


def _more(op, lines):
    """A rule, where no edit of these shapes fits."""
    if op in ("mm", "mv") and not any(line.startswith("try ") for line in lines):
        return ["a layer, a product or a matmul wants the last size of the first to be the first of the second"]
    return []
