"""Requests that end elsewhere: logs, exec, attach and port-forward at a kubelet, proxies at nodes, pods and services."""
