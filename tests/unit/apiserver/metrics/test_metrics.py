"""What requests are counted under: names that are served, however much rubbish is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from aiohttp import web

from kubetree.api.kind_table import builtin
from kubetree.apiserver.context import RequestContext
from kubetree.apiserver.metrics.choice import Choice
from kubetree.apiserver.metrics.counters import Counters, Events
from kubetree.apiserver.metrics.exposition import Distribution, Histogram, edge
from kubetree.apiserver.metrics.requests import Metrics
from kubetree.apiserver.wire.request_info import parse


class Bare:
    content_length = 70_000


def context(method: str, path: str, query: Mapping[str, list[str]] | None = None, type: str = "") -> RequestContext:
    query = query or {}
    info = parse(method, path, query)
    return RequestContext(info, method, path, query, {"Content-Type": type}, cast(web.BaseRequest, Bare()), "")


def ask(metrics: Metrics, ctx: RequestContext, status: int = 200, seconds: float = 0.01, size: int = -1) -> None:
    row = metrics.begin(ctx)
    metrics.end(row)
    metrics.observe(row, ctx, status, seconds, size)


def series(metrics: Metrics, name: str = "apiserver_request_total") -> list[str]:
    return [line for line in metrics.render().splitlines() if line.startswith(f"{name}{{")]


def test_rubbish_makes_no_new_series() -> None:
    metrics = Metrics(builtin())
    for i in range(50):
        ask(metrics, context("GET", f"/apis/group{i}/v1/things"), 404)
        ask(metrics, context("GET", f"/api/v1/things{i}"), 404)
        ask(metrics, context("GET", f'/api/v1/namespaces/default/pods/web/no"{i}'), 404)
        ask(metrics, context(f"BREW{i}", "/healthz"), 405)
        ask(metrics, context("GET", f"/nonsense/{i}"), 404)
        ask(metrics, context(f"BREW{i}", "/api/v1/pods"), 405)
    (line,) = series(metrics)
    assert 'verb="OTHER"' in line or 'resource="pods"' in line


def test_requests_are_counted_by_what_they_ask_for() -> None:
    metrics = Metrics(builtin())
    ask(metrics, context("PATCH", "/apis/apps/v1/namespaces/default/deployments/web/scale"))
    assert series(metrics) == [
        'apiserver_request_total{code="200",component="apiserver",dry_run="",group="apps",resource="deployments",scope="resource",'
        'subresource="scale",verb="PATCH",version="v1"} 1'
    ]


def test_verbs_and_scopes_are_upstreams() -> None:
    metrics, pods = Metrics(builtin()), "/api/v1/namespaces/default/pods"
    ask(metrics, context("POST", pods, {"dryRun": ["All"]}), 201)
    ask(metrics, context("POST", pods, {"dryRun": ["Some"]}), 400)
    ask(metrics, context("DELETE", pods))
    ask(metrics, context("PATCH", f"{pods}/a", type="application/apply-patch+yaml"))
    ask(metrics, context("GET", pods, {"watch": ["1"]}))
    ask(metrics, context("GET", "/api/v1/pods"))
    ask(metrics, context("GET", "/readyz"))
    ask(metrics, context("GET", "/openapi/v3/apis/apps/v1"))
    found = [
        tuple(
            part.split('"')[1]
            for part in line.split("{")[1].split(",")
            if part.split("=")[0] in ("dry_run", "scope", "subresource", "verb")
        )
        for line in series(metrics)
    ]
    assert sorted(found) == sorted(
        [
            ("All", "resource", "", "POST"),
            ("invalid", "resource", "", "POST"),
            ("", "namespace", "", "DELETE"),
            ("", "resource", "", "APPLY"),
            ("", "namespace", "", "WATCH"),
            ("", "cluster", "", "LIST"),
            ("", "", "/readyz", "GET"),
            ("", "", "openapi/v3/", "GET"),
        ]
    )


def test_connections_are_counted_while_they_last() -> None:
    metrics = Metrics(builtin())
    ctx = context("POST", "/api/v1/namespaces/default/pods/web/exec")
    row = metrics.begin(ctx)
    gauge = 'apiserver_longrunning_requests{component="apiserver",group="",resource="pods",scope="resource",subresource="exec",verb="CONNECT",version="v1"}'
    assert f"{gauge} 1" in metrics.render()
    metrics.end(row)
    metrics.observe(row, ctx, 101, 3600.0)
    assert f"{gauge} 0" in metrics.render()


def test_what_others_took_is_no_part_of_the_indicator() -> None:
    metrics = Metrics(builtin())
    slow, quick = context("POST", "/api/v1/namespaces/default/pods"), context("POST", "/api/v1/namespaces/default/pods")
    slow.waits["apf-queue-wait"] = 9.0
    ask(metrics, slow, 201, 9.01)
    ask(metrics, quick, 201, 0.01)
    text = metrics.render()
    labels = 'component="apiserver",group="",resource="pods",scope="resource",subresource="",verb="POST",version="v1"'
    assert f'apiserver_request_sli_duration_seconds_bucket{{{labels},le="0.05"}} 2\n' in text
    assert f"apiserver_request_duration_seconds_bucket{{{labels.replace('group', 'dry_run=', 1).replace('dry_run==', '')}" not in text
    assert 'verb="POST",version="v1",le="6"} 1\n' in text, "the duration itself is whole"
    dry = context("POST", "/api/v1/namespaces/default/pods", {"dryRun": ["All"]})
    ask(metrics, dry, 201, 0.01)
    assert f"apiserver_request_sli_duration_seconds_count{{{labels}}} 2\n" in metrics.render(), "dry runs are no indicator"


def test_sizes_are_of_what_is_read_and_of_bodies_that_are_written() -> None:
    metrics = Metrics(builtin())
    ask(metrics, context("GET", "/api/v1/pods"), size=2000)
    ask(metrics, context("POST", "/api/v1/namespaces/default/pods"), 201, size=2000)
    (size,) = series(metrics, "apiserver_response_sizes_sum")
    assert 'verb="LIST"' in size and size.endswith(" 2000")
    (body,) = series(metrics, "apiserver_request_body_size_bytes_sum")
    assert body == 'apiserver_request_body_size_bytes_sum{group="",resource="pods",verb="create"} 70000'


def test_a_reset_forgets_counts_and_not_what_is_open() -> None:
    metrics = Metrics(builtin())
    row = metrics.begin(context("GET", "/api/v1/pods", {"watch": ["true"]}))
    ask(metrics, context("GET", "/api/v1/pods"))
    metrics.terminated(row, context("GET", "/api/v1/pods").info, 504)
    metrics.reset()
    assert not series(metrics) and not series(metrics, "apiserver_request_terminations_total")
    (line,) = series(metrics, "apiserver_longrunning_requests")
    assert line.endswith(" 1")


def test_metrics_can_be_disabled_and_labels_limited() -> None:
    lines = [
        "# HELP a [STABLE] A.",
        "# TYPE a counter",
        'a{code="200",verb="GET"} 3',
        'a{code="404",verb="GET"} 4',
        'a{code="409",verb="GET"} 5',
        "# HELP b [ALPHA] B.",
        "# TYPE b gauge",
        "b 1",
    ]
    text = Choice(("b",), {"a,code": ("200",)}).render(lines)
    assert 'a{code="200",verb="GET"} 3\na{code="unexpected",verb="GET"} 9\n' in text
    assert "\nb 1" not in text and "# HELP b" not in text
    assert "cardinality_enforcement_unexpected_categorizations_total 2\n" in text
    assert "disabled_metrics_total 1\n" in text
    assert 'registered_metrics_total{deprecated_version="",stability_level="STABLE"} 1\n' in text


def test_numbers_are_printed_as_go_does() -> None:
    shown = [edge(value) for value in (0.0, 0.00001, 0.0001, 0.005, 1.0, 100.0, 1e6, 1048576.0, 999999.0, float("inf"))]
    assert shown == ["0", "1e-05", "0.0001", "0.005", "1", "100", "1e+06", "1.048576e+06", "999999", "+Inf"]


def test_a_batch_of_events_is_counted_by_size() -> None:
    one_by_one, together = Events(), Histogram(Events().edges)
    frames = [b"x" * size for size in (10, 1024, 1025, 5000, 200_000, 3)]
    one_by_one.sent(frames, sum(map(len, frames)))
    for frame in frames:
        together.add(len(frame))
    assert (one_by_one.buckets, one_by_one.sum) == (together.buckets, together.sum)
    one_by_one.sent([b"y" * 3000], 3000)
    assert one_by_one.buckets[2] == together.buckets[2] + 1


def test_a_family_without_labels_is_there_from_the_start() -> None:
    assert "d_count 0" in list(Distribution("d", "D.", (1.0,)).render())
    assert not list(Distribution("d", "D.", (1.0,), "name").render())


def test_decisions_on_pod_security_are_counted_from_zero() -> None:
    text = "\n".join(Counters().lines())
    level = 'decision="allow",mode="enforce",policy_level="privileged",policy_version="latest"'
    assert f'pod_security_evaluations_total{{{level},request_operation="create",resource="pod",subresource=""}} 0' in text
    assert 'pod_security_exemptions_total{request_operation="update",resource="controller",subresource=""} 0' in text
