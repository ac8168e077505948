"""Every Python example in the README, docs/ and public docstrings runs; quoted source is what the source says."""

import doctest
import importlib
import os
import pkgutil
import re
import shutil
import subprocess
import sys
import types
from math import sqrt
from pathlib import Path

import pytest
from harness import OURS, H

pytestmark = pytest.mark.skipif(not OURS, reason="the documentation is Hadamard's")
ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]) if (ROOT / "README.md").exists() else []
FENCE = re.compile(r"^```(\w+) *(.*)\n((?:.*\n)*?)```$", re.MULTILINE)
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def blocks(page, language):
    """(line number, the words after the language, text) of every fenced block of a language."""
    text = page.read_text()
    for match in FENCE.finditer(text):
        if match[1] == language:
            yield text.count("\n", 0, match.start()) + 1, match[2].strip(), match[3]


def run_doctest(text, names, where, line=0):
    test = doctest.DocTestParser().get_doctest(text, names, where, where, line)
    said = []
    doctest.DocTestRunner(optionflags=FLAGS, verbose=False).run(test, out=said.append, clear_globs=False)
    names.update(test.globs)
    assert not said, "".join(said)


@pytest.fixture(autouse=True)
def printing():
    yield
    H.set_printoptions(profile="default")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_page(page, tmp_path, monkeypatch):
    """The blocks of a page run in order and see each other's names."""
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "__main__"}
    for line, marked, text in blocks(page, "python"):
        if marked:
            continue  # quoted source, or for a build with the page's changes
        where = f"{page.name}:{line}"
        if ">>> " in text:
            run_doctest(text, names, where, line)
        else:
            exec(compile("\n" * line + text, page, "exec"), names)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_quoted_source(page):
    """A block marked ```cpp src/file.h stands in that file, but for white space and … for what is left out."""
    for line, file, text in [*blocks(page, "cpp"), *blocks(page, "python")]:
        if "/" not in file:
            continue
        source = " ".join((ROOT / file).read_text().split())
        place = 0
        for piece in text.split("…"):
            piece = " ".join(piece.split())
            place = source.find(piece, place)
            assert place >= 0, f"{page.name}:{line}: {file} does not say: {piece}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_files(page):
    """Relative links lead somewhere, and so do the files named in `code` of the tour."""
    text = page.read_text()
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text):
        if "://" not in target:
            assert (page.parent / target).exists(), target
    for name in re.findall(r"`((?:src|python|tests|docs|examples)/[\w./]+)`", text):
        assert (ROOT / name).exists(), name


def documented():
    """(name, docstring, the names of its module) of everything public that has an example."""
    if not OURS:
        return
    seen = set()

    def ours(thing):
        module = getattr(thing, "__module__", None)
        return not isinstance(module, str) or module.partition(".")[0] in ("hadamard", "torch")

    def look(name, thing, names):
        text = getattr(thing, "__doc__", None)
        if isinstance(text, str) and ">>> " in text and (text not in seen):
            seen.add(text)
            yield name, text, names
        if isinstance(thing, type) and ours(thing):
            for key, value in vars(thing).items():
                if not key.startswith("_"):
                    yield from look(f"{name}.{key}", getattr(value, "__func__", value), names)

    modules = [H]
    for found in pkgutil.walk_packages(H.__path__, "hadamard."):
        if not found.name.endswith(("__main__", "._C")):
            modules.append(importlib.import_module(found.name))
    for module in modules:
        yield from look(module.__name__, module, vars(module))
        for key in sorted(set(vars(module)) | set(dir(module))):
            thing = getattr(module, key, None)
            if not key.startswith("_") and ours(thing) and not isinstance(thing, types.ModuleType):
                home = sys.modules.get(getattr(thing, "__module__", None) or "", module)
                yield from look(f"{module.__name__}.{key}", thing, vars(home))


@pytest.mark.parametrize("text, names", [pytest.param(*rest, id=name) for name, *rest in documented()])
def test_docstring(text, names, request, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run_doctest(text, {**names, "H": H, "F": H.nn.functional, "nn": H.nn}, request.node.name)


def apply(diff, root):
    """Apply a diff without line numbers: the lines of each hunk are found by what they say."""
    for part in re.split(r"^--- a/.*\n", diff, flags=re.MULTILINE)[1:]:
        name, *hunks = re.split(r"^@@.*\n", part, flags=re.MULTILINE)
        file = root / name.strip().removeprefix("+++ b/")
        text = file.read_text()
        for hunk in hunks:
            lines = hunk.splitlines(keepends=True)
            before = "".join(line[1:] for line in lines if line[0] in " -")
            after = "".join(line[1:] for line in lines if line[0] in " +")
            assert text.count(before) == 1, f"{name.strip()} does not have, once:\n{before}"
            text = text.replace(before, after)
        file.write_text(text)


@pytest.fixture
def changed_source(tmp_path):
    """A copy of the source with the changes of adding_an_op.md, and the page."""
    page = ROOT / "docs" / "adding_an_op.md"
    if not page.exists():
        pytest.skip("needs the source tree")
    for name in ("src", "python", "CMakeLists.txt"):
        (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(ROOT / name, tmp_path / name)
    ((_, _, diff),) = blocks(page, "diff")
    apply(diff, tmp_path)
    return tmp_path, page


def test_adding_an_op(changed_source):
    """The page's formula and derivative, compiled as a kernel compiles them, give the page's numbers."""
    root, _ = changed_source
    compiler = shutil.which(os.environ.get("CXX", "c++"))
    if not compiler:
        pytest.skip("needs a C++ compiler")
    program, source = root / "new_op", ROOT / "tests" / "native" / "new_op.cpp"
    flags = ["-std=c++20", "-O1", "-fno-math-errno", "-Wno-psabi", "-DLEVEL=here", f"-I{root / 'src'}"]
    subprocess.run([compiler, *flags, source, "-o", program], check=True)
    points = [-1000.0, -3.0, -0.5, 0.0, 3.0, 1e5]
    said = subprocess.run([program], input=" ".join(map(str, points)), capture_output=True, text=True, check=True)
    for a, line in zip(points, said.stdout.splitlines(), strict=True):
        root_term = sqrt(a * a + 4)
        assert [float(n) for n in line.split()] == pytest.approx(
            [(a + root_term) / 2, (1 + a / root_term) / 2], rel=1e-9, abs=1e-12
        )


@pytest.mark.skipif(not os.environ.get("HADAMARD_TEST_BUILD"), reason="builds everything: HADAMARD_TEST_BUILD=1")
def test_adding_an_op_whole(changed_source):
    """The whole library, built with the page's changes, does what the page says."""
    root, page = changed_source
    options = ["-DCMAKE_BUILD_TYPE=Release", f"-DPython_EXECUTABLE={sys.executable}"]
    subprocess.run(["cmake", "-S", root, "-B", root / "build", *options], check=True)
    subprocess.run(["cmake", "--build", root / "build", "--parallel"], check=True)
    examples = root / "examples.txt"
    examples.write_text("".join(text for _, marked, text in blocks(page, "python") if marked == "after"))
    command = [sys.executable, "-c", "import doctest, hadamard, sys\n"]
    command[2] += f"sys.exit(doctest.testfile({str(examples)!r}, False, globs={{'torch': hadamard}}).failed)"
    env = {**os.environ, "PYTHONPATH": str(root / "python")}
    done = subprocess.run(command, env=env, cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
