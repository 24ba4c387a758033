"""The rules of the house: who may import whom, what stays out of the root, and how large a thing may be."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from statistics import median

PACKAGE = Path(__file__).parents[1] / "aspool"
FACE = "aspool"
# The hosts put siblings together; everybody else knows the root and itself.
HOSTS = {
    "cli": {"supervisor", "worker", "spools", "net", "observe", "compat"},
    "supervisor": {"worker", "spools", "net", "observe", "compat"},
    "asgi": {"worker"},
    "testing": {"worker", "spools"},
}
LARGEST_FILE, LARGEST_FUNCTION = 400, 40
FORBIDDEN_NAMES = {"utils", "util", "common", "helpers", "helper", "base", "manager", "types", "misc"}
# What opens a file, a socket or a process; reading the clock and the names of installed engines is no such thing.
OPENING_MODULES = {"aiofiles", "anyio", "fcntl", "glob", "shutil", "socket", "sqlite3", "subprocess", "tempfile"}
ALLOWED = {"anyio.from_thread"}  # a thread with an event loop is no file
OPENING = re.compile(
    r"open|io\.open|os\.(open|popen|mkdir|makedirs|unlink|rename|link|scandir|listdir|stat|system|fork)|.*\.(read|write)_(text|bytes)"
)

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Import:
    source: str  # a module of the package
    target: str  # a module of the package
    line: int
    for_types: bool  # under TYPE_CHECKING

    def __str__(self) -> str:
        return f"{self.source}:{self.line} imports {self.target}"


@cache
def modules() -> dict[str, Path]:
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@cache
def tree(module: str) -> ast.Module:
    return ast.parse(modules()[module].read_text())


def folder(module: str) -> str:
    """The folder of a module, "" for one of the root."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and (PACKAGE / parts[1]).is_dir() else ""


@cache
def type_checking_lines(module: str) -> set[int]:
    ifs = (node for node in ast.walk(tree(module)) if isinstance(node, ast.If))
    blocks = [node for node in ifs if "TYPE_CHECKING" in ast.unparse(node.test)]
    return {line for block in blocks for line in range(block.lineno, (block.end_lineno or block.lineno) + 1)}


def targets(module: str, node: ast.AST) -> Iterator[str]:
    """The modules of the package that an import statement loads."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names if alias.name.split(".")[0] == FACE)
    elif isinstance(node, ast.ImportFrom):
        base = node.module or ""
        if node.level:
            parts = module.split(".") if modules()[module].name == "__init__.py" else module.split(".")[:-1]
            above = parts[: len(parts) - node.level + 1]
            base = ".".join([*above, base] if base else above)
        if base.split(".")[0] == FACE:
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                yield inner if inner in modules() else base


@cache
def imports() -> tuple[Import, ...]:
    """Every import of the package by itself, also inside functions and under TYPE_CHECKING."""
    return tuple(
        Import(module, target, node.lineno, node.lineno in type_checking_lines(module))
        for module in modules()
        for node in ast.walk(tree(module))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for target in targets(module, node)
    )


def functions() -> Iterator[tuple[str, Function]]:
    for module in modules():
        for node in ast.walk(tree(module)):
            if isinstance(node, Function):
                yield module, node


def length(function: Function) -> int:
    """Lines of a function: of its signature and its code, without the docstring."""
    lines = (function.end_lineno or function.lineno) - function.lineno + 1
    first = function.body[0]
    if ast.get_docstring(function) is not None:
        lines -= (first.end_lineno or first.lineno) - first.lineno + 1
    return lines


# --- imports ---------------------------------------------------------------------------------------------


def test_the_imports_are_found() -> None:
    found = {(each.source, each.target) for each in imports()}
    assert ("aspool.task", "aspool.arguments") in found
    assert ("aspool.spools.directory.content", "aspool.wire") in found  # from ... import wire
    assert ("aspool.worker.execution", "aspool.worker.decisions") in found  # from . import decisions
    assert ("aspool", "aspool.spools.memory") in found  # under TYPE_CHECKING
    assert len(found) > 100


def test_a_root_file_imports_no_folder() -> None:
    assert [
        str(each)
        for each in imports()
        if not folder(each.source) and folder(each.target) and not (each.source == FACE and each.for_types)
    ] == []


def test_a_folder_imports_the_root_and_itself() -> None:
    assert [
        str(each)
        for each in imports()
        if folder(each.source)
        and folder(each.target) not in {"", folder(each.source)} | HOSTS.get(folder(each.source), set())
    ] == []


def test_nothing_inside_imports_the_face() -> None:
    assert [str(each) for each in imports() if each.target == FACE] == []


def loop_in(graph: dict[str, set[str]]) -> list[str]:
    """The modules of one loop, each of which imports the next."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(reversed(error.args[1]))
    return []


def test_a_loop_would_be_found() -> None:
    assert sorted(set(loop_in({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}))) == ["a", "b", "c"]


def test_there_is_no_import_loop() -> None:
    graph: dict[str, set[str]] = {module: set() for module in modules()}
    for each in imports():
        if each.source != each.target:
            graph[each.source].add(each.target)
    assert loop_in(graph) == []


def test_only_the_command_line_reads_the_environment() -> None:
    assert [
        f"{module}:{node.lineno}"
        for module in modules()
        if folder(module) != "cli"
        for node in ast.walk(tree(module))
        if isinstance(node, ast.Attribute) and ast.unparse(node) in ("os.environ", "os.getenv", "sys.argv")
    ] == []


# --- the root --------------------------------------------------------------------------------------------


def test_a_root_file_opens_nothing() -> None:
    nodes = [(module, node) for module in modules() if not folder(module) for node in ast.walk(tree(module))]
    calls = [
        f"{module}:{node.lineno} {ast.unparse(node.func)}"
        for module, node in nodes
        if isinstance(node, ast.Call) and OPENING.fullmatch(ast.unparse(node.func))
    ]
    loaded = [
        f"{module}:{node.lineno} {ast.unparse(node)}"
        for module, node in nodes
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""])
        if name.split(".")[0] in OPENING_MODULES and name not in ALLOWED
    ]
    assert calls + loaded == []


# --- sizes and names -------------------------------------------------------------------------------------


def test_no_module_is_called_after_nothing() -> None:
    assert [module for module in modules() if FORBIDDEN_NAMES & set(module.split("."))] == []
    assert "aspool.spool" not in modules()  # it would lie over the function


def test_every_module_says_what_it_is() -> None:
    assert [module for module in modules() if not ast.get_docstring(tree(module))] == []


def test_files_stay_small() -> None:
    sizes = {module: len(path.read_text().splitlines()) for module, path in modules().items()}
    assert {module: size for module, size in sizes.items() if size > LARGEST_FILE} == {}


def test_functions_stay_small() -> None:
    assert {
        f"{module}:{node.lineno} {node.name}": length(node)
        for module, node in functions()
        if length(node) > LARGEST_FUNCTION
    } == {}
    assert median(length(node) for _, node in functions()) < 10
