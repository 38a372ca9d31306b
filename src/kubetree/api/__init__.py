"""The vocabulary of Kubernetes: kinds, schemas, defaults, validation, selectors, patches. Pure: no I/O, no clock."""
