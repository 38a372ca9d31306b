"""DaemonSets: one pod of a template on every node that it fits."""
