"""OpenAPI v2 and v3 documents from the definitions and the table of kinds."""

from kubetree.api.openapi.documents import document_hash, document_names, openapi_v2, openapi_v3, openapi_v3_document, openapi_v3_index

__all__ = ["document_hash", "document_names", "openapi_v2", "openapi_v3", "openapi_v3_document", "openapi_v3_index"]
