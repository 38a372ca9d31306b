"""An in-process cluster and its pytest plugin."""
