"""The plugin under test, unless the package is installed and pytest has found it by its entry point."""

from importlib.metadata import entry_points

if not any(found.value == "kubetree.testing.plugin" for found in entry_points(group="pytest11")):
    pytest_plugins = ["kubetree.testing.plugin"]
