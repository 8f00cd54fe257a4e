"""What an HTTP answer means, and how a delivery is signed."""

from __future__ import annotations

import base64
import hashlib
import hmac

import pytest

from liveserver.orders import limits
from liveserver.orders.signature import secret_of, signed
from liveserver.orders.sink import Answer, Failed, Refused, Taken
from liveserver.orders.webhook import Webhook, judged, quiet_ms
from tests.orders.conftest import MakeDeliverer, drained
from tests.orders.order_service import OK, OrderService, answer
from tests.orders.test_window import row
from tests.stock.conftest import ValkeyBench

NOW_S = 1_767_000_000.0
SECRET = b"0123456789abcdef01234567"


@pytest.mark.parametrize(
    ("status", "said", "means"),
    [
        (200, b"fine", Taken()),
        (204, b"", Taken()),
        (400, b"bad row", Refused("HTTP 400: bad row")),
        (401, b"", Refused("HTTP 401")),
        (404, b"\xff", Refused("HTTP 404: \ufffd")),
        (408, b"", Failed("HTTP 408")),
        (409, b"", Failed("HTTP 409")),
        (425, b"", Failed("HTTP 425")),
        (429, b"", Failed("HTTP 429")),
        (301, b"", Failed("HTTP 301")),
        (500, b"oh", Failed("HTTP 500: oh")),
        (503, b"", Failed("HTTP 503")),
    ],
)
def test_what_a_status_means(status: int, said: bytes, means: Answer) -> None:
    assert judged(status, said, "", NOW_S) == means


@pytest.mark.parametrize(
    ("text", "wait_ms"),
    [
        ("", 0),
        ("3", 3_000),
        ("0", 0),
        ("99999999999999999999", limits.RETRY_AFTER_MS_MAX),
        ("Mon, 29 Dec 2025 09:20:07 GMT", 7_000),
        ("Mon, 29 Dec 2025 09:19:00 GMT", 0),
        ("soon", 0),
        ("-5", 0),
        ("٣", 0),
    ],
)
def test_retry_after(text: str, wait_ms: int) -> None:
    assert quiet_ms(text, NOW_S) == wait_ms


async def test_a_delivery_is_signed_over_what_was_sent(
    bench: ValkeyBench, service: OrderService, deliverer: MakeDeliverer
) -> None:
    await bench.open(bench.spec())
    await bench.buy("ann", "c1")
    await drained(await deliverer(secret=SECRET))
    (head,), (body,) = service.heads, service.bodies
    assert head["content-type"] == "application/json"
    assert head["webhook-id"] == head["idempotency-key"] == next(iter(service.effects))
    text = f"{head['webhook-id']}.{head['webhook-timestamp']}.".encode() + body
    digest = hmac.new(SECRET, text, hashlib.sha256).digest()
    assert head["webhook-signature"] == "v1," + base64.b64encode(digest).decode()


async def test_without_a_secret_nothing_is_signed(
    bench: ValkeyBench, service: OrderService, deliverer: MakeDeliverer
) -> None:
    await bench.open(bench.spec())
    await bench.buy("ann", "c1")
    await drained(await deliverer())
    assert not any(name.startswith("webhook-") for name in service.heads[0])


def test_the_specification_s_own_example() -> None:
    """Of Standard Webhooks: msg_p5jXN8AQM9LWM0D4loKWxJek, 1614265330."""
    secret = secret_of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n")
    found = signed(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert found["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize("text", ["", "short", "whsec_c2hvcnQ=", "whsec_no base64 at all, but long enough"])
def test_a_secret_that_is_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"secret|base64"):
        secret_of(text)


async def test_a_long_answer_is_not_read_to_its_end(service: OrderService) -> None:
    sink = Webhook(service.url, timeout_ms=2_000)
    service.behave = lambda given, nth: answer(500, "x" * 5_000_000) if nth == 1 else OK
    try:
        failed = await sink.deliver(row(1))
        assert isinstance(failed, Failed) and len(failed.why) <= limits.WHY_CHARS_MAX
        assert await sink.deliver(row(1)) == Taken()
    finally:
        await sink.aclose()


async def test_a_taken_row_whose_answer_never_ends_is_taken(service: OrderService) -> None:
    sink = Webhook(service.url, timeout_ms=200)
    service.behave = lambda given, nth: b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"
    try:
        assert await sink.deliver(row(1)) == Taken()
    finally:
        await sink.aclose()
