"""Pages on losses, optimisers, loaders and load_state_dict."""

import re
from math import prod

from .catalogue import FLOATS, page
from .mends import Mend
from .text import Arg, show, table


@page("loss_size", "that is different to the input size", "must be the same as input size")
def _(f):
    if len(f.args) < 2:
        return table(f.args)
    a, b = f.args[0], f.args[1]
    lines = table([a, b])
    call = f"broadcast_tensors({a.name}, {b.name})"
    mends = []
    if len(b.shape) == len(a.shape) + 1 and b.shape[-1] == 1 and b.shape[:-1] == a.shape:
        mends.append(Mend(f"{b.name}.squeeze(-1)", b.name, call))
    if len(a.shape) == len(b.shape) + 1 and a.shape[-1] == 1 and a.shape[:-1] == b.shape:
        mends.append(Mend(f"{a.name}.squeeze(-1)", a.name, call))
        mends.append(Mend(f"{b.name}.unsqueeze(-1)", b.name, call))
    if prod(a.shape) == prod(b.shape):
        mends.append(Mend(f"{b.name}.reshape({', '.join(map(str, a.shape)) or '()'})", b.name, call))
    if len(a.shape) == 2 and len(b.shape) == 1 and a.shape[0] == b.shape[0] and a.shape[1] > 1:
        mends.append("F.cross_entropy(input, target.long()), if target holds the number of the class")
        mends.append(Mend(f"F.one_hot({b.name}.long(), {a.shape[1]}).float()", b.name, call))
    return lines + f.tries([a, b], *mends)


@page("target", "is out of bounds.")
def _(f):
    if not f.args:
        return ["classes are counted from 0, and the last layer has one output for each"] + f.tries(
            [], "target - 1 if classes are counted from 1", "a last layer with as many outputs as there are classes"
        )
    words = f.line.split()
    scores = next((a for a in f.args if len(a.shape) >= 1), None)
    classes = (scores.shape[1] if len(scores.shape) > 1 else scores.shape[0]) if scores else None
    lines = table(f.args)
    if classes:
        many = f"are {classes} scores" if classes > 1 else "is one score"
        known = f"classes are 0 to {classes - 1}" if classes > 1 else "the only class is 0"
        lines.append(f"there {many} for each sample, so {known}")
        if classes == 1:
            return lines + f.tries(
                f.args,
                "F.binary_cross_entropy_with_logits(input.squeeze(1), target.float()): one score, two classes",
                "a last layer with 2 outputs",
            )
        if len(words) > 1 and words[1] == str(classes):
            lines += f.tries(
                f.args,
                "target - 1 if classes are counted from 1",
                f"a last layer with {classes + 1} outputs",
            )
        elif len(words) > 1 and words[1].startswith("-"):
            lines += f.tries(f.args, f"ignore_index={words[1]} if that marks what does not count")
    return lines


@page("loss_batch", "Expected input batch_size")
def _(f):
    if len(f.args) < 2:
        sizes = re.findall(r"\((\d+)\)", f.line)
        told = (
            f"the model gave {sizes[0]} rows for {sizes[1]} targets" if len(sizes) == 2 else "rows and targets differ"
        )
        return [told] + f.tries([], "x.flatten(1) or x.view(x.size(0), -1) in forward(), which keep the batch")
    a, b = f.args[0].named("input"), f.args[1].named("target")
    lines = table(
        [a, b], {0: -len(a.shape), 1: -len(b.shape)} if a.shape and b.shape else None, "one class for each row"
    )
    mends = []
    call = "F.cross_entropy(input, target)"
    if len(a.shape) == 3 and len(b.shape) == 2 and a.shape[:2] == b.shape:
        mends.append(Mend("F.cross_entropy(input.transpose(1, 2), target)"))
        mends.append(Mend("F.cross_entropy(input.flatten(0, 1), target.flatten())"))
    if len(b.shape) == 1 and prod(a.shape) % max(b.shape[0], 1) == 0 and len(a.shape) > 1:
        mends.append(
            Mend(f"input.reshape({b.shape[0]}, -1)", "input", call, note="if the batch was folded by a wrong view")
        )
    return lines + f.tries([a, Arg("target", b.shape, "int64")], *mends)


@page(
    "loss_target",
    "expected target",
    "multi-target not supported",
    "Expected target size",
    "must be of the same size",
    "Expected floating point type for target",
)
def _(f):
    if len(f.args) < 2:
        return table(f.args)
    a, b = f.args[0].named("input"), f.args[1].named("target")
    lines = table([a, b])
    classes = a.shape[1] if len(a.shape) > 1 else None
    mends = []
    whole = Arg("target", b.shape, "int64" if b.dtype not in FLOATS else b.dtype)
    call = "F.cross_entropy(input, target)"
    if "Expected floating point type for target" in f.line:
        mends.append(Mend("target.float()", "target", call, note="probabilities of each class", gives=False))
        mends.append(
            Mend("target.argmax(1)", "target", call, note="the class of each, if target is one-hot", gives=False)
        )
        return lines + f.tries([a, whole], *mends)
    if len(b.shape) == 2 and b.shape[1] == 1:
        mends.append(Mend("target.squeeze(1).long()", "target", call, gives=False))
    if len(b.shape) == 2 and classes == b.shape[1]:
        mends.append(
            Mend("target.argmax(1)", "target", call, note="the class of each, if target is one-hot", gives=False)
        )
    if b.dtype in FLOATS and len(b.shape) == len(a.shape) - 1:
        mends.append(Mend("target.long()", "target", call, note="classes are whole numbers", gives=False))
    if b.dtype not in FLOATS and b.dtype not in ("int64", "uint8"):
        mends.append(Mend("target.long()", "target", call, gives=False))
    if len(a.shape) == 3 and len(b.shape) == 2 and a.shape[:2] == b.shape:
        mends.append(
            Mend("F.cross_entropy(input.transpose(1, 2), target)", gives=False, note="classes are the second dimension")
        )
    if len(a.shape) == 1 and len(b.shape) == 1:
        mends.append("F.binary_cross_entropy_with_logits(input, target.float()), for one score a sample")
    return lines + f.tries([a, whole], *mends)


@page("probabilities", "all elements of input should be between 0 and 1")
def _(f):
    return [*table(f.args), "binary_cross_entropy takes probabilities: the output of a sigmoid"] + f.tries(
        f.args,
        "F.binary_cross_entropy_with_logits(input, target), which has the sigmoid in it and does not saturate",
        "torch.sigmoid(input)",
    )


@page("batchnorm", "Expected more than 1 value per channel when training")
def _(f):
    return [*table(f.args), "a batch of one has no spread to normalise by"] + f.tries(
        f.args,
        "model.eval() for predictions",
        "DataLoader(…, drop_last=True) so that no batch has one sample",
        "nn.GroupNorm or nn.LayerNorm, which do not look at the batch",
    )


@page("layer_norm", "Given normalized_shape=")
def _(f):
    lines = table(f.args)
    inside = re.search(r"normalized_shape=\[([\d, ]*)\]", f.line)
    if not inside or not f.args:
        return lines
    wanted = tuple(int(n) for n in inside[1].split(","))
    x = f.args[0].named("x")
    k = len(wanted)
    lines.append(f"the last {'size' if k == 1 else str(k) + ' sizes'} of the input must be {show(wanted)}")
    mends = [
        Mend(f"x.movedim({i}, -1)", "x", f"F.layer_norm(x, {wanted})")
        for i in range(len(x.shape) - 1)
        if k == 1 and x.shape[i] == wanted[0]
    ]
    if len(x.shape) >= k:
        sizes = x.shape[-1] if k == 1 else tuple(x.shape[-k:])
        mends.append(Mend(f"nn.LayerNorm({sizes})", "", f"F.layer_norm(x, {tuple(x.shape[-k:])})"))
    return lines + f.tries([x], *mends)


@page("batch_norm_size", "should contain")
def _(f):
    lines = table(f.args)
    words = f.line.split()
    if not f.args or "elements" not in words:
        return lines
    x = f.args[0].named("x")
    channels = x.shape[1] if len(x.shape) > 1 else 0
    rank = max(len(x.shape) - 2, 1)
    lines.append(f"the channels are the second dimension: the input has {channels}")
    made = int(words[-1]) if words[-1].isdigit() else 0
    mends = [f"nn.BatchNorm{rank}d({channels}), made for the channels of this input"]
    if made and len(x.shape) > 2 and x.shape[-1] == made:
        order = (0, len(x.shape) - 1, *range(1, len(x.shape) - 1))
        mends.insert(0, Mend(f"x.permute{order}", "x", "F.batch_norm(x, None, None, training=True)"))
    return lines + f.tries([x], *mends)


@page("too_small", "Output size is too small", "Kernel size can't be greater than actual input size")
def _(f):
    return [*table(f.args[:2]), "the picture is smaller than the kernel by here"] + f.tries(
        f.args,
        "a larger input, or one pooling layer less before this",
        "padding=… on the convolutions before, which keeps the size",
        "nn.AdaptiveAvgPool2d(1), which takes any size",
    )


@page("bce_dtype", "Found dtype", "result type Float can't be cast to Long")
def _(f):
    if len(f.args) < 2:
        return table(f.args)
    a, b = f.args[:2]
    return table([a, b]) + f.tries(
        [a, b], Mend(f"{b.name}.to({a.name}.dtype)", gives=False, note=f"{a.dtype}, as {a.name}")
    )


@page("dataset_size", "Size mismatch between tensors")
def _(f):
    sizes = {a.shape[0] for a in f.args if a.shape}
    return [
        *table(f.args),
        f"a dataset has one sample for each row, and these have {' and '.join(map(str, sorted(sizes)))}",
    ]


@page("loader_rows", "each element in list of batch should be of equal size")
def _(f):
    return ["the samples are lists of different lengths"] + f.tries(
        [],
        "tensors as samples, and collate_fn=… with nn.utils.rnn.pad_sequence",
        "collate_fn=lambda batch: batch to get a list of samples",
    )


@page("optimizer_empty", "optimizer got an empty parameter list")
def _(f):
    return ["model.parameters() finds Parameters and Modules that are attributes of the module"] + f.tries(
        [],
        "self.layers = nn.ModuleList([…]) for layers in a plain list, nn.Parameter(…) for a plain tensor",
        "list(model.parameters()), if a generator was used up before",
    )


@page("optimizer_type", "optimizer can only optimize Tensors", "params argument given to the optimizer should be")
def _(f):
    if "Module" in f.line or "model" in f.line:
        return f.tries([], "model.parameters() instead of the model")
    return ["an optimiser takes the tensors that it changes, or dicts with 'params'"] + f.tries(
        [], "Optimizer(model.parameters(), …)", "Optimizer([w, b], …) for tensors of your own"
    )


@page("optimizer_leaf", "can't optimize a non-leaf Tensor")
def _(f):
    return [
        *table(f.args),
        "it was computed from another tensor (w * 0.1, w.to(…), w.reshape(…)), and gradients go to that one",
    ] + f.tries(
        f.args,
        "w = (torch.randn(…) * 0.1).requires_grad_(): compute first, ask for gradients last",
        "w.detach().requires_grad_()",
    )


@page("optimizer_twice", "some parameters appear in more than one parameter group")
def _(f):
    return ["each parameter belongs to one group, and its learning rate"] + f.tries(
        [], "rest = [p for p in model.parameters() if all(p is not q for q in head.parameters())]"
    )


@page("optimizer_state", "loaded state dict has a different number", "loaded state dict contains a parameter group")
def _(f):
    return ["the state was saved by an optimiser of other parameters: another model, or other groups"] + f.tries(
        [],
        "the same model and the same groups as when it was saved, in the same order",
        "leaving the optimiser's state out: only momenta are lost",
    )


@page("loader_type", "default_collate: batch must contain", "batch must contain tensors")
def _(f):
    found = f.line.rpartition("found ")[2]
    mends = []
    if "Image" in found:
        mends.append("torch.from_numpy(numpy.array(image)).permute(2, 0, 1) / 255 in the Dataset's __getitem__")
    elif "NoneType" in found:
        mends.append("return a value for every sample: __getitem__ returned None for one")
    mends.append("collate_fn=lambda batch: batch to get a list of samples")
    return ["a batch is made of tensors, arrays, numbers, texts, and dicts and lists of these"] + f.tries([], *mends)


@page("loader_worker", "DataLoader worker (pid", "Caught ")
def _(f):
    if "exited unexpectedly" in f.line or "is killed by signal" in f.line:
        return f.tries([], "num_workers=0 to see the error itself", "a smaller batch, if memory ran out")
    return []


# ---- load_state_dict


@page("state_dict", "Error(s) in loading state_dict for")
def _(f):
    missing, unexpected = _keys(f.line, "Missing"), _keys(f.line, "Unexpected")
    sizes = re.findall(
        r"size mismatch for ([\w.]+): copying a param with shape torch\.Size\(\[([\d, ]*)\]\) from checkpoint, "
        r"the shape in current model is torch\.Size\(\[([\d, ]*)\]\)",
        f.line,
    )
    lines, mends = [], []
    prefix = _prefix(missing, unexpected)
    if prefix:
        lines.append(f"the keys of the checkpoint differ by {prefix!r} from the model's")
        if any(key.startswith(prefix) for key in unexpected):
            mends.append(f"state_dict = {{key.removeprefix({prefix!r}): x for key, x in state_dict.items()}}")
        else:
            mends.append(f"state_dict = {{{prefix!r} + key: x for key, x in state_dict.items()}}")
    whole = next((key for key in unexpected if key in ("state_dict", "model_state_dict", "model", "net")), None)
    if whole:
        lines.append("the checkpoint is a dict that has the state_dict in it")
        mends.append(f"model.load_state_dict(checkpoint[{whole!r}])")
    names = _renamed(missing, unexpected) if not prefix else []
    if names:
        lines.append("perhaps renamed: " + ", ".join(f"{old} → {new}" for old, new in names[:3]))
    for name, theirs, mine in sizes[:3]:
        a, b = (tuple(int(n) for n in s.split(",") if n.strip()) for s in (theirs, mine))
        pair = [Arg("checkpoint", a), Arg("model", b)]
        bad = [i for i in range(-1, -min(len(a), len(b)) - 1, -1) if a[i] != b[i]]
        lines += [f"{name}:", *("  " + row for row in table(pair, {1: bad[0]} if bad else None, "differs"))]
        if len(a) == 2 and a[::-1] == b and a != b:
            mends.append(f"state_dict[{name!r}] = state_dict[{name!r}].T")
        elif prod(a) == prod(b):
            mends.append(f"state_dict[{name!r}] = state_dict[{name!r}].reshape{show(b)}")
        elif len(a) == len(b) and a[1:] == b[1:]:
            layer = name.rpartition(".")[0]
            mend = f"a model with {a[0]} outputs{' of ' + layer if layer else ''}, as the checkpoint has"
            mends += [mend] if mend not in mends else []
    if sizes and not mends:
        mends.append("the model made with the sizes that the checkpoint was saved with")
    if sizes:
        mends.append(f"del state_dict[{sizes[0][0]!r}] and strict=False, to start that layer afresh")
    elif missing or unexpected:
        mends.append("model.load_state_dict(state_dict, strict=False), which leaves those out")
    return lines + f.tries([], *mends)


def _keys(line, kind):
    found = re.search(rf"{kind} key\(s\) in state_dict: ([^\n]*)", line)
    return re.findall(r'"([^"]*)"', found[1]) if found else []


def _prefix(missing, unexpected):
    """What all unexpected keys begin with that the missing ones do not, or the other way round."""
    if not missing or not unexpected:
        return ""
    for longer, shorter in ((unexpected, missing), (missing, unexpected)):
        for key in longer[:1]:
            parts = key.split(".")
            for n in range(1, len(parts)):
                prefix = ".".join(parts[:n]) + "."
                if {k.removeprefix(prefix) for k in longer} & set(shorter) and all(
                    k.startswith(prefix) for k in longer
                ):
                    return prefix
    return ""


def _renamed(missing, unexpected):
    from difflib import get_close_matches

    pairs = []
    for key in unexpected[:20]:
        close = get_close_matches(key, missing, n=1, cutoff=0.6)
        if close:
            pairs.append((key, close[0]))
    return pairs
