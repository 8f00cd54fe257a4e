"""One REST call of a command-line tool, and what went wrong with it in words."""

from __future__ import annotations

import urllib.error
import urllib.request
from typing import TypeVar

import msgspec

from liveserver.cli.target import Target

ANSWER_BYTES_MAX = 4 * 1024 * 1024
ANSWER_S_MAX = 10.0
AGAIN_STATUSES = (429, 502, 503, 504)
UNKNOWN_STATUSES = (502, 504)  # of a change: it may have been done

T = TypeVar("T")


class Refusal(Exception):
    """The server's problem, in its own words. ``again``: asking later may succeed. ``unknown``: what was
    asked may have been done; the same key tells."""

    def __init__(self, text: str, *, again: bool, code: str = "", unknown: bool = False) -> None:
        super().__init__(text)
        self.again = again
        self.code = code
        self.unknown = unknown


def call(
    where: Target,
    method: str,
    path: str,
    answer: type[T],
    *,
    body: object = None,
    key: str = "",
    timeout_s: float = ANSWER_S_MAX,
) -> T:
    """``path`` begins with a slash, its parts quoted. Raises ``Refusal``."""
    headers = {"Authorization": f"Bearer {where.token}"}
    if key:
        headers["Idempotency-Key"] = key
    sent = None if method == "GET" else b"" if body is None else msgspec.json.encode(body)
    if sent:
        headers["Content-Type"] = "application/json"
    request = urllib.request.Request(f"{where.http_url}{path}", sent, headers, method=method)
    changes = method != "GET"
    try:
        with urllib.request.urlopen(request, timeout=timeout_s) as heard:
            raw = heard.read(ANSWER_BYTES_MAX + 1)
        return msgspec.json.decode(raw, type=answer)
    except urllib.error.HTTPError as error:
        raise _refusal(error, changes) from None
    except urllib.error.URLError as error:  # it was not even reached
        text = f"no server at {where.http_url}: {_why(error.reason)}. Is it running, is the address its own?"
        raise Refusal(text, again=True) from None
    except (OSError, TimeoutError) as error:
        raise Refusal(
            f"no answer from {where.http_url}: {_why(error)}", again=True, unknown=changes
        ) from None
    except msgspec.DecodeError as error:
        raise Refusal(f"{where.http_url} is no liveserver: {error}", again=False) from None


def _why(error: object) -> str:
    return error.strerror if isinstance(error, OSError) and error.strerror else str(error)


def _refusal(error: urllib.error.HTTPError, changes: bool) -> Refusal:
    class Problem(msgspec.Struct):
        code: str
        detail: str = ""
        field: str = ""

    again = error.code in AGAIN_STATUSES
    unknown = changes and error.code in UNKNOWN_STATUSES
    try:
        problem = msgspec.json.decode(error.read(64 * 1024), type=Problem)
    except (msgspec.DecodeError, OSError):
        return Refusal(f"refused with HTTP {error.code}", again=again, unknown=unknown)
    where = f" ({problem.field})" if problem.field else ""
    text = f"refused: {problem.code}{where}: {problem.detail}"
    return Refusal(text, again=again, code=problem.code, unknown=unknown)
