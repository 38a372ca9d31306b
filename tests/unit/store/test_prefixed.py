"""Where a cluster's keys lie when several share a store; that reads, writes and watches work there is checked with the engines."""

import pytest

from kubetree.store.memory import MemoryStore
from kubetree.store.prefixed import PrefixedStore, normal


@pytest.mark.parametrize(
    ("given", "wanted"), [("/registry", "/registry"), ("registry/", "/registry"), ("//a/../b//c/", "/b/c"), ("", ""), ("/", "")]
)
def test_prefixes_are_read_as_upstream_reads_them(given: str, wanted: str) -> None:
    assert normal(given) == wanted


async def test_keys_lie_below_the_prefix_and_those_of_others_are_not_seen() -> None:
    inner = MemoryStore()
    one, two = PrefixedStore(inner, "/one"), PrefixedStore(inner, "one/more")
    await one.create("/registry/pods/a/x", b"1")
    written = await two.create("/registry/pods/a/x", b"2")
    assert [entry.key for entry in (await inner.range("")).entries] == ["/one/more/pods/a/x", "/one/pods/a/x"]
    entry, revision = await two.get("/registry/pods/a/x")
    assert entry is not None and (entry.key, entry.value, revision) == ("/registry/pods/a/x", b"2", written.revision)
    assert [entry.value for entry in (await one.range("/registry/pods/")).entries] == [b"1"]
