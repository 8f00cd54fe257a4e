"""All operations of the REST, in one table."""

from __future__ import annotations

from liveserver.edge.operations import OPERATIONS, Operation
from liveserver.edge.sale_operations import SALE_OPERATIONS

EVERY_OPERATION: tuple[Operation, ...] = (*OPERATIONS, *SALE_OPERATIONS)
