"""ID tokens of OpenID Connect providers: what the configuration says, the providers' keys, and what their claims make of a user."""
