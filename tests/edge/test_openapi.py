"""The generated document: complete, closed in itself, and true of what the server takes and answers."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from liveserver.edge.openapi import document
from liveserver.edge.operations import OPERATIONS
from protocol.codec import JSON
from protocol.replies import Done
from tests.edge.shop import ASKED, BOUGHT, HELD, LISTING, SALE, STOCK, Site, token

WHOLE = document("0.1.0")
SCHEMAS: dict[str, Any] = WHOLE["components"]["schemas"]


def every(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        for inner in value.values():
            yield from every(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from every(inner)


def schema_at(ref: str) -> dict[str, Any]:
    found: Any = WHOLE
    for step in ref.removeprefix("#/").split("/"):
        found = found[step]
    assert isinstance(found, dict)
    return found


def faults(value: Any, schema: dict[str, Any], where: str = "$") -> list[str]:
    """What of JSON Schema this document uses, checked by hand."""
    if "$ref" in schema:
        return faults(value, schema_at(schema["$ref"]), where)
    if "anyOf" in schema:
        found = [faults(value, option, where) for option in schema["anyOf"]]
        return [] if [] in found else found[0]
    kinds = {
        "string": str,
        "integer": int,
        "object": dict,
        "array": list,
        "boolean": bool,
        "null": type(None),
    }
    if "type" in schema and not isinstance(value, kinds[schema["type"]]):
        return [f"{where} is no {schema['type']}"]
    wrong: list[str] = []
    if "enum" in schema and value not in schema["enum"]:
        wrong.append(f"{where} is none of {schema['enum']}")
    if "const" in schema and value != schema["const"]:
        wrong.append(f"{where} is not {schema['const']}")
    if isinstance(value, str):
        if "pattern" in schema and not re.search(schema["pattern"], value):
            wrong.append(f"{where} does not match")
        if not schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", 1 << 30):
            wrong.append(f"{where} has the wrong length")
    elif isinstance(value, int):
        if not schema.get("minimum", value) <= value <= schema.get("maximum", value):
            wrong.append(f"{where} is out of range")
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            wrong += faults(inner, schema.get("items", {}), f"{where}[{index}]")
    elif isinstance(value, dict):
        properties = schema.get("properties", {})
        wrong += [f"{where}.{name} is missing" for name in schema.get("required", []) if name not in value]
        for name, inner in value.items():
            more = schema.get("additionalProperties", True)
            if name in properties:
                wrong += faults(inner, properties[name], f"{where}.{name}")
            elif more is False:
                wrong.append(f"{where}.{name} is unknown")
            elif isinstance(more, dict):
                wrong += faults(inner, more, f"{where}.{name}")
    return wrong


def test_every_reference_leads_somewhere() -> None:
    references = [found["$ref"] for found in every(WHOLE) if "$ref" in found]
    assert len(references) > 30
    for reference in references:
        schema_at(reference)


def test_every_operation_is_described_once_with_its_path_parameters() -> None:
    described = {
        (method.upper(), path): operation
        for path, methods in WHOLE["paths"].items()
        for method, operation in methods.items()
    }
    assert set(described) == {(operation.method, operation.path) for operation in OPERATIONS}
    assert len({operation["operationId"] for operation in described.values()}) == len(OPERATIONS)
    for (method, path), operation in described.items():
        places = [(parameter["in"], parameter["name"]) for parameter in operation["parameters"]]
        assert len(set(places)) == len(places)
        assert [name for place, name in places if place == "path"] == re.findall(r"\{(\w+)\}", path)
        assert (("header", "Idempotency-Key") in places) is (method == "POST")
        assert {"200", "401", "403", "422", "503", "504"} <= set(operation["responses"])
        assert all(response["description"] for response in operation["responses"].values())
    assert set(ASKED) == {operation["operationId"] for operation in described.values()}


def test_a_command_s_own_names_are_not_the_body_s() -> None:
    assert not {"type", "id", "room"} & set(SCHEMAS["OpenSale"]["properties"])
    assert not {"type", "id", "room"} & set(SCHEMAS["OpenSale"]["required"])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ListingDraft", LISTING),
        ("OpenSale", SALE),
        ("HeldReservation", json.loads(JSON.encode(HELD))),
        ("Stock", json.loads(JSON.encode(STOCK))),
        ("PurchaseOutcome", json.loads(JSON.encode(BOUGHT))),
        ("PurchaseOrder", ASKED["purchase"][2]),
        ("Done", json.loads(JSON.encode(Done(id="a", t=1)))),
    ],
)
def test_real_bodies_are_as_described(name: str, value: Any) -> None:
    assert faults(value, SCHEMAS[name]) == []
    assert faults({}, SCHEMAS[name]) != []


async def test_it_is_served_and_every_real_answer_is_as_described(site: Site) -> None:
    served = json.loads((await site.call("GET", "/v1/openapi.json", bearer=None)).body)
    assert served == json.loads(json.dumps(WHOLE))
    for operation in OPERATIONS:
        responses = WHOLE["paths"][operation.path][operation.method.lower()]["responses"]
        method, path, body = ASKED[operation.name]
        for bearer in (token(), None):
            answer = await site.call(method, path, body, bearer=bearer)
            content = responses[str(answer.status)]["content"][answer.headers["content-type"]]
            assert faults(json.loads(answer.body), content["schema"]) == []
