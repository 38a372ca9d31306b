"""The connection against a server made of bytes: what no server of good behaviour would show."""

from __future__ import annotations

import asyncio
import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kubetree.grpc import Code, RpcError
from kubetree.grpc.calls import StreamCall, UnaryCall
from kubetree.grpc.connection import CONNECTION_WINDOW, STREAM_WINDOW, Keepalive
from kubetree.grpc.frames import LAST_STREAM
from unit.grpc.fake_server import (
    ACK,
    ANSWER,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    FIELDS,
    GOAWAY,
    HEADERS,
    OK,
    PADDED,
    PING,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    FakeServer,
    Frame,
    frame,
    message,
    of_kind,
)


def unary(server: FakeServer, request: bytes = b"ask", deadline: float = math.inf) -> UnaryCall:
    return server.connection.unary(FIELDS, request, deadline)


async def failure(call: UnaryCall) -> RpcError:
    with pytest.raises(RpcError) as caught:
        await asyncio.wait_for(call.answer, 30)
    return caught.value


def number(value: int) -> bytes:
    return value.to_bytes(4, "big")


async def test_calls_of_one_turn_are_one_write_and_their_headers_shrink() -> None:
    server = FakeServer()
    await server.received()
    writes: list[bytes] = []
    server.transport.write = writes.append  # type: ignore[method-assign]
    calls = [unary(server, b"%d" % n) for n in range(3)]
    await asyncio.sleep(0)
    assert len(writes) == 1
    server.transport.written += writes[0]
    frames = await server.received()
    assert [(f.kind, f.stream) for f in frames] == [(kind, call.id) for call in calls for kind in (HEADERS, DATA)]
    assert [server.fields(f.payload) for f in of_kind(frames, HEADERS)] == [FIELDS] * 3
    assert [len(f.payload) for f in of_kind(frames, HEADERS)][1:] == [len(FIELDS)] * 2, "a byte a field"
    assert [f.payload for f in of_kind(frames, DATA)] == [message(b"%d" % n) for n in range(3)]
    server.send(*(server.answer(call.id, b"to %d" % n) for n, call in enumerate(calls)))
    assert [await call.answer for call in calls] == [b"to 0", b"to 1", b"to 2"]


@pytest.mark.parametrize("chunk", [1, 2, 7, 1000])
async def test_bytes_may_come_in_any_pieces(chunk: int) -> None:
    server = FakeServer()
    call = unary(server)
    text = bytes(range(256)) * 20
    parts = message(text)
    data = server.headers(call.id, ANSWER) + b"".join(
        frame(DATA, stream=call.id, payload=parts[at : at + 700]) for at in range(0, 6000, 700)
    )
    data += server.headers(call.id, OK, end=True)
    for at in range(0, len(data), chunk):
        server.send(data[at : at + chunk])
    assert await call.answer == text


async def test_trailers_only_carry_status_and_message() -> None:
    server = FakeServer()
    call = unary(server)
    server.send(server.headers(call.id, [*ANSWER, ("grpc-status", "5"), ("grpc-message", "no %C3%BC here: 100%")], end=True))
    error = await failure(call)
    assert (error.code, error.details, error.unprocessed) == (Code.NOT_FOUND, "no ü here: 100%", False)


@pytest.mark.parametrize(
    ("status", "content_type", "code"),
    [
        ("503", "text/html", Code.UNAVAILABLE),
        ("404", "", Code.UNIMPLEMENTED),
        ("200", "text/plain", Code.UNKNOWN),
        ("418", "", Code.UNKNOWN),
    ],
)
async def test_who_answers_no_grpc_is_told_apart(status: str, content_type: str, code: Code) -> None:
    server = FakeServer()
    ended, going_on = unary(server), unary(server)
    fields = [(":status", status), ("content-type", content_type)]
    server.send(server.headers(ended.id, fields, end=True), server.headers(going_on.id, fields))
    assert (await failure(ended)).code is code
    assert (await failure(going_on)).code is code
    assert [f.stream for f in of_kind(await server.received(), RST_STREAM)] == [going_on.id]


async def test_wrong_answers_fail_the_call_and_leave_the_connection() -> None:
    server = FakeServer(limit=10)

    def body(*payloads: bytes, end: bool = True) -> bytes:
        call = unary(server)
        calls.append(call)
        head = server.headers(call.id, ANSWER) if payloads != (b"",) else b""
        data = b"".join(frame(DATA, 0, call.id, payload) for payload in payloads)
        return head + data + (server.headers(call.id, OK, end=True) if end else b"")

    calls: list[UnaryCall] = []
    server.send(
        body(message(b"one"), message(b"two")),
        body(),
        body(message(b"cut off")[:-1]),
        body(message(b"x", compressed=1)),
        body(b""),
        body(message(b"eleven byte")),
        body(message(b"no trailers"[:9]), end=False) + frame(DATA, END_STREAM, 13),
        body(message(b"no status"), end=False) + server.headers(15, [("x", "y")], end=True),
    )
    codes = [(await failure(call)).code for call in calls]
    assert codes == [Code.INTERNAL] * 5 + [Code.RESOURCE_EXHAUSTED, Code.INTERNAL, Code.UNKNOWN]
    good = unary(server)
    server.send(server.answer(good.id, b"fine"))
    assert await good.answer == b"fine"


async def test_interim_headers_and_padding_and_continuations_and_unknown_frames() -> None:
    server = FakeServer()
    call = unary(server)
    block = server.headers(call.id, ANSWER)[9:]
    trailers = server.headers(call.id, OK, end=True)[9:]
    server.send(
        frame(0xEE, 0xFF, 77, b"whatever"),
        frame(HEADERS, END_HEADERS, call.id, b"\x08\x03103"),
        frame(HEADERS, PADDED | 0x20, call.id, b"\x02" + bytes(5) + block[:2] + bytes(2)),
        frame(CONTINUATION, 0, call.id, block[2:3]),
        frame(CONTINUATION, END_HEADERS, call.id, block[3:]),
        frame(DATA, PADDED, call.id, b"\x03" + message(b"padded") + bytes(3)),
        frame(HEADERS, END_STREAM, call.id),
        frame(CONTINUATION, END_HEADERS, call.id, trailers),
    )
    assert await call.answer == b"padded"


async def test_resets_say_what_may_be_tried_again() -> None:
    server = FakeServer()
    calls = [unary(server) for _ in range(3)]
    await server.received()
    server.send(*(frame(RST_STREAM, 0, call.id, number(error)) for call, error in zip(calls, (7, 8, 2), strict=True)))
    errors = [await failure(call) for call in calls]
    assert [(e.code, e.unprocessed) for e in errors] == [(Code.UNAVAILABLE, True), (Code.CANCELLED, False), (Code.INTERNAL, False)]
    assert not of_kind(await server.received(), RST_STREAM)


async def test_requests_wait_for_the_windows() -> None:
    server = FakeServer({4: 10})
    small, large = unary(server, b"12345"), unary(server, bytes(30_000))
    await server.received()

    async def sent() -> dict[int, list[Frame]]:
        frames = of_kind(await server.received(), DATA)
        return {call.id: [f for f in frames if f.stream == call.id] for call in (small, large)}

    server.send(frame(WINDOW_UPDATE, 0, small.id, number(0x7FFFFFF0 - 10)))
    assert not any((await sent()).values()), "ten bytes were enough for the small one, and the large one has had its ten"
    server.send(frame(WINDOW_UPDATE, 0, large.id, number(20_000)))
    assert [len(f.payload) for f in (await sent())[large.id]] == [16_384, 3_616]
    server.settings({4: 1_000_000, 5: 20_000})
    (last,) = (await sent())[large.id]
    assert (len(last.payload), last.flags) == (30_005 - 20_010, END_STREAM)
    wide = unary(server, bytes(60_000))
    assert sum(len(f.payload) for f in of_kind(await server.received(), DATA)) == 65_535 - 10 - 30_005
    server.send(frame(WINDOW_UPDATE, payload=number(100_000)))
    assert sum(len(f.payload) for f in of_kind(await server.received(), DATA)) == 60_005 - 35_520
    server.send(*(server.answer(call.id, b"") for call in (wide, large, small)))
    assert [await call.answer for call in (small, large, wide)] == [b""] * 3


async def test_the_server_gets_its_windows_back() -> None:
    server = FakeServer()
    call = unary(server)
    text = bytes(CONNECTION_WINDOW)
    server.send(server.headers(call.id, ANSWER))
    body = message(text)
    for at in range(0, len(body), 16_384):
        server.send(frame(DATA, stream=call.id, payload=body[at : at + 16_384]))
    back = of_kind(await server.received(), WINDOW_UPDATE)
    given = {stream: sum(int.from_bytes(f.payload, "big") for f in back if f.stream == stream) for stream in (0, call.id)}
    assert given[0] - (CONNECTION_WINDOW - 65_535) >= CONNECTION_WINDOW // 2
    assert given[call.id] > len(body) - STREAM_WINDOW
    assert len(back) < 20, "not one a frame"
    server.send(server.headers(call.id, OK, end=True))
    assert await call.answer == text


async def test_a_reader_who_does_not_read_holds_the_server_back() -> None:
    server = FakeServer()
    call = server.connection.stream(FIELDS, math.inf)
    await server.received()
    server.send(server.headers(call.id, ANSWER))
    while call.unacknowledged < STREAM_WINDOW - 16_384:
        server.send(frame(DATA, stream=call.id, payload=message(bytes(16_000))))
    first = of_kind(await server.received(), WINDOW_UPDATE)
    assert sum(int.from_bytes(f.payload, "big") for f in first if f.stream == call.id) <= STREAM_WINDOW // 2
    assert len(await anext(aiter(call))) > 100
    assert [f.stream for f in of_kind(await server.received(), WINDOW_UPDATE) if f.stream] == [call.id]
    while not server.transport.closed:
        server.send(frame(DATA, stream=call.id, payload=message(bytes(16_000))))
    assert of_kind(await server.received(), GOAWAY)[0].payload[4:8] == number(3), "it was held back and did not care"


async def test_goodbye_lets_go_on_what_was_taken() -> None:
    server = FakeServer()
    taken, refused = unary(server), unary(server)
    await server.received()
    server.send(frame(GOAWAY, payload=number(taken.id) + number(0) + b"maintenance"))
    assert server.retired
    with pytest.raises(RpcError) as caught:
        unary(server)
    assert caught.value.unprocessed
    error = await failure(refused)
    assert error.unprocessed and "maintenance" in error.details
    assert not server.transport.closed
    server.send(server.answer(taken.id, b"done"))
    assert await taken.answer == b"done"
    assert server.transport.closed


async def test_what_is_lost_tells_what_was_never_sent() -> None:
    server = FakeServer({4: 4})
    waiting = unary(server, b"more than four bytes")
    await server.received()
    fresh = unary(server, b"")
    server.connection.connection_lost(ConnectionResetError("reset"))
    assert (await failure(waiting)).unprocessed and (await failure(fresh)).unprocessed
    other = FakeServer()
    sent = unary(other)
    await other.received()
    other.connection.connection_lost(None)
    error = await failure(sent)
    assert (error.code, error.unprocessed) == (Code.UNAVAILABLE, False)


async def test_stream_numbers_run_out() -> None:
    server = FakeServer()
    server.connection._next_id = LAST_STREAM
    call = unary(server)
    assert server.retired
    await server.received()
    server.send(server.answer(call.id, b"the last"))
    assert await call.answer == b"the last"


async def test_calls_wait_for_room() -> None:
    server = FakeServer({3: 1})
    first = unary(server)
    assert server.connection.full
    room = asyncio.create_task(server.connection.room())
    await asyncio.sleep(0)
    assert not room.done()
    server.send(server.answer(first.id, b""))
    await asyncio.wait_for(room, 30)
    assert not server.connection.full


async def test_pings_and_settings_are_answered() -> None:
    server = FakeServer()
    await server.received()
    server.send(frame(PING, payload=b"12345678"), frame(PING, ACK, payload=b"ignored!"), frame(SETTINGS, ACK))
    server.settings({0x99: 5, 4: 100, 1: 0})
    assert await server.received() == [Frame(PING, ACK, 0, b"12345678"), Frame(SETTINGS, ACK, 0, b"")]


async def test_a_deadline_and_a_cancelled_call_reset_their_streams() -> None:
    server = FakeServer()
    late = unary(server, deadline=asyncio.get_running_loop().time() + 0.01)
    unwanted = unary(server)
    assert (await failure(late)).code is Code.DEADLINE_EXCEEDED
    server.connection.cancel(unwanted)
    resets = of_kind(await server.received(), RST_STREAM)
    assert [(f.stream, f.payload) for f in resets] == [(late.id, number(8)), (unwanted.id, number(8))]
    server.send(server.answer(late.id, b"too late"), server.answer(unwanted.id, b"never mind"))
    good = unary(server)
    server.send(server.answer(good.id, b"in step"))
    assert await good.answer == b"in step", "the header tables have followed"


async def test_a_silent_server_is_asked_and_given_up() -> None:
    server = FakeServer(keepalive=Keepalive(urgent=0.02, idle=60, answer=0.05))
    call = unary(server)
    while not (pings := of_kind(await server.received(), PING)):
        await asyncio.sleep(0.01)
    server.send(frame(PING, ACK, payload=pings[0].payload))
    while not (pings := of_kind(await server.received(), PING)):
        assert not call.over
        await asyncio.sleep(0.01)
    error = await failure(call)
    assert error.code is Code.UNAVAILABLE and "nothing was heard" in error.details
    assert server.transport.closed


async def test_an_idle_stream_is_left_alone_for_longer() -> None:
    server = FakeServer(keepalive=Keepalive(urgent=0.01, idle=0.1, answer=60))
    server.connection.stream(FIELDS, math.inf)
    await asyncio.sleep(0.05)
    assert not of_kind(await server.received(), PING)
    while not of_kind(await server.received(), PING):
        await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("frames", "error"),
    [
        (frame(DATA, stream=0), 1),
        (frame(DATA, stream=2), 1),
        (frame(HEADERS, END_HEADERS, 99, b"\x88"), 1),
        (frame(HEADERS, END_HEADERS, 1, b"\xff\xff\xff\xff\xff\x0f"), 9),
        (frame(HEADERS, END_HEADERS, 1, b"\x80"), 9),
        (frame(HEADERS, END_HEADERS | PADDED, 1, b"\x05\x88"), 1),
        (frame(HEADERS, END_HEADERS | PADDED, 1, b""), 6),
        (frame(HEADERS, 0, 1, b"\x88") + frame(PING, payload=bytes(8)), 1),
        (frame(HEADERS, 0, 1, b"\x88") + b"".join(frame(CONTINUATION, 0, 1, bytes(16_000)) for _ in range(5)), 1),
        (frame(CONTINUATION, END_HEADERS, 1, b"\x88"), 1),
        (frame(PUSH_PROMISE, END_HEADERS, 1, number(2)), 1),
        (frame(SETTINGS, stream=1), 1),
        (frame(SETTINGS, payload=b"12345"), 1),
        (frame(SETTINGS, payload=b"\0\4" + number(2**31)), 3),
        (frame(SETTINGS, payload=b"\0\5" + number(1)), 1),
        (frame(PING, payload=b"short"), 6),
        (frame(RST_STREAM, stream=1, payload=b""), 6),
        (frame(WINDOW_UPDATE, payload=number(0)), 1),
        (frame(WINDOW_UPDATE, payload=number(2**31 - 1)), 3),
        (frame(GOAWAY, payload=b"short"), 6),
        (frame(DATA, stream=1, payload=bytes(16_385)), 6),
    ],
)
async def test_who_breaks_the_protocol_is_left(frames: bytes, error: int) -> None:
    server = FakeServer()
    call = unary(server)
    await server.received()
    server.send(frames)
    assert (await failure(call)).code is Code.UNAVAILABLE
    assert of_kind(await server.received(), GOAWAY)[0].payload[4:8] == number(error)
    assert server.transport.closed and server.retired


async def test_what_is_no_http2_is_said_so() -> None:
    server = FakeServer(shy=True)
    server.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    with pytest.raises(RpcError, match="does not speak HTTP/2"):
        await server.connection.ready


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(
        st.one_of(
            st.binary(max_size=40),
            st.builds(
                frame,
                st.integers(0, 11),
                st.sampled_from((0, 1, 4, 5, 8, 9, 12, 13, 0x20, 0x2C, 0xFF)),
                st.sampled_from((0, 1, 1, 3, 5, 2, 7, 2**31)),
                st.one_of(
                    st.binary(max_size=30),
                    st.sampled_from(
                        (b"\x88\x5f\x10application/grpc", b"\x40\x0bgrpc-status\x010", message(b"whole"), message(b"part")[:7])
                    ),
                ),
            ),
        ),
        max_size=12,
    ),
    st.integers(1, 50),
)
async def test_no_bytes_hang_a_call_or_leave_anything(frames: list[bytes], chunk: int) -> None:
    """Whatever a server sends, and then goes: every call is over, no timer and no task is left, and nothing but RpcError came out."""
    server = FakeServer(limit=1000)
    calls = [unary(server), unary(server, bytes(70_000))]
    stream = server.connection.stream(FIELDS, math.inf)
    data = b"".join(frames)
    for at in range(0, len(data), chunk):
        server.send(data[at : at + chunk])
    await server.received()
    server.connection.connection_lost(None)
    for call in calls:
        assert call.over and call.answer.done()
        if not call.answer.cancelled():
            assert isinstance(call.answer.exception(), RpcError | None)
    await asyncio.wait_for(_read(stream), 30)
    assert not server.connection._calls and not server.connection._blocked
    assert server.connection._timer is None or server.connection._timer.cancelled()
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def _read(stream: StreamCall) -> None:
    try:
        async for _ in stream:
            pass
    except RpcError:
        pass
