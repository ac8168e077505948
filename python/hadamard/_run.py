"""hadamard run: an unedited PyTorch script, with every import of torch answered by Hadamard."""

import builtins
import os
import sys
from importlib import import_module
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec

_PACKAGE = __name__.rpartition(".")[0]
_VERSION = sys.modules[_PACKAGE].__version__  # our own, which install() hides


def install() -> None:
    """Make `torch` and `torch.*` mean `hadamard` and `hadamard.*` in every import from now on.

    The modules are the same objects: sys.modules["torch"] is sys.modules["hadamard"]. RuntimeError where PyTorch itself
    has been imported already.
    """
    present = sys.modules.get("torch")
    if present is not None and present is not sys.modules[_PACKAGE]:
        raise RuntimeError("PyTorch is already imported: Hadamard can take its name only before that")
    if not any(isinstance(finder, _TorchIsHadamard) for finder in sys.meta_path):
        sys.meta_path.insert(0, _TorchIsHadamard())
        _say_version()
        for name, module in list(sys.modules.items()):
            if name.startswith(_PACKAGE + "."):
                _say_torch(module)
        if "multiprocessing.spawn" in sys.modules:
            _hand_down(sys.modules["multiprocessing.spawn"])


def _say_version() -> None:
    """Scripts ask for the version to know what there is: that is PyTorch's, of the version that is followed."""
    from .torch_version import FOLLOWED

    for module in (sys.modules[_PACKAGE], import_module(_PACKAGE + ".version")):
        module.__version__ = FOLLOWED  # type: ignore[attr-defined]


class _TorchIsHadamard:
    """Meta path finder, and loader of what it finds."""

    def find_spec(self, name, path=None, target=None):
        if name == "torch" or name.startswith("torch."):
            # None lets Python raise its own ModuleNotFoundError; the real torch is not found on hadamard.__path__.
            return ModuleSpec(name, self) if find_spec(_PACKAGE + name[5:]) else None
        if name.startswith(_PACKAGE + "."):
            spec = PathFinder.find_spec(name, path)
            if spec is not None:
                spec.loader = _Then(spec.loader, _say_torch)
            return spec
        if name == "multiprocessing.spawn":
            spec = PathFinder.find_spec(name, path)
            spec.loader = _Then(spec.loader, _hand_down)
            return spec
        return None

    def create_module(self, spec):
        module = import_module(_PACKAGE + spec.name[5:])
        spec.loader_state = module.__spec__
        return module

    def exec_module(self, module):
        # The import system has just written our spec into a module that has one.
        module.__spec__ = module.__spec__.loader_state


def _say_torch(module) -> None:
    """Let classes name themselves as in PyTorch: scripts print types, and look at where they come from."""
    for value in list(vars(module).values()):
        home = value.__module__ if isinstance(value, type) else None
        if isinstance(home, str) and home.startswith(_PACKAGE + "."):
            inner = home[len(_PACKAGE) + 1 :]
            if inner == "_C" or not inner.startswith(_OWN):
                value.__module__ = "torch." + inner


# What only Hadamard has goes on saying so.
_OWN = ("_", "array_api", "cli", "errors")


class _Then:
    """A loader that calls `after(module)` once the module is loaded."""

    def __init__(self, loader, after):
        self.loader, self.after = loader, after

    def __getattr__(self, name):
        return getattr(self.loader, name)

    def exec_module(self, module):
        self.loader.exec_module(module)
        self.after(module)


class _Install:
    """Unpickles by installing the hook."""

    def __reduce__(self):
        return install, ()


def _hand_down(spawn) -> None:
    """Give the hook to processes that start afresh (spawn, forkserver), before they import the script."""
    prepare = spawn.get_preparation_data

    def get_preparation_data(name):
        # The child unpickles this dict before it acts on it, and ignores keys that it does not know.
        return {"torch is hadamard": _Install(), **prepare(name)}

    spawn.get_preparation_data = get_preparation_data
    if sys.platform != "win32":
        # The fork server would import the script itself at its start, which is before it unpickles anything.
        from multiprocessing import set_forkserver_preload

        set_forkserver_preload([_PACKAGE])


def run_script(path: str, args: list) -> None:
    """Run a file as `python path args…` does. The process ends as it would there; with code 2 if there is no file."""
    try:
        with open(path, "rb") as file:
            source = file.read()
    except OSError as error:
        raise SystemExit(_refuse(path, error)) from None
    full = os.path.abspath(path)
    _run(
        lambda: compile(source, full, "exec", dont_inherit=True),
        path,
        args,
        os.path.dirname(os.path.realpath(path)),
        full,
    )


def run_module(name: str, args: list) -> None:
    """Run a module, or a package's __main__, as `python -m name args…` does."""
    here = os.getcwd()
    sys.path[0] = here
    install()
    try:
        spec = find_spec(name)
        if spec is not None and spec.submodule_search_locations is not None:
            spec = find_spec(name + ".__main__")
    except ModuleNotFoundError:
        spec = None
    get_code = getattr(spec and spec.loader, "get_code", None)
    if spec is None or spec.origin is None or get_code is None:
        sys.stderr.write(f"hadamard run: no module named {name!r} that can be run, in {here} or installed\n")
        raise SystemExit(2)
    _run(lambda: get_code(spec.name), spec.origin, args, here, spec.origin, spec)


def _refuse(path, error) -> int:
    reason = error.strerror
    if isinstance(error, FileNotFoundError):
        reason = f"there is no such file (looked in {os.path.dirname(os.path.abspath(path))})"
        if not path.endswith(".py") and os.path.sep not in path:
            reason += f"; for a module: hadamard run -m {path}"
    sys.stderr.write(f"hadamard run: {path}: {reason}\n")
    return 2


def _run(get_code, argv0, args, directory, file, spec=None) -> None:
    main = type(sys)("__main__")
    main.__dict__.update(
        __file__=file,
        __spec__=spec,
        __package__=spec.parent if spec else None,
        __builtins__=builtins,
    )
    sys.modules["__main__"] = main
    sys.argv[:] = [argv0, *args]
    if not getattr(sys.flags, "safe_path", False):
        sys.path[0] = directory
    install()
    try:
        code = get_code()
    except (SyntaxError, ValueError) as error:  # ValueError: a null byte in the source
        error.__traceback__ = None
        sys.excepthook(type(error), error, None)
        raise SystemExit(1) from None
    try:
        exec(code, main.__dict__)
    except (Exception, KeyboardInterrupt) as error:
        # The first frame is this one, the next is the script's.
        error.__traceback__ = error.__traceback__ and error.__traceback__.tb_next
        missing = _missing_name(error)
        if isinstance(error, (AttributeError, ImportError)) and len(error.args) == 1:
            # Modules have our names for themselves, and Python says them.
            said = str(error.args[0]).replace(f"'{_PACKAGE}.", "'torch.").replace(f"'{_PACKAGE}'", "'torch'")
            error.args = (said,)
            if isinstance(error, ImportError):
                error.msg = said
        sys.excepthook(type(error), error, error.__traceback__)
        if missing:
            sys.stderr.write(f"\n{missing}\n")
        raise SystemExit(130 if isinstance(error, KeyboardInterrupt) else 1) from None


def _missing_name(error) -> str:
    """One line on the torch name that Hadamard lacks and the line that asked for it, if that is what went wrong."""
    name = _torch_name(error)
    if name is None:
        return ""
    where = ""
    ours = os.path.dirname(__file__)
    traceback = error.__traceback__
    while traceback is not None:
        file = traceback.tb_frame.f_code.co_filename
        if not file.startswith((ours, "<frozen importlib")):
            where = f", asked for in {os.path.relpath(file)}, line {traceback.tb_lineno},"
        traceback = traceback.tb_next
    return f"{name}{where} is not in Hadamard {_VERSION}."


def _torch_name(error):
    if isinstance(error, ModuleNotFoundError):
        return error.name if error.name and error.name.startswith("torch.") else None
    if isinstance(error, ImportError):
        # Python 3.10 and 3.11 keep the missing name only in the text: cannot import name 'X' from 'module' (file).
        words = str(error).split("'")
        module = error.name or ""
        ours = module == _PACKAGE or module.startswith(_PACKAGE + ".")
        return f"torch{module[len(_PACKAGE) :]}.{words[1]}" if ours and len(words) > 3 else None
    if isinstance(error, AttributeError) and error.name:
        owner = error.obj
        if isinstance(owner, type(sys)):
            owner = owner.__name__
        else:
            kind = owner if isinstance(owner, type) else type(owner)
            parts = f"{kind.__module__}.{kind.__qualname__}".split(".")
            owner = ".".join(part for part in parts if not part.startswith("_"))
        root, dot, rest = owner.partition(".")
        if root in (_PACKAGE, "torch"):
            return f"torch{dot}{rest}.{error.name}"
    return None
