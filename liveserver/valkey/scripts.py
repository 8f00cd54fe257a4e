"""A Lua file as something to call.

``EVALSHA`` first; a server that doesn't know the script (a restart, a failover, its cache flushed) says
NOSCRIPT before anything ran, and gets the whole text by ``EVAL``, which teaches it for the next time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from importlib.resources.abc import Traversable
from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import NoScriptError

SHEBANG: Final = "#!lua"


class Script:
    """``prelude`` is Lua code shared by several files. A file's shebang line (``#!lua flags=…``: the
    server then refuses it up front when out of memory, read-only or failing to persist) stays first."""

    def __init__(self, name: str, source: str, *, prelude: str = "") -> None:
        shebang, rest = "", source
        if source.startswith(SHEBANG):
            shebang, _, rest = source.partition("\n")
        self.name = name
        self.text = "\n".join(part for part in (shebang, prelude, rest) if part)
        self.sha = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()

    @classmethod
    def read(cls, folder: Traversable, name: str, *, prelude: str = "") -> Script:
        """The file ``name`` (``"reserve.lua"``) of a package's folder (``files(…) / "lua"``)."""
        return cls(name, (folder / name).read_text("utf-8"), prelude=prelude)

    async def call(
        self, client: Redis, keys: Sequence[str | bytes], arguments: Sequence[str | bytes | int]
    ) -> Any:
        """The script's reply, as redis-py decodes it. Raises redis-py's exceptions. Cancelled: it may have
        run; the connection is dropped."""
        try:
            return await client.evalsha(self.sha, len(keys), *keys, *arguments)
        except NoScriptError:
            return await client.eval(self.text, len(keys), *keys, *arguments)

    async def call_with(
        self,
        client: Redis,
        keys: Sequence[str | bytes],
        arguments: Sequence[str | bytes | int],
        behind: Sequence[Sequence[str | int]],
    ) -> tuple[Any, list[Any]]:
        """As ``call``, and on the same connection, in the same write, the commands ``behind`` it. Answers the
        script's reply and theirs, as redis-py decodes them; an error of theirs is a value among them.
        They run also where the script was refused."""
        for how, script in (("EVALSHA", self.sha), ("EVAL", self.text)):
            pipe = client.pipeline(transaction=False)
            pipe.execute_command(how, script, len(keys), *keys, *arguments)
            for command in behind:
                pipe.execute_command(*command)
            reply, *others = await pipe.execute(raise_on_error=False)
            if not isinstance(reply, NoScriptError):
                break
        if isinstance(reply, Exception):
            raise reply
        return reply, others
