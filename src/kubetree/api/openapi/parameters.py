"""The parameters of every request, described once."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Parameter:
    """`place` is query or path; `type` string, integer or boolean."""

    name: str
    place: str
    type: str
    description: str


def _query(name: str, type: str, description: str) -> Parameter:
    return Parameter(name, "query", type, description)


PRETTY = _query("pretty", "string", "If 'true', the answer is indented. Browsers and curl get that unless they say otherwise.")
NAMESPACE = Parameter("namespace", "path", "string", "The namespace of the object: where it lives and who may see it.")
PATH_IN_URL = Parameter("path", "path", "string", "The path that is asked of what is behind the proxy.")
DRY_RUN = _query(
    "dryRun", "string", "Nothing is stored when this is set. The only value is All: every stage of the request runs, but for the last."
)
FIELD_MANAGER = _query(
    "fieldManager",
    "string",
    "Who makes the change, for metadata.managedFields: at most 128 printable characters. Required for apply; otherwise the start of the"
    " User-Agent stands in.",
)
FIELD_VALIDATION = _query(
    "fieldValidation",
    "string",
    "What becomes of unknown and duplicate fields. Ignore: they are dropped silently, the last of duplicates counts. Warn (the default): the"
    " same, with a Warning header for each. Strict: the request is refused and told all of them.",
)
FORCE = _query("force", "boolean", "For apply only: take over fields that other managers own with other values.")

WRITE = (DRY_RUN, FIELD_MANAGER, FIELD_VALIDATION)
PATCH = (*WRITE, FORCE)
DELETE = (
    DRY_RUN,
    _query("gracePeriodSeconds", "integer", "Seconds until the object is gone; 0 means at once. Without it the kind's default holds."),
    _query(
        "ignoreStoreReadErrorWithClusterBreakingPotential",
        "boolean",
        "Remove an object that can no longer be read from storage, past finalizers and preconditions. This may break the cluster.",
    ),
    _query("orphanDependents", "boolean", "Deprecated, use propagationPolicy: true leaves dependents behind. Not together with it."),
    _query(
        "propagationPolicy",
        "string",
        "What becomes of dependents: Orphan leaves them, Background deletes them afterwards, Foreground deletes them first.",
    ),
)
_SELECT = (
    _query("continue", "string", "The token of the previous chunk of a limited list. It expires with the server's history: 410 Expired."),
    _query("fieldSelector", "string", "Restricts the list of returned objects to those whose fields match, such as metadata.name=a."),
    _query("labelSelector", "string", "Restricts the list of returned objects to those whose labels match, such as app=web,tier!=db."),
    _query("limit", "integer", "At most so many objects; metadata.continue of the answer gets the next ones. All chunks show one moment."),
    _query("resourceVersion", "string", "From which version on the answer may be; for a watch, after which version it begins."),
    _query("resourceVersionMatch", "string", "How resourceVersion is meant: Exact or NotOlderThan."),
    _query(
        "sendInitialEvents",
        "boolean",
        "A watch begins with what exists, as ADDED events, and a bookmark annotated k8s.io/initial-events-end. Needs resourceVersionMatch.",
    ),
    _query("shardSelector", "string", "Only objects whose hash lies in the ranges given. An alpha feature."),
    _query("timeoutSeconds", "integer", "How long a list or a watch may take."),
)
LIST = (
    _query("allowWatchBookmarks", "boolean", "A watch may send BOOKMARK events, which carry nothing but a resourceVersion."),
    *_SELECT,
    _query(
        "watch",
        "boolean",
        "Watch for changes to the described resources: they are streamed as they happen, after those since resourceVersion.",
    ),
)
DELETE_COLLECTION = (*DELETE, *_SELECT)

_CONTAINER = _query("container", "string", "The container; not needed when the pod has one only.")
_STREAMS = (
    _query("stderr", "boolean", "Send what the process writes to its standard error."),
    _query("stdin", "boolean", "Send the client's input to the process."),
    _query("stdout", "boolean", "Send what the process writes to its standard output."),
    _query("tty", "boolean", "Give the process a terminal."),
)
_PROXY = (_query("path", "string", "The path and query that are asked of what is behind the proxy."),)
LOG = (
    _CONTAINER,
    _query("follow", "boolean", "Go on as the container writes."),
    _query("insecureSkipTLSVerifyBackend", "boolean", "Do not check the kubelet's certificate."),
    _query("limitBytes", "integer", "Stop after so many bytes."),
    PRETTY,
    _query("previous", "boolean", "The log of the container before its last restart."),
    _query("sinceSeconds", "integer", "Only what was written in the last so many seconds."),
    _query("stream", "string", "All, Stdout or Stderr."),
    _query("tailLines", "integer", "Only the last so many lines."),
    _query("timestamps", "boolean", "Begin every line with its time."),
)
CONNECT: dict[str, tuple[Parameter, ...]] = {
    "attach": (_CONTAINER, *_STREAMS),
    "exec": (_query("command", "string", "The program and its arguments, one parameter each; no shell."), _CONTAINER, *_STREAMS),
    "portforward": (_query("ports", "integer", "The ports to forward; required with WebSocket."),),
    "proxy": _PROXY,
}


def name_of(kind: str) -> Parameter:
    return Parameter("name", "path", "string", f"name of the {kind}")
