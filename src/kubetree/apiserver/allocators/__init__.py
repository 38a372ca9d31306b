"""What only one Service may have: cluster IPs and node ports, correct with several API servers on one store."""
