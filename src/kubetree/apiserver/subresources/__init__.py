"""Subresources that are more than a view of their object: scale, binding, eviction, tokens, and kinds that are never stored."""
