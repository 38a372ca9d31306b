"""What requests are counted under: names that are served, however much rubbish is asked for."""

from __future__ import annotations

from typing import cast

from aiohttp import web

from kubetree.api.kind_table import builtin
from kubetree.apiserver.context import RequestContext
from kubetree.apiserver.metrics import Metrics
from kubetree.apiserver.request_info import parse


def ask(metrics: Metrics, method: str, path: str, status: int = 200) -> None:
    info = parse(method, path, {})
    key = metrics.begin(RequestContext(info, method, path, {}, {}, cast(web.BaseRequest, None), ""))
    metrics.end(key)
    metrics.observe(key, status, 0.01)


def series(metrics: Metrics) -> list[str]:
    return [line for line in metrics.render().splitlines() if line.startswith("apiserver_request_total{")]


def test_rubbish_makes_no_new_series() -> None:
    metrics = Metrics(builtin())
    for i in range(50):
        ask(metrics, "GET", f"/apis/group{i}/v1/things", 404)
        ask(metrics, "GET", f"/api/v1/things{i}", 404)
        ask(metrics, "GET", f'/api/v1/namespaces/default/pods/web/no"{i}', 404)
        ask(metrics, f"BREW{i}", "/api/v1/pods", 405)
        ask(metrics, f"BREW{i}", "/healthz", 405)
    found = series(metrics)
    assert len(found) == 3 and sum(int(line.rpartition(" ")[2]) for line in found) == 250


def test_requests_are_counted_by_what_they_ask_for() -> None:
    metrics = Metrics(builtin())
    ask(metrics, "PATCH", "/apis/apps/v1/namespaces/default/deployments/web/scale")
    (line,) = series(metrics)
    assert all(
        label in line for label in ('group="apps"', 'resource="deployments"', 'subresource="scale"', 'scope="resource"', 'verb="PATCH"')
    )


def test_connections_are_counted_while_they_last_and_not_as_latencies() -> None:
    metrics = Metrics(builtin())
    path = "/api/v1/namespaces/default/pods/web/exec"
    info = parse("POST", path, {})
    key = metrics.begin(RequestContext(info, "POST", path, {}, {}, cast(web.BaseRequest, None), ""))
    gauge = 'apiserver_longrunning_requests{component="apiserver",group="",resource="pods",scope="resource",subresource="exec",verb="CONNECT",version="v1"}'
    assert f"{gauge} 1" in metrics.render()
    metrics.end(key)
    metrics.observe(key, 101, 3600.0)
    assert f"{gauge} 0" in metrics.render() and "apiserver_request_duration_seconds_bucket" not in metrics.render()
