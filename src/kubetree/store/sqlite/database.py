"""The file: its one table of changes, and every SQL statement. Blocking calls, no asyncio; each connection is for one thread at a time.

The table is append-only, in the manner of kine: a row is what a key became at a revision, which is the row's id. A delete has no value and
`created` 0. `previous` is the revision that the row supersedes: what compaction removes.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from kubetree.store.protocol import Entry, StoreEvent, StoreUnavailable

MAX_BATCH = 128
"""Rows of one INSERT: each count is a statement of its own, prepared once."""

_SCHEMA_VERSION = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS log (
    revision INTEGER PRIMARY KEY,
    key      TEXT NOT NULL,
    created  INTEGER NOT NULL,
    previous INTEGER NOT NULL,
    expires  REAL,
    value    BLOB
);
CREATE INDEX IF NOT EXISTS by_key ON log (key, revision, created);
CREATE INDEX IF NOT EXISTS expiring ON log (revision, key, expires) WHERE expires IS NOT NULL;
CREATE TABLE IF NOT EXISTS compaction (id INTEGER PRIMARY KEY CHECK (id = 1), revision INTEGER NOT NULL);
"""
_SETTINGS = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
PRAGMA temp_store = MEMORY;
PRAGMA journal_size_limit = 67108864;
"""
_INSERT = "INSERT INTO log (revision, key, created, previous, expires, value) VALUES "
_STANDING = (
    "SELECT key, max(revision) AS revision, created FROM log WHERE key >= ? AND key < ? AND revision <= ? GROUP BY key HAVING created > 0"
)
_PAGE = f"SELECT s.key, l.value, l.revision, l.created FROM ({_STANDING} ORDER BY key LIMIT ?) s JOIN log l ON l.revision = s.revision"

END = "\U0010ffff"
"""Greater than every key."""


class Row(NamedTuple):
    """What a key became. `value` None: deleted. `expires` is seconds since the epoch."""

    revision: int
    key: str
    created: int
    previous: int
    expires: float | None
    value: bytes | None


class State(NamedTuple):
    """What is kept in memory: where each key stands (revision, created), and what expires (key, revision, when)."""

    revision: int
    compacted: int
    heads: dict[str, tuple[int, int]]
    expiring: list[tuple[str, int, float]]


def connect(path: Path, *, cache: int = 4096) -> sqlite3.Connection:
    """`cache` is in KiB."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=2 * MAX_BATCH, timeout=5.0)
    connection.executescript(_SETTINGS)
    connection.execute(f"PRAGMA cache_size = -{cache}")
    return connection


def prepare(path: Path, first_revision: int) -> State:
    """Makes the file (mode 0600) or reads it. Raises StoreUnavailable when it is no store of this program."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    try:
        connection = connect(path)
    except sqlite3.Error as error:
        raise StoreUnavailable(f"cannot open the store {path}: {error}") from error
    try:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version not in (0, _SCHEMA_VERSION):
            raise StoreUnavailable(f"the store {path} has format {version}, made by another version; this one reads {_SCHEMA_VERSION}")
        if version == 0:
            connection.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {_SCHEMA_VERSION}; COMMIT;")
            connection.execute("INSERT INTO compaction VALUES (1, 0)")
        (compacted,) = connection.execute("SELECT revision FROM compaction").fetchone()
        (last,) = connection.execute("SELECT max(revision) FROM log").fetchone()
        heads = {key: (revision, created) for key, revision, created in connection.execute(_STANDING, ("", END, 1 << 62))}
        expiring = connection.execute("SELECT key, revision, expires FROM log INDEXED BY expiring WHERE expires IS NOT NULL").fetchall()
    except sqlite3.Error as error:
        raise StoreUnavailable(f"cannot read the store {path}: {error}") from error
    finally:
        connection.close()
    return State(max(last or 0, compacted, first_revision), compacted, heads, [e for e in expiring if heads.get(e[0], (0,))[0] == e[1]])


def insert(connection: sqlite3.Connection, rows: Sequence[Row]) -> None:
    """All rows or none, on disk when it returns: one statement is one transaction."""
    connection.execute(_INSERT + ",".join(("(?,?,?,?,?,?)",) * len(rows)), [value for row in rows for value in row])


def value_of(connection: sqlite3.Connection, revision: int) -> bytes:
    (value,) = connection.execute("SELECT value FROM log WHERE revision = ?", (revision,)).fetchone()
    found: bytes = value
    return found


def entry_at(connection: sqlite3.Connection, key: str, revision: int) -> Entry | None:
    query = "SELECT value, revision, created FROM log WHERE key = ? AND revision <= ? ORDER BY revision DESC LIMIT 1"
    row = connection.execute(query, (key, revision)).fetchone()
    return Entry(key, *row) if row is not None and row[0] is not None else None


def page_at(connection: sqlite3.Connection, start: str, end: str, limit: int, revision: int) -> tuple[list[Entry], int]:
    """Keys from `start` to before `end`, in order, and how many there are after them; `limit` 0: all."""
    entries = [Entry(*row) for row in connection.execute(_PAGE, (start, end, revision, limit or -1))]
    if not limit or len(entries) < limit:
        return entries, 0
    return entries, count_at(connection, entries[-1].key + "\0", end, revision)


def count_at(connection: sqlite3.Connection, start: str, end: str, revision: int) -> int:
    (count,) = connection.execute(f"SELECT count(*) FROM ({_STANDING})", (start, end, revision)).fetchone()
    found: int = count
    return found


def changes(connection: sqlite3.Connection, start: str, end: str, after: int, upto: int) -> list[StoreEvent]:
    query = "SELECT revision, key, value, created FROM log WHERE revision > ? AND revision <= ? AND key >= ? AND key < ? ORDER BY revision"
    return [StoreEvent(*row) for row in connection.execute(query, (after, upto, start, end))]


def compact(connection: sqlite3.Connection, after: int, upto: int) -> None:
    """Removes what changes in (`after`, `upto`] superseded, and deletes among them. Everything up to `after` has been compacted before."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        superseded = "SELECT previous FROM log WHERE revision > ? AND revision <= ? AND previous > 0"
        connection.execute(f"DELETE FROM log WHERE revision IN ({superseded})", (after, upto))
        connection.execute("DELETE FROM log WHERE revision > ? AND revision <= ? AND created = 0", (after, upto))
        connection.execute("UPDATE compaction SET revision = ?", (upto,))
        connection.execute("COMMIT")
    except sqlite3.Error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
