"""/debug/api_priority_and_fairness: levels, queues and requests as upstream's tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from aiohttp import web

from kubetree.apiserver.context import Handler, RequestContext
from kubetree.apiserver.flow_control.levels import Levels
from kubetree.apiserver.wire.responses import answer_text

_LEVEL_COLUMNS = [
    "PriorityLevelName",
    "ActiveQueues",
    "IsIdle",
    "IsQuiescing",
    "WaitingRequests",
    "ExecutingRequests",
    "DispatchedRequests",
    "RejectedRequests",
    "TimedoutRequests",
    "CancelledRequests",
]
_QUEUE_COLUMNS = [
    "PriorityLevelName",
    "Index",
    "PendingRequests",
    "ExecutingRequests",
    "SeatsInUse",
    "NextDispatchR",
    "InitialSeatsSum",
    "MaxSeatsSum",
    "TotalWorkSum",
]
_REQUEST_COLUMNS = [
    "PriorityLevelName",
    "FlowSchemaName",
    "QueueIndex",
    "RequestIndexInQueue",
    "FlowDistingsher",
    "ArriveR",
    "InitialSeats",
    "FinalSeats",
    "AdditionalLatency",
    "StartTime",
]


def level_rows(levels: Levels) -> Iterable[Sequence[object]]:
    for level in sorted(levels, key=lambda v: v.name):
        q = level.queues
        active = sum(1 for queue in q.queues if queue.waiting)
        idle, leaving = str(level.idle).lower(), str(level.leaving).lower()
        yield level.name, active, idle, leaving, q.waiting, q.executing, q.dispatched, q.rejected, q.timed_out, q.cancelled


def queue_rows(levels: Levels) -> Iterable[Sequence[object]]:
    for level in levels:
        for index, queue in enumerate(level.queues.queues):
            work = sum(ticket.work for ticket in queue.waiting)
            seats, start = queue.waiting_seats, f"{queue.next_start:.8f}ss"
            yield level.name, index, len(queue.waiting), queue.executing, queue.seats_in_use, start, seats, seats, f"{work:.8f}ss"


def request_rows(levels: Levels) -> Iterable[Sequence[object]]:
    for level in levels:
        for index, queue in enumerate(level.queues.queues):
            for position, ticket in enumerate(queue.waiting):
                arrived, lingering = f"{ticket.arrived:.8f}ss", f"{ticket.lingering:g}s"
                yield level.name, ticket.schema, index, position, ticket.flow, arrived, ticket.seats, ticket.seats, lingering, ""


_TABLES = {
    "dump_priority_levels": (_LEVEL_COLUMNS, level_rows),
    "dump_queues": (_QUEUE_COLUMNS, queue_rows),
    "dump_requests": (_REQUEST_COLUMNS, request_rows),
}


def tabbed(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Columns as Go's tabwriter aligns them, each but the last with a comma."""
    cells = [[str(cell) for cell in row] for row in (columns, *rows)]
    widths = [max(len(row[i]) for row in cells) + 2 for i in range(len(columns) - 1)]
    lines = ("".join(f"{cell},".ljust(width) for cell, width in zip(row, widths, strict=False)) + row[-1] for row in cells)
    return "\n".join(lines) + "\n"


def pages(levels: Levels) -> dict[str, Handler]:
    def page(name: str) -> Handler:
        columns, rows = _TABLES[name]

        async def show(ctx: RequestContext) -> web.StreamResponse:
            return answer_text(ctx, tabbed(columns, rows(levels)))

        return show

    return {f"/debug/api_priority_and_fairness/{name}": page(name) for name in _TABLES}
