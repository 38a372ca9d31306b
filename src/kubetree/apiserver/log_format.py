"""How the server logs when it runs as a process: lines for people, or JSON as component-base's json format has it; and how much."""

from __future__ import annotations

import json
import logging

from kubetree.apiserver.pages.debug import set_verbosity


class JsonLines(logging.Formatter):
    """One object a line: ts (milliseconds since the epoch), caller, msg, v, and err where an exception was logged."""

    def format(self, record: logging.LogRecord) -> str:
        found: dict[str, object] = {
            "ts": round(record.created * 1000, 3),
            "caller": f"{record.module}.py:{record.lineno}",
            "msg": record.getMessage(),
        }
        if record.levelno < logging.ERROR:
            found["v"] = 0
        if record.exc_info:
            found["err"] = self.formatException(record.exc_info)
        return json.dumps(found)


def start_logging(form: str, verbosity: int) -> None:
    """`form` is text or json; `verbosity` as -v."""
    if form == "json":
        for handler in logging.getLogger().handlers:
            handler.setFormatter(JsonLines())
    if verbosity:
        set_verbosity(verbosity)
