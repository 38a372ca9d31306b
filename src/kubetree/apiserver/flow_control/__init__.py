"""API priority and fairness: who waits when many ask at once. Follows apiserver/pkg/util/flowcontrol and KEP-1040."""
