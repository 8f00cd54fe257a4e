"""The order service behind an address: one POST a row, its answer the row's fate.

2xx took it. 4xx never will, but for 408, 409, 425 and 429: too late, under way with the same key, too early,
too many. Everything else, a redirect, garbage or silence among it, may be better next time.
"""

from __future__ import annotations

import contextlib
import time
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final

import aiohttp
import msgspec

from liveserver.orders import limits
from liveserver.orders.rows import OrderRow
from liveserver.orders.signature import signed
from liveserver.orders.sink import Answer, Failed, Refused, Taken

MAY_TAKE_IT_LATER: Final = frozenset({408, 409, 425, 429})
KEY_HEADER: Final = "Idempotency-Key"


class Webhook:
    """``secret`` empty: nothing is signed. Close it with ``aclose``."""

    def __init__(
        self,
        url: str,
        *,
        secret: bytes = b"",
        timeout_ms: int = limits.TIMEOUT_MS,
        at_once: int = limits.AT_ONCE,
    ) -> None:
        self._url = url
        self._secret = secret
        self._timeout_s = timeout_ms / 1000
        self._client = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=at_once),
            timeout=aiohttp.ClientTimeout(total=self._timeout_s),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,  # the address that was given, and no proxy that happens to be set
        )

    async def aclose(self) -> None:
        await self._client.close()

    async def deliver(self, row: OrderRow) -> Answer:
        """The timeout is for all of it: an answer that drips is no answer."""
        body = msgspec.json.encode(row)
        headers = {"Content-Type": "application/json", KEY_HEADER: row.id}
        if self._secret:
            headers |= signed(self._secret, row.id, int(time.time()), body)
        try:
            return await self._posted(body, headers)
        except TimeoutError:
            return Failed(f"no answer within {self._timeout_s:g} s")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Failed(f"{type(error).__name__}: {error}"[: limits.WHY_CHARS_MAX])

    async def _posted(self, body: bytes, headers: dict[str, str]) -> Answer:
        posting = self._client.post(self._url, data=body, headers=headers, allow_redirects=False)
        async with posting as response:
            said = b""
            # The status decides; what follows is told to the operator, and read so the connection lives on.
            with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                async for piece in response.content.iter_any():
                    said += piece
                    if len(said) > limits.ANSWER_BYTES_MAX:
                        break
            return judged(response.status, said, response.headers.get("Retry-After", ""), time.time())


def judged(status: int, said: bytes, retry_after: str, now_s: float) -> Answer:
    """Pure."""
    if 200 <= status < 300:
        return Taken()
    why = f"HTTP {status}: {said.decode('utf-8', 'replace')}".strip(": ")[: limits.WHY_CHARS_MAX]
    if 400 <= status < 500 and status not in MAY_TAKE_IT_LATER:
        return Refused(why)
    return Failed(why, quiet_ms(retry_after, now_s))


def quiet_ms(retry_after: str, now_s: float) -> int:
    """Seconds or a date, as HTTP has it; 0 for what is neither."""
    text = retry_after.strip()
    if text.isascii() and text.isdigit():
        seconds = float(text[:10])
    else:
        try:
            at = parsedate_to_datetime(text)
        except ValueError:
            return 0
        seconds = (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() - now_s
    return round(min(max(seconds, 0.0) * 1000, limits.RETRY_AFTER_MS_MAX))
