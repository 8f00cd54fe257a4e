"""Write the golden vectors: ``python -m protocol.golden`` (again, whenever a shape changes on purpose).

``golden/messages.json``: per message its name, itself as plain JSON, its bytes in both codecs (JSON as
text, msgpack in hex). ``golden/scenarios.json``: what a client session must do, step by step.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec

from .codec import JSON, MSGPACK
from .examples import MESSAGES
from .scenarios import SCENARIOS, play

GOLDEN = Path(__file__).parent / "golden"


def message_vectors() -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "message": msgspec.to_builtins(message),
            "json": JSON.encode(message).decode(),
            "msgpackHex": MSGPACK.encode(message).hex(),
        }
        for name, message in MESSAGES.items()
    ]


def scenario_vectors() -> list[dict[str, Any]]:
    return [{"name": name, "steps": play(steps)} for name, steps in SCENARIOS.items()]


def files() -> dict[str, str]:
    """File name to contents, as committed."""
    vectors = {"messages.json": message_vectors(), "scenarios.json": scenario_vectors()}
    return {name: json.dumps(vector, ensure_ascii=False, indent=1) + "\n" for name, vector in vectors.items()}


def main() -> None:
    GOLDEN.mkdir(exist_ok=True)
    for name, contents in files().items():
        (GOLDEN / name).write_text(contents, encoding="utf-8")


if __name__ == "__main__":
    main()
