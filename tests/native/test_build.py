"""What is in C is built where there is a compiler, and nothing is missing where there is none."""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from liveserver.native import build

ROOT = Path(build.__file__).parents[2]
PACKAGED = ("pyproject.toml", "hatch_build.py", "README.md", "LICENSE", "liveserver", "protocol", "loadtest")


@pytest.fixture
def source(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    copy = tmp_path / "send_frame.c"
    copy.write_bytes(build.SOURCE.read_bytes())
    monkeypatch.setattr(build, "SOURCE", copy)
    return copy


def needs_a_compiler() -> None:
    try:
        build.built()
    except build.NotBuiltError as error:
        pytest.skip(str(error))


def test_it_is_built_once_and_anew_when_the_source_changes(source: Path) -> None:
    needs_a_compiler()
    first = build.built()
    first_ns = first.stat().st_mtime_ns
    assert build.built() == first and first.stat().st_mtime_ns == first_ns
    source.write_text(source.read_text() + "/* more */\n")
    second = build.built()
    assert second != first and sorted(source.parent.glob("*.so")) == [second]


def test_what_cannot_be_compiled_says_so_and_leaves_nothing(source: Path) -> None:
    needs_a_compiler()
    (library,) = source.parent.glob("*.so")
    source.write_text("this is no C\n")
    with pytest.raises(build.NotBuiltError, match="could not compile"):
        build.built()
    assert sorted(source.parent.iterdir()) == sorted([library, source])


def test_without_a_compiler_it_says_which_were_looked_for(
    source: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(build.NotBuiltError, match="no C compiler on PATH"):
        build.built()


def test_one_of_another_machine_is_built_anew(source: Path) -> None:
    needs_a_compiler()
    library = build.library()
    library.write_text("of a machine that is no more")
    assert build.built() == library
    ctypes.CDLL(str(library))


def test_a_disk_that_is_only_read_is_no_mistake_of_ours(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There even what doesn't exist can't be removed."""
    needs_a_compiler()
    source.write_text("this is no C\n")

    def unlink(path: Path, *, missing_ok: bool = False) -> None:
        raise OSError(errno.EROFS, "Read-only file system", str(path))

    monkeypatch.setattr(Path, "unlink", unlink)
    with pytest.raises(build.NotBuiltError, match="could not compile"):
        build.built()


def test_a_compiler_may_complain_in_any_encoding(
    source: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    compiler = tmp_path / "cc"
    compiler.write_text("#!/bin/sh\nprintf 'no \\253such\\273 thing' >&2\nexit 1\n")
    compiler.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(build.NotBuiltError, match="such"):
        build.built()


# -- the whole package ---------------------------------------------------------------------------------


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """What a wheel is made of, and nothing compiled."""
    copy = tmp_path / "tree"
    copy.mkdir()
    left_out = shutil.ignore_patterns("__pycache__", "*.so")
    for name in PACKAGED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, copy / name, ignore=left_out)
        else:
            shutil.copy(ROOT / name, copy / name)
    return copy


def python(tree: Path, *arguments: str, **environ: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree), **environ},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def wheel(tree: Path, **environ: str) -> tuple[str, list[str]]:
    """Its name, and what is in it of ours in C."""
    python(tree, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tree / "dist"), **environ)
    (made,) = (tree / "dist").iterdir()
    with zipfile.ZipFile(made) as archive:
        names = [name.removeprefix("liveserver/native/") for name in archive.namelist()]
    return made.name, sorted(name for name in names if name.endswith((".c", ".so")) and "/" not in name)


def test_a_wheel_has_the_library_of_its_source(tree: Path) -> None:
    needs_a_compiler()
    name, files = wheel(tree)
    assert name.startswith("liveserver-") and "-py3-none-" in name and not name.endswith("-any.whl")
    assert files == [build.library().name, "send_frame.c"]


def test_without_a_compiler_a_wheel_is_for_everywhere(tree: Path, tmp_path: Path) -> None:
    name, files = wheel(tree, PATH=str(tmp_path))
    assert name.endswith("-py3-none-any.whl")
    assert files == ["send_frame.c"]


def test_it_is_built_by_hand_and_says_so_once(tree: Path, tmp_path: Path) -> None:
    assert "no C compiler" in python(tree, "-m", "liveserver.native", PATH=str(tmp_path))
    needs_a_compiler()
    assert python(tree, "-m", "liveserver.native") == "the native sender is built\n"
    assert python(tree, "-m", "liveserver.native") == ""
    (library,) = (tree / "liveserver" / "native").glob("*.so")
    library.write_text("of another machine")
    assert python(tree, "-m", "liveserver.native") == "the native sender is built\n"
