"""Bad values that are whole structs, as upstream's messages show them: by the names and the order of its internal Go types, empty fields too."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Object = dict[str, Any]


class GoStruct(dict[str, Any]):
    """A struct under its Go names; `render` keeps the order of its fields."""


@dataclass(frozen=True, slots=True)
class _Field:
    """`zero` is what an absent field prints; `struct` names the type of what it holds, of each item if it is a list."""

    go: str
    json: str
    zero: Any = None
    struct: str = ""


def _fields(text: str) -> tuple[_Field, ...]:
    """`Type""` is a string by value, `Port0` a number, `Served!` a boolean, `Rules:SuccessPolicyRule` holds structs, others print null."""
    found = []
    for word in text.split():
        name, _, struct = word.partition(":")
        zero: Any = None
        if name.endswith('""'):
            name, zero = name[:-2], ""
        elif name.endswith("0"):
            name, zero = name[:-1], 0
        elif name.endswith("!"):
            name, zero = name[:-1], False
        name, _, json = name.partition("=")
        found.append(_Field(name, json or name[0].lower() + name[1:], zero, struct))
    return tuple(found)


_STRUCTS = {
    name: _fields(text)
    for name, text in {
        "AuditAnnotation": 'Key"" ValueExpression""',
        "CustomResourceDefinitionVersion": 'Name"" Served! Storage! Deprecated! DeprecationWarning Schema Subresources AdditionalPrinterColumns '
        "SelectableFields",
        "DaemonSetUpdateStrategy": 'Type"" RollingUpdate:RollingUpdateDaemonSet',
        "DeploymentStrategy": 'Type"" RollingUpdate:RollingUpdateDeployment',
        "DeviceAttribute": "IntValue=int BoolValue=bool StringValue=string VersionValue=version IntValues=ints BoolValues=bools "
        "StringValues=strings VersionValues=versions",
        "FlowDistinguisherMethod": 'Type""',
        "NodeSelectorRequirement": 'Key"" Operator"" Values',
        "NodeSelectorTerm": "MatchExpressions:NodeSelectorRequirement MatchFields:NodeSelectorRequirement",
        "PodDisruptionBudgetSpec": "MinAvailable Selector MaxUnavailable UnhealthyPodEvictionPolicy",
        "PodResourceClaim": 'Name"" ResourceClaimName ResourceClaimTemplateName',
        "RollingUpdateDaemonSet": "MaxUnavailable0 MaxSurge0",
        "RollingUpdateDeployment": "MaxUnavailable0 MaxSurge0",
        "RollingUpdateStatefulSetStrategy": "Partition0 MaxUnavailable",
        "SeccompProfile": 'Type"" LocalhostProfile',
        "ServiceCIDRSpec": "CIDRs=cidrs",
        "ServicePort": 'Name"" Protocol"" AppProtocol Port0 TargetPort0 NodePort0',
        "StatefulSetUpdateStrategy": 'Type"" RollingUpdate:RollingUpdateStatefulSetStrategy',
        "SuccessPolicy": "Rules:SuccessPolicyRule",
        "SuccessPolicyRule": "SucceededIndexes SucceededCount",
        "Taint": 'Key"" Value"" Effect"" TimeAdded',
        "Toleration": 'Key"" Operator"" Value"" Effect"" TolerationSeconds',
    }.items()
}


def go_struct(name: str, value: Any) -> Any:
    """`value`, an object or a list of them, as Go prints the struct of this name; null for None."""
    if value is None:
        return None
    if isinstance(value, list):
        return [go_struct(name, item) for item in value]
    shown = GoStruct()
    for field in _STRUCTS[name]:
        held = value.get(field.json)
        if held is None:
            shown[field.go] = field.zero
        else:
            shown[field.go] = go_struct(field.struct, held) if field.struct else held
    return shown
