"""The base of every message: immutable, keyword-only, camelCase on the wire, defaults left out.

msgspec does not hand ``kw_only`` down to subclasses, so a metaclass says it once for all of them. (Where a
required field stands behind a default the class says ``kw_only=True`` again, for the type checker's sake.)

``gc`` off: what is immutable and made whole is in no cycle, so the collector needn't look at it.
"""

from __future__ import annotations

from typing import Any, dataclass_transform

import msgspec

_HOUSE_STYLE: dict[str, Any] = {
    "frozen": True,
    "kw_only": True,
    "omit_defaults": True,
    "rename": "camel",
    "gc": False,
}


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(msgspec.field,))
class ShapeMeta(msgspec.StructMeta):
    def __new__(mcls, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **config: Any) -> Any:
        merged: dict[str, Any] = _HOUSE_STYLE | config
        return super().__new__(mcls, name, bases, namespace, **merged)


class Shape(msgspec.Struct, metaclass=ShapeMeta):
    """A part of something the server says: unknown fields are skipped, so clients outlive additions."""


class StrictShape(msgspec.Struct, metaclass=ShapeMeta, forbid_unknown_fields=True):
    """A part of something a client says: a field we don't know is an error that names it."""
