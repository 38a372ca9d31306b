"""SPDY/3.1 frames: the dictionary to the byte, frames there and back, a session over a pair of sockets."""

from __future__ import annotations

import asyncio
import socket
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubetree.kubelet.server.spdy import (
    DICTIONARY,
    GOAWAY,
    RST_STREAM,
    SYN_REPLY,
    SYN_STREAM,
    UNREAD,
    ControlFrame,
    DataFrame,
    Framer,
    Session,
    SpdyError,
)

NAMES = st.text("abcdefghijklmnopqrstuvwxyz-", min_size=1, max_size=12)


def test_the_dictionary_is_the_drafts() -> None:
    assert (len(DICTIONARY), zlib.adler32(DICTIONARY)) == (1423, 0xE3C6A7C2)


@given(
    st.lists(st.tuples(st.dictionaries(NAMES, st.text(max_size=30), max_size=5), st.binary(max_size=200)), max_size=5), st.integers(1, 40)
)
def test_frames_there_and_back_in_pieces(messages: list[tuple[dict[str, str], bytes]], size: int) -> None:
    sender, receiver = Framer(), Framer()
    wire = b""
    expected: list[object] = []
    for number, (headers, data) in enumerate(messages):
        wire += sender.syn_stream(2 * number + 1, headers) + sender.data(2 * number + 1, data, fin=True)
        expected += [ControlFrame(SYN_STREAM, 0, 2 * number + 1, headers), DataFrame(2 * number + 1, data, True)]
    got = [frame for start in range(0, len(wire), size) for frame in receiver.feed(wire[start : start + size])]
    assert got == expected


def test_other_control_frames() -> None:
    framer = Framer()
    rst, goaway = Framer().feed(framer.rst_stream(5, 3) + framer.goaway(7))
    assert isinstance(rst, ControlFrame) and (rst.kind, rst.stream) == (RST_STREAM, 5)
    assert isinstance(goaway, ControlFrame) and goaway.kind == GOAWAY


def test_another_version_is_refused() -> None:
    with pytest.raises(SpdyError, match="version 2"):
        Framer().feed(b"\x80\x02\x00\x01\x00\x00\x00\x00")


def test_garbage_headers_are_refused() -> None:
    with pytest.raises(SpdyError, match="header block"):
        Framer().feed(b"\x80\x03\x00\x02\x00\x00\x00\x08\x00\x00\x00\x01junk")


async def test_a_session_opens_streams_and_sees_their_end() -> None:
    ours, theirs = socket.socketpair()
    reader, writer = await asyncio.open_connection(sock=ours)
    session = Session(reader, writer)
    task = asyncio.create_task(session.run())
    peer_reader, peer_writer = await asyncio.open_connection(sock=theirs)

    async def peer() -> None:
        framer, answered = Framer(), 0
        while answered < 2:
            for frame in framer.feed(await peer_reader.read(1000)):
                if isinstance(frame, ControlFrame) and frame.kind == SYN_STREAM:
                    answered += 1
                    if frame.headers["streamtype"] == "no":
                        peer_writer.write(framer.rst_stream(frame.stream, 3))
                    else:
                        peer_writer.write(
                            framer.syn_reply(frame.stream, {}) + framer.data(frame.stream, b"hi") + framer.data(frame.stream, b"", fin=True)
                        )

    answering = asyncio.create_task(peer())
    stream = await session.open({"streamType": "yes"})
    assert await stream.read() == b"hi" and await stream.read() == b""
    with pytest.raises(SpdyError, match="reset"):
        await session.open({"streamType": "no"})
    await answering
    peer_writer.close()
    await task
    writer.close()
    assert SYN_REPLY == 2


async def test_a_session_ends_although_nobody_reads_what_came() -> None:
    ours, theirs = socket.socketpair()
    reader, writer = await asyncio.open_connection(sock=ours)
    session = Session(reader, writer)
    running = asyncio.create_task(session.run())
    peer_reader, peer_writer = await asyncio.open_connection(sock=theirs)
    opening = asyncio.create_task(session.open({"streamType": "stdout"}))
    framer = Framer()
    (syn,) = framer.feed(await peer_reader.read(1000))
    peer_writer.write(framer.syn_reply(syn.stream, {}) + b"".join(framer.data(syn.stream, b"y\n") for _ in range(2 * UNREAD)))
    stream = await opening
    while stream.unread < UNREAD:
        await asyncio.sleep(0)
    running.cancel()
    async with asyncio.timeout(30):
        await asyncio.wait({running})
        assert [await stream.read() for _ in range(UNREAD + 1)] == [b"y\n"] * UNREAD + [b""]
    writer.close()
    peer_writer.close()
