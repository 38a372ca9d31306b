"""OpenAPI v2 and v3 documents from the definitions and the table of kinds."""

from kubetree.api.openapi.documents import document_hash, document_names, openapi_v2, openapi_v3, openapi_v3_document, openapi_v3_index
from kubetree.api.openapi.proto_v2 import MEDIA_TYPES as PROTO_V2_MEDIA_TYPES
from kubetree.api.openapi.proto_v2 import encode as encode_proto_v2
from kubetree.api.openapi.proto_v3 import MEDIA_TYPES as PROTO_V3_MEDIA_TYPES
from kubetree.api.openapi.proto_v3 import encode as encode_proto_v3

__all__ = [
    "PROTO_V2_MEDIA_TYPES",
    "PROTO_V3_MEDIA_TYPES",
    "document_hash",
    "document_names",
    "encode_proto_v2",
    "encode_proto_v3",
    "openapi_v2",
    "openapi_v3",
    "openapi_v3_document",
    "openapi_v3_index",
]
