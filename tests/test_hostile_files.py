"""Files made to do harm: whatever they hold, load() says no in words, in little memory, and touches nothing."""

import io
import os
import pickle
import struct
import subprocess
import sys
import textwrap
import zipfile
import zlib

import pytest
from harness import OURS, H, torch
from test_serialization import FOUR, REFUSED, everything, rebuild, saved, zipped

pytestmark = pytest.mark.skipif(not OURS, reason="our files")
BIG = 2**62


def text(s):
    data = s.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def doubled(times):
    """A tuple of itself, of itself…: small in the file, without end when printed, hashed or compared."""
    return b")" + b"2\x86" * times


PICKLES = {
    "a key that doubles": b"\x80\2}" + doubled(60) + b"Ns.",
    "a set of what doubles": b"\x80\4\x8f(" + doubled(60) + b"\x90.",
    "a frozen set of what doubles": b"\x80\4(" + doubled(60) + b"\x91.",
    "frozen sets in each other": b"\x80\4" + b"(" * 5000 + b"N" + b"\x91" * 5000 + b"}N" + b"s.",
    "a call of what doubles": b"\x80\2" + doubled(60) + b")R.",
    "an object of what doubles": b"\x80\2" + doubled(60) + b")\x81.",
    "a global of what doubles": b"\x80\4" + doubled(60) + b"2\x93.",
    "a reference that doubles": b"\x80\2" + doubled(60) + b"Q.",
    "state for what doubles": b"\x80\2" + doubled(60) + b"Nb.",
    "a layout that doubles": b"\x80\2ctorch.serialization\n_get_layout\n" + doubled(60) + b"\x85R.",
    "an OrderedDict of what doubles": b"\x80\2ccollections\nOrderedDict\n((" + doubled(60) + b"N\x86l\x85R.",
    "a Counter of what doubles": b"\x80\2ccollections\nCounter\n}" + doubled(60) + b"K\1s\x85R.",
    "a location that doubles": rebuild().replace(text("cpu"), doubled(60)),
    "a storage's name that doubles": rebuild().replace(text("0") + text("cpu"), doubled(60) + text("cpu")),
    "a number of a megabyte as a size": rebuild().replace(
        b"\x8a\x01\x04t", b"\x8b" + struct.pack("<i", 1 << 16) + b"\x7f" * (1 << 16) + b"t", 1
    ),
    "a negative length": b"\x80\2\x8b" + struct.pack("<i", -5) + b".",
    "a string of the largest size": b"\x80\4\x8d" + struct.pack("<Q", 2**63 - 1) + b"a.",
    "bytes of the largest size": b"\x80\4\x8e" + struct.pack("<Q", 2**64 - 1) + b"a.",
    "a bytearray of the largest size": b"\x80\5\x96" + struct.pack("<Q", 2**62) + b"a.",
    "a frame of the largest size": b"\x80\4\x95" + struct.pack("<Q", 2**64 - 1) + b"Q.",
    "a memo that is not there": b"\x80\2j\xff\xff\xff\x7f.",
    "extensions": b"\x80\2\x82\1.",
    "a persistent id in text": b"\x80\2P../../etc/passwd\n.",
    "text opcodes": b"(I1\nS'a'\ntR.",
    "an old class": b"\x80\2(ios\nsystem\n.",
    "an old object": b"\x80\2(cos\nsystem\nX\1\0\0\0ao.",
    "a buffer out of band": b"\x80\5\x97.",
    "getattr": b"\x80\2cbuiltins\ngetattr\n.",
    "a name with dots": b"\x80\4" + text("torch") + text("Tensor.__init__.__globals__") + b"\x93.",
    "a name of underscores": b"\x80\4" + text("torch") + text("__builtins__") + b"\x93.",
    "a module that would have to be imported": b"\x80\2cantigravity\nx\n.",
    "a file as a module": b"\x80\2c../evil\nx\n.",
    "a name that is no text": b"\x80\2c\xff\xfe\n\xff\n.",
    "numpy": b"\x80\2cnumpy.core.multiarray\n_reconstruct\n.",
    "a tensor's method": b"\x80\2ctorch\nTensor\n" + text("a") + b"\x86\x81.",
    "a bytearray of a number": b"\x80\2cbuiltins\nbytearray\n\x8a\6\0\0\0\0\0\1\x85R.",
    "a Size of what is no number": b"\x80\2ctorch\nSize\n(NNt\x85R.",
    "a device without end": b"\x80\2ctorch\ndevice\n" + text("cpu" * 10000) + b"\x85R.",
    "a set of lists": b"\x80\2cbuiltins\nset\n(]]l\x85R.",
}
for kind in ("_rebuild_meta_tensor_no_storage",):
    for shape in ((-1,), (BIG, BIG), (2**63 - 1, 2)):
        sizes = b"(" + b"".join(b"\x8a\x08" + struct.pack("<q", n) for n in shape) + b"t"
        PICKLES[f"a meta tensor of {shape}"] = f"ctorch._utils\n{kind}\n(ctorch\nfloat32\n".encode().join(
            [b"\x80\2", sizes + sizes + b"\x89tR."]
        )


@pytest.mark.parametrize("name", PICKLES)
@pytest.mark.parametrize("trusting", [False, True])
def test_pickles_are_refused(name, trusting):
    with pytest.raises(REFUSED) as raised:
        H.load(zipped(PICKLES[name], FOUR), weights_only=not trusting)
    assert 10 < len(str(raised.value)) < 2000


GEOMETRY = [
    {"size": (2, 2), "stride": (BIG, 1)},
    {"size": (BIG,), "stride": (0,), "offset": 4},
    {"size": (3, BIG, BIG), "stride": (1, 1, 1)},
    {"offset": 2**63 - 1},
    {"offset": 2**64 - 4},
    {"offset": BIG},
    {"size": (2, 2), "stride": (2**63 - 1, 2**63 - 1)},
    {"size": (0,), "offset": BIG},
    {"size": (0, -1), "stride": (1, 1)},
    {"size": (1, 2), "stride": (1,)},
    {"size": (), "offset": 4},
    {"count": 2**61},
    {"count": 2**63},
]


@pytest.mark.parametrize("what", GEOMETRY, ids=str)
def test_tensors_that_leave_their_storage_are_refused(what):
    with pytest.raises(REFUSED):
        x = H.load(zipped(rebuild(**what), FOUR))
        assert x.numel() == 0 and x.storage_offset() <= 4, x.shape
        raise RuntimeError("an empty tensor is in place anywhere")


def test_a_stride_of_zero_takes_no_memory():
    x = H.load(zipped(rebuild(size=(1 << 40,), stride=(0,)), FOUR))
    assert x.shape == (1 << 40,) and x.untyped_storage().nbytes() == 16


def test_cycles_and_depth():
    a = H.load(zipped(b"\x80\2]q\0h\0a."))
    assert a[0] is a
    d = H.load(zipped(b"\x80\2}q\0" + text("me") + b"h\0s."))
    assert d["me"] is d
    x = H.load(zipped(rebuild()[:-1] + b"q\7}" + text("me") + b"h\7sb.", FOUR))
    assert x.me is x and x.tolist() == [0, 1, 2, 3]
    n = 300_000
    deep = H.load(zipped(b"\x80\2" + b"]" * n + b"a" * (n - 1) + b"."))
    count = 0
    while deep:
        deep, count = deep[0], count + 1
    assert count == n - 1
    both = H.load(zipped(b"\x80\2" + doubled(200) + b"."))
    assert len(both) == 2 and both[0] is both[1]


def test_every_cut_is_noticed():
    files = [saved({"a": H.arange(5), "b": [H.ones(2, 2)], "c": "text"})]
    if torch is not None:
        obj = {"a": torch.arange(5), "b": [torch.ones(2, 2)[:, 0]]}
        files.append(saved(obj, torch, _use_new_zipfile_serialization=False))
    for whole in (f.getvalue() for f in files):
        for n in range(len(whole)):
            try:
                H.load(io.BytesIO(whole[:n]))
            except REFUSED as e:
                assert str(e)
            else:
                assert whole[n:].strip(b"\0") == b"" and n > len(whole) - 2, n


def test_every_changed_byte_is_noticed_or_harmless(tmp_path):
    """One byte after the other, in memory and mapped: an error in words, or the object."""
    path = tmp_path / "file.pt"
    whole = saved([H.arange(3), {"k": (1, 2.5)}]).getvalue()
    for i in range(0, len(whole), 3):
        data = bytearray(whole)
        data[i] ^= 0xFF
        path.write_bytes(data)
        for mmap in (False, True):
            try:
                H.load(str(path), mmap=mmap)
            except REFUSED as e:
                assert str(e)


@pytest.mark.skipif(torch is None, reason="the old format is torch's")
def test_every_changed_byte_of_an_old_file():
    whole = saved([torch.arange(3), {"k": (1, 2.5)}], torch, _use_new_zipfile_serialization=False).getvalue()
    for i in range(len(whole)):
        for flip in (0xFF, 1):
            data = bytearray(whole)
            data[i] ^= flip
            try:
                H.load(io.BytesIO(data))
            except REFUSED as e:
                assert str(e)


def archive(records, **options):
    f = io.BytesIO()
    with zipfile.ZipFile(f, "w", **options) as z:
        for name, data in records.items():
            z.writestr(name, data)
    f.seek(0)
    return f


def test_wrong_checksums():
    for damaged in ("archive/data.pkl", "archive/data/0"):
        f = zipped(rebuild(), FOUR)
        with zipfile.ZipFile(f) as z:
            record = z.getinfo(damaged)
        data = bytearray(f.getvalue())
        for at in (data.find(b"PK\1\2"), data.rfind(struct.pack("<I", record.CRC))):
            assert at > 0
        place = data.rfind(struct.pack("<I", record.CRC))  # in the directory
        data[place] ^= 1
        with pytest.raises(RuntimeError, match="PytorchStreamReader failed reading file"):
            H.load(io.BytesIO(data))


def test_paths_lead_nowhere(tmp_path):
    secret = tmp_path / "secret"
    secret.write_bytes(bytes(16))
    for key in (str(secret), "../../secret", "..\\secret", "0/../0", "\0", "0\0", "file:///etc/passwd", "", "/"):
        pickled = rebuild(key=key)
        for name in (key, f"data/{key}"):
            try:
                f = zipped(pickled, {name: bytes(16)} if "\0" not in name else {})
            except ValueError:
                continue
            try:
                assert H.load(f).tolist() == [0.0] * 4  # a record that has this name, of the file
            except REFUSED as e:
                assert str(e)
    evil = {"archive/data.pkl": b"\x80\2N.", "archive/../../evil": b"x", "/tmp/evil": b"x", "archive/version": b"3"}
    assert H.load(archive(evil)) is None
    assert sorted(p.name for p in tmp_path.iterdir()) == ["secret"]


def directory(entries, body):
    """A zip whose directory says what one likes: entries are (name, offset, compressed size, size, method, crc)."""
    names = b""
    for name, offset, packed, size, method, crc in entries:
        names += (
            struct.pack(
                "<4s4B4HL2L5H2L",
                b"PK\1\2",
                20,
                0,
                20,
                0,
                0,
                method,
                0,
                0,
                crc,
                packed,
                size,
                len(name),
                0,
                0,
                0,
                0,
                0,
                offset,
            )
            + name
        )
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, len(entries), len(entries), len(names), len(body), 0)
    return io.BytesIO(body + names + end)


def local(name, data, method=0, size=None, crc=None):
    packed = data
    return (
        struct.pack(
            "<4s2B4HL2L2H", b"PK\3\4", 20, 0, 0, method, 0, 0, crc or 0, len(packed), size or len(data), len(name), 0
        )
        + name
        + packed
    )


def test_records_over_each_other_take_no_memory():
    """Thousands of storages that are one and the same megabyte of the file."""
    blob, count = bytes(1 << 20), 3000
    pickled = b"\x80\2("
    one = rebuild(count=1 << 18)[2:-1]
    pickled += b"".join(one.replace(text("0") + text("cpu"), text(str(i)) + text("cpu")) for i in range(count)) + b"t."
    first = local(b"archive/data.pkl", pickled)
    body = first + local(b"archive/data/0", blob)
    entries = [(b"archive/data.pkl", 0, len(pickled), len(pickled), 0, zlib.crc32(pickled))]
    entries += [
        (f"archive/data/{i}".encode(), len(first), len(blob), len(blob), 0, zlib.crc32(blob)) for i in range(count)
    ]
    with pytest.raises(RuntimeError, match="records overlap|failed reading"):
        H.load(directory(entries, body))


def test_records_that_claim_too_much():
    pickled = rebuild(count=BIG // 4)
    first = local(b"archive/data.pkl", pickled)
    for size, packed, method in ((2**32 - 2, 16, 0), (2**32 - 2, 2**32 - 2, 0), (2**32 - 2, 16, 8), (16, 2**31, 8)):
        body = first + local(b"archive/data/0", bytes(16), method)
        entries = [(b"archive/data.pkl", 0, len(pickled), len(pickled), 0, zlib.crc32(pickled))]
        entries += [(b"archive/data/0", len(first), packed, size, method, 0)]
        with pytest.raises(REFUSED):
            H.load(directory(entries, body))
    bomb = zlib.compressobj(9, zlib.DEFLATED, -15)
    data = b"".join(bomb.compress(bytes(1 << 20)) for _ in range(300)) + bomb.flush()
    body = local(b"archive/data.pkl", data, 8, 300 << 20)
    with pytest.raises(RuntimeError, match="failed reading file data.pkl"):
        H.load(directory([(b"archive/data.pkl", 0, len(data), 300 << 20, 8, 0)], body))


def test_archives_without_what_they_need():
    for records in ({}, {"archive/version": b"3"}, {"data.pkl": b"N."}, {"a/data.pkl": b""}, {"a/data.pkl/x": b"N."}):
        with pytest.raises(REFUSED):
            H.load(archive(records))
    assert H.load(archive({"a/data.pkl": b"\x80\2N."})) is None
    with pytest.raises(ValueError, match="Unknown endianness type"):
        H.load(archive({"a/data.pkl": b"\x80\2N.", "a/byteorder": b"middle"}))


def old(*parts):
    return io.BytesIO(b"".join(parts))


MAGIC = pickle.dumps(0x1950A86A20F9469CFC6C, 2)
HEAD = MAGIC + pickle.dumps(1001, 2) + pickle.dumps({"little_endian": True}, 2)


def reference(count, key="k", location="cpu", view=b"N"):
    number = b"\x8a\x08" + struct.pack("<q", count)
    return b"(" + text("storage") + b"ctorch\nFloatStorage\n" + text(key) + text(location) + number + view + b"tQ"


OLD = {
    "another number": old(pickle.dumps(1, 2)),
    "a number that doubles": old(b"\x80\2" + doubled(60) + b"."),
    "another version": old(MAGIC, pickle.dumps(1000, 2)),
    "a version that doubles": old(MAGIC, b"\x80\2" + doubled(60) + b"."),
    "a big-endian machine": old(MAGIC, pickle.dumps(1001, 2), pickle.dumps({"little_endian": False}, 2)),
    "nothing more": old(HEAD),
    "an enormous storage": old(HEAD, b"\x80\2" + reference(2**60) + b".", b"\x80\2]."),
    "a negative storage": old(HEAD, b"\x80\2" + reference(-1) + b".", b"\x80\2]."),
    "a view outside": old(HEAD, b"\x80\2" + reference(1, view=b"(" + text("v") + b"K\5K\5t") + b".", bytes(99)),
    "a negative view": old(
        HEAD, b"\x80\2" + reference(1, view=b"(" + text("v") + b"J\xff\xff\xff\xffK\1t") + b".", bytes(99)
    ),
    "a view of nothing": old(HEAD, b"\x80\2" + reference(1, view=b"K\1") + b".", bytes(99)),
    "no list of keys": old(HEAD, b"\x80\2N.", b"\x80\2N."),
    "a key that doubles": old(HEAD, b"\x80\2N.", b"\x80\2](" + doubled(60) + b"e."),
    "an unknown key": old(HEAD, b"\x80\2N.", b"\x80\2](" + text("x") + b"e."),
    "a storage of another size": old(HEAD, b"\x80\2" + reference(2) + b".", b"\x80\2](" + text("k") + b"e.", bytes(16)),
    "a negative size": old(
        HEAD, b"\x80\2" + reference(2) + b".", b"\x80\2](" + text("k") + b"e.", struct.pack("<q", -1), bytes(16)
    ),
    "a storage cut short": old(
        HEAD, b"\x80\2" + reference(2) + b".", b"\x80\2](" + text("k") + b"e.", struct.pack("<q", 2), bytes(5)
    ),
    "text of the largest size": old(MAGIC, b"\x80\4\x8d" + struct.pack("<Q", 2**40) + b"a."),
    "code": old(HEAD, b"\x80\2cos\nsystem\n" + text("touch /tmp/evil") + b"\x85R."),
    "thousands of storages of the file's size": old(
        HEAD, b"\x80\2(" + b"".join(reference(5000, f"k{i}") for i in range(3000)) + b"t.", b"\x80\2].", bytes(20000)
    ),
}


@pytest.mark.parametrize("name", OLD)
def test_old_files_are_refused(name, tmp_path):
    path = tmp_path / "old.pt"
    path.write_bytes(OLD[name].getvalue())
    for source in (io.BytesIO(OLD[name].getvalue()), str(path)):
        with pytest.raises(REFUSED) as raised:
            H.load(source)
        assert 10 < len(str(raised.value)) < 2000


SAFE = {
    "nothing": b"",
    "a length alone": struct.pack("<Q", 10),
    "an enormous header": struct.pack("<Q", 2**62) + b"{}",
    "a header of no text": struct.pack("<Q", 4) + b"\xff\xff\xff\xff",
    "a header of no object": struct.pack("<Q", 2) + b"[]",
    "overlapping": '{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},'
    '"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}',
    "a hole": '{"a":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}',
    "past the end": '{"a":{"dtype":"F32","shape":[99],"data_offsets":[0,396]}}',
    "backwards": '{"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}',
    "negative": '{"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}}',
    "more than its bytes": '{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}',
    "an overflow": '{"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]}}',
    "an unknown dtype": '{"a":{"dtype":"F31","shape":[2],"data_offsets":[0,8]}}',
    "a dtype that is not here": '{"a":{"dtype":"F8_E4M3","shape":[8],"data_offsets":[0,8]}}',
    "a deep header": '{"a":' * 100000,
    "a metadata of numbers": '{"__metadata__":{"a":[1]}}',
}


@pytest.mark.parametrize("name", SAFE)
def test_safetensors_are_refused(name, tmp_path):
    pytest.importorskip("safetensors")
    path = tmp_path / "x.safetensors"
    data = SAFE[name]
    if isinstance(data, str):
        data = struct.pack("<Q", len(data)) + data.encode() + bytes(12)
    path.write_bytes(data)
    with pytest.raises(REFUSED, match="safetensors|dtype"):
        H.load(str(path))


def test_safetensors_cut_short(tmp_path):
    pytest.importorskip("safetensors")
    path = tmp_path / "x.safetensors"
    H.save({"a": H.arange(5), "b": H.ones(2, 2)}, str(path))
    whole = path.read_bytes()
    for n in range(len(whole)):
        path.write_bytes(whole[:n])
        with pytest.raises(REFUSED):
            H.load(str(path))


@pytest.mark.skipif(sys.platform != "linux", reason="limits memory as Linux does")
def test_no_memory_no_code_no_file(tmp_path):
    """All of it again in a process with little memory, whose every opening, import and call of code is watched."""
    program = tmp_path / "watch.py"
    program.write_text(
        textwrap.dedent(
            """
            import io, resource, sys
            sys.path[:0] = PATHS
            import test_hostile_files as files
            from test_serialization import FOUR, REFUSED, zipped
            H = files.H

            def everything():
                for trusting in (False, True):
                    for name, pickled in files.PICKLES.items():
                        try: H.load(zipped(pickled, FOUR), weights_only=not trusting)
                        except REFUSED: pass
                        else: raise SystemExit(name)
                for name, f in files.OLD.items():
                    try: H.load(io.BytesIO(f.getvalue()))
                    except REFUSED: pass
                    else: raise SystemExit(name)
                files.test_records_over_each_other_take_no_memory()
                files.test_records_that_claim_too_much()

            everything()  # imports what it needs
            seen = []
            def watch(event, args):
                if event == "open" and (args[2] or 0) & 3 or event in (
                    "exec", "os.system", "subprocess.Popen", "socket.connect", "os.remove", "os.rename",
                    "os.mkdir", "shutil.rmtree", "os.exec", "os.fork", "ctypes.dlopen", "pickle.find_class"
                ):
                    seen.append((event, args))
            sys.addaudithook(watch)
            used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (used + (256 << 20),) * 2)
            modules = set(sys.modules)
            everything()
            assert set(sys.modules) == modules, set(sys.modules) - modules
            assert not seen, seen
            print("nothing happened")
            """
        ).replace("PATHS", repr([os.path.dirname(__file__), *filter(None, sys.path)]))
    )
    done = subprocess.run([sys.executable, str(program)], capture_output=True, text=True, timeout=300, cwd=tmp_path)
    assert done.stdout == "nothing happened\n", done.stdout + done.stderr
    assert sorted(p.name for p in tmp_path.iterdir() if p.name != "__pycache__") == ["watch.py"]


def test_the_whole_object_still_loads():
    assert H.load(saved(everything(H))).keys() == everything(H).keys()
