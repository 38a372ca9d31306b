"""The pod network (CNI configuration, overlay) and cluster DNS."""
