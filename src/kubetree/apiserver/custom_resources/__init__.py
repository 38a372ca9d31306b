"""Custom resources in a running server: rows that come and go with their definitions, conditions, conversion, finalization."""
