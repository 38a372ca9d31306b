"""ServiceCIDRs are ready once protected, and go when no address needs them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from kubetree.api.times import format_time
from kubetree.apiserver.allocators.cluster_ips import ip_address_object
from kubetree.controllers.plan import NOTHING, Action, RequeueAfter, Update
from kubetree.controllers.service_cidrs import FINALIZER, HELD, READY, WATCHES, reconcile
from kubetree.controllers.snapshot import ObjectSnapshot

Object = dict[str, Any]

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def service_cidr(name: str, *cidrs: str, protected: bool = True, deleted: datetime | None = None) -> Object:
    metadata: Object = {"name": name}
    if protected:
        metadata["finalizers"] = [FINALIZER]
    if deleted:
        metadata["deletionTimestamp"] = format_time(deleted)
    return {"apiVersion": "networking.k8s.io/v1", "kind": "ServiceCIDR", "metadata": metadata, "spec": {"cidrs": list(cidrs)}}


def address(text: str) -> Object:
    return ip_address_object({"metadata": {"namespace": "default", "name": "s"}}, text)


def planned(*objects: Object, name: str = "extra", now: datetime = NOW) -> tuple[Action, ...]:
    return reconcile(ObjectSnapshot(objects), ("", name), now).actions


def ready_of(actions: tuple[Action, ...]) -> tuple[str, str, str]:
    (update,) = actions
    assert isinstance(update, Update) and update.subresource == "status"
    (found,) = update.obj["status"]["conditions"]
    return found["status"], found["reason"], found["message"]


def finalizers_of(actions: tuple[Action, ...]) -> list[str]:
    (update,) = actions
    assert isinstance(update, Update) and not update.subresource
    found: list[str] = update.obj["metadata"]["finalizers"]
    return found


def test_a_new_one_is_protected_and_then_ready_once() -> None:
    assert finalizers_of(planned(service_cidr("extra", "10.1.0.0/24", protected=False))) == [FINALIZER]
    extra = service_cidr("extra", "10.1.0.0/24")
    told = planned(extra)
    assert ready_of(told) == READY
    assert isinstance(told[0], Update)
    assert reconcile(ObjectSnapshot([told[0].obj]), ("", "extra"), NOW) == NOTHING


def test_one_that_is_deleted_waits_for_its_addresses() -> None:
    extra = service_cidr("extra", "10.1.0.0/24", deleted=NOW - timedelta(minutes=1))
    main = service_cidr("kubernetes", "10.0.0.0/24", "fd00::/112")
    assert ready_of(planned(extra, main, address("10.1.0.7"))) == HELD
    assert finalizers_of(planned(extra, main, address("10.0.0.7"), address("fd00::7"))) == []


def test_another_range_may_take_the_addresses_over() -> None:
    extra = service_cidr("extra", "10.1.0.0/24", deleted=NOW - timedelta(minutes=1))
    wide, narrow = service_cidr("wide", "10.0.0.0/8"), service_cidr("narrow", "10.1.0.0/28")
    assert finalizers_of(planned(extra, wide, address("10.1.0.7"))) == []
    assert finalizers_of(planned(extra, narrow, address("10.1.0.7"))) == []
    assert ready_of(planned(extra, narrow, address("10.1.0.77"))) == HELD


def test_the_api_servers_have_time_to_learn_of_a_deletion() -> None:
    extra = service_cidr("extra", "10.1.0.0/24", deleted=NOW)
    assert planned(extra, now=NOW + timedelta(seconds=4)) == (RequeueAfter(6.0),)
    assert finalizers_of(planned(extra, now=NOW + timedelta(seconds=10))) == []


def test_only_what_is_being_deleted_looks_at_addresses() -> None:
    extra, main = service_cidr("extra", "10.1.0.0/24", deleted=NOW), service_cidr("kubernetes", "10.0.0.0/24")
    snapshot = ObjectSnapshot([extra, main])
    of_cidr, of_address = WATCHES.values()
    assert list(of_address(address("10.0.0.7"), snapshot)) == [("", "extra")]
    assert set(of_cidr(main, snapshot)) == {("", "kubernetes"), ("", "extra")}
