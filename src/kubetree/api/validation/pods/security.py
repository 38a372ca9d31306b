"""Security contexts of pods and containers, and the old annotations that said the same."""

from __future__ import annotations

import re
from typing import Any

from kubetree.api.validation.errors import Errors, Object, duplicate, each, forbidden, invalid, not_supported, required, too_long
from kubetree.api.validation.go_structs import go_struct
from kubetree.api.validation.names import dns_subdomain, id_number
from kubetree.api.validation.pods.paths import descending

_SYSCTL_SEGMENT = "[a-z0-9]([-_a-z0-9]*[a-z0-9])?"
_SYSCTL = r"(" + _SYSCTL_SEGMENT + r"[\./])*" + _SYSCTL_SEGMENT
_match_sysctl = re.compile(_SYSCTL).fullmatch
_IPC_SYSCTLS = frozenset(
    [
        "kernel.sem",
        "kernel.shmall",
        "kernel.shmmax",
        "kernel.shmmni",
        "kernel.shm_rmid_forced",
        "kernel.shm",
        "kernel.msgmax",
        "kernel.msgmnb",
        "kernel.msgmni",
        "kernel.msg",
    ]
)
_SWAP = str.maketrans("./", "/.")
"""A sysctl spelled with slashes first: its dots are part of names."""
_PROFILE_TYPES = ("Localhost", "RuntimeDefault", "Unconfined")


def _ids(errs: Errors, context: Object, path: str, *names: str) -> None:
    for name in names:
        value = context.get(name)
        if value is not None and not 0 <= value <= 2147483647:
            each(errs, f"{path}.{name}", value, id_number(value))


def _seccomp(errs: Errors, profile: Object, path: str) -> None:
    sort, local = profile.get("type") or "", profile.get("localhostProfile")
    if not sort:
        errs.append(required(f"{path}.type", "type is required when seccompProfile is set"))
    elif sort not in _PROFILE_TYPES:
        errs.append(not_supported(f"{path}.type", sort, _PROFILE_TYPES))
    if sort == "Localhost":
        if local is None:
            errs.append(required(f"{path}.localhostProfile", "must be set when seccomp type is Localhost"))
        else:
            descending(errs, local, f"{path}.localhostProfile")
    elif local is not None:
        errs.append(
            invalid(f"{path}.localhostProfile", go_struct("core.SeccompProfile", profile), "can only be set when seccomp type is Localhost")
        )


def _app_armor(errs: Errors, profile: Object, path: str) -> None:
    sort, local = profile.get("type") or "", profile.get("localhostProfile")
    if sort == "Localhost":
        if not local:
            errs.append(required(f"{path}.localhostProfile", "must be set when AppArmor type is Localhost"))
        elif local != local.strip():
            errs.append(invalid(f"{path}.localhostProfile", local, "must not be padded with whitespace"))
        if len(local or "") > 4095:
            errs.append(too_long(f"{path}.localhostProfile", 4095))
    elif sort in ("RuntimeDefault", "Unconfined"):
        if local is not None:
            errs.append(invalid(f"{path}.localhostProfile", local, "can only be set when AppArmor type is Localhost"))
    elif not sort:
        errs.append(required(f"{path}.type", "type is required when appArmorProfile is set"))
    else:
        errs.append(not_supported(f"{path}.type", sort, _PROFILE_TYPES))


_NET_BIOS = re.compile(r'[^\\/:\*\?"<>|\.][^\\/:\*\?"<>|]{0,14}')
_WINDOWS_DNS = re.compile(r"[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*")
_USER_CHARS = re.compile(r'["/\\:;|=,\+\*\?<>@\[\]]')


def _windows_user(name: str) -> list[str]:
    if not name:
        return ["runAsUserName cannot be an empty string"]
    if any(ord(c) < 32 or ord(c) == 127 for c in name):
        return ["runAsUserName cannot contain control characters"]
    parts = name.split("\\")
    if len(parts) > 2:
        return ["runAsUserName cannot contain more than one backslash"]
    user, domain = parts[-1], parts[0] if len(parts) == 2 else None
    messages = []
    if domain is not None:
        if len(domain) >= 256:
            messages.append("runAsUserName's Domain length must be under 256 characters")
        if not _NET_BIOS.fullmatch(domain) and not _WINDOWS_DNS.fullmatch(domain):
            messages.append("runAsUserName's Domain doesn't match the NetBios nor the DNS format")
    if not user:
        messages.append("runAsUserName's User cannot be empty")
    elif len(user) > 104:
        messages.append("runAsUserName's User length must not be longer than 104 characters")
    if user and not user.strip(". "):
        messages.append("runAsUserName's User cannot contain only periods or spaces")
    if _USER_CHARS.search(user):
        messages.append("runAsUserName's User cannot contain the following characters: \"/\\:;|=,+*?<>@[]")
    return messages


def _windows(errs: Errors, options: Object, path: str) -> None:
    name, spec, user = options.get("gmsaCredentialSpecName"), options.get("gmsaCredentialSpec"), options.get("runAsUserName")
    if name is not None:
        each(errs, f"{path}.gmsaCredentialSpecName", name, dns_subdomain(name))
    if spec == "":
        errs.append(invalid(f"{path}.gmsaCredentialSpec", spec, "gmsaCredentialSpec cannot be an empty string"))
    elif spec is not None and len(spec) > 64 * 1024:
        errs.append(invalid(f"{path}.gmsaCredentialSpec", spec, "gmsaCredentialSpec size must be under 64 KiB"))
    if user is not None:
        each(errs, f"{path}.runAsUserName", user, _windows_user(user))


def _profiles(errs: Errors, context: Object, path: str) -> None:
    if context.get("seccompProfile") is not None:
        _seccomp(errs, context["seccompProfile"], f"{path}.seccompProfile")
    if context.get("windowsOptions") is not None:
        _windows(errs, context["windowsOptions"], f"{path}.windowsOptions")
    if context.get("appArmorProfile") is not None:
        _app_armor(errs, context["appArmorProfile"], f"{path}.appArmorProfile")


def container_context(errs: Errors, context: Object, path: str, host_users: bool) -> None:
    _ids(errs, context, path, "runAsUser", "runAsGroup")
    mount = context.get("procMount")
    if mount is not None:
        if mount not in ("Default", "Unmasked"):
            errs.append(not_supported(f"{path}.procMount", mount, ("Default", "Unmasked")))
        if host_users and mount == "Unmasked":
            errs.append(invalid(f"{path}.procMount", mount, "`hostUsers` must be false to use `Unmasked`"))
    if context.get("allowPrivilegeEscalation") is False:
        if context.get("privileged"):
            errs.append(invalid(path, context, "cannot set `allowPrivilegeEscalation` to false and `privileged` to true"))
        if "CAP_SYS_ADMIN" in ((context.get("capabilities") or {}).get("add") or ()):
            detail = "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN"
            errs.append(invalid(path, context, detail))
    _profiles(errs, context, path)


def _sysctls(errs: Errors, sysctls: list[Object], spec: Object, path: str) -> None:
    names: set[str] = set()
    for i, sysctl in enumerate(sysctls):
        at, name = f"{path}[{i}].name", sysctl.get("name") or ""
        if not name:
            errs.append(required(at))
        elif len(name) > 253 or not _match_sysctl(name):
            errs.append(invalid(at, name, f"must have at most 253 characters and match regex ^{_SYSCTL}$"))
        elif name in names:
            errs.append(duplicate(at, name))
        names.add(name)
        first = re.search(r"[./]", name)
        dotted = name.translate(_SWAP) if first and first[0] == "/" else name
        if spec.get("hostNetwork") and dotted.startswith("net."):
            errs.append(invalid(at, name, "may not be specified when 'hostNetwork' is true"))
        elif spec.get("hostIPC") and (dotted in _IPC_SYSCTLS or dotted.startswith("fs.mqueue.")):
            errs.append(invalid(at, name, "may not be specified when 'hostIPC' is true"))


_POLICIES = {
    "fsGroupChangePolicy": ("Always", "OnRootMismatch"),
    "supplementalGroupsPolicy": ("Merge", "Strict"),
    "seLinuxChangePolicy": ("Recursive",),
}


def pod_context(errs: Errors, context: Object, spec: Object, path: str) -> None:
    _ids(errs, context, path, "fsGroup", "runAsUser", "runAsGroup")
    for i, group in enumerate(context.get("supplementalGroups") or ()):
        each(errs, f"{path}.supplementalGroups[{i}]", group, id_number(group))
    if spec.get("shareProcessNamespace") and spec.get("hostPID"):
        errs.append(invalid(f"{path}.shareProcessNamespace", True, "ShareProcessNamespace and HostPID cannot both be enabled"))
    if context.get("sysctls"):
        _sysctls(errs, context["sysctls"], spec, f"{path}.sysctls")
    _profiles(errs, context, path)
    for name, allowed in _POLICIES.items():
        value = context.get(name)
        if value is not None and value not in allowed:
            errs.append(not_supported(f"{path}.{name}", value, allowed))


SECCOMP_POD = "seccomp.security.alpha.kubernetes.io/pod"
SECCOMP_CONTAINER = "container.seccomp.security.alpha.kubernetes.io/"
APP_ARMOR = "container.apparmor.security.beta.kubernetes.io/"


def annotation_formats(errs: Errors, annotations: dict[str, str], names: list[str], path: str) -> None:
    """Seccomp and AppArmor annotations; `names` are those of the containers."""
    for key, value in annotations.items():
        if key == SECCOMP_POD or key.startswith(SECCOMP_CONTAINER):
            if value.startswith("localhost/"):
                descending(errs, value.removeprefix("localhost/"), f"{path}.{key}")
            elif value not in ("runtime/default", "docker/default", "unconfined"):
                errs.append(invalid(f"{path}.{key}", value, "must be a valid seccomp profile"))
        elif key.startswith(APP_ARMOR):
            container = key.removeprefix(APP_ARMOR)
            if container not in names:
                errs.append(invalid(f"{path}[{key}]", container, "container not found"))
            if value and value not in ("runtime/default", "unconfined") and not value.startswith("localhost/"):
                errs.append(invalid(f"{path}[{key}]", value, f'invalid AppArmor profile name: "{value}"'))


def _match(errs: Errors, annotation: str, profile: Object, path: str, what: str, runtime: tuple[str, ...]) -> None:
    sort, local = profile.get("type"), profile.get("localhostProfile")
    good = {
        "Unconfined": annotation == "unconfined",
        "RuntimeDefault": annotation in runtime,
        "Localhost": annotation.startswith("localhost/"),
    }.get(sort or "", True)
    if not good:
        errs.append(forbidden(f"{path}.type", f"{what} type in annotation and field must match"))
    elif sort == "Localhost" and annotation.removeprefix("localhost/") != local:
        errs.append(forbidden(f"{path}.localhostProfile", f"{what} profile in annotation and field must match"))


def annotations_match_fields(errs: Errors, annotations: dict[str, str], spec: Object, path: str) -> None:
    """Who sets both an old annotation and its field must say the same in both."""
    context = spec.get("securityContext") or {}
    if context.get("seccompProfile") and SECCOMP_POD in annotations:
        runtime = ("runtime/default", "docker/default")
        _match(errs, annotations[SECCOMP_POD], context["seccompProfile"], f"{path}.securityContext.seccompProfile", "seccomp", runtime)
    for group in ("initContainers", "containers", "ephemeralContainers"):
        for i, c in enumerate(spec.get(group) or ()):
            own: dict[str, Any] = c.get("securityContext") or {}
            at, name = f"{path}.{group}[{i}].securityContext", c.get("name") or ""
            if own.get("seccompProfile") and SECCOMP_CONTAINER + name in annotations:
                value = annotations[SECCOMP_CONTAINER + name]
                _match(errs, value, own["seccompProfile"], f"{at}.seccompProfile", "seccomp", ("runtime/default", "docker/default"))
            profile = own.get("appArmorProfile") or context.get("appArmorProfile")
            if profile and APP_ARMOR + name in annotations and (spec.get("os") or {}).get("name") != "windows":
                _match(errs, annotations[APP_ARMOR + name], profile, f"{at}.appArmorProfile", "apparmor", ("runtime/default",))
