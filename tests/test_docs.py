"""Every Python example in the README, docs/ and public docstrings runs; quoted source is what the source says."""

import doctest
import importlib
import pkgutil
import re
import types
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
    for line, _, text in blocks(page, "python"):
        where = f"{page.name}:{line}"
        if ">>> " in text:
            run_doctest(text, names, where, line)
        else:
            exec(compile("\n" * line + text, page, "exec"), names)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_quoted_source(page):
    """A block marked ```cpp src/file.h stands in that file, but for white space and … for what is left out."""
    for line, file, text in blocks(page, "cpp"):
        if not file:
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
    """(name, docstring) of everything public that has an example."""
    if not OURS:
        return
    seen = set()

    def look(name, thing):
        text = getattr(thing, "__doc__", None)
        if isinstance(text, str) and ">>> " in text and (text not in seen):
            seen.add(text)
            yield name, text
        if isinstance(thing, type) and (thing.__module__ or "").startswith("hadamard"):
            for key, value in vars(thing).items():
                if not key.startswith("_"):
                    yield from look(f"{name}.{key}", getattr(value, "__func__", value))

    modules = [H]
    for found in pkgutil.walk_packages(H.__path__, "hadamard."):
        if not found.name.endswith(("__main__", "._C")):
            modules.append(importlib.import_module(found.name))
    for module in modules:
        yield from look(module.__name__, module)
        for key in sorted(set(vars(module)) | set(dir(module))):
            thing = getattr(module, key, None)
            ours = (getattr(thing, "__module__", None) or "hadamard").startswith("hadamard")
            if not key.startswith("_") and ours and not isinstance(thing, types.ModuleType):
                yield from look(f"{module.__name__}.{key}", thing)


@pytest.mark.parametrize("name, text", documented(), ids=lambda value: value if "\n" not in value else "")
def test_docstring(name, text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run_doctest(text, {}, name)
