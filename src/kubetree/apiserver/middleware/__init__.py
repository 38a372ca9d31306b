"""The stack that every request passes, one layer a file, outermost first: errors, authentication, authorization, the verb."""
