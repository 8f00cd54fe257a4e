"""What is in C is compiled when the package is built or installed; without a compiler it goes on without."""

from __future__ import annotations

import runpy
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

BUILD = Path(__file__).parent / "liveserver" / "native" / "build.py"


class NativeHook(BuildHookInterface):
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        build = runpy.run_path(str(BUILD))
        try:
            library = build["built"]()
        except build["NotBuiltError"] as error:
            self.app.display_warning(f"frames are sent from Python: {error}")
            return
        platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{platform}"  # of no Python in particular
        build_data["artifacts"].append(library.relative_to(self.root).as_posix())
