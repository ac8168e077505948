"""The catalogue: which page explains an error, and the facts that a page is given."""

from . import source
from .mends import tries
from .text import Arg, table

PAGES: dict = {}
_SIGNS: list = []  # (words of the first line, kind)
FLOATS = ("float16", "bfloat16", "float32", "float64")


def page(kind, *signs):
    """Marks the function that explains errors of a kind, and those whose first line has one of the words."""

    def add(function):
        PAGES[kind] = function
        _SIGNS.extend((words, kind) for words in signs)
        return function

    return add


class Facts:
    """What a page knows: kind, op, line, dim, args as they arrived, and the user's frame."""

    def __init__(self, facts, caller=None):
        self.raw = facts
        self.kind = facts.get("kind") or ""
        self.op = facts.get("op") or ""
        self.line = facts.get("line") or ""
        self.dim = facts.get("dim", -1)
        self.args = [Arg(*arg) for arg in facts.get("args") or ()]
        for arg in self.args:
            alone = len(self.args) == 1 and arg.name == "input"
            if (alone or arg.name == "self") and "self" not in self.line:
                arg.name = "x"  # the tensor of a method
        self.caller = caller
        self.frame = source.user_frame(caller) if caller is not None else None
        self.module = None

    def tries(self, args, *mends, limit=3, want=None):
        """The mends that run, as lines; they become facts too."""
        lines, found = tries(args, *mends, limit=limit, want=want)
        self.raw.setdefault("mends", []).extend(found)
        return lines

    def locate(self):
        """How the user's line spells the arguments, and where in a model it is: [] or one line."""
        if self.frame is None:
            return []
        self.raw["at"] = (self.frame.f_code.co_filename, self.frame.f_lineno)
        try:
            source.name_arguments(self.args, self.frame, direct=self.frame is self.caller)
        except Exception:
            pass
        try:
            path, self.module = source.module_path()
        except Exception:
            path = ""
        if not path:
            return []
        self.raw["module"] = path
        return [f"in {path}"]


def lines(facts, caller=None):
    """The lines of the page for these facts."""
    from . import gradients, products, training, values  # noqa: F401  (they fill the catalogue)

    f = Facts(facts, caller)
    kind = next((kind for words, kind in _SIGNS if words in f.line), f.kind)
    where = f.locate()
    found = PAGES[kind](f) if kind in PAGES else table(f.args)
    return where + found
