"""The asyncio client against a real ``websockets`` server on loopback that speaks just enough."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus

import pytest
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from protocol import commands
from protocol.client.aio import (
    CommandRefused,
    ConnectFailed,
    ConnectionEnded,
    Live,
    NotConnected,
    NotEntered,
    OutcomeUnknown,
    Room,
    connect,
)
from protocol.client.happenings import DanmakuShown, Disconnected, Entered, Happened, Snapshotted, Welcomed
from protocol.codec import CODECS, Codec
from protocol.errors import CommandError
from protocol.frames import DanmakuBlock, Frame
from protocol.replies import Bye, ErrorReply, Left, Pong, PurchaseOutcome, Receipt, Welcome
from protocol.types import Danmaku, Fate, OrderLine, Role

from .tiny_room import TinyRoom


class TinyServer:
    """One room, one behaviour per test: ``answer`` may be replaced."""

    def __init__(self) -> None:
        self.room = TinyRoom()
        self.sockets: list[ServerConnection] = []
        self.heard: list[commands.Command] = []
        self.tokens: list[str] = []
        self.refuse: list[Callable[[ServerConnection], Response | None]] = []
        self.on_command: Callable[[Codec, ServerConnection, commands.Command], bool] = lambda *_: False
        self.turned_away: tuple[ErrorReply, int] | None = None  # what everybody is told, and closed with
        self.url = ""
        self.keepalive_ms = 25_000

    def judge(self, connection: ServerConnection, request: Request) -> Response | None:
        self.tokens.append(request.headers.get("Authorization", ""))
        return self.refuse.pop(0)(connection) if self.refuse else None

    async def serve_one(self, socket: ServerConnection) -> None:
        self.sockets.append(socket)
        codec = CODECS[socket.subprotocol or ""]
        if self.turned_away is not None:
            reply, code = self.turned_away
            await self.say(socket, reply)
            await socket.close(code, reply.code)
        elif self.tokens[-1]:
            await self.say(socket, self.welcome(""))
        async for payload in socket:
            given = payload.encode() if isinstance(payload, str) else payload
            try:
                command = codec.decode_command(given)
            except CommandError as error:
                await self.say(
                    socket,
                    ErrorReply(id=error.command_id, t=self.room.now_ms, code=error.code, field=error.field),
                )
                continue
            self.heard.append(command)
            if not self.on_command(codec, socket, command):
                await self.answer(socket, command)

    async def answer(self, socket: ServerConnection, command: commands.Command) -> None:
        t = self.room.now_ms
        match command:
            case commands.Authenticate():
                await self.say(socket, self.welcome(command.id))
            case commands.Join(room="r1"):
                joined, frames = self.room.join(command, n=0)
                for message in [joined, *frames]:
                    await self.say(socket, message)
            case commands.Join():
                await self.say(socket, ErrorReply(id=command.id, t=t, code="forbidden", field="room"))
            case commands.Leave():
                await self.say(socket, Left(id=command.id, t=t, room=command.room))
            case commands.Ping():
                await self.say(socket, Pong(id=command.id, t=t))
            case commands.SendDanmaku():
                await self.say(
                    socket,
                    Receipt(id=command.id, t=t, room=command.room, fate=Fate.SHOWN, danmaku_id="d1"),
                )
            case commands.Purchase():
                await self.say(
                    socket,
                    PurchaseOutcome(id=command.id, t=t, sale_id=command.sale_id, outcome="sold_out"),
                )

    def welcome(self, command_id: str) -> Welcome:
        return Welcome(
            id=command_id,
            t=self.room.now_ms,
            user_id="ann",
            role=Role.VIEWER,
            session_id="s1",
            process="p1",
            keepalive_ms=self.keepalive_ms,
            expires_at_ms=self.room.now_ms + 3_600_000,
        )

    async def say(self, socket: ServerConnection, message: object) -> None:
        codec = CODECS[socket.subprotocol or ""]
        await socket.send(codec.encode(message), text=codec.text)  # type: ignore[arg-type]

    async def broadcast(self, frame: Frame) -> None:
        await self.say(self.sockets[-1], frame)


@asynccontextmanager
async def running(server: TinyServer) -> AsyncIterator[Server]:
    async with serve(
        server.serve_one,
        "127.0.0.1",
        0,
        subprotocols=[Subprotocol(each) for each in CODECS],
        process_request=server.judge,
        ping_interval=None,
        close_timeout=1,
    ) as listening:
        port = next(iter(listening.sockets)).getsockname()[1]
        server.url = f"ws://127.0.0.1:{port}/v1/live"
        yield listening


@pytest.fixture
async def server() -> AsyncIterator[TinyServer]:
    tiny = TinyServer()
    async with running(tiny):
        yield tiny


def dial(server: TinyServer, **options: object) -> connect:
    settings: dict[str, object] = {"proxy": None, "random": lambda: 0.01} | options
    return connect(server.url, "token-1", **settings)  # type: ignore[arg-type]


async def until_entered(live: Live, room_id: str) -> Entered:
    async with asyncio.timeout(10):
        async for happening in live.rooms[room_id]:
            if isinstance(happening, Entered):
                return happening
    raise AssertionError("the room ended")


async def read_out(room: Room) -> list[type]:
    return [type(event) async for event in room]


@pytest.mark.parametrize("subprotocol", list(CODECS))
async def test_join_fills_the_mirror_and_frames_follow(server: TinyServer, subprotocol: str) -> None:
    server.room.publish("l1")
    async with dial(server, subprotocols=[subprotocol]) as live:
        room = await live.join("r1")
        assert room.mirror.snapshot() == server.room.snapshot()
        assert server.tokens == ["Bearer token-1"]
        assert server.sockets[0].subprotocol == subprotocol
        server.room.explain("l1")
        await server.broadcast(server.room.critical(server.room.log[-1:]))
        seen = []
        async with asyncio.timeout(10):
            async for event in room:
                seen.append(type(event))
                if isinstance(event, Happened):
                    break
        assert seen == [Snapshotted, Entered, Happened]
        assert room.mirror.explaining == "l1"
        assert abs(live.server_ms() - server.room.now_ms) < 60_000


async def test_token_as_the_first_command(server: TinyServer) -> None:
    async with dial(server, token_in="command") as live:
        assert live.welcome is not None and live.welcome.user_id == "ann"
        assert server.tokens == [""]
        first = server.heard[0]
        assert isinstance(first, commands.Authenticate) and first.token == "token-1"


async def test_a_cut_in_mid_purchase_resumes_and_asks_again(server: TinyServer) -> None:
    """The connection dies under a purchase: the client comes back by itself, resumes the room where it was
    and sends the same command id with attempt 1."""
    cut = False

    def cut_once(codec: Codec, socket: ServerConnection, command: commands.Command) -> bool:
        nonlocal cut
        if isinstance(command, commands.Purchase) and not cut:
            cut = True
            server.room.publish("l2")  # happens while the viewer is away
            socket.transport.abort()
            return True
        return False

    server.on_command = cut_once
    server.room.publish("l1")
    async with dial(server) as live:
        room = await live.join("r1")
        async with asyncio.timeout(10):
            outcome = await room.purchase("sale1", [OrderLine(item_id="red")], command_id="buy-1")
        assert outcome.outcome == "sold_out"
        purchases = [each for each in server.heard if isinstance(each, commands.Purchase)]
        assert [(each.id, each.attempt) for each in purchases] == [("buy-1", 0), ("buy-1", 1)]
        joins = [each for each in server.heard if isinstance(each, commands.Join)]
        assert [(each.epoch, each.offset) for each in joins] == [(None, None), (1_000, 1)]
        entered = [await until_entered(live, "r1"), await until_entered(live, "r1")]
        assert [(each.mode, each.replayed) for each in entered] == [("snapshot", 0), ("replayed", 1)]
        assert room.mirror.snapshot() == server.room.snapshot()


async def test_danmaku_in_a_cut_is_unknown_and_not_sent_twice(server: TinyServer) -> None:
    def cut(codec: Codec, socket: ServerConnection, command: commands.Command) -> bool:
        if isinstance(command, commands.SendDanmaku):
            socket.transport.abort()
            return True
        return False

    server.on_command = cut
    async with dial(server) as live:
        room = await live.join("r1")
        with pytest.raises(OutcomeUnknown) as caught:
            await room.danmaku("hello")
        assert caught.value.why == "disconnected" and not caught.value.repeatable
        await until_entered(live, "r1")
        await until_entered(live, "r1")  # back again
        await live.ping()
        assert sum(isinstance(each, commands.SendDanmaku) for each in server.heard) == 1


async def test_own_comment_is_shown_once(server: TinyServer) -> None:
    async with dial(server) as live:
        room = await live.join("r1")
        receipt = await room.danmaku("hello")
        assert receipt.fate is Fate.SHOWN
        comments = [Danmaku("d1", "ann", "Ann", "hello"), Danmaku("d2", "bob", "Bob", "hi")]
        block = DanmakuBlock(offered=2, danmaku=comments)
        await server.broadcast(Frame(room="r1", t=server.room.now_ms, n=1, danmaku=block))
        shown: list[str] = []
        async with asyncio.timeout(10):
            async for event in room:
                if isinstance(event, DanmakuShown):
                    shown += [each.danmaku_id for each in event.danmaku]
                if "d2" in shown:
                    break
        assert shown == ["d1", "d2"]


async def test_a_refusal_carries_code_and_field(server: TinyServer) -> None:
    async with dial(server) as live:
        with pytest.raises(CommandRefused) as caught:
            await live.join("elsewhere")
        assert (caught.value.code, caught.value.field) == ("forbidden", "room")
        assert "elsewhere" not in live.rooms
        room = await live.join("r1")
        with pytest.raises(CommandRefused) as caught:
            await room.danmaku("x" * 101)
        assert (caught.value.code, caught.value.field) == ("invalid_field", "text")


async def test_a_command_without_a_reply_is_unknown_in_time(server: TinyServer) -> None:
    server.on_command = lambda codec, socket, command: isinstance(command, commands.Purchase)
    async with dial(server, command_timeout_ms=50) as live:
        room = await live.join("r1")
        with pytest.raises(OutcomeUnknown) as caught:
            await room.purchase("sale1", [OrderLine(item_id="red")])
        assert caught.value.why == "timeout" and caught.value.repeatable
        server.on_command = lambda codec, socket, command: False
        reply = await live.again(caught.value.command)
        assert isinstance(reply, PurchaseOutcome) and reply.id == caught.value.command.id
        assert [each.attempt for each in server.heard if isinstance(each, commands.Purchase)] == [0, 1]


async def test_a_cancelled_command_leaves_the_session_whole(server: TinyServer) -> None:
    heard = asyncio.Event()

    def swallow(codec: Codec, socket: ServerConnection, command: commands.Command) -> bool:
        heard.set()
        return isinstance(command, commands.Ping)

    server.on_command = swallow
    async with dial(server) as live:
        asking = asyncio.create_task(live.ping())
        await heard.wait()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert live._session.waiting == 0
        server.on_command = lambda codec, socket, command: False
        room = await live.join("r1")
        assert (await room.danmaku("still here")).fate is Fate.SHOWN


async def test_silence_of_two_keepalives_is_given_up(server: TinyServer) -> None:
    """No ping and no message: the client leaves a dead connection and comes back on a new one."""
    server.keepalive_ms = 20
    async with dial(server) as live:
        server.keepalive_ms = 25_000
        codes = []
        async with asyncio.timeout(10):
            async for happening in live:
                if isinstance(happening, Disconnected):
                    codes.append(happening.code)
                if isinstance(happening, Welcomed) and codes:
                    break
        assert codes == [1006]
        assert len(server.sockets) == 2


async def test_a_ping_is_a_sign_of_life(server: TinyServer) -> None:
    async with dial(server) as live:
        live._session.heard(0.0)
        pong = await server.sockets[0].ping()
        await pong
        assert live._session._heard_ms > 0.0


async def test_refused_for_the_moment_is_tried_again(server: TinyServer) -> None:
    server.refuse = [
        lambda socket: socket.respond(HTTPStatus.SERVICE_UNAVAILABLE, "full\n"),
        lambda socket: None,
    ]
    async with dial(server) as live:
        assert live.welcome is not None
    assert len(server.tokens) == 2


async def test_refused_for_good_is_raised(server: TinyServer) -> None:
    server.refuse = [lambda socket: socket.respond(HTTPStatus.FORBIDDEN, "no\n")]
    with pytest.raises(ConnectFailed, match="HTTP 403"):
        async with dial(server):
            pass
    assert len(server.tokens) == 1


async def test_nobody_there_is_raised_in_time() -> None:
    nowhere = TinyServer()
    async with running(nowhere):
        pass  # the port was ours and is closed now
    with pytest.raises(ConnectFailed):
        async with dial(nowhere, open_timeout_ms=200):
            pass


async def test_a_last_goodbye_ends_session_and_rooms(server: TinyServer) -> None:
    async with dial(server) as live:
        room = await live.join("r1")
        bye = Bye(t=server.room.now_ms, reason="ended", reconnect=False)
        await server.say(server.sockets[-1], bye)
        await server.sockets[-1].close(1000)
        with pytest.raises(ConnectionEnded) as caught:
            await asyncio.wait_for(read_out(room), 10)
        assert caught.value.code == 1000
        with pytest.raises(ConnectionEnded):
            await room.danmaku("anyone?")


async def test_leaving_the_block_ends_everything(server: TinyServer) -> None:
    before = asyncio.all_tasks()
    async with dial(server) as live:
        room = await live.join("r1")
    seen = await asyncio.wait_for(read_out(room), 10)
    assert seen == [Snapshotted, Entered]
    await asyncio.wait_for(server.sockets[0].wait_closed(), 10)
    assert server.sockets[0].close_code == 1000
    assert {task for task in asyncio.all_tasks() - before if "protocol/client" in repr(task)} == set()


async def test_what_may_count_twice_does_not_wait_for_a_connection(server: TinyServer) -> None:
    async with dial(server, random=lambda: 0.999) as live:
        room = await live.join("r1")
        server.sockets[0].transport.abort()
        async with asyncio.timeout(10):
            async for happening in live:
                if isinstance(happening, Disconnected):
                    break
        with pytest.raises(NotConnected):
            await room.like(3)


async def test_each_connection_gets_a_fresh_token(server: TinyServer) -> None:
    serial = 0

    async def fresh() -> str:
        nonlocal serial
        serial += 1
        return f"token-{serial}"

    async with connect(server.url, fresh, proxy=None, random=lambda: 0.01) as live:
        server.sockets[0].transport.abort()
        seen = 0
        async with asyncio.timeout(10):
            async for happening in live:
                seen += isinstance(happening, Welcomed)
                if seen == 2:
                    break
        assert server.tokens == ["Bearer token-1", "Bearer token-2"]


@pytest.mark.parametrize(
    ("code", "close"), [("bad_token", 4002), ("token_expired", 4003)], ids=["bad", "expired"]
)
async def test_a_token_that_is_refused_is_named_at_once(server: TinyServer, code: str, close: int) -> None:
    """An error reply of no command, then the close: no attempt is made with the same token again."""
    server.turned_away = ErrorReply(id="", t=1, code=code, detail="signed by another"), close
    with pytest.raises(ConnectFailed, match=f"{code}: signed by another") as caught:
        async with dial(server, open_timeout_ms=60_000):
            pass
    assert caught.value.code == code
    assert len(server.tokens) == 1


async def test_a_token_that_expires_in_mid_session_ends_it(server: TinyServer) -> None:
    async with dial(server) as live:
        room = await live.join("r1")
        await server.sockets[0].close(4003, "token_expired")
        assert Disconnected in await read_out_session(live)
        with pytest.raises(ConnectionEnded, match="come back with a fresh one"):
            await room.danmaku("hi")
    assert len(server.tokens) == 1


async def test_where_a_fresh_token_can_be_had_an_expired_one_is_replaced(server: TinyServer) -> None:
    minted = iter(("old", "new"))

    async def token() -> str:
        return next(minted)

    async with connect(server.url, token, proxy=None, random=lambda: 0.0) as live:
        await live.join("r1")
        await server.sockets[0].close(4003, "token_expired")
        async for happening in live:
            if isinstance(happening, Welcomed) and len(server.tokens) == 2:
                break
    assert server.tokens == ["Bearer old", "Bearer new"]


async def read_out_session(live: Live) -> list[type]:
    return [type(happening) async for happening in live]


async def test_a_token_that_cannot_be_had_is_raised(server: TinyServer) -> None:
    async def broken() -> str:
        raise RuntimeError("the login service is away")

    with pytest.raises(ConnectFailed, match="the login service is away"):
        async with connect(server.url, broken, proxy=None):
            pass


@pytest.mark.parametrize("compression", [True, False])
async def test_deflate_is_offered_without_context_takeover(server: TinyServer, compression: bool) -> None:
    async with dial(server, compression=compression) as live:
        await live.join("r1")
        request = server.sockets[0].request
        assert request is not None
        offer = request.headers.get("Sec-WebSocket-Extensions", "")
        assert (
            "server_no_context_takeover" in offer and "client_no_context_takeover" in offer
        ) == compression
        assert bool(server.sockets[0].protocol.extensions) == compression


async def test_two_who_join_at_once_share_the_room(server: TinyServer) -> None:
    server.room.publish("l1")
    async with dial(server) as live:
        one, other = await asyncio.gather(live.join("r1"), live.join("r1"))
        assert one is other
        assert [each.listing_id for each in other.mirror.listings] == ["l1"]
        assert sum(isinstance(each, commands.Join) for each in server.heard) == 1


async def test_a_room_that_is_left_ends_its_reader(server: TinyServer) -> None:
    async with dial(server) as live:
        room = await live.join("r1")
        reading = asyncio.create_task(read_out(room))
        live.leave("r1")
        assert await asyncio.wait_for(reading, 10) == [Snapshotted, Entered]
        await live.ping()
        assert [type(each) for each in server.heard] == [commands.Join, commands.Leave, commands.Ping]


async def test_a_join_without_an_answer_leaves_the_room(server: TinyServer) -> None:
    server.on_command = lambda codec, socket, command: isinstance(command, commands.Join)
    async with dial(server, command_timeout_ms=50) as live:
        with pytest.raises(NotEntered):
            await live.join("r1")
        assert live.rooms == {}
        server.on_command = lambda codec, socket, command: False
        await live.join("r1")


async def test_nonsense_from_the_server_ends_the_session(server: TinyServer) -> None:
    async with dial(server) as live:
        room = await live.join("r1")
        await server.sockets[0].send(b"\xc1")
        with pytest.raises(ConnectionEnded) as caught:
            await asyncio.wait_for(read_out(room), 10)
        assert caught.value.code == 1007
        await asyncio.wait_for(server.sockets[0].wait_closed(), 10)
        assert server.sockets[0].close_code == 1007


async def test_an_exception_in_the_block_comes_out(server: TinyServer) -> None:
    with pytest.raises(ZeroDivisionError):
        async with dial(server):
            raise ZeroDivisionError
    await asyncio.wait_for(server.sockets[0].wait_closed(), 10)
