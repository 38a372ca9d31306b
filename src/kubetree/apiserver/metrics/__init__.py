"""What /metrics tells: what is counted where, and how it is written."""
