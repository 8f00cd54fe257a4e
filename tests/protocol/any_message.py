"""Hypothesis strategies for messages, made from their shapes: whatever the types allow."""

from __future__ import annotations

import string
from typing import Any

import msgspec
from hypothesis import strategies as st
from msgspec import inspect

from protocol.types import ID_PATTERN

_ID = st.text(string.ascii_letters + string.digits + "_.:@-", min_size=1, max_size=64)
_MOST = 2**53 - 1


def any_of(shape: type) -> st.SearchStrategy[Any]:
    return _any(inspect.type_info(shape))


def _any(described: inspect.Type) -> st.SearchStrategy[Any]:
    match described:
        case inspect.IntType(ge=low, le=high):
            return st.integers(-_MOST if low is None else low, _MOST if high is None else high)
        case inspect.StrType(pattern=str() as pattern):
            assert pattern == ID_PATTERN
            return _ID
        case inspect.StrType(min_length=low, max_length=high):
            return st.text(st.characters(exclude_categories=["Cs"]), min_size=low or 0, max_size=high or 40)
        case inspect.BoolType():
            return st.booleans()
        case inspect.NoneType():
            return st.none()
        case inspect.ListType(item_type=item, min_length=low, max_length=high):
            return st.lists(_any(item), min_size=low or 0, max_size=min(3, high or 3))
        case inspect.DictType(value_type=value):
            return st.dictionaries(_ID, _any(value), max_size=3)
        case inspect.EnumType(cls=cls):
            return st.sampled_from(list(cls))
        case inspect.LiteralType(values=values):
            return st.sampled_from(values)
        case inspect.UnionType(types=kinds):
            return st.one_of([_any(kind) for kind in kinds])
        case inspect.StructType(cls=cls, fields=parts):
            if cls.__struct_config__.array_like:
                return st.builds(cls, **{part.name: _any(part.type) for part in parts})
            return st.fixed_dictionaries(
                {part.name: _any(part.type) for part in parts if part.required},
                optional={part.name: _any(part.type) for part in parts if not part.required},
            ).map(lambda given: _build(cls, given))
        case _:
            raise AssertionError(described)


def _build(cls: type[msgspec.Struct], given: dict[str, Any]) -> msgspec.Struct:
    return cls(**given)
