"""What `kubectl get` shows: the columns of each kind and an object's cells, as pkg/printers/internalversion gives them.

The API server answers with all cells; clients show those of priority 0, and the others with `-o wide`.
"""

from __future__ import annotations

from kubetree.api.printers.table import cells, columns, in_order, row_conditions

__all__ = ["cells", "columns", "in_order", "row_conditions"]
