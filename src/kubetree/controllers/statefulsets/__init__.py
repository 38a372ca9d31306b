"""StatefulSets: pods with names that last, in order, each with its own storage."""
