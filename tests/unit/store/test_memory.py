"""What only the memory engine can get wrong: keeping what nobody can read any more."""

from __future__ import annotations

from kubetree.store.memory import MemoryStore


async def test_compaction_lets_go_of_deleted_keys_and_old_values() -> None:
    store = MemoryStore()
    kept = await store.create("/kept", b"1")
    await store.update("/kept", b"2", kept.revision)
    gone = await store.create("/gone", b"1")
    deleted = await store.delete("/gone", gone.revision)
    await store.compact(deleted.revision)
    assert {key: len(versions) for key, versions in store._versions.items()} == {"/kept": 1}
    assert store._log == []
    await store.close()
