"""What the server serves: legacy and aggregated discovery documents, made from the table of kinds."""
