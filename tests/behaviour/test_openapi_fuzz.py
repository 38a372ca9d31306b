"""What schemathesis makes of the server's own OpenAPI documents, right and wrong: no answer a 5xx, no stack trace in answers or the log.

`KUBETREE_FUZZ=50` tries that many requests an operation, and bodies to their full depth; without it the run is a short one.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis import GenerationMode

from kubetree.api.kind_table import EVERY_ROW
from kubetree.testing import BackgroundCluster
from storage_modes import EVERYTHING

pytestmark = pytest.mark.one_store
Object = dict[str, Any]
TRIES = int(os.environ.get("KUBETREE_FUZZ", "0"))
QUICK = settings(max_examples=TRIES or 2, deadline=None, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
DEPTH = 2
NAMES = {"name": ["x", "default", "kubernetes", "system:node", "node-1"], "namespace": ["default", "kube-system", "x"]}
VERSIONS = sorted({f"api{'s' if row.group else ''}/{row.api_version}" for row in EVERY_ROW})
# 503 and 504 are upstream's answers where a node or a webhook cannot be asked.
BY_DESIGN = (503, 504)


class Server:
    """A cluster's API server, its administrator's connection, and its OpenAPI documents."""

    def __init__(self, cluster: BackgroundCluster) -> None:
        self.url, configuration = cluster.url, cluster.kubernetes_configuration()
        self._session = requests.Session()
        self._session.verify, self._session.cert = configuration.ssl_ca_cert, (configuration.cert_file, configuration.key_file)
        self._session.trust_env = False
        self.documents = sorted(self.get("/openapi/v3").json()["paths"])

    def get(self, path: str) -> requests.Response:
        return self._session.get(self.url + path, timeout=60)

    def ask(self, case: schemathesis.Case) -> tuple[int, bytes]:
        """Status and body; of what streams without an end only the status."""
        sent = case.as_transport_kwargs(base_url=self.url)
        sent.pop("cookies", None)
        with self._session.request(**sent, stream=True, timeout=60) as reply:
            endless = reply.status_code == 200 and "chunked" in reply.headers.get("Transfer-Encoding", "")
            return reply.status_code, b"" if endless else reply.content


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with BackgroundCluster(nodes=1, controllers=(), scheduler=False, **EVERYTHING) as cluster:
        yield Server(cluster)


@pytest.mark.timeout(3600 if TRIES else 300)
@pytest.mark.parametrize("document", VERSIONS)
def test_a_group_answers_everything(server: Server, document: str, caplog: pytest.LogCaptureFixture) -> None:
    try_out(server, document)
    assert_quiet(caplog)


def test_every_other_document_is_tried(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    rest = [document for document in server.documents if document not in VERSIONS]
    assert len(rest) + len(VERSIONS) == len(server.documents)
    for document in rest:
        try_out(server, document)
    assert_quiet(caplog)


def try_out(server: Server, document: str) -> None:
    """Requests to every operation of a document, by turns as it says and not."""
    schema = schemathesis.openapi.from_dict(tried(server.get(f"/openapi/v3/{document}").json()))
    for number, found in enumerate(schema.get_all_operations()):
        operation = found.ok()
        right, wrong = (operation.as_strategy(generation_mode=mode) for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE))

        def answers(case: schemathesis.Case) -> None:
            status, body = server.ask(case)
            assert status < 500 or status in BY_DESIGN, f"{status} {body[:500]!r}\n{case.as_curl_command()}"
            assert b"Traceback" not in body, case.as_curl_command()

        seed(number)(QUICK(given(right | wrong)(answers)))()


def assert_quiet(caplog: pytest.LogCaptureFixture) -> None:
    loud = [record.getMessage() for record in caplog.records if record.exc_info or record.levelno >= logging.ERROR]
    assert not loud


def tried(document: Object) -> Object:
    """The document with names of objects that are there. What it costs to make a request grows with its parameters and the depth of its
    body, so that in a short run bodies have some depth, and operations have their parameters by turns: one in three, all in the end."""
    schemas = document.get("components", {}).get("schemas", {})
    for turn, path in enumerate(document["paths"].values()):
        for value in path.values():
            parameters = value if isinstance(value, list) else value.get("parameters", [])
            parameters[:] = [p for n, p in enumerate(parameters) if TRIES or p["in"] == "path" or (n + turn) % 3 == 0]
            for parameter in parameters:
                if parameter["in"] == "path" and parameter["name"] in NAMES:
                    parameter["schema"] = {"type": "string", "enum": NAMES[parameter["name"]]}
            if isinstance(value, dict) and not TRIES:
                for content in value.get("requestBody", {"content": {}})["content"].values():
                    content["schema"] = cut(content["schema"], schemas, DEPTH)
    return document


def cut(schema: Any, schemas: Object, depth: int) -> Any:
    """The schema with its references resolved, down to a depth; below that objects have no rules."""
    if isinstance(schema, list):
        return [cut(part, schemas, depth) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        found = schemas[schema["$ref"].rpartition("/")[2]]
        if depth:
            return cut(found, schemas, depth - 1)
        return {"type": found["type"]} if "type" in found else {}
    return {key: cut(value, schemas, depth) for key, value in schema.items()}
