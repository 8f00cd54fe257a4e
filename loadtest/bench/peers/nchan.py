"""Nchan, the publish/subscribe module of nginx, with one worker."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from loadtest.bench.peers import program
from loadtest.bench.peers.port import HOST, NotComparedError, Server, Where, upgrade
from loadtest.bench.sink import Record

MODULES: Final = ("/usr/lib/nginx/modules", "/usr/lib64/nginx/modules", "/usr/share/nginx/modules")
MODULE: Final = "ngx_nchan_module.so"
CONFIG: Final = """\
load_module %s;
daemon off;
master_process off;
worker_processes 1;
worker_rlimit_nofile 20000;
pid FOLDER/pid;
error_log stderr error;
events { worker_connections 19000; }
http {
  access_log off;
  client_body_temp_path FOLDER;
  proxy_temp_path FOLDER;
  fastcgi_temp_path FOLDER;
  uwsgi_temp_path FOLDER;
  scgi_temp_path FOLDER;
  keepalive_requests 1000000;
  keepalive_timeout 600;
  server {
    listen 127.0.0.1:%d backlog=4096;
    nchan_channel_id room;
    location = /publish { nchan_publisher; nchan_message_buffer_length 1; }
    location = /room { nchan_subscriber websocket; nchan_subscriber_first_message newest; }
  }
}
"""


class _Nchan(Server):
    def __init__(
        self, version: str, pid: int, port: int, ends: tuple[asyncio.StreamReader, asyncio.StreamWriter]
    ) -> None:
        super().__init__("nchan", version, pid, port)
        self._reader, self._writer = ends

    def records(self, count: int) -> Iterator[Record]:
        yield Record(upgrade("/room", self.port))

    async def publish(self, payload: bytes) -> None:
        length = len(payload)
        head = f"POST /publish HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {length}\r\n\r\n"
        self._writer.write(head.encode() + payload)
        answer = await self._reader.readuntil(b"\r\n\r\n")
        body = re.search(rb"(?i)content-length: *(\d+)", answer)
        await self._reader.readexactly(int(body[1]) if body else 0)


@asynccontextmanager
async def start(where: Where) -> AsyncIterator[Server]:
    path = program.found("nginx")
    module = next((at for folder in MODULES if (at := Path(folder) / MODULE).exists()), None)
    if module is None:
        raise NotComparedError("nginx is here, its Nchan module is not")
    version = program.said_by(path, "-v").rpartition("/")[2].split()[0]
    port = program.free_port()
    async with (
        program.configured("nginx.conf", CONFIG % (module, port)) as (folder, config),
        program.running([path, "-c", str(config), "-p", str(folder)], folder, where.core, port) as process,
    ):
        reader, writer = await asyncio.open_connection(HOST, port)
        try:
            yield _Nchan(f"nginx {version}", process.pid, port, (reader, writer))
        finally:
            writer.close()
