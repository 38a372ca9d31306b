from __future__ import annotations

from kubetree.api.kind_table import kind
from kubetree.controllers.slimming import slimming

POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "p", "uid": "u", "managedFields": [{"manager": "m"}], "labels": {"a": "b"}},
    "spec": {
        "nodeName": "n",
        "containers": [{"name": "c", "image": "i", "env": [{"name": "E", "value": "x"}], "resources": {"requests": {"cpu": "1"}}}],
        "volumes": [{"name": "v", "emptyDir": {}}, {"name": "d", "persistentVolumeClaim": {"claimName": "x"}}],
    },
    "status": {"phase": "Running", "containerStatuses": [{"name": "c", "restartCount": 2, "imageID": "long"}], "hostIP": "1.2.3.4"},
}


def test_a_pod_keeps_what_controllers_read() -> None:
    assert slimming(kind("v1", "Pod"), named=True)(POD) == {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p", "uid": "u", "labels": {"a": "b"}},
        "spec": {
            "nodeName": "n",
            "containers": [{"name": "c", "image": "i", "resources": {"requests": {"cpu": "1"}}}],
            "volumes": [{"name": "d", "persistentVolumeClaim": {"claimName": "x"}}],
        },
        "status": {"phase": "Running", "containerStatuses": [{"name": "c", "restartCount": 2}]},
    }


def test_kinds_that_no_duty_names_keep_their_metadata_only_and_secrets_never_more() -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": {"password": "eA=="}}
    for named in (True, False):
        assert "data" not in slimming(kind("v1", "Secret"), named=named)(secret)
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "r"}, "rules": []}
    assert "rules" not in slimming(kind("rbac.authorization.k8s.io/v1", "Role"), named=False)(role)
    assert slimming(kind("rbac.authorization.k8s.io/v1", "Role"), named=True)(role) is role
