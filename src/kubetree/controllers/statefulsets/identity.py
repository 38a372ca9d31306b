"""Names, ordinals and storage of a StatefulSet's pods, and the pod made for an ordinal. Pure."""

from __future__ import annotations

import re
from typing import Any

from kubetree.api.kind_table import kind
from kubetree.api.objects import labels, owner_reference
from kubetree.controllers.revisions import HASH

Object = dict[str, Any]

STATEFUL_SET = kind("apps/v1", "StatefulSet")
POD_NAME = "statefulset.kubernetes.io/pod-name"
POD_INDEX = "apps.kubernetes.io/pod-index"
_NAME = re.compile(r"(.*)-([0-9]+)")


def start_of(stateful_set: Object) -> int:
    return int((stateful_set["spec"].get("ordinals") or {}).get("start", 0))


def ordinals(stateful_set: Object) -> range:
    start = start_of(stateful_set)
    return range(start, start + int(stateful_set["spec"].get("replicas", 1)))


def ordinal_of(pod: Object) -> int:
    """The number that ends the pod's name; -1 when there is none."""
    match = _NAME.fullmatch(pod["metadata"]["name"])
    return int(match[2]) if match else -1


def is_member(stateful_set: Object, pod: Object) -> bool:
    """Whether the pod is named after the set."""
    match = _NAME.fullmatch(pod["metadata"]["name"])
    return match is not None and bool(match[1] == stateful_set["metadata"]["name"])


def revision_of(pod: Object) -> str:
    """The name of the revision that the pod was made from."""
    return labels(pod).get(HASH, "")


def has_identity(pod: Object) -> bool:
    return bool(labels(pod).get(POD_NAME) == pod["metadata"]["name"])


def claim_name(template: Object, stateful_set: Object, ordinal: int) -> str:
    return f"{template['metadata']['name']}-{stateful_set['metadata']['name']}-{ordinal}"


def claims_for(stateful_set: Object, ordinal: int) -> list[Object]:
    """The claims of an ordinal's pod, marked with what the set selects by."""
    selected = (stateful_set["spec"].get("selector") or {}).get("matchLabels") or {}
    made = []
    for template in stateful_set["spec"].get("volumeClaimTemplates") or ():
        metadata = template["metadata"]
        marked = {**(metadata.get("labels") or {}), **selected}
        named = {
            "name": claim_name(template, stateful_set, ordinal),
            "namespace": stateful_set["metadata"]["namespace"],
            "labels": marked,
        }
        if metadata.get("annotations"):
            named["annotations"] = metadata["annotations"]
        made.append({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": named, "spec": template["spec"]})
    return made


def pod_for(stateful_set: Object, template: Object, revision: str, ordinal: int) -> Object:
    """The pod of an ordinal: its name is its host name below the governing Service, its volumes are its own claims."""
    set_metadata, metadata = stateful_set["metadata"], template.get("metadata") or {}
    name = f"{set_metadata['name']}-{ordinal}"
    marked = {**(metadata.get("labels") or {}), POD_NAME: name, POD_INDEX: str(ordinal), HASH: revision}
    made: Object = {
        "name": name,
        "namespace": set_metadata["namespace"],
        "labels": marked,
        "ownerReferences": [owner_reference(STATEFUL_SET, stateful_set, controller=True, block=True)],
    }
    made.update({part: metadata[part] for part in ("annotations", "finalizers") if metadata.get(part)})
    templates = stateful_set["spec"].get("volumeClaimTemplates") or ()
    own = [{"name": t["metadata"]["name"], "persistentVolumeClaim": {"claimName": claim_name(t, stateful_set, ordinal)}} for t in templates]
    named = {volume["name"] for volume in own}
    volumes = own + [v for v in template["spec"].get("volumes") or () if v["name"] not in named]
    spec = {**template["spec"], "hostname": name, "subdomain": stateful_set["spec"].get("serviceName", "")}
    if volumes:
        spec["volumes"] = volumes
    return {"apiVersion": "v1", "kind": "Pod", "metadata": made, "spec": spec}
