"""Paths in a container's file system, and file modes."""

from __future__ import annotations

from kubetree.api.validation.errors import Errors, invalid

MODE = "must be a number between 0 and 0777 (octal), both inclusive"


def no_backsteps(errs: Errors, value: str, path: str) -> None:
    if ".." in value and ".." in value.split("/"):
        errs.append(invalid(path, value, "must not contain '..'"))


def descending(errs: Errors, value: str, path: str) -> None:
    """Relative, and below where it starts."""
    if value.startswith("/"):
        errs.append(invalid(path, value, "must be a relative path"))
    no_backsteps(errs, value, path)


def not_reserved(errs: Errors, value: str, path: str) -> None:
    """Descending, and not starting with '..', which the kubelet uses itself."""
    descending(errs, value, path)
    if value.startswith("..") and not value.startswith("../"):
        errs.append(invalid(path, value, "must not start with '..'"))


def mode(errs: Errors, value: int | None, path: str) -> None:
    if value is not None and not 0 <= value <= 0o777:
        errs.append(invalid(path, value, MODE))
