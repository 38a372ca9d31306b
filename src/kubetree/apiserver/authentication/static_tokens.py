"""--token-auth-file: a CSV of token, user, uid and optionally a quoted list of groups."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from kubetree.apiserver.authentication.tokens import Verdict
from kubetree.apiserver.authentication.user import User, authenticated


class StaticTokens:
    """Read once, at the start, as upstream does."""

    def __init__(self, users: Mapping[str, User]) -> None:
        self._verdicts = {token: Verdict(authenticated(user)) for token, user in users.items()}

    async def authenticate_token(self, token: str, audiences: Sequence[str]) -> Verdict | None:
        return self._verdicts.get(token)


def read_token_file(path: Path) -> dict[str, User]:
    """Token to user. Raises ValueError naming the line that has fewer than three columns."""
    users: dict[str, User] = {}
    with path.open(newline="") as file:
        for record in csv.reader(file):
            if not record:
                continue
            if len(record) < 3:
                raise ValueError(f"token file '{path}' must have at least 3 columns (token, user name, user uid), found {len(record)}")
            token, name, uid = record[:3]
            groups = tuple(record[3].split(",")) if len(record) > 3 else ()
            if token:
                users[token] = User(name, uid, groups)
    return users
