"""The state that the parts of DynamoDBStore share."""

from collections.abc import Callable

from tollgate.stores.blocking_executor import BlockingExecutor
from tollgate.stores.dynamodb.table import Table


class TableStore:
    """A table, the executor that its calls run in, and a clock (Unix seconds).

    DynamoDBStore is composed of classes derived from this one, one for each protocol of `gateway.ports.Store`. Their
    public methods block and are decorated with `in_executor`.
    """

    def __init__(self, table: Table, executor: BlockingExecutor, now: Callable[[], float]) -> None:
        self.executor = executor
        self._table = table
        self._now = now
