"""The kubetree command."""
