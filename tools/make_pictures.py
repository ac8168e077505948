"""Make the pictures and the outputs of docs/products.md: python tools/make_pictures.py [--check].

The page's examples run in order. What they print replaces what stands below them; each picture and block of text is
that of the `e` above it. With --check nothing is written; the exit status tells whether anything would change.
"""

import contextlib
import io
import linecache
import re
import sys
import traceback
from pathlib import Path

DOCS = Path(__file__).resolve().parent.parent / "docs"
BLOCK = re.compile(r"```(python|text)\n(.*?)```|!\[[^\]]*\]\((pictures/\w+\.svg)\)", re.DOTALL)


def output(source, names):
    """What a Python prompt shows for the source."""
    out = io.StringIO()
    # Errors quote the line that they come from.
    linecache.cache["<example>"] = (len(source), None, source.splitlines(keepends=True), "<example>")
    try:
        with contextlib.redirect_stdout(out):
            exec(compile(source, "<example>", "single"), names)
    except Exception as error:
        lines = "".join(traceback.format_exception_only(error))
        return "Traceback (most recent call last):\n" + lines
    return out.getvalue()


def examples(block):
    """The statements of a block of prompts, each with its lines as they are written."""
    statement: list = []
    for line in block.splitlines():
        if line.startswith(">>> "):
            if statement:
                yield statement
            statement = [line]
        elif line.startswith("... ") or line == "...":
            statement.append(line)
    if statement:
        yield statement


def redone(block, names):
    """The block with today's outputs."""
    lines = []
    for statement in examples(block):
        said = output("\n".join(line[4:] for line in statement) + "\n", names)
        said = re.sub(r"^<example>:", "<...>:", said, flags=re.MULTILINE)
        lines += statement + ["<BLANKLINE>" if not line else line.rstrip() for line in said.splitlines()]
    return "\n".join(lines) + "\n"


def remake(page):
    """(the page's new text, {picture: SVG}) of a page's text."""
    names = {"__name__": "__main__"}
    pictures = {}

    def one(match):
        if match[3]:
            pictures[match[3]] = names["e"].svg() + "\n"
            return match[0]
        if match[1] == "text":
            return f"```text\n{names['e'].text(times=False)}\n```"
        return f"```python\n{redone(match[2], names)}```"

    return BLOCK.sub(one, page), pictures


def main() -> int:
    """Write what has changed, or with --check say so."""
    page = DOCS / "products.md"
    text, pictures = remake(page.read_text())
    wanted = {page: text, **{DOCS / name: svg for name, svg in pictures.items()}}
    changed = [path for path, new in wanted.items() if not path.exists() or path.read_text() != new]
    if "--check" not in sys.argv:
        for path in changed:
            path.parent.mkdir(exist_ok=True)
            path.write_text(wanted[path])
    for path in changed:
        print(path.relative_to(DOCS.parent))
    return int(bool(changed) and "--check" in sys.argv)


if __name__ == "__main__":
    sys.exit(main())
