"""Who did what: the audit policy decides what is recorded of a request, sinks write it down. Off by default, and then it costs nothing."""
