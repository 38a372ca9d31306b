"""The generic verbs: functions over rows of the table of kinds. One verb a file; what kinds differ in is data."""
