"""The scheduler's plugins, one a file, named as upstream's. `default_plugins` is the table of those that are on, with their weights."""
