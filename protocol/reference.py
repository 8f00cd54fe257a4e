"""Keep the reference in step with the code: ``python -m protocol.reference`` rewrites the generated blocks
of ``README.md`` in place. The prose around them is written by hand, and so is what each block says of itself
in docstrings and tables of this package.

A block stands between ``<!-- generated: NAME -->`` and ``<!-- end -->``. Names this file doesn't know are
left alone: the roles table is the server's, and a test of the server's holds it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from inspect import getsource
from pathlib import Path
from typing import Any

import msgspec
from msgspec import inspect

from . import events, examples, limits
from .close import CATALOGUE
from .commands import Command
from .errors import CODES
from .events import Event
from .frames import Frame
from .lanes import COMMANDS, DOWNWARD
from .outcomes import OUTCOMES, RESERVATION_STATES
from .types import Danmaku, Gift, Repeat

README = Path(__file__).parent / "README.md"
_BLOCK = re.compile(r"(<!-- generated: (?P<name>[\w-]+) -->\n).*?(<!-- end -->)", re.S)
_EXAMPLE_CHARS = 100  # a longer example is broken into lines


def render(text: str, blocks: dict[str, Callable[[], str]]) -> str:
    """``text`` with each block of a known name written anew."""

    def fill(found: re.Match[str]) -> str:
        make = blocks.get(found["name"])
        return found[0] if make is None else f"{found[1]}\n{make().strip()}\n\n{found[3]}"

    return _BLOCK.sub(fill, text)


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table; cells beyond the head are left out."""
    lines = [list(head)]
    wide = len(lines[0])
    lines.append(["---"] * wide)
    lines += [[cell.replace("|", r"\|").replace("\n", " ") for cell in list(row)[:wide]] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


# -- what a shape looks like ---------------------------------------------------------------------------


def prose(shape: type) -> str:
    """The shape's docstring, in the wire's words."""
    text = " ".join((shape.__doc__ or "").split())
    return re.sub(r"``(.+?)``", r"`\1`", text)


def fields(shape: type) -> str:
    described = inspect.type_info(shape)
    assert isinstance(described, inspect.StructType)
    if not described.fields:
        return "No fields of its own."
    notes = _notes(shape)
    rows = [
        (f"`{each.encode_name}`", kind(each.type), _default(each), notes.get(each.name, ""))
        for each in described.fields
    ]
    return table(("field", "type", "default", "") if notes else ("field", "type", "default"), rows)


def _notes(shape: type) -> dict[str, str]:
    """What stands behind each field in the source."""
    found = re.findall(r"^    (\w+): .*?  # (.+)$", getsource(shape), re.M)
    return {name: re.sub(r"``(.+?)``", r"`\1`", note) for name, note in found}


def kind(described: inspect.Type) -> str:
    """A type in a reader's words, with its bounds."""
    match described:
        case inspect.IntType(ge=low, le=high):
            return f"integer{_bounds(low, high)}"
        case inspect.StrType(pattern=str()):
            return "[id](#ids)"
        case inspect.StrType(min_length=low, max_length=high):
            return f"text{_bounds(low, high, ' characters')}"
        case inspect.BoolType():
            return "boolean"
        case inspect.NoneType():
            return "null"
        case inspect.ListType(item_type=item, min_length=low, max_length=high):
            return f"list of {kind(item)}{_bounds(low, high)}"
        case inspect.DictType(value_type=value):
            return f"map of {kind(value)}"
        case inspect.EnumType(cls=cls):
            return ", ".join(f"`{each.value}`" for each in cls)
        case inspect.LiteralType(values=values):
            return ", ".join(f"`{each}`" for each in values)
        case inspect.UnionType(types=kinds):
            return " or ".join(kind(each) for each in kinds if not isinstance(each, inspect.NoneType))
        case inspect.StructType(cls=cls):
            return (
                "an [event](#events)" if issubclass(cls, events.EventBase) else f"[{cls.__name__}](#shapes)"
            )
        case _:
            raise AssertionError(described)


def _bounds(low: int | None, high: int | None, unit: str = "") -> str:
    if low is None and high is None:
        return ""
    if high is None:
        return f", at least {low}{unit}"
    if high == limits.AMOUNT_MAX:
        return "" if low is None or low < 0 else f" ≥ {low}"
    return f", {low or 0} … {high}{unit}"


def _default(field: inspect.Field) -> str:
    if field.required:
        return "required"
    if field.default_factory is not msgspec.NODEFAULT:
        return f"`{json.dumps(field.default_factory())}`"
    return "absent" if field.default is None else f"`{json.dumps(field.default)}`"


def example(message: msgspec.Struct) -> str:
    plain = msgspec.to_builtins(message)
    line = json.dumps(plain, ensure_ascii=False)
    if len(line) > _EXAMPLE_CHARS:
        line = "{\n" + ",\n".join(f"  {_pair(key, value)}" for key, value in plain.items()) + "\n}"
    return f"```json\n{line}\n```"


def _pair(key: str, value: Any) -> str:
    line = f"{json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}"
    if len(line) <= _EXAMPLE_CHARS or not isinstance(value, dict | list):
        return line
    inner = json.dumps(value, ensure_ascii=False, indent=2).replace("\n", "\n  ")
    return f"{json.dumps(key)}: {inner}"


def _tag(shape: type) -> str:
    tag = inspect.type_info(shape).tag  # type: ignore[attr-defined]
    assert isinstance(tag, str)
    return tag


def _section(shape: type, given: Mapping[str, msgspec.Struct], *facts: str) -> str:
    """A heading, what it is, its facts, its fields, its examples."""
    shown = [message for message in given.values() if type(message) is shape]
    parts = [f"### `{_tag(shape)}`", prose(shape), *facts, fields(shape), *(example(one) for one in shown)]
    return "\n\n".join(part for part in parts if part)


# -- the blocks ----------------------------------------------------------------------------------------


def _commands() -> str:
    sections = []
    for shape in Command.__args__:
        contract = COMMANDS[shape]
        facts = f"Reply: `{_tag(contract.reply)}`. Sent again: {contract.repeat}."
        sections.append(_section(shape, examples.COMMANDS, facts))
    return "\n\n".join(sections)


def _replies() -> str:
    shapes = [shape for shape in DOWNWARD if shape.__module__.endswith(".replies")]
    return "\n\n".join(_section(shape, examples.REPLIES) for shape in shapes)


def _events() -> str:
    return "\n\n".join(_section(shape, examples.EVENTS) for shape in Event.__args__)


def _frame() -> str:
    shown = [name for name in examples.FRAMES if name.split(" ")[0] != "critical" or name == "critical"]
    parts = [prose(Frame), fields(Frame)]
    for name in shown:
        parts += [
            f"A {name} frame:" if "snapshot" not in name else f"A {name}:",
            example(examples.FRAMES[name]),
        ]
    return "\n\n".join(part for part in parts if part)


def _shapes() -> str:
    """Every part of a message, in the order messages first need it."""
    found: dict[type, None] = {}

    def walk(described: inspect.Type) -> None:
        match described:
            case inspect.ListType(item_type=inner) | inspect.DictType(value_type=inner):
                walk(inner)
            case inspect.UnionType(types=kinds):
                for each in kinds:
                    walk(each)
            case inspect.StructType(cls=cls, fields=parts):
                if not issubclass(cls, events.EventBase) and cls is not Frame:
                    found.setdefault(cls)
                for part in parts:
                    walk(part.type)
            case _:
                pass

    tops = [*Command.__args__, *(s for s in DOWNWARD if s.__module__.endswith(".replies")), Frame]
    for top in tops:
        for part in inspect.type_info(top).fields:  # type: ignore[attr-defined]
            walk(part.type)
    for event in Event.__args__:
        walk(inspect.type_info(event))
    arrays = (Danmaku, Gift, Repeat)
    sections = []
    for shape in found:
        note = "On the wire an array, its members in this order." if shape in arrays else ""
        parts = [f"### {shape.__name__}", prose(shape), note, fields(shape)]
        sections.append("\n\n".join(part for part in parts if part))
    return "\n\n".join(sections)


def _lanes() -> str:
    rows = []
    for shape, contract in DOWNWARD.items():
        tagged = getattr(inspect.type_info(shape), "tag", None)
        name = f"`{tagged}`" if isinstance(tagged, str) else f"{shape.__name__} of a frame"
        shed = "yes, counted" if contract.shed else "never"
        rows.append((name, str(contract.lane), shed, "yes" if contract.replayed else "no", contract.promise))
    return table(("what", "lane", "left out under load", "again on resume", "promise"), rows)


def _repeats() -> str:
    rows = [
        (f"`{_tag(shape)}`", f"`{_tag(contract.reply)}`", str(contract.repeat))
        for shape, contract in COMMANDS.items()
    ]
    return table(("command", "reply", "sending it again"), rows)


def _closes() -> str:
    rows = [
        (str(int(code)), f"`{rule.name}`", "yes" if rule.reconnect else "no", rule.why)
        for code, rule in CATALOGUE.items()
    ]
    return table(("code", "name", "come back", "why"), rows)


def _limits() -> str:
    source = (Path(__file__).parent / "limits.py").read_text(encoding="utf-8")
    rows = []
    for line in source.splitlines():
        found = re.match(r"(?P<name>[A-Z_]+) = [^#]+(?:# (?P<why>.*))?", line)
        if found:
            rows.append((f"`{found['name']}`", f"{getattr(limits, found['name']):,}", found["why"] or ""))
    return table(("limit", "value", ""), rows)


def _pairs(head: str, pairs: dict[str, str]) -> str:
    return table((head, "meaning"), [(f"`{name}`", meaning) for name, meaning in pairs.items()])


BLOCKS: dict[str, Callable[[], str]] = {
    "lanes": _lanes,
    "repeats": _repeats,
    "commands": _commands,
    "replies": _replies,
    "events": _events,
    "frame": _frame,
    "shapes": _shapes,
    "outcomes": lambda: _pairs("outcome", OUTCOMES),
    "reservation-states": lambda: _pairs("state", RESERVATION_STATES),
    "errors": lambda: _pairs("code", CODES),
    "closes": _closes,
    "limits": _limits,
}


def main() -> None:
    README.write_text(render(README.read_text(encoding="utf-8"), BLOCKS), encoding="utf-8")


if __name__ == "__main__":
    main()
