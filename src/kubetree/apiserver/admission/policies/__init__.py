"""ValidatingAdmissionPolicy and MutatingAdmissionPolicy: admission by expressions that a cluster's users write."""
