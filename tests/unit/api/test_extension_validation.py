"""Refusals of the kinds that extend the API, sign, store and share: upstream's words and field paths."""

import base64
import copy
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from api_objects import changes, refusals

Object = dict[str, Any]


def definition(schema: Object, **version: Any) -> Object:
    v1 = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}, **version}
    names = {"plural": "things", "kind": "Thing"}
    spec = {"group": "example.com", "scope": "Namespaced", "names": names, "versions": [v1]}
    return {"metadata": {"name": "things.example.com"}, "spec": spec}


def hook(**parts: Any) -> Object:
    config = {"service": {"name": "s", "namespace": "n"}}
    hook = {"name": "a.example.com", "clientConfig": config, "sideEffects": "None", "admissionReviewVersions": ["v1"]}
    return {"webhooks": [hook | parts]}


def claim(*requests: Object) -> Object:
    return {"spec": {"devices": {"requests": list(requests)}}}


ROOT = "spec.validation.openAPIV3Schema"
EXACTLY: Object = {"deviceClassName": "c"}


@pytest.mark.parametrize(
    ("kind", "obj", "expected"),
    [
        ("CustomResourceDefinition", definition({"type": "object"}), []),
        (
            "CustomResourceDefinition",
            definition({"type": "object"}) | {"metadata": {"name": "x.example.com"}},
            ['metadata.name: Invalid value: "x.example.com": must be spec.names.plural+"."+spec.group'],
        ),
        (
            "CustomResourceDefinition",
            definition({"type": "object", "properties": {"spec": {"properties": {"a": {"type": "array"}}}}}),
            [
                f"{ROOT}.properties[spec].properties[a].items: Required value: must be specified",
                f"{ROOT}.properties[spec].type: Required value: must not be empty for specified object fields",
            ],
        ),
        (
            "CustomResourceDefinition",
            definition({"type": "object", "x-kubernetes-validations": [{"rule": "int('x') > 1"}]}),
            [
                f'{ROOT}.x-kubernetes-validations[0].rule: Invalid value: {{"Rule":"int(\'x\') \\u003e 1","Message":"",'
                '"MessageExpression":"","Reason":null,"FieldPath":"","OptionalOldSelf":null}: '
                "program instantiation failed: type conversion error from 'string' to 'int'"
            ],
        ),
        (
            "DeviceClass",
            {"metadata": {"name": "d"}, "spec": {"selectors": [{"cel": {"expression": "int('x') > 1"}}]}},
            [
                "spec.selectors[0].cel.expression: Internal error: "
                "program instantiation failed: type conversion error from 'string' to 'int'"
            ],
        ),
        (
            "ValidatingWebhookConfiguration",
            hook(matchConditions=[{"name": "a", "expression": "int('x') > 1"}]),
            [
                "webhooks[0].matchConditions[0].expression: Internal error: "
                "program instantiation failed: type conversion error from 'string' to 'int'"
            ],
        ),
        (
            "CustomResourceDefinition",
            definition({"type": "object", "properties": {"a": {"type": "int"}}}),
            [
                f'{ROOT}.properties[a].type: Unsupported value: "int": supported values: "array", "boolean", "integer", "number", '
                '"object", "string"'
            ],
        ),
        (
            "CustomResourceDefinition",
            definition({"type": "object", "anyOf": [{"properties": {"a": {"type": "string"}}}]}),
            [
                f"{ROOT}.anyOf[0].properties[a].type: Forbidden: must be empty to be structural",
                f"{ROOT}.properties[a]: Required value: because it is defined in {ROOT}.anyOf[0].properties[a]",
            ],
        ),
        (
            "CustomResourceDefinition",
            definition(
                {
                    "type": "object",
                    "properties": {
                        "a": {
                            "type": "array",
                            "x-kubernetes-list-type": "map",
                            "x-kubernetes-list-map-keys": ["k"],
                            "items": {"type": "object", "properties": {"k": {"type": "string"}}},
                        }
                    },
                }
            ),
            [
                f"{ROOT}.properties[a].items.properties[k].default: Required value: this property is in x-kubernetes-list-map-keys, so it "
                "must have a default or be a required property"
            ],
        ),
        (
            "CustomResourceDefinition",
            definition({"type": "object"}, storage=False),
            [
                'spec.versions: Invalid value: [{"Name":"v1","Served":true,"Storage":false,"Deprecated":false,"DeprecationWarning":null,'
                '"Schema":null,"Subresources":null,"AdditionalPrinterColumns":null,"SelectableFields":null}]'
                ": must have exactly one version marked as storage version",
                "status.storedVersions: Invalid value: null: must have at least one stored version",
            ],
        ),
        (
            "CustomResourceDefinition",
            definition({"type": "object"}, selectableFields=[{"jsonPath": ".spec.a"}]),
            ['spec.selectableFields[0].jsonPath: Invalid value: ".spec.a": is an invalid path: does not refer to a valid field'],
        ),
        ("ValidatingWebhookConfiguration", hook(), []),
        (
            "ValidatingWebhookConfiguration",
            hook(name="a.b", timeoutSeconds=31, clientConfig={}),
            [
                'webhooks[0].name: Invalid value: "a.b": should be a domain with at least three segments separated by dots',
                "webhooks[0].timeoutSeconds: Invalid value: 31: the timeout value must be between 1 and 30 seconds",
                "webhooks[0].clientConfig: Required value: exactly one of url or service is required",
            ],
        ),
        (
            "MutatingWebhookConfiguration",
            hook(clientConfig={"url": "http://user@host?a=b#c"}),
            [
                "webhooks[0].clientConfig.url: Invalid value: \"http\": 'https' is the only allowed URL scheme; desired format: "
                "https://host[/path]",
                'webhooks[0].clientConfig.url: Invalid value: "user": user information is not permitted in the URL',
                'webhooks[0].clientConfig.url: Invalid value: "c": fragments are not permitted in the URL',
                'webhooks[0].clientConfig.url: Invalid value: "a=b": query parameters are not permitted in the URL',
            ],
        ),
        ("StorageClass", {}, ["provisioner: Required value"]),
        (
            "FlowSchema",
            {"spec": {"priorityLevelConfiguration": {"name": ""}, "matchingPrecedence": 0}},
            ["spec.priorityLevelConfiguration.name: Required value: must reference a priority level"],
        ),
        ("ResourceClaim", claim({"name": "a", "exactly": EXACTLY}), []),
        (
            "ResourceClaim",
            claim({"name": "a"}, {"name": "a", "exactly": {"deviceClassName": "c", "allocationMode": "Some"}}),
            [
                "spec.devices.requests[0]: Required value: exactly one of `exactly` or `firstAvailable` is required",
                'spec.devices.requests[1].exactly.allocationMode: Unsupported value: "Some": supported values: "All", "ExactCount"',
                'spec.devices.requests[1]: Duplicate value: "a"',
            ],
        ),
        (
            "ResourceSlice",
            {"spec": {"driver": "d", "pool": {"name": "p", "resourceSliceCount": 1}}},
            [
                "spec: Required value: exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required",
            ],
        ),
    ],
)
def test_creation(kind: str, obj: Object, expected: list[str]) -> None:
    group = {
        "CustomResourceDefinition": "apiextensions.k8s.io",
        "StorageClass": "storage.k8s.io",
        "FlowSchema": "flowcontrol.apiserver.k8s.io",
        "DeviceClass": "resource.k8s.io",
        "ResourceClaim": "resource.k8s.io",
        "ResourceSlice": "resource.k8s.io",
    }.get(kind, "admissionregistration.k8s.io")
    assert refusals(f"{group}/v1", kind, obj) == expected


def test_a_definition_keeps_its_group() -> None:
    found = changes("apiextensions.k8s.io/v1", "CustomResourceDefinition", definition({"type": "object"}), {"spec.group": "other.com"})
    assert 'spec.group: Invalid value: "other.com": field is immutable' in found


def test_a_stored_version_stays() -> None:
    old = definition({"type": "object"})
    version = copy.deepcopy(old["spec"]["versions"][0]) | {"name": "v2"}
    found = changes("apiextensions.k8s.io/v1", "CustomResourceDefinition", old, {"spec.versions": [version]})
    assert found == [
        'status.storedVersions[0]: Invalid value: "v1": missing from spec.versions; v1 was previously a storage version, and must remain '
        "in spec.versions until a storage migration ensures no data remains persisted in v1 and removes v1 from status.storedVersions"
    ]


CSR_KIND = ("certificates.k8s.io/v1", "CertificateSigningRequest")


def signing_request(**spec: Any) -> Object:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "system:node:n")])
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(Ed25519PrivateKey.generate(), None)
    pem = base64.b64encode(request.public_bytes(Encoding.PEM)).decode()
    return {"spec": {"request": pem, "usages": ["client auth"], "signerName": "example.com/signer", **spec}}


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({}, []),
        ({"usages": []}, ["spec.usages: Required value"]),
        ({"usages": ["any", "any"]}, ['spec.usages[1]: Duplicate value: "any"']),
        (
            {"signerName": "x"},
            ["spec.signerName: Invalid value: \"x\": must be a fully qualified domain and path of the form 'example.com/signer-name'"],
        ),
        ({"request": "eA=="}, ['spec.request: Invalid value: "eA==": PEM block type must be CERTIFICATE REQUEST']),
        (
            {"expirationSeconds": 5},
            ["spec.expirationSeconds: Invalid value: 5: may not specify a duration less than 600 seconds (10 minutes)"],
        ),
    ],
)
def test_signing_requests(spec: Object, expected: list[str]) -> None:
    assert refusals(*CSR_KIND, signing_request(**spec)) == expected


def test_only_approvers_approve_and_only_signers_sign() -> None:
    approved = {"status.conditions": [{"type": "Approved", "status": "True"}]}
    request = signing_request()
    assert changes(*CSR_KIND, request, approved, "approval") == []
    assert changes(*CSR_KIND, request, approved, "status") == [
        'status.conditions: Forbidden: updates may not add a condition of type "Approved"'
    ]
    both = [{"type": "Approved", "status": "True"}, {"type": "Denied", "status": "True"}]
    assert changes(*CSR_KIND, request, {"status.conditions": both}, "approval") == [
        'status.conditions: Invalid value: "Denied": Approved and Denied conditions are mutually exclusive'
    ]
    assert changes(*CSR_KIND, request, {"status.certificate": "eA=="}, "status") == [
        'status.certificate: Invalid value: "<certificate data>": must contain at least one CERTIFICATE PEM block'
    ]
