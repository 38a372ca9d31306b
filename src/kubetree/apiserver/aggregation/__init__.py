"""API aggregation: APIServices say who serves a group and version, this server or another; requests go there, discovery and OpenAPI of
all are joined. What kube-aggregator is to upstream's server."""
