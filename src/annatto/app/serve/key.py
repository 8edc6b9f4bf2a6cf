"""The API key: from the environment or a file, never from a command line that others can read."""

from __future__ import annotations

import ipaddress
import os
from pathlib import Path

from annatto.core.errors import InputError, UsageError


def read_key(variable: str, file: Path | None, *, host: str) -> str:
    """The key that clients must bring; empty for none, which only this machine's own may do.

    Args:
        variable: of the environment; not set is no key.
        file: whose first line is the key; counts more than the variable.
        host: the address that is served.

    Raises:
        InputError: the file cannot be read, or is empty.
        UsageError: another address than this machine's own needs a key, and there is none; or it
            has other characters than ASCII's visible ones, which no header can carry.
    """
    key = _first_line(file) if file else os.environ.get(variable, "").strip()
    if not key and not is_own(host):
        raise UsageError(
            f"serving on {host} lets others in and needs an API key; put one into the environment "
            f"variable {variable}, or into a file and name it by --api-key-file; or serve on "
            "127.0.0.1."
        )
    if not all(33 <= ord(letter) <= 126 for letter in key):
        raise UsageError(
            "an API key is made of letters, digits and signs without spaces or accents; choose "
            "another, such as what `openssl rand -hex 32` prints."
        )
    return key


def is_own(host: str) -> bool:
    """Whether only this machine reaches an address.

    >>> is_own("127.0.0.1"), is_own("localhost"), is_own("::1"), is_own("0.0.0.0")
    (True, True, True, False)
    """
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _first_line(file: Path) -> str:
    try:
        lines = file.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file} must hold an API key, and cannot be read ({error}).") from error
    if not lines[0].strip():
        raise InputError(f"{file} must hold an API key in its first line; found none.")
    return lines[0].strip()
