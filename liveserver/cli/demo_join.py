"""How somebody joins the demo's room beside its audience."""

from __future__ import annotations

import sys
from pathlib import Path

from liveserver.cli.demo_audience import ROOM, TOKEN_TTL_MS
from liveserver.cli.demo_wanted import Server
from protocol.types import Role


def how_to_join(server: Server, folder: Path, *, streaming: bool) -> str:
    """As lines to be typed. The tokens they name are written into ``folder``."""
    guest = server.mint(Role.VIEWER, "you", [ROOM], ttl_ms=TOKEN_TTL_MS, name="你")
    (folder / "you.token").write_text(guest)
    ours = sys.argv[0] if Path(sys.argv[0]).name == "liveserver" else "liveserver"
    lines = [
        "join yourself:",
        f"  page      {server.http_url}/r/{ROOM}#token={guest}",
        f"  watch     {ours} watch {ROOM} --url {server.url} --token-file {folder}/you.token",
    ]
    if streaming:
        streamer = server.mint(Role.STREAMER, "you-streamer", [ROOM], ttl_ms=TOKEN_TTL_MS, name="主播")
        (folder / "streamer.token").write_text(streamer)
        to = f"--url {server.url} --token-file {folder}/streamer.token"
        lines.append(f'  streamer  {ours} streamer {ROOM} {to} list --title "手工皂" --item "one:9.90:20"')
    return "\n".join(lines)
