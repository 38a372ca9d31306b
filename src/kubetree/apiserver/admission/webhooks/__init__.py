"""MutatingAdmissionWebhook and ValidatingAdmissionWebhook: admission by servers that a cluster's users run."""
