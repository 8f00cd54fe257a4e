"""The OpenAPI document, generated from the table of operations and the wire's own shapes: it can't drift."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from liveserver.edge.every_operation import EVERY_OPERATION as OPERATIONS
from liveserver.edge.operations import Operation
from liveserver.edge.problem import MEDIA_TYPE, STATUS
from protocol.commands import CommandBase
from protocol.errors import CODES
from protocol.shape import Shape
from protocol.types import ID_PATTERN

COMMON_CODES = (
    "not_authenticated",
    "bad_token",
    "token_expired",
    "forbidden",
    "invalid_field",
    "missing_field",
    "unknown_field",
    "rate_limited",
    "unavailable",
    "pending",
    "internal",
)
BODY_CODES = ("malformed_body", "body_too_big", "wrong_media_type", "body_timeout")
_IN_PATH = re.compile(r"\{(\w+)\}")
_REF = "#/components/schemas/{name}"


class ProblemBody(Shape):
    """A refusal (RFC 9457). ``code`` is stable; ``field`` names what to mend."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    field: str = ""
    retry_ms: int = 0


def document(version: str) -> dict[str, Any]:
    """OpenAPI 3.1, as plain values."""
    shapes = {op.answer for op in OPERATIONS} | {op.body for op in OPERATIONS if op.body} | {ProblemBody}
    ordered = sorted(shapes, key=lambda shape: shape.__name__)
    _, components = msgspec.json.schema_components(ordered, ref_template=_REF)
    for operation in OPERATIONS:
        if operation.body is not None and issubclass(operation.body, CommandBase):
            named = ("type", "id", "room", *_IN_PATH.findall(operation.path))
            components[operation.body.__name__] = _without(components[operation.body.__name__], *named)
    paths: dict[str, dict[str, Any]] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _described(operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "liveserver",
            "version": version,
            "description": "What an order service and a shop's backend need. Everything else is WebSocket.",
        },
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
        },
        "security": [{"token": []}],
    }


def _without(schema: dict[str, Any], *names: str) -> dict[str, Any]:
    """A command as a body: its type, id and room stand in the request line and the key."""
    return schema | {
        "properties": {name: value for name, value in schema["properties"].items() if name not in names},
        "required": [name for name in schema["required"] if name not in names],
    }


def _described(operation: Operation) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.summary,
        "description": f"For the roles {', '.join(sorted(operation.roles))}.",
        "parameters": _parameters(operation),
        "responses": _responses(operation),
    }
    if operation.public:
        described["security"] = [{}, {"token": []}]
        described["description"] = "For everybody, with or without a token."
    if operation.body is not None:
        content = {"application/json": {"schema": _ref(operation.body)}}
        described["requestBody"] = {"required": operation.body_required, "content": content}
    return described


def _parameters(operation: Operation) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for name in _IN_PATH.findall(operation.path):
        schema = {"type": "string", "minLength": 1, "maxLength": 256}
        if name != "reservationId":
            schema = {"type": "string", "pattern": ID_PATTERN}
        found.append({"name": name, "in": "path", "required": True, "schema": schema})
    for parameter in operation.query:
        found.append(
            {
                "name": parameter.name,
                "in": "query",
                "required": parameter.required,
                "schema": parameter.schema,
                "description": parameter.says,
            }
        )
    if operation.method == "POST":
        found.append(
            {
                "name": "Idempotency-Key",
                "in": "header",
                "required": True,
                "schema": {"type": "string", "pattern": ID_PATTERN},
                "description": "The command's id: the same key takes effect at most once, so after a timeout "
                "send the same request again.",
            }
        )
    return found


def _responses(operation: Operation) -> dict[str, Any]:
    codes = [*COMMON_CODES, *operation.codes, *(BODY_CODES if operation.body else ())]
    if operation.method != "GET":
        codes.append("retry")
    by_status: dict[int, list[str]] = {}
    for code in codes:
        by_status.setdefault(STATUS[code], []).append(code)
    if operation.method == "POST":
        by_status.setdefault(400, []).extend(("missing_field", "invalid_field"))  # the key
    responses: dict[str, Any] = {
        "200": {
            "description": "It is so.",
            "content": {"application/json": {"schema": _ref(operation.answer)}},
        }
    }
    if operation.headers is not None:
        responses["304"] = {"description": "It is what your `If-None-Match` names."}
    for status, names in sorted(by_status.items()):
        says = "; ".join(f"`{name}`: {CODES[name]}" if name in CODES else f"`{name}`" for name in names)
        responses[str(status)] = {
            "description": says,
            "content": {MEDIA_TYPE: {"schema": _ref(ProblemBody)}},
        }
    return responses


def _ref(shape: type) -> dict[str, str]:
    return {"$ref": _REF.format(name=shape.__name__)}
