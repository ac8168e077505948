"""PyTorch's own messages, pasted: shapes and dtypes are read out of the text, and the pages explain them."""

import re

_HEAD = re.compile(r"^\s*(?:\w+\.)*(\w*(?:Error|Exception|Warning|OutOfMemoryError)): ?(.*)", re.MULTILINE | re.DOTALL)
_DTYPES = {
    "Float": "float32",
    "Double": "float64",
    "Half": "float16",
    "BFloat16": "bfloat16",
    "Long": "int64",
    "long int": "int64",
    "Int": "int32",
    "Bool": "bool",
    "Byte": "uint8",
    "float": "float32",
    "double": "float64",
    "c10::Half": "float16",
    "c10::BFloat16": "bfloat16",
    "int": "int32",
    "bool": "bool",
}


def explain(text: str) -> str:
    """See errors.explain_message."""
    from . import _quietly, catalogue

    line = _message(text)
    facts = {"line": line, "kind": "", "op": "", "args": _arguments(line)}
    for pattern, advice in _ADVICE:
        found = re.search(pattern, line)
        if found:
            lines = advice(found) if callable(advice) else advice
            break
    else:
        lines = _quietly(catalogue.lines, facts)
        lines = [*lines, *_as_layer(facts["args"], lines)]
    if not lines:
        return ""
    return "\n".join([line.rstrip(), *("  " + one for one in lines)])


def _as_layer(args, lines):
    # Two matrices that fit in no order are mostly the input and the weight of a layer; PyTorch folds the input to 2-D.
    shapes = {name: shape for name, shape, *_ in args}
    if "mat1" not in shapes or "mat2" not in shapes or any(line.startswith("try") for line in lines):
        return []
    features, (expected, out) = shapes["mat1"][-1], shapes["mat2"]
    return [
        f"try nn.Linear({features}, {out}), where mat2 is the weight of nn.Linear({expected}, {out})",
        f"or  x.flatten(1) before that layer, if {expected} is what one sample has in all",
    ]


def _message(text):
    """The last error's message in what was pasted: a traceback, a log, or the message alone."""
    found = None
    for match in re.finditer(r"^[ \t]*(?:\w+\.)*\w*(?:Error|Exception|Warning): ?", text, re.MULTILINE):
        found = match
    message = text[found.end() :] if found else text
    # What follows a message in a log (another traceback, a shell prompt) is not part of it.
    lines = message.strip().splitlines()
    kept: list = lines[:1]
    for line in lines[1:]:
        if not line.strip() or line.startswith(("Traceback", "$", "(", "[", "During handling")):
            break
        kept.append(line)
    state = "state_dict" in (kept[0] if kept else "")
    return "\n".join(kept) if state else " ".join(line.strip() for line in kept)


def _sizes(text, by="x"):
    return tuple(int(n) for n in text.replace(" ", "").split(by) if n)


def _arguments(line):
    """The arguments that the text tells of."""

    def args(**shapes):
        return [(name, shape, dtype, "cpu") for name, (shape, dtype) in shapes.items()]

    if m := re.search(r"cannot be multiplied \(([\dx]+) and ([\dx]+)\)", line):
        return args(mat1=(_sizes(m[1]), ""), mat2=(_sizes(m[2]), ""))
    if m := re.search(r"size mismatch, got input \((\d+)\), mat \((\d+)x(\d+)\), vec \((\d+)\)", line):
        return args(mat=((int(m[2]), int(m[3])), ""), vec=((int(m[4]),), ""))
    if m := re.search(r"weight of size \[([\d, ]+)\], expected input\[([\d, ]+)\]", line):
        return args(input=(_sizes(m[2], ","), ""), weight=(_sizes(m[1], ","), ""))
    if m := re.search(r"tensor \[(\d+)\] and src \[(\d+)\]", line):
        return args(a=((int(m[1]),), ""), b=((int(m[2]),), ""))
    if m := re.search(
        r"target size \(torch\.Size\(\[([\d, ]*)\]\)\).*input size \(torch\.Size\(\[([\d, ]*)\]\)", line, re.I
    ):
        return args(input=(_sizes(m[2], ","), ""), target=(_sizes(m[1], ","), ""))
    if m := re.search(r"shape '\[([-\d, ]+)\]' is invalid for input of size (\d+)", line):
        return args(x=((int(m[2]),), ""))
    if m := re.search(r"output with shape \[([\d, ]*)\] doesn't match the broadcast shape \[([\d, ]*)\]", line):
        return args(x=(_sizes(m[1], ","), ""), y=(_sizes(m[2], ","), ""))
    return []


def _broadcast(m):
    a, b, dim = int(m[1]), int(m[2]), int(m[3])
    return [
        f"at dimension {dim}, counted from the front of the wider one, a has {a} and b has {b}",
        "sizes are compared from the right: two that meet must be equal, or one of them 1",
        "try printing a.shape and b.shape above that line",
        "or  b[:, None] or b.unsqueeze(1), if b has one number for each row of a",
        "or  a @ b, if the matrix product was meant",
    ]


def _batches(m):
    return [
        f"batch1 is ({m[1]}, n, {m[2]}), so batch2 must be ({m[1]}, {m[2]}, m); it is ({m[3]}, {m[4]}, m)",
        *(
            ["try torch.bmm(batch1, batch2.transpose(1, 2))"]
            if m[1] == m[3]
            else ["try torch.matmul(batch1, batch2), which broadcasts a batch of one or a single matrix"]
        ),
    ]


def _dtypes(m):
    a, b = (_DTYPES.get(name.strip().removesuffix("TensorType"), "") for name in (m[1], m[2]))
    if not a or not b:
        return ["the operands of a product have one dtype", "try b.to(a.dtype)"]
    double = ["float64 is NumPy's own dtype: torch.from_numpy(x).float() leaves it"] if "float64" in (a, b) else []
    if "int64" in (a, b) and "target" in m.string:
        return ["classes are whole numbers", "try target.long()"]
    return [f"one is {a}, the other {b}; a product has one dtype", *double, "try x.to(weight.dtype), or x.float()"]


def _weight_type(m):
    devices = ["cuda" if "cuda" in name else "cpu" for name in (m[1], m[2])]
    if devices[0] != devices[1]:
        return [
            f"the input is on {devices[0]}, the parameters are on {devices[1]}",
            "try model.to(device) once, and x = x.to(device) for each batch",
        ]
    return [
        "the input and the parameters have different dtypes",
        "try x = x.to(next(model.parameters()).dtype)",
        "or  model.double(), if the digits of float64 are wanted",
    ]


_ADVICE: list = [
    (
        r"size of tensor a \((\d+)\) must match the size of tensor b \((\d+)\) at non-singleton dimension (\d+)",
        _broadcast,
    ),
    (r"first two dimensions of batch2 tensor to be: \[(\d+), (\d+)\] but got: \[(\d+), (\d+)\]", _batches),
    (r"same dtype, but got:? ([\w: ]+?) (?:!=|and) ([\w: ]+)", _dtypes),
    (r"expected (?:scalar|m1) ?type (\w+) but found (\w+)", _dtypes),
    (r"Found dtype (\w+) but expected (\w+)", _dtypes),
    (r"Input type \(([\w.]+)\) and (?:weight|bias) type \(([\w.]+)\) should be the same", _weight_type),
    (
        r"Expected all tensors to be on the same device, but",
        [
            "an op runs on one device, and one of its tensors is elsewhere: often the model, a batch, or a new tensor",
            "try x.to(device) for every tensor of the batch",
            "or  torch.zeros(…, device=x.device) for tensors that forward() makes",
            "or  self.register_buffer(name, tensor) for constants of a module, so that model.to(device) moves them",
        ],
    ),
    (
        r"CUDA out of memory|out of memory",
        [
            "the memory of the device is full: activations that backward keeps are the most of it",
            "try a smaller batch, and gradient accumulation over several",
            "or  total += loss.item() instead of total += loss, which keeps every step's graph",
            "or  torch.no_grad() around validation, torch.utils.checkpoint in deep models",
        ],
    ),
    (
        r"device-side assert triggered",
        [
            "an index is out of range: nearly always a target outside of 0 … classes-1, or an embedding's index",
            "try the same batch on the CPU, where the message names the number",
            "or  CUDA_LAUNCH_BLOCKING=1 to see the line that did it",
        ],
    ),
    (
        r"can't convert (cuda\S*|mps\S*) device type tensor to numpy",
        ["NumPy reads the memory of the CPU", "try x.detach().cpu().numpy()"],
    ),
    (
        r"Attempting to deserialize object on a CUDA device",
        ["the file was saved from a GPU that this machine lacks", "try torch.load(path, map_location='cpu')"],
    ),
    (
        r"Weights only load failed|weights_only",
        [
            "load() does not run code from a file, and this file holds more than tensors",
            "try torch.save(model.state_dict(), path) when saving, and model.load_state_dict(torch.load(path))",
            "or  weights_only=False, only for files that you trust as you trust a program",
        ],
    ),
    (
        r"DataLoader worker .* (exited unexpectedly|is killed by signal)",
        [
            "a worker process died: memory, or an error in the Dataset that could not be told",
            "try num_workers=0, which shows the error itself",
            "or  if __name__ == '__main__': around the script, where processes are spawned",
        ],
    ),
    (
        r"An attempt has been made to start a new process before",
        ["workers import the script again", "try if __name__ == '__main__': around what starts the training"],
    ),
    (
        r"'NoneType' object has no attribute '(zero_|data|norm)'",
        [
            "p.grad is None before the first backward(), and for parameters that the loss does not reach",
            "try optimizer.zero_grad(), which passes over those",
        ],
    ),
    (
        r"cudnn RNN backward can only be called in training mode",
        ["try model.train() before the pass that backward() goes through"],
    ),
    (
        r"forward\(\) (?:takes|missing) (.*)",
        ["model(x) calls forward(self, x): the arguments of the two must agree", "try looking at def forward"],
    ),
    (
        r"Module \[(\w+)\] is missing the required \"forward\" function",
        ["try def forward(self, x): in the class: mind its spelling and its indentation"],
    ),
    (
        r"cannot assign module before Module\.__init__|no attribute '_(?:backward_hooks|modules|parameters)'",
        ["try super().__init__() as the first line of __init__"],
    ),
    (
        r"'(\w+)' object has no attribute '(\w+)'",
        lambda m: [f"{m[1]} has no {m[2]}"] if m[1] == "Tensor" else [],
    ),
    (
        r"Only one class present|probability tensor contains either|Function '(\w+)' returned nan|loss is nan",
        [
            "a number is NaN or infinite",
            "try torch.autograd.set_detect_anomaly(True), which names the op",
            "or  a smaller learning rate, and nn.utils.clip_grad_norm_(model.parameters(), 1.0)",
        ],
    ),
]
