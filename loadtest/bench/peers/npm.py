"""Packages of npm, fetched once into the cache: at these versions, so that runs can be compared."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import Final

from loadtest.bench import cache
from loadtest.bench.peers.port import NotComparedError

VERSIONS: Final = {"bun": "1.4.5", "ws": "8.23.0"}
INSTALL_S_MAX: Final = 180.0


async def package(name: str, *, install: bool) -> Path:
    """The ``node_modules`` it is in. Raises ``NotComparedError``."""
    version = VERSIONS[name]
    folder = cache.folder(f"npm/{name}-{version}")
    modules = folder / "node_modules"
    if (modules / name / "package.json").exists():
        return modules
    if not install:
        raise NotComparedError(f"{name} {version} is not there yet, and nothing may be installed")
    npm = shutil.which("npm")
    if npm is None:
        raise NotComparedError("no npm on PATH")
    argv = [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(folder)]
    await _run([*argv, f"{name}@{version}"], name)
    return modules


async def _run(argv: list[str], name: str) -> None:
    process = await asyncio.create_subprocess_exec(
        *argv, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(INSTALL_S_MAX):
            _, said = await process.communicate()
    except TimeoutError:
        raise NotComparedError(f"npm install {name} took more than {INSTALL_S_MAX:.0f} s") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        lines = [line for line in said.decode(errors="replace").strip().splitlines() if "://" not in line]
        raise NotComparedError(f"npm install {name} failed: {''.join(lines[-1:])}")
