"""The kubelet's port 10250: logs, exec, attach, port-forward, pods, stats and metrics."""
