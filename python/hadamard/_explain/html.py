"""An explanation in a notebook or a browser: the picture, and the words below it."""

from html import escape

from .text import render


def fragment(e) -> str:
    """HTML for a notebook's cell."""
    body = escape("\n".join(render(e, color=False).splitlines()[1:]).strip("\n"))
    words = (
        f"<pre style='margin:8px 0 0;padding:10px 12px;background:#f6f8fa;color:#1f2933;border-radius:8px;"
        f"line-height:1.35;font-size:12.5px;overflow-x:auto'>{body}</pre>"
    )
    if not e.fits or e.alignment is None:
        return f"<div>{_pre(e)}</div>"
    return f"<div style='max-width:100%;overflow-x:auto'>{e.svg()}{words}</div>"


def _pre(e):
    return (
        f"<pre style='padding:10px 12px;background:#f6f8fa;color:#1f2933;border-radius:8px;line-height:1.35;"
        f"font-size:12.5px;overflow-x:auto'>{escape(render(e, color=False))}</pre>"
    )


def page(e, title) -> str:
    """A whole document."""
    return (
        f"<!doctype html>\n<html lang='en'><head><meta charset='utf-8'><title>{escape(title)}</title></head>"
        f"<body style='margin:24px;font-family:system-ui,sans-serif;background:#fff'>{fragment(e)}</body></html>\n"
    )


def plot(e, file=None):
    """Show the picture: in a browser, or written to `file`."""
    from pathlib import Path

    from .text import heading

    if file is None:
        import tempfile
        import webbrowser

        with tempfile.NamedTemporaryFile("w", suffix=".html", delete=False, encoding="utf-8") as made:
            made.write(page(e, heading(e)))
        webbrowser.open(Path(made.name).as_uri())
        return made.name
    path = Path(file)
    if path.suffix not in (".svg", ".html"):
        raise ValueError(f"plot() writes .svg and .html, not {path.name!r}")
    path.write_text(e.svg() if path.suffix == ".svg" else page(e, heading(e)), encoding="utf-8")
    return str(path)
