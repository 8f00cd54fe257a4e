"""The client alone, as its own distribution: the wheel is built, unpacked and imported under its name."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import protocol

PACKAGE = Path(protocol.__file__).parent
SCRIPT = """
import sys
from liveserver_client.client.aio import connect
from liveserver_client.client.session import Session
from liveserver_client.codec import JSON, MSGPACK
from liveserver_client.commands import Ping
assert MSGPACK.decode_command(MSGPACK.encode(Ping(id="c1"))) == Ping(id="c1")
from liveserver_client import close, errors, lanes, limits, outcomes
print(sorted(name for name in sys.modules if name.split(".")[0] in {"protocol", "liveserver", "loadtest"}))
"""


def test_the_wheel_imports_under_its_own_name(tmp_path: Path) -> None:
    source, unpacked = tmp_path / "source", tmp_path / "unpacked"
    shutil.copytree(PACKAGE, source, ignore=shutil.ignore_patterns("__pycache__"))
    build = [sys.executable, "-P", "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    # -P: with the package for its working directory, our types.py would stand for the standard one
    subprocess.run(build, cwd=source, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("liveserver_client-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        archive.extractall(unpacked)
    assert {name.split("/")[0].split("-")[0] for name in names} == {"liveserver_client"}
    ran = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(unpacked)!r})\n{SCRIPT}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.strip() == "[]"


def test_the_wheel_holds_every_module_of_the_wire() -> None:
    """A new module must be named in ``pyproject.toml``, or be one that only this repository needs."""
    listed = (PACKAGE / "pyproject.toml").read_text(encoding="utf-8")
    home = {"examples", "golden", "reference", "scenarios"}
    for module in PACKAGE.glob("*.py"):
        assert (f'"{module.name}"' in listed) != (module.stem in home), module.name
