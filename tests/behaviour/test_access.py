"""Who may do what, as kubectl shows it: certificates, tokens, impersonation, RBAC, reviews."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from behaviour.secured_server import Secured, secured_server
from kubetree.cluster.certificates import Authority, KeyPair
from rbac_objects import role, rule

pytestmark = pytest.mark.one_store


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Secured]:
    async with secured_server(tmp_path) as running:
        yield running


@pytest.fixture
def admin(cluster: Secured) -> Path:
    return cluster.kubeconfig("admin", cluster.certificates.admin)


async def ok(cluster: Secured, kubeconfig: Path, *args: str) -> str:
    status, output = await cluster.kubectl(kubeconfig, *args)
    assert status == 0, output
    return output


async def refused(cluster: Secured, kubeconfig: Path, *args: str) -> str:
    status, output = await cluster.kubectl(kubeconfig, *args)
    assert status != 0, output
    return output


async def test_a_client_certificate_is_its_user_and_groups(cluster: Secured, admin: Path) -> None:
    who = json.loads(await ok(cluster, admin, "auth", "whoami", "-o", "json"))["status"]["userInfo"]
    assert who["username"] == "kubernetes-admin"
    assert who["groups"] == ["system:masters", "system:authenticated"]
    assert who["extra"]["authentication.kubernetes.io/credential-id"][0].startswith("X509SHA256=")
    assert (await ok(cluster, admin, "auth", "can-i", "*", "*")).strip() == "yes"


async def test_a_certificate_of_a_stranger_is_refused(cluster: Secured) -> None:
    stranger = Authority.create("kubernetes", datetime.now(UTC)).client("kubernetes-admin", datetime.now(UTC), groups=["system:masters"])
    output = await refused(cluster, cluster.kubeconfig("stranger", stranger), "get", "namespaces")
    assert "You must be logged in to the server" in output


async def test_a_certificate_comes_with_those_between_it_and_the_authority(cluster: Secured) -> None:
    now = datetime.now(UTC)
    authority = cluster.certificates.authority.pair
    middle, key = Authority.create("middle", now), serialization.load_pem_private_key(authority.key, None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    own = x509.load_pem_x509_certificate(middle.certificate)
    builder = x509.CertificateBuilder(x509.load_pem_x509_certificate(authority.certificate).subject, own.subject, own.public_key(), 7)
    builder = builder.not_valid_before(own.not_valid_before_utc).not_valid_after(own.not_valid_after_utc)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    between = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    jane = middle.client("jane", now)
    assert "jane" in await ok(cluster, cluster.kubeconfig("jane", KeyPair(jane.certificate + between, jane.key)), "auth", "whoami")
    assert "You must be logged in" in await refused(cluster, cluster.kubeconfig("alone", middle.client("joe", now)), "auth", "whoami")


async def test_the_front_proxys_certificate_is_nobody_by_itself(cluster: Secured) -> None:
    proxy = cluster.kubeconfig("proxy", cluster.certificates.front_proxy_client)
    assert "You must be logged in to the server" in await refused(cluster, proxy, "get", "namespaces")


async def test_a_bad_token_is_unauthorized_and_no_token_is_anonymous(cluster: Secured) -> None:
    assert "You must be logged in to the server" in await refused(cluster, cluster.kubeconfig("bad", "nonsense"), "get", "namespaces")
    status, body = await cluster.anonymously("/api/v1/namespaces")
    expected = 'namespaces is forbidden: User "system:anonymous" cannot list resource "namespaces" in API group "" at the cluster scope'
    assert (status, body["message"]) == (403, expected)
    assert (await cluster.anonymously("/version"))[1]["minor"] == "36"


@pytest.mark.every_store
async def test_service_account_tokens_from_creation_to_their_end(cluster: Secured, admin: Path) -> None:
    await ok(cluster, admin, "create", "serviceaccount", "robot")
    token = (await ok(cluster, admin, "create", "token", "robot")).strip()
    robot = cluster.kubeconfig("robot", token)
    who = json.loads(await ok(cluster, robot, "auth", "whoami", "-o", "json"))["status"]["userInfo"]
    assert who["username"] == "system:serviceaccount:default:robot"
    assert who["groups"] == ["system:serviceaccounts", "system:serviceaccounts:default", "system:authenticated"]
    output = await refused(cluster, robot, "get", "configmaps")
    assert (
        'configmaps is forbidden: User "system:serviceaccount:default:robot" cannot list resource "configmaps" in API group "" '
        'in the namespace "default"'
    ) in output
    await ok(cluster, admin, "create", "rolebinding", "robots", "--clusterrole=view", "--serviceaccount=default:robot")
    await ok(cluster, robot, "get", "configmaps")
    assert (await cluster.kubectl(robot, "auth", "can-i", "create", "configmaps"))[1].strip() == "no"
    assert "less than 10 minutes" in await refused(cluster, admin, "create", "token", "robot", "--duration=10s")
    await ok(cluster, admin, "delete", "serviceaccount", "robot")
    fresh = (await cluster.kubectl(admin, "create", "token", "robot"))[1]
    assert 'serviceaccounts "robot" not found' in fresh


async def test_impersonation(cluster: Secured, admin: Path) -> None:
    output = await refused(cluster, admin, "get", "pods", "--as=jane", "--as-group=devs")
    assert 'User "jane" cannot list resource "pods"' in output
    await ok(cluster, admin, "create", "clusterrolebinding", "devs", "--clusterrole=view", "--group=devs")
    await ok(cluster, admin, "get", "pods", "--as=jane", "--as-group=devs")
    who = json.loads(await ok(cluster, admin, "auth", "whoami", "-o", "json", "--as=system:serviceaccount:a:b"))["status"]["userInfo"]
    assert who["groups"] == ["system:serviceaccounts", "system:serviceaccounts:a", "system:authenticated"]
    scheduler = cluster.kubeconfig("scheduler", cluster.certificates.scheduler)
    output = await refused(cluster, scheduler, "get", "--raw", "/api/v1/pods", "--as=jane")
    assert 'pods is forbidden: User "system:kube-scheduler" cannot impersonate-on:user-info:list resource "pods" in API group ""' in output
    may = role(
        "list-as-jane",
        rule("impersonate:user-info", "users", "authentication.k8s.io", names="jane"),
        rule("impersonate-on:user-info:list", "pods"),
    )
    status, output = await cluster.kubectl(admin, "create", "-f", "-", stdin=json.dumps(may))
    assert status == 0, output
    await ok(cluster, admin, "create", "clusterrolebinding", "list-as-jane", "--clusterrole=list-as-jane", "--user=system:kube-scheduler")
    await ok(cluster, admin, "create", "clusterrolebinding", "jane", "--clusterrole=view", "--user=jane")
    await ok(cluster, scheduler, "get", "--raw", "/api/v1/pods", "--as=jane")
    assert "cannot impersonate-on:user-info:list" in await refused(cluster, scheduler, "get", "--raw", "/api/v1/services", "--as=jane")


@pytest.mark.every_store
async def test_nobody_gives_away_more_than_they_have(cluster: Secured, admin: Path) -> None:
    await ok(cluster, admin, "create", "clusterrole", "role-writer", "--verb=create", "--resource=roles,rolebindings")
    await ok(cluster, admin, "create", "clusterrolebinding", "jane", "--clusterrole=role-writer", "--user=jane")
    output = await refused(cluster, admin, "create", "role", "secrets", "--verb=get", "--resource=secrets", "--as=jane")
    assert "is attempting to grant RBAC permissions not currently held" in output
    assert '{APIGroups:[""], Resources:["secrets"], Verbs:["get"]}' in output
    output = await refused(cluster, admin, "create", "rolebinding", "x", "--clusterrole=admin", "--user=jane", "--as=jane")
    assert "is attempting to grant RBAC permissions not currently held" in output


async def test_listing_what_one_can_do(cluster: Secured, admin: Path) -> None:
    output = await ok(cluster, admin, "auth", "can-i", "--list", "--as=jane")
    assert "selfsubjectaccessreviews.authorization.k8s.io" in output
    assert "[/healthz]" in output


async def test_a_node_sees_only_its_own(cluster: Secured, admin: Path) -> None:
    now = datetime.now(UTC)
    node = cluster.kubeconfig("n1", cluster.certificates.authority.client("system:node:n1", now, groups=["system:nodes"]))
    output = await refused(cluster, node, "get", "node", "n2")
    assert "node 'n1' cannot read 'n2', only its own Node object" in output
    output = await refused(cluster, node, "get", "secret", "x")
    assert "no relationship found between node 'n1' and this object" in output


async def test_the_openid_pages(cluster: Secured, admin: Path) -> None:
    page = json.loads(await ok(cluster, admin, "get", "--raw", "/.well-known/openid-configuration"))
    assert page["issuer"] == "https://kubernetes.default.svc.cluster.local"
    keys = json.loads(await ok(cluster, admin, "get", "--raw", "/openid/v1/jwks"))["keys"]
    assert [key["alg"] for key in keys] == ["ES256"]


@pytest.mark.every_store
async def test_services_get_addresses_and_ports(cluster: Secured, admin: Path) -> None:
    await ok(cluster, admin, "create", "service", "clusterip", "web", "--tcp=80")
    await ok(cluster, admin, "create", "service", "nodeport", "out", "--tcp=80", "--node-port=30123")
    output = await refused(cluster, admin, "create", "service", "nodeport", "again", "--tcp=80", "--node-port=30123")
    assert "spec.ports[0].nodePort: Invalid value: 30123: provided port is already allocated" in output
    web = json.loads(await ok(cluster, admin, "get", "service", "web", "-o", "json"))["spec"]
    assert web["clusterIPs"] == [web["clusterIP"]] and web["clusterIP"].startswith("10.")
    output = await refused(cluster, admin, "create", "service", "clusterip", "same", "--tcp=80", f"--clusterip={web['clusterIP']}")
    if "unknown flag" not in output:
        assert "provided IP is already allocated" in output
    await ok(cluster, admin, "delete", "service", "web", "out")
    await ok(cluster, admin, "create", "service", "nodeport", "again", "--tcp=80", "--node-port=30123")
    names = json.loads(await ok(cluster, admin, "get", "ipaddresses", "-o", "json"))["items"]
    assert web["clusterIP"] not in [item["metadata"]["name"] for item in names]
    kubernetes = json.loads(await ok(cluster, admin, "get", "service", "kubernetes", "-o", "json"))["spec"]
    assert kubernetes["clusterIP"] == "10.96.0.1"
