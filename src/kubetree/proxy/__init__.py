"""kube-proxy: Services rendered to nftables."""
