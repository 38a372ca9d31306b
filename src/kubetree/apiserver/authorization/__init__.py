"""May they: RBAC, the Node authorizer, and the review APIs' questions. One authorizer a file."""
