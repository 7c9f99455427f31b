"""The one direction of imports: pipeline -> tasks -> models | data; no luigi below tasks; torch late."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ALLOWED = {
    "data": {"data"},
    "models": {"models"},
    "tasks": {"tasks", "models", "data"},
    "pipeline": {"pipeline", "tasks", "models", "data"},
}
FILES = [path for room in ALLOWED for path in sorted((ROOT / room).rglob("*.py"))]


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names.add(node.module)
    return names


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_imports_run_one_way(path):
    room = path.relative_to(ROOT).parts[0]
    heads = {name.split(".")[0] for name in imported(path)}
    assert heads & ALLOWED.keys() <= ALLOWED[room]
    if room in ("data", "models"):
        assert "luigi" not in heads
    if room == "data":
        assert "torch" not in heads


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_files_do_one_thing_and_hold_no_pickle(path):
    assert len(path.read_text().splitlines()) <= 400
    if path.name != "rank_exchange.py":  # its files are for processes of this user, as are the messages of Dask
        assert not {"pickle", "dill", "joblib"} & imported(path)


def test_help_is_quick_for_torch_is_not_loaded():
    code = "import sys, pipeline; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_file_of_data_and_models_has_its_test():
    tests = {path.name for path in (ROOT / "tests").rglob("test_*.py")}
    missing = [p for p in FILES if p.relative_to(ROOT).parts[0] in ("data", "models") and p.name != "__init__.py"]
    assert [p.name for p in missing if f"test_{p.name}" not in tests] == []


def arrows() -> dict[str, set[str]]:
    """Module -> the modules of this project that it imports, in functions, too; type checking alone does not count."""
    names = {path: path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".") for path in FILES}
    modules = {name.removesuffix(".__init__") for name in names.values()}
    found = {}
    for path, name in names.items():
        tree = ast.parse(path.read_text())
        for node in ast.walk(tree):
            if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
                node.body = []
        wanted = set()
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                wanted |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                inside = {f"{node.module}.{alias.name}" for alias in node.names}
                wanted |= (inside & modules) or {node.module}
        own = name.removesuffix(".__init__")
        found[own] = (wanted & modules) - {own}
    return found


def test_no_file_imports_itself_by_a_detour():
    """Circles hide which file knows what; the test follows the arrows from each file and must not come back."""
    graph = arrows()

    def reachable(start):
        seen, waiting = set(), list(graph[start])
        while waiting:
            module = waiting.pop()
            if module not in seen:
                seen.add(module)
                waiting += graph[module]
        return seen

    assert [module for module in graph if module in reachable(module)] == []


def test_the_four_rooms_are_regular_packages_with_types():
    for room in ALLOWED:
        assert (ROOT / room / "__init__.py").exists()
        assert (ROOT / room / "py.typed").exists()
    packages = {path.parent.relative_to(ROOT).as_posix().replace("/", ".") for path in FILES}
    listed = (ROOT / "setup.cfg").read_text().split("packages =\n")[1].split("\ninstall_requires")[0].split()
    assert set(listed) == packages
