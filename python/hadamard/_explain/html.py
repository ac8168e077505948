"""An explanation in a notebook or a browser: the picture, and the words below it."""

from html import escape

from .text import render


def fragment(e) -> str:
    """HTML for a notebook's cell."""
    if not e.fits or e.alignment is None:
        return f"<div>{boxed(render(e, color=False))}</div>"
    words = boxed(render(e, color=False).partition("\n\n")[2].strip("\n"))  # without the title, which the picture has
    return f"<div style='max-width:100%;overflow-x:auto'>{e.svg()}{words}</div>"


def boxed(words) -> str:
    """Text as it is, in the box that code has."""
    return (
        f"<pre style='margin:8px 0 0;padding:10px 12px;background:#f6f8fa;color:#1f2933;border-radius:8px;"
        f"line-height:1.35;font-size:12.5px;overflow-x:auto'>{escape(words)}</pre>"
    )


def page(body, title) -> str:
    """A whole document around a fragment."""
    return (
        f"<!doctype html>\n<html lang='en'><head><meta charset='utf-8'><title>{escape(title)}</title></head>"
        f"<body style='margin:24px;font-family:system-ui,sans-serif;background:#fff'>{body}</body></html>\n"
    )


def write(body, title, file=None) -> str:
    """Show a fragment in a browser, or write it to an .html file; the file's name."""
    from pathlib import Path

    if file is None:
        import tempfile
        import webbrowser

        with tempfile.NamedTemporaryFile("w", suffix=".html", delete=False, encoding="utf-8") as made:
            made.write(page(body, title))
        webbrowser.open(Path(made.name).as_uri())
        return made.name
    if Path(file).suffix != ".html":
        raise ValueError(f"plot() writes .html and, for a single product, .svg, not {Path(file).name!r}")
    Path(file).write_text(page(body, title), encoding="utf-8")
    return str(file)


def plot(e, file=None) -> str:
    """Show an explanation in a browser, or write it to an .svg or .html file."""
    from pathlib import Path

    from .text import heading

    if file is not None and Path(file).suffix == ".svg":
        Path(file).write_text(e.svg(), encoding="utf-8")
        return str(file)
    return write(fragment(e), heading(e), file)
