"""What a watch tells, replayed, is what a list shows: with selectors, over many writers, from any start."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from behaviour.apiserver_harness import MAPS, Http, config_map, running_server
from kubetree.store.memory import MemoryStore
from kubetree.store.protocol import Written

Object = dict[str, Any]
NAMES = [f"m{i}" for i in range(12)]


async def scribble(http: Http, chance: random.Random, turns: int) -> None:
    """Creates, relabels, changes and deletes at random; refusals are part of it."""
    for _ in range(turns):
        name, on = chance.choice(NAMES), chance.choice(("yes", "no"))
        match chance.randrange(4):
            case 0:
                body = config_map(name, n=str(chance.random()))
                body["metadata"]["labels"] = {"on": on}
                await http.post(MAPS, body)
            case 1:
                await http.patch(f"{MAPS}/{name}", {"metadata": {"labels": {"on": on}}})
            case 2:
                await http.patch(f"{MAPS}/{name}", {"data": {"n": str(chance.random())}})
            case 3:
                await http.delete(f"{MAPS}/{name}")


async def replay(http: Http, query: str, state: dict[str, Object], until: asyncio.Event) -> None:
    """Applies what the watch tells to `state`, strictly: an ADDED must be new, a MODIFIED or DELETED known."""
    async with http.watch(f"{MAPS}?watch=1&{query}") as events:
        last = 0
        async for event in events:
            obj = event["object"]
            name, revision = obj["metadata"]["name"], int(obj["metadata"]["resourceVersion"])
            assert revision > last, "events must come in revision order"
            last = revision
            assert (name in state) == (event["type"] != "ADDED"), event
            if event["type"] == "DELETED":
                del state[name]
            else:
                state[name] = obj
            if name == "end":
                until.set()
                return


@pytest.mark.parametrize("seed", range(3))
async def test_a_watch_replayed_is_the_list(seed: int) -> None:
    chance = random.Random(seed)
    async with running_server() as http:
        await scribble(http, chance, 20)
        listed = (await http.get(f"{MAPS}?labelSelector=on=yes")).json
        state = {o["metadata"]["name"]: o for o in listed["items"]}
        query = f"labelSelector=on=yes&resourceVersion={listed['metadata']['resourceVersion']}"
        done = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(replay(http, query, state, done))
            async with asyncio.TaskGroup() as writers:
                for _ in range(4):
                    writers.create_task(scribble(http, random.Random(chance.random()), 40))
            end = config_map("end")
            end["metadata"]["labels"] = {"on": "yes"}
            await http.post(MAPS, end)
            await asyncio.wait_for(done.wait(), 30)
        final = (await http.get(f"{MAPS}?labelSelector=on=yes")).json["items"]
        assert {n: o["metadata"]["resourceVersion"] for n, o in state.items()} == {
            o["metadata"]["name"]: o["metadata"]["resourceVersion"] for o in final
        }
        assert all(state[o["metadata"]["name"]].get("data") == o.get("data") for o in final)


@pytest.mark.one_store
async def test_unconditional_writers_of_one_object_do_not_make_each_other_try_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each starts from what the one before it wrote: as many tries at the store as there are writes, and every one is seen."""
    tries = 0
    plain = MemoryStore.update

    async def slow(self: MemoryStore, key: str, *args: Any, **options: Any) -> Written:
        nonlocal tries
        tries += key.endswith("/hot")
        await asyncio.sleep(0)
        return await plain(self, key, *args, **options)

    monkeypatch.setattr(MemoryStore, "update", slow)
    async with running_server(MemoryStore()) as http:
        await http.post(MAPS, config_map("hot", n="0"))
        answers = await asyncio.gather(*(http.put(f"{MAPS}/hot", config_map("hot", n=str(n))) for n in range(1, 9)))
        assert [a.status for a in answers] == [200] * 8
        assert len({a.json["metadata"]["resourceVersion"] for a in answers}) == 8
    assert tries == 8
