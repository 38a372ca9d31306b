"""Types of the API: definitions of every built-in kind, and strict decoding by them."""

from kubetree.api.schema.decode import check, decode, decode_as, duplicate_fields, json_patch_faults
from kubetree.api.schema.definitions import definition, definition_name, name_of

__all__ = ["check", "decode", "decode_as", "definition", "definition_name", "duplicate_fields", "json_patch_faults", "name_of"]
