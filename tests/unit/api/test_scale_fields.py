"""Who owns replicas, seen through a Scale and back."""

from kubetree.api.apply.scale_fields import REPLICAS, parent_managers, scale_managers

PATHS = {"apps/v1": REPLICAS}


def entry(manager, operation, fields, version="apps/v1", **more):
    return {"manager": manager, "operation": operation, "apiVersion": version, "fieldsType": "FieldsV1", "fieldsV1": fields, **more}


OWNS = {"f:spec": {"f:replicas": {}}}
MAIN = entry("main", "Update", {"f:spec": {"f:replicas": {}, "f:paused": {}}}, time="2026-01-01T00:00:00Z")
OTHER = entry("other", "Apply", {"f:spec": {"f:paused": {}}}, time="2026-01-01T00:00:00Z")


def test_a_scale_shows_those_who_own_replicas() -> None:
    assert scale_managers([MAIN, OTHER], PATHS) == [entry("main", "Update", OWNS, "autoscaling/v1", time="2026-01-01T00:00:00Z")]
    assert scale_managers([MAIN], {"apps/v1": None}) == []
    assert scale_managers(None, PATHS) == []


def test_who_scales_takes_replicas_from_the_others() -> None:
    scaled = entry("hpa", "Update", OWNS, "autoscaling/v1", subresource="scale", time="2026-02-02T00:00:00Z")
    kept = entry("main", "Update", {"f:spec": {"f:paused": {}}}, time="2026-01-01T00:00:00Z")
    found = parent_managers([MAIN, OTHER], [scaled], PATHS, "apps/v1")
    assert found == [OTHER, entry("hpa", "Update", OWNS, subresource="scale"), kept], "the time of a new owner is not known"


def test_who_applied_before_keeps_its_entry() -> None:
    applier = entry("a", "Apply", OWNS, subresource="scale", time="2026-01-01T00:00:00Z")
    scaled = entry("a", "Apply", OWNS, "autoscaling/v1", subresource="scale")
    assert parent_managers([applier], [scaled], PATHS, "apps/v1") == [applier]


def test_entries_of_unknown_versions_go() -> None:
    assert parent_managers([entry("x", "Apply", OWNS, "apps/v9")], [], PATHS, "apps/v1") == []
