"""save and load: torch's files both ways, shared memory, refusal of everything else, damage, pickle and deepcopy."""

import copy
import io
import os
import pathlib
import pickle
import struct
import zipfile
from argparse import Namespace
from collections import Counter, OrderedDict

import numpy as np
import pytest
from harness import ALL_DTYPES, OURS, H, torch
from hypothesis import given
from hypothesis import strategies as st

oracle = pytest.mark.skipif(torch is None or not OURS, reason="two modules are needed, of which one is torch")
ours = pytest.mark.skipif(not OURS, reason="describes what Hadamard adds")
REFUSED = (RuntimeError, pickle.UnpicklingError, EOFError)


def filled(m, shape, dtype):
    x = m.arange(int(np.prod(shape)), dtype=m.int64).reshape(shape) % 7
    return x.to(getattr(m, dtype))


def everything(m):
    """An object with everything that a checkpoint may hold."""
    a = m.arange(6.0).view(2, 3)
    tensors = {dtype: filled(m, (3, 2), dtype) for dtype in ALL_DTYPES}
    return {
        **tensors,
        "a": a,
        "its transpose": a.t(),
        "a part of it": a[0, 1:],
        "expanded": m.ones(3, 1).expand(3, 4),
        "one number": m.tensor(3),
        "nothing": m.empty(0),
        "no rows": m.empty(0, 3),
        "leaf": m.ones(2, requires_grad=True),
        "parameter": m.nn.Parameter(m.ones(2)),
        "frozen": m.nn.Parameter(m.ones(2), requires_grad=False),
        "meta": m.empty(2, 3, device="meta"),
        "size": m.Size([1, 2]),
        "dtype": m.bfloat16,
        "device": m.device("cpu"),
        "plain": [1, -2.5, None, True, False, "xé", b"\0\xff", (1, 2, 3, 4), (), {"k": [2**70, -(2**31)]}, 1 + 2j],
        "ordered": OrderedDict(b=1, a=m.zeros(1)),
        "counter": Counter("hello"),
        "set": {1, 2},
        "bytes": bytearray(b"ab"),
    }


def same(x, y):
    """The same structure, types (by name), numbers, layouts."""
    assert type(x).__name__ == type(y).__name__
    if type(x).__name__ in ("Tensor", "Parameter"):
        assert str(x.dtype) == str(y.dtype) and tuple(x.shape) == tuple(y.shape) and x.stride() == y.stride()
        assert x.storage_offset() == y.storage_offset() and x.requires_grad == y.requires_grad
        assert x.device.type == y.device.type and x.is_leaf and y.is_leaf
        if x.device.type == "cpu":
            assert repr(x.tolist()) == repr(y.tolist())
    elif isinstance(x, dict) and not isinstance(x, Counter):
        assert list(x) == list(y)
        for key in x:
            same(x[key], y[key])
    elif type(x) in (list, tuple):
        assert len(x) == len(y)
        for a, b in zip(x, y, strict=True):
            same(a, b)
    else:
        assert repr(x) == repr(y)


def saved(obj, m=H, **options):
    f = io.BytesIO()
    m.save(obj, f, **options)
    f.seek(0)
    return f


def test_round_trip():
    obj = everything(H)
    got = H.load(saved(obj))
    same(obj, got)
    assert got["a"].data_ptr() == got["its transpose"].data_ptr() == got["a part of it"].data_ptr() - 4
    got["a"][0, 1] = 99
    assert got["its transpose"][1, 0] == 99 and got["a part of it"][0] == 99
    assert obj["a"][0, 1] == 1


@oracle
def test_torch_reads_ours_and_we_read_torchs():
    same(everything(H), torch.load(saved(everything(H))))
    same(everything(torch), H.load(saved(everything(torch), torch)))
    both = torch.load(saved(everything(H)))
    assert both["a"].data_ptr() == both["its transpose"].data_ptr()


@oracle
def test_the_file_is_torchs_to_the_byte(tmp_path):
    for m, folder in ((H, "h"), (torch, "t")):
        (tmp_path / folder).mkdir()
        m.save(everything(m), tmp_path / folder / "checkpoint.pt")
    a, b = ((tmp_path / folder / "checkpoint.pt").read_bytes() for folder in "ht")
    names = [n for n in zipfile.ZipFile(tmp_path / "h" / "checkpoint.pt").namelist() if "serialization_id" not in n]
    for name in names:
        assert zipfile.ZipFile(io.BytesIO(a)).read(name) == zipfile.ZipFile(io.BytesIO(b)).read(name), name
    start = a.index(b".data/serialization_id")
    assert len(a) == len(b) and a[:start] == b[:start]  # the identifier that follows is a sum of torch's own kind


@oracle
def test_networks_and_optimisers_move_between_both():
    def trained(m):
        m.manual_seed(0)
        net = m.nn.Sequential(m.nn.Linear(4, 3), m.nn.BatchNorm1d(3), m.nn.ReLU(), m.nn.Linear(3, 2))
        optimiser = m.optim.Adam(net.parameters(), lr=0.1)
        for _ in range(3):
            optimiser.zero_grad()
            net(m.randn(8, 4)).square().sum().backward()
            optimiser.step()
        return net, optimiser

    def state(net, optimiser):
        return {"net": net.state_dict(), "optimiser": optimiser.state_dict(), "epoch": 3}

    for source, target in ((H, torch), (torch, H)):
        net, optimiser = trained(source)
        checkpoint = target.load(saved(state(net, optimiser), source))
        net2, optimiser2 = trained(target)
        net2.load_state_dict(checkpoint["net"])
        optimiser2.load_state_dict(checkpoint["optimiser"])
        assert checkpoint["epoch"] == 3
        for key, value in net.state_dict().items():
            assert value.tolist() == net2.state_dict()[key].tolist(), key


@oracle
def test_old_files_of_torch():
    obj = {key: value for key, value in everything(torch).items() if key != "meta"}
    got = H.load(saved(obj, torch, _use_new_zipfile_serialization=False))
    same(obj, got)
    assert got["a"].data_ptr() == got["its transpose"].data_ptr()


def test_ways_to_name_a_file(tmp_path):
    for name in (str(tmp_path / "a.pt"), tmp_path / "b.pt", pathlib.PurePath(tmp_path / "c")):
        H.save(H.arange(3), name)
        assert H.load(name).tolist() == [0, 1, 2]
    with open(tmp_path / "d.pt", "wb") as f:
        H.save(H.arange(3), f)
    with open(tmp_path / "d.pt", "rb") as f:
        assert H.load(f).tolist() == [0, 1, 2]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.pt", "b.pt", "c", "d.pt"]


@ours
def test_a_file_is_replaced_whole_or_not_at_all(tmp_path):
    path = tmp_path / "w.pt"
    H.save(H.arange(3), path)
    with pytest.raises((AttributeError, pickle.PicklingError, TypeError)):
        H.save([H.zeros(5), lambda: 0], path)
    assert H.load(path).tolist() == [0, 1, 2]
    os.chmod(path, 0o640)
    link = tmp_path / "link.pt"
    link.symlink_to(path)
    H.save(H.arange(4), link)
    assert link.is_symlink() and H.load(path).tolist() == [0, 1, 2, 3]
    assert path.stat().st_mode & 0o777 == 0o640
    assert sorted(p.name for p in tmp_path.iterdir()) == ["link.pt", "w.pt"]


@ours
def test_a_full_disk_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "w.pt"
    H.save(H.arange(3), path)

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        H.save(H.arange(1000), path)
    assert H.load(path).tolist() == [0, 1, 2]
    assert [p.name for p in tmp_path.iterdir()] == ["w.pt"]


def test_names_that_do_not_work(tmp_path):
    with pytest.raises(RuntimeError, match=r"Parent directory .*nowhere does not exist\."):
        H.save(1, tmp_path / "nowhere" / "x.pt")
    with pytest.raises(FileNotFoundError):
        H.load(tmp_path / "x.pt")
    with pytest.raises(IsADirectoryError):
        H.load(tmp_path)
    with pytest.raises((IsADirectoryError, RuntimeError), match="Is a directory"):
        H.save(1, tmp_path)
    with pytest.raises(AttributeError, match="expected 'f' to be string, path, or a file-like object with a 'write'"):
        H.save(1, None)
    with pytest.raises(AttributeError, match="You can only torch.load from a file that is seekable"):
        H.load(None)
    with pytest.raises(TypeError), open(tmp_path / "t.txt", "w") as f:
        H.save(1, f)
    with pytest.raises(ValueError, match="f must be a file path in order to use the mmap argument"):
        H.load(saved(1), mmap=True)


@ours
def test_one_memory_seen_as_two_dtypes_cannot_be_saved():
    x = H.zeros(4)
    with pytest.raises(RuntimeError, match="Cannot save multiple tensors or storages that view the same data as diff"):
        H.save([x, x.view(H.int32)], io.BytesIO())


# ---------------------------------------------------------------------------------------------------- map_location


def moved(location, m=H):
    """A file whose storage says that it is at `location`."""
    source, target = zipfile.ZipFile(saved(m.arange(3), m)), io.BytesIO()
    with zipfile.ZipFile(target, "w") as z:
        for name in source.namelist():
            data = source.read(name)
            if name.endswith("data.pkl"):
                data = data.replace(b"X\3\0\0\0cpu", b"X" + struct.pack("<I", len(location)) + location.encode())
            z.writestr(name, data)
    target.seek(0)
    return target


def test_map_location():
    for where in (None, "cpu", H.device("cpu"), {"cpu": "cpu"}, lambda storage, location: storage, lambda *args: None):
        assert H.load(saved(H.arange(3)), map_location=where).tolist() == [0, 1, 2]
    assert H.load(saved(H.arange(3)), map_location="meta").device.type == "meta"
    with pytest.raises(RuntimeError, match="Attempting to deserialize object on a CUDA device but torch.cuda.is_avail"):
        H.load(moved("cuda:0"))
    for where in ("cpu", {"cuda:0": "cpu"}, lambda storage, location: storage):
        assert H.load(moved("cuda:0"), map_location=where).tolist() == [0, 1, 2]
    with pytest.raises(RuntimeError, match=r"don't know how to restore data location of .*\(tagged with moon\)"):
        H.load(moved("moon"))


def test_mmap(tmp_path):
    path = tmp_path / "x.pt"
    obj = everything(H)
    H.save(obj, path)
    got = H.load(path, mmap=True)
    same(obj, got)
    got["a"].add_(1)  # private: the file stays as it is
    assert got["its transpose"][0, 0] == 1
    same(obj, H.load(path))
    if OURS:  # torch dies of a bus error here
        H.save(got["a"], path)  # over the file that is mapped
        assert got["int64"].tolist() == obj["int64"].tolist()
        assert H.load(path)[0, 0] == 1


def test_a_tensor_is_saved_with_its_whole_storage_and_only_that(tmp_path):
    big = H.zeros(1000)
    assert len(saved(big[:2]).getvalue()) > 4000
    assert len(saved(big[:2].clone()).getvalue()) < 3000
    H.save([H.zeros(100000), H.arange(3)], tmp_path / "x.pt")
    assert len(saved(H.load(tmp_path / "x.pt", mmap=True)[1]).getvalue()) < 3000


# ------------------------------------------------------------------------------------------------------ refusals


class Custom:
    def __init__(self):
        self.x = 1


def zipped(pickled, records=None):
    """A file in torch's format around a pickle made by hand."""
    f = io.BytesIO()
    with zipfile.ZipFile(f, "w") as z:
        z.writestr("archive/data.pkl", pickled)
        z.writestr("archive/byteorder", b"little")
        for name, data in (records or {}).items():
            z.writestr(f"archive/data/{name}", data)
        z.writestr("archive/version", b"3\n")
    f.seek(0)
    return f


def refused(pickled, *words, records=None):
    with pytest.raises(REFUSED) as raised:
        H.load(zipped(pickled, records))
    for word in words:
        assert word in str(raised.value)


@ours
def test_code_is_refused_by_name(tmp_path):
    marker = tmp_path / "ran"
    names = (
        "posix system, os system, nt system, subprocess call, builtins eval, builtins exec, __builtin__ eval, builtins "
    )
    names += "getattr, builtins __import__, operator attrgetter, runpy run_path, numpy load, torch load, torch._C "
    names += "_set_size_type, torch.hub load, hadamard load, torch.serialization load, functools partial"
    for call in (name.replace(" ", "\n").encode() for name in names.split(", ")):
        command = f"open({str(marker)!r}, 'w')" if b"e" in call[-4:] else f"touch {marker}"
        pickled = b"\x80\2c" + call + b"\nX" + struct.pack("<I", len(command)) + command.encode() + b"\x85R."
        refused(pickled)
        refused(pickled.replace(b"\x80\2", b"\x80\4"))
    module, name = b"posix", b"system"
    refused(b"\x80\4\x8c" + bytes([len(module)]) + module + b"\x8c" + bytes([len(name)]) + name + b"\x93.", "posix")
    assert not marker.exists()


def test_unknown_classes_are_refused_by_name():
    f = saved(Custom())
    with pytest.raises(pickle.UnpicklingError) as raised:
        H.load(f)
    assert str(raised.value).startswith("Weights only load failed.")
    assert f"Unsupported global: GLOBAL {Custom.__module__}.Custom was not an allowed global by default" in str(
        raised.value
    )
    assert "torch.serialization.add_safe_globals([" in str(raised.value)


@ours
def test_weights_only_false_runs_no_code_either():
    with pytest.raises(pickle.UnpicklingError, match="never runs code"):
        H.load(saved(Custom()), weights_only=False)
    net = H.load(saved(H.nn.Sequential(H.nn.Linear(2, 3), H.nn.Dropout(0.1))), weights_only=False)
    assert tuple(net(H.ones(1, 2)).shape) == (1, 3) and len(list(net.parameters())) == 2


def test_safe_globals():
    serialization = H.serialization
    before = serialization.get_safe_globals()
    with serialization.safe_globals([Custom, Namespace]):
        assert H.load(saved(Custom())).x == 1
        assert H.load(saved(Namespace(a=H.ones(2)))).a.tolist() == [1, 1]
    assert serialization.get_safe_globals() == before
    with pytest.raises(pickle.UnpicklingError):
        H.load(saved(Custom()))
    serialization.add_safe_globals([Custom])
    assert Custom in serialization.get_safe_globals() and H.load(saved(Custom())).x == 1
    serialization.clear_safe_globals()
    with pytest.raises(pickle.UnpicklingError):
        H.load(saved(Custom()))


def rebuild(count=4, offset=0, size=(4,), stride=(1,), key="0", storage="FloatStorage", location="cpu"):
    """The pickle of one tensor, with whatever one likes in it."""

    def text(s):
        return b"X" + struct.pack("<I", len(s)) + s.encode()

    def number(n):
        return b"\x8a" + bytes([len(pickle.encode_long(n))]) + pickle.encode_long(n)

    def numbers(ns):
        return b"(" + b"".join(map(number, ns)) + b"t"

    pid = b"(" + text("storage") + f"ctorch\n{storage}\n".encode() + text(key) + text(location) + number(count) + b"tQ"
    args = pid + number(offset) + numbers(size) + numbers(stride) + b"\x89ccollections\nOrderedDict\n)R"
    return b"\x80\2ctorch._utils\n_rebuild_tensor_v2\n(" + args + b"tR."


FOUR = {"0": np.arange(4, dtype=np.float32).tobytes()}


def test_the_tensor_made_by_hand():
    assert H.load(zipped(rebuild(), FOUR)).tolist() == [0, 1, 2, 3]
    assert H.load(zipped(rebuild(offset=1, size=(2,), stride=(2,)), FOUR)).tolist() == [1, 3]
    assert H.load(zipped(rebuild(offset=1, size=(2, 2), stride=(1, 1)), FOUR)).tolist() == [[1, 2], [2, 3]]


@ours
@pytest.mark.parametrize(
    "what",
    [
        {"size": (5,)},
        {"offset": 1},
        {"offset": -1},
        {"stride": (2,)},
        {"stride": (-1,)},
        {"size": (-4,)},
        {"size": (2**62, 4), "stride": (4, 1)},
        {"size": (2**63 - 1,), "stride": (2**63 - 1,)},
        {"size": (2**70,)},
        {"size": (2, 2)},
        {"size": (1,) * 100, "stride": (1,) * 100},
        {"count": 2**60},
        {"count": -4},
        {"count": 3},
        {"key": "../0"},
        {"key": "1"},
        {"storage": "DoubleStorage"},
        {"storage": "QInt8Storage"},
        {"storage": "nn"},
        {"location": "moon"},
    ],
    ids=str,
)
def test_geometry_that_does_not_fit_is_refused(what):
    refused(rebuild(**what), records=FOUR)


@ours
def test_hostile_pickles_are_refused():
    deep = b"\x80\2}" + b")" + b"\x85" * 200000 + b"Ns."  # hashing this key would overflow the stack
    refused(deep, "nested too deeply")
    refused(b"\x80\2]" + b"(" * 100000 + b".")
    for pickled in (
        b"",
        b".",
        b"\x80\2.",
        b"\x80\2N",
        b"\x80\2(.",
        b"\x80\2t.",
        b"\x80\2u.",
        b"\x80\2R.",
        b"\x80\2NNR.",
        b"\x80\2)NR.",
        b"\x80\2h\x05.",
        b"\x80\2q\x05.",
        b"\x80\2Na.",
        b"\x80\2NNs.",
        b"\x80\2}](NNu.",
        b"\x80\2}]Ns.",
        b"\x80\2}(Nu.",
        b"\x80\2NNb.",
        b"\x80\2NQ.",
        b"\x80\2)Q.",
        b"\x80\x09N.",
        b"\x80\2X\xff\xff\xff\xffabc.",
        b"\x80\4\x8d\xff\xff\xff\xff\xff\xff\xff\x7fabc.",
        b"\x80\2\x8b\xff\xff\xff\x7fabc.",
        b"\x80\2X\1\0\0\0\xff.",
        b"\x80\2ctorch._utils\n_rebuild_tensor_v2\n)R.",
        b"\x80\2ctorch._utils\n_rebuild_tensor_v2\n}X\1\0\0\0aNsb.",  # writing to a builder
        b"\x80\2ctorch\nSize\nN}X\7\0\0\0__add__Ns\x86b.",  # writing to a class
        b"\x80\2ctorch\nTensor\n)\x81.",
        b"\x80\2ctorch\nTensor\nN}X\7\0\0\0__add__Ns\x86b.",
        b"\x80\2ctorch.nn.parameter\nParameter\nN}X\7\0\0\0__add__Ns\x86b.",
        b"\x80\2c__builtin__\nbytearray\n\x8a\6\0\0\0\0\0\1\x85R.",  # a bytearray of a terabyte
        b"\x80\2ctorch\nSize\nX\1\0\0\0a\x85R.",
        b"\x80\2ctorch\nfloat32\n)R.",
        b"\x80\2ctorch\nfloat8_e4m3fn\n.",
        b"\x80\2c" + b"a" * 10000 + b"\n.",
        b"\x80\2ctorch.nn.modules.linear\nLinear\n)\x81.",
        b"\x80\2ccollections\nOrderedDict\n)RX\1\0\0\0ab.",
        b"\x80\2ccollections\ndefaultdict\n)R.",
    ):
        refused(pickled)
    assert H.tensor([1]) + H.tensor([2]) == 3 and H.Size([1]) + (2,) == (1, 2)


@ours
def test_a_large_memo_index_takes_no_memory():
    assert H.load(zipped(b"\x80\2Nr\xff\xff\xff\xff.")) is None


@ours
def test_newer_protocols_are_read():
    obj = ["é" * 300, b"x" * 300, bytearray(b"y"), {1, 2}, frozenset([3]), 2**200, {"a": (1, 2)}]
    for protocol in (2, 3, 4, 5):
        got = H.load(saved(obj, pickle_protocol=protocol))
        assert got == obj and [type(x) for x in got] == [type(x) for x in obj]
        same(H.load(saved(everything(H), pickle_protocol=protocol)), everything(H))


# --------------------------------------------------------------------------------------------------------- damage


@ours
def test_files_cut_short():
    whole = saved(everything(H)).getvalue()
    for n in [*range(0, 300, 7), *range(300, len(whole) - 1, 97), len(whole) - 1]:
        with pytest.raises((*REFUSED, KeyError)):
            H.load(io.BytesIO(whole[:n]))


@oracle
def test_old_files_cut_short():
    obj = {key: value for key, value in everything(torch).items() if key != "meta"}
    whole = saved(obj, torch, _use_new_zipfile_serialization=False).getvalue()
    for n in range(0, len(whole) - 1, 41):
        with pytest.raises(REFUSED):
            H.load(io.BytesIO(whole[:n]))


@ours
def test_what_is_no_checkpoint():
    for data in (b"", b"hello world, this is text", b"PK", b"PK\3\4", b"PK\3\4" + b"\0" * 100, b"\x80", b"\x80\2N."):
        with pytest.raises((*REFUSED, KeyError, AttributeError, AssertionError)):
            H.load(io.BytesIO(data))
    with pytest.raises(RuntimeError, match="PytorchStreamReader failed reading zip archive"):
        H.load(io.BytesIO(b"PK\3\4" + b"\0" * 100))


@ours
def test_changed_bytes_are_noticed():
    data = saved(H.arange(1000)).getvalue()
    at = data.index(np.arange(1000).tobytes())
    for i in (0, 1, 4000, 7999):
        changed = bytearray(data)
        changed[at + i] ^= 1
        with pytest.raises(RuntimeError, match="PytorchStreamReader failed reading file data/0: its checksum is wrong"):
            H.load(io.BytesIO(changed))


@ours
@given(st.integers(0, 2**32), st.integers(1, 255), st.integers(1, 4))
def test_damage_never_crashes(where, flip, length):
    data = bytearray(saved([H.arange(6).view(2, 3), {"k": (1, 2.5)}, H.nn.Parameter(H.ones(2))]).getvalue())
    for i in range(length):
        data[(where + i * 13) % len(data)] ^= flip
    try:
        H.load(io.BytesIO(data))
    except REFUSED:
        pass


@ours
@given(st.binary(max_size=60))
def test_random_pickles_never_crash(body):
    try:
        H.load(zipped(b"\x80\2" + body + b".", FOUR))
    except REFUSED:
        pass


def test_files_packed_again_are_read():
    """Compressed records, as other programs write them."""
    source, target = zipfile.ZipFile(saved(everything(H))), io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as z:
        for name in source.namelist():
            z.writestr(name, source.read(name))
    target.seek(0)
    same(everything(H), H.load(target))


@ours
def test_files_of_the_other_byte_order():
    source, target = zipfile.ZipFile(saved([H.arange(3), H.ones(2, dtype=H.complex64) * 2])), io.BytesIO()
    with zipfile.ZipFile(target, "w") as z:
        for name in source.namelist():
            data = source.read(name)
            if name.endswith("byteorder"):
                data = b"big"
            elif name.endswith("data/0"):
                data = np.arange(3).astype(">i8").tobytes()
            elif name.endswith("data/1"):
                data = (np.ones(4) * [2, 0, 2, 0]).astype(">f4").tobytes()
            z.writestr(name, data)
    target.seek(0)
    a, b = H.load(target)
    assert a.tolist() == [0, 1, 2] and b.tolist() == [2, 2]


# ---------------------------------------------------------------------------------------------------- safetensors


def test_safetensors(tmp_path):
    library = pytest.importorskip("safetensors.numpy")
    path = tmp_path / "x.safetensors"
    arrays = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "i": np.arange(4), "none": np.zeros((0, 2))}
    library.save_file(arrays, path)
    got = H.load(path)
    assert sorted(got) == sorted(arrays)
    for name, array in arrays.items():
        assert (got[name].numpy() == array).all() and got[name].numpy().dtype == array.dtype
    with pytest.raises(RuntimeError, match="Loading safetensors file with dict map_location is not supported"):
        H.load(path, map_location={})


@ours
def test_safetensors_are_written_too(tmp_path):
    library = pytest.importorskip("safetensors.numpy")
    path = tmp_path / "x.safetensors"
    tensors = {dtype: filled(H, (2, 3), dtype) for dtype in ALL_DTYPES if dtype != "complex128"}
    H.save({**tensors, "transposed": tensors["float32"].t()}, path)
    got = H.load(path)
    for name, x in tensors.items():
        assert got[name].dtype == x.dtype and got[name].tolist() == x.tolist()
    assert got["transposed"].tolist() == tensors["float32"].t().tolist()
    assert (library.load_file(path)["float32"] if "bfloat16" not in got else np.array(0)) is not None
    with pytest.raises(TypeError, match="holds a dict of str to Tensor"):
        H.save([H.ones(1)], path)
    assert H.load(path)["int8"].tolist() == tensors["int8"].tolist()
    data = path.read_bytes()
    for n in (0, 4, 8, 50, len(data) - 1):
        path.write_bytes(data[:n])
        with pytest.raises(RuntimeError):
            H.load(path)
    path.unlink()
    with pytest.raises(FileNotFoundError):
        H.load(path)


# ------------------------------------------------------------------------------------------- pickle and deepcopy


@pytest.mark.parametrize("protocol", range(2, 6))
def test_pickle(protocol):
    obj = everything(H)
    same(obj, pickle.loads(pickle.dumps(obj, protocol)))


@ours
def test_pickled_views_share_memory():
    for clone in (lambda x: pickle.loads(pickle.dumps(x)), copy.deepcopy):
        a = H.arange(6.0)
        x, y, z = clone([a, a[2:], a.view(2, 3).t()])
        x[2] = 99
        assert y[0] == 99 and z[2, 0] == 99 and a[2] == 2


@ours
def test_pickle_out_of_band():
    buffers = []
    data = pickle.dumps(H.zeros(10000), protocol=5, buffer_callback=buffers.append)
    assert len(data) < 1000 and len(buffers) == 1
    assert pickle.loads(data, buffers=buffers).sum() == 0


def test_deepcopy():
    x = H.ones(2, 3, requires_grad=True)
    x.sum().backward()
    y = copy.deepcopy(x)
    assert y.requires_grad and y.is_leaf and y.data_ptr() != x.data_ptr() and y.grad.tolist() == x.grad.tolist()
    assert y.grad.data_ptr() != x.grad.data_ptr()
    p = H.nn.Parameter(H.ones(2))
    q = copy.deepcopy(p)
    assert type(q) is H.nn.Parameter and q.tolist() == [1, 1] and q.data_ptr() != p.data_ptr()
    a, b = copy.deepcopy([p, p])
    assert a is b
    assert copy.deepcopy(H.empty(2, device="meta")).device.type == "meta"
    assert copy.deepcopy(H.ones(2, 3).t()).stride() == (1, 3)
    with pytest.raises(RuntimeError, match="Only Tensors created explicitly by the user"):
        copy.deepcopy(x * 2)


def test_attributes_and_subclasses():
    x = H.ones(2)
    x.note = {"a": 1}
    for clone in (pickle.loads(pickle.dumps(x)), copy.deepcopy(x), H.load(saved(x))):
        assert clone.note == {"a": 1} and clone.tolist() == [1, 1]
    p = H.nn.Parameter(H.ones(2))
    p.note = 5
    assert H.load(saved(p)).note == 5
    y = pickle.loads(pickle.dumps(Sub(2)))
    assert type(y) is Sub and y.tolist() == [1, 1]
    with H.serialization.safe_globals([Sub]):
        assert type(H.load(saved(Sub(2)))) is Sub


class Sub(H.Tensor):
    def __new__(cls, n):
        return H.ones(n).as_subclass(cls)


def test_untyped_storage():
    x = H.arange(6.0).view(2, 3)
    storage = x.untyped_storage()
    assert storage.nbytes() == len(storage) == 24 and storage.data_ptr() == x.data_ptr()
    assert x[1].untyped_storage().data_ptr() == storage.data_ptr() != x[1].data_ptr()
    assert H.empty(0).untyped_storage().nbytes() == 0 and storage.device.type == "cpu"


def test_modules_can_be_copied():
    net = H.nn.Sequential(H.nn.Linear(2, 3), H.nn.BatchNorm1d(3))
    for clone in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        for key, value in net.state_dict().items():
            assert clone.state_dict()[key].tolist() == value.tolist()
            assert clone.state_dict()[key].data_ptr() != value.data_ptr()
