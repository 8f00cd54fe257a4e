"""Imports go one way: a module imports from its own layer and those before it, never from later ones."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

LAYERS = [
    "protocol",
    "liveserver.core",
    "liveserver.native",
    "liveserver.valkey",
    "liveserver.stock",
    "liveserver.orders",
    "liveserver.store",
    "liveserver.commands",
    "liveserver.edge",
    "liveserver.hub",
    "liveserver.config",
    "liveserver.app",
    "liveserver.workers",
    "liveserver.cli",
]
ONLY_PROTOCOL = ["loadtest"]  # an audience that trusts nothing the server says of itself
# The benchmark measures the shipped adapter and hub, so it has to run them. It judges nothing: neither the
# audience nor the verdict may import it, or the server would come in by its door. (Only ``__main__`` may, for
# the verb that asks for it.)
MEASURES_THE_SERVER = "loadtest.bench"
MAY_START_IT = {"loadtest.__main__"}
WEB = ("websockets", "uvicorn", "starlette", "httptools")  # only the edge knows them
IMPURE = (
    "asyncio",
    "redis",
    "socket",
    "time",
    "uvloop",
    "websockets",
)  # the core and the wire know none of them
IMPURE_ALLOWED = {"protocol.client.aio", "protocol.client.websocket"}  # the client that does speak


def modules() -> list[tuple[str, Path]]:
    found = []
    for package in ("protocol", "liveserver", "loadtest"):
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found.append((".".join(parts[:-1] if parts[-1] == "__init__" else parts), path))
    return found


def imports(name: str, path: Path) -> set[str]:
    """Absolute names of what a module imports, those under TYPE_CHECKING too."""
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            stem = ".".join([*base, *([node.module] if node.module else [])])
            found.add(stem)
            found.update(f"{stem}.{alias.name}" for alias in node.names)
    return found


def layer(name: str) -> int | None:
    for index, prefix in enumerate(LAYERS):
        if name == prefix or name.startswith(prefix + "."):
            return index
    return None


@pytest.mark.parametrize(
    ("name", "path"), modules(), ids=lambda value: value if isinstance(value, str) else ""
)
def test_imports_go_one_way(name: str, path: Path) -> None:
    own = layer(name)
    for imported in imports(name, path):
        top = imported.partition(".")[0]
        if name.startswith(MEASURES_THE_SERVER):
            continue
        if name.partition(".")[0] in ONLY_PROTOCOL:
            assert name in MAY_START_IT or not imported.startswith(MEASURES_THE_SERVER), (
                f"{name} would import the server with {imported}"
            )
            assert top != "liveserver", f"{name} judges the server from outside, yet imports {imported}"
        elif name.startswith("protocol"):
            assert top not in ("liveserver", "loadtest"), f"{name} imports {imported}"
        else:
            assert top != "loadtest", f"{name} imports {imported}"
            other = layer(imported)
            if own is not None and other is not None:
                assert other <= own, f"{name} imports {imported}, a later layer"
        if top in WEB:
            assert name.startswith(("liveserver.edge", "loadtest", "protocol.client")), (
                f"{name} imports {imported}"
            )
        if top in IMPURE and name.startswith(("protocol", "liveserver.core")):
            assert name in IMPURE_ALLOWED or name.startswith("protocol.client.aio"), (
                f"{name} imports {imported}"
            )


@pytest.mark.parametrize("path", [p for n, p in modules() if n.startswith("protocol")], ids=lambda p: p.name)
def test_the_wire_imports_itself_relatively(path: Path) -> None:
    """It is also shipped alone, under another name: a top-level ``protocol`` would collide with others'."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level == 0:
            assert (node.module or "").partition(".")[0] != "protocol"


def test_every_module_of_the_server_has_a_layer() -> None:
    stray = [
        name
        for name, _ in modules()
        if name.startswith("liveserver.") and layer(name) is None and name != "liveserver.__main__"
    ]
    assert not stray


def test_what_needs_no_server_brings_none_in() -> None:
    """An audience on another machine has the client alone installed."""
    found = "import sys, loadtest.__main__; print([m for m in sys.modules if m.startswith('liveserver')])"
    done = subprocess.run([sys.executable, "-c", found], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"
