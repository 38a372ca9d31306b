"""What the ServiceAccount plugin makes of a pod."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from admission_requests import creating, pod, run
from kubetree.api.errors import Forbidden
from kubetree.apiserver.admission import service_account
from kubetree.apiserver.admission.service_account import ServiceAccount
from listed_objects import ListedObjects

Object = dict[str, Any]


def account(name: str = "default", **fields: Any) -> Object:
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": "ns"}, **fields}


def plugin(*objects: Object) -> ServiceAccount:
    listed = ListedObjects(*objects)
    return ServiceAccount(listed.cached(), listed, lambda: "xxxxx")


MOUNT = {"name": "kube-api-access-xxxxx", "readOnly": True, "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"}


async def test_a_plain_pod_gets_the_default_account_and_its_token() -> None:
    spec = (await run(plugin(account()), creating(pod())))["spec"]
    assert spec["serviceAccountName"] == spec["serviceAccount"] == "default"
    assert spec["containers"][0]["volumeMounts"] == [MOUNT]
    assert spec["volumes"] == [
        {
            "name": "kube-api-access-xxxxx",
            "projected": {
                "defaultMode": 420,
                "sources": [
                    {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
                    {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
                    {
                        "downwardAPI": {
                            "items": [{"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}]
                        }
                    },
                ],
            },
        }
    ]


@pytest.mark.parametrize(
    ("of_pod", "of_account", "mounted"), [(False, None, False), (None, False, False), (True, False, True), (None, True, True)]
)
async def test_automounting_is_the_pods_choice_then_the_accounts(of_pod: bool | None, of_account: bool | None, mounted: bool) -> None:
    spec: Object = {"containers": [{"name": "c"}]} | ({} if of_pod is None else {"automountServiceAccountToken": of_pod})
    owner = account(**({} if of_account is None else {"automountServiceAccountToken": of_account}))
    found = (await run(plugin(owner), creating(pod(spec=spec))))["spec"]
    assert ("volumes" in found) is mounted


async def test_a_container_with_its_own_mount_there_is_left_alone() -> None:
    own = {"name": "mine", "mountPath": MOUNT["mountPath"]}
    spec = {
        "initContainers": [{"name": "i"}],
        "containers": [{"name": "c", "volumeMounts": [own]}],
        "volumes": [{"name": "mine", "emptyDir": {}}],
    }
    found = (await run(plugin(account()), creating(pod(spec=spec))))["spec"]
    assert found["containers"][0]["volumeMounts"] == [own]
    assert found["initContainers"][0]["volumeMounts"] == [MOUNT]
    assert [volume["name"] for volume in found["volumes"]] == ["mine", "kube-api-access-xxxxx"]


async def test_pull_secrets_come_from_the_account_unless_the_pod_has_some() -> None:
    owner = account(imagePullSecrets=[{"name": "pull"}])
    assert (await run(plugin(owner), creating(pod())))["spec"]["imagePullSecrets"] == [{"name": "pull"}]
    own = {"containers": [], "imagePullSecrets": [{"name": "own"}]}
    assert (await run(plugin(owner), creating(pod(spec=own))))["spec"]["imagePullSecrets"] == [{"name": "own"}]


async def test_a_missing_account_refuses_the_pod(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Forbidden) as caught:
        await run(plugin(), creating(pod(spec={"serviceAccountName": "gone", "containers": []})))
    assert caught.value.message == ('pods "p" is forbidden: error looking up service account ns/gone: serviceaccount "gone" not found')
    monkeypatch.setattr(service_account, "_DEFAULT_WAIT", 0.05)
    with pytest.raises(Forbidden, match="error looking up service account ns/default"):
        await run(plugin(), creating(pod()))


async def test_the_default_account_of_a_new_namespace_is_waited_for() -> None:
    listed = ListedObjects()
    waiting = asyncio.ensure_future(run(ServiceAccount(listed.cached(), listed, lambda: "x"), creating(pod())))
    await asyncio.sleep(0.03)
    assert not waiting.done()
    listed.add(account())
    assert (await waiting)["spec"]["serviceAccountName"] == "default"


MIRROR = {"kubernetes.io/config.mirror": "hash"}


async def test_a_mirror_pod_stays_as_it_is() -> None:
    before = {"containers": [{"name": "c"}]}
    assert (await run(plugin(), creating(pod(spec=before, annotations=MIRROR))))["spec"] == {"containers": [{"name": "c"}]}


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"serviceAccountName": "x"}, "a mirror pod may not reference service accounts"),
        ({"volumes": [{"name": "s", "secret": {"secretName": "x"}}]}, "a mirror pod may not reference secrets"),
        (
            {"volumes": [{"name": "s", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}}]},
            "a mirror pod may not use ServiceAccountToken volume projections",
        ),
    ],
)
async def test_a_mirror_pod_may_not_reach_for_secrets(spec: Object, message: str) -> None:
    with pytest.raises(Forbidden, match=message):
        await run(plugin(), creating(pod(spec=spec, annotations=MIRROR)))


async def test_only_mountable_secrets_where_the_account_says_so() -> None:
    owner = account(secrets=[{"name": "ok"}])
    owner["metadata"]["annotations"] = {"kubernetes.io/enforce-mountable-secrets": "true"}
    spec = {"containers": [{"name": "c"}], "volumes": [{"name": "v", "secret": {"secretName": "ok"}}]}
    await run(plugin(owner), creating(pod(spec=spec)))
    spec["volumes"] = [{"name": "v", "secret": {"secretName": "other"}}]
    with pytest.raises(Forbidden) as caught:
        await run(plugin(owner), creating(pod(spec=spec)))
    expected = 'volume with secret.secretName="other" is not allowed because service account default does not reference that secret'
    assert caught.value.message == f'pods "p" is forbidden: {expected}'
