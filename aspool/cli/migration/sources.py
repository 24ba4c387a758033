"""Python sources -> which names of the modules of uWSGI they use, and where. Nothing is imported or run."""

import ast
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.machinery import PathFinder

from ..failures import Misuse

MODULES = ("uwsgi", "uwsgidecorators", "uwsgi_tasks", "uwsgiconf")
_SKIPPED = ("__pycache__", "node_modules", "site-packages")


@dataclass(frozen=True, slots=True)
class Use:
    """A name of a module, "*" for all of it and "" for the module itself; `where` is file and line."""

    module: str
    name: str
    where: str


def files_of(target: str) -> list[str]:
    """The sources of a directory, a file, or a module by its name, of which a package has many. Raises Misuse."""
    if os.path.isdir(target):
        return sorted(_below(target))
    if os.path.isfile(target):
        return [target]
    if not all(part.isidentifier() for part in target.split(".")):
        raise Misuse(f"{target} is neither a file nor a directory, nor the name of a module")
    return _of_module(target)


def _below(directory: str) -> Iterator[str]:
    for path, directories, files in os.walk(directory):
        directories[:] = [
            name for name in directories
            if not name.startswith(".") and name not in _SKIPPED
            and not os.path.exists(os.path.join(path, name, "pyvenv.cfg"))
        ]  # fmt: skip
        yield from (os.path.relpath(os.path.join(path, name)) for name in files if name.endswith(".py"))


def _of_module(name: str) -> list[str]:
    """Found as an import would find it, but without importing the packages that it lies in."""
    path: list[str] | None = [os.getcwd(), *sys.path]
    origin = None
    parts = name.split(".")
    for number in range(len(parts)):
        spec = PathFinder.find_spec(".".join(parts[: number + 1]), path)
        if spec is None:
            raise Misuse(f"there is no module {name} in {os.getcwd()} or among the installed ones")
        origin, path = spec.origin, list(spec.submodule_search_locations or ()) or None
    if path is not None:
        return sorted(found for directory in path for found in _below(directory))
    if origin is None or not origin.endswith(".py"):
        raise Misuse(f"the module {name} has no source to look at")
    return [os.path.relpath(origin)]


def uses_in(path: str) -> list[Use]:
    """What one source uses. Raises SyntaxError for what is no Python 3, and OSError."""
    with open(path, "rb") as file:
        text = file.read()
    try:
        tree = ast.parse(text, path)
    except ValueError as error:  # a byte 0
        raise SyntaxError(str(error)) from None
    finder = _Finder(path)
    finder.visit(tree)
    return finder.uses


class _Finder(ast.NodeVisitor):
    def __init__(self, path: str) -> None:
        self.uses: list[Use] = []
        self._path = path
        self._names: dict[str, str] = {}  # what a module is called here

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            module = alias.name.split(".")[0]
            if module in MODULES:
                if alias.asname is None or module == alias.name:  # else it is the name of an inner module
                    self._names[alias.asname or module] = module
                self._met(module, "", node)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        module, _, inner = (node.module or "").partition(".")
        if not node.level and module in MODULES:
            for alias in node.names:
                self._met(module, f"{inner}.{alias.name}" if inner else alias.name, node)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if isinstance(node.value, ast.Name) and node.value.id in self._names:
            self._met(self._names[node.value.id], node.attr, node)
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        """getattr(uwsgi, "name"), as programs do that run without uWSGI too."""
        match node:
            case ast.Call(
                func=ast.Name(id="getattr" | "hasattr" | "setattr"),
                args=[ast.Name(id=given), ast.Constant(str(name)), *_],
            ) if given in self._names:
                self._met(self._names[given], name, node)
        self.generic_visit(node)

    def _met(self, module: str, name: str, node: ast.stmt | ast.expr) -> None:
        self.uses.append(Use(module, name, f"{self._path}:{node.lineno}"))
