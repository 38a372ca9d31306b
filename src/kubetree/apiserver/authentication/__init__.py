"""Who is asking: client certificates, tokens, service accounts. One authenticator a file."""
