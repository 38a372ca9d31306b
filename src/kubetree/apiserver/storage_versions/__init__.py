"""What this server tells of the versions that it encodes built-in resources in, before it lets anybody write them."""
