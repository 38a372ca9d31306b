"""Jobs: pods that run to their end, counted without one lost, and their cleaning up after."""
