"""One file from the network: resumed where it was interrupted, verified after download, put in place atomically."""

import fcntl
import hashlib
import os
import re
import time
from pathlib import Path
from typing import BinaryIO

import requests

from paperkit.errors import InputError

CHUNK = 1 << 14  # bytes; the last one is lost when a connection breaks
TIMEOUT = (10.0, 30.0)  # seconds to connect, seconds without a byte


class Unreachable(InputError):
    """No answer at all from the host, so that asking it for another file is a waste of time."""


class _Retry(Exception):
    """This attempt failed in a way that another may not."""


def sha256_of(path: Path) -> str:
    """sha256 of a file, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def download(
    address: str,
    target: Path,
    sha256: str,
    size: int,
    *,
    attempts: int = 3,
    pause: float = 1.0,
    timeout: tuple[float, float] = TIMEOUT,
) -> None:
    """Fetch ``address`` into ``target``, which appears only once its ``size`` in bytes and its ``sha256`` are right.

    What has arrived stays in ``target.part`` when the connection breaks; the next attempt, or the next call, asks for
    the rest only. ``pause`` is the time in seconds before the second attempt; it doubles for the third.

    Raises:
        Unreachable: the host did not answer.
        InputError: the server refused, the bytes are wrong (they are removed), or the folder cannot be written to.
    """
    part = target.with_name(target.name + ".part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with open(part, "ab") as file:
            _claim(file, part)
            try:
                _fill(address, file, part, sha256, size, attempts, pause, timeout)
            finally:
                if not part.stat().st_size:
                    part.unlink()
            os.replace(part, target)
    except OSError as error:
        raise InputError(f"{target} cannot be written: {error.strerror or error}") from error


def _claim(file: BinaryIO, part: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise InputError(f"{part} is being written by another process: wait for it, then repeat the command") from None


def _fill(
    address: str,
    file: BinaryIO,
    part: Path,
    sha256: str,
    size: int,
    attempts: int,
    pause: float,
    timeout: tuple[float, float],
) -> None:
    """Bring ``part`` to its full and right content, or raise."""
    reason = InputError(f"{address}: not tried")
    for attempt in range(attempts):
        time.sleep(pause * attempt)
        before = part.stat().st_size
        if before != size:
            try:
                _receive(address, file, before, size, timeout)
            except _Retry as failure:
                reason = failure.args[0]
                continue
        got, bytes_got = sha256_of(part), part.stat().st_size
        if got == sha256:
            return
        file.truncate(0)
        reason = InputError(
            f"{address} sent a wrong file, which was removed: expected sha256 {sha256} ({size} bytes), "
            f"got {got} ({bytes_got} bytes)"
        )
        if not before:
            break
        # what lay here may have been the beginning of another file: once more, from the start
    raise reason


def _receive(address: str, file: BinaryIO, start: int, size: int, timeout: tuple[float, float]) -> None:
    """Append what is missing to ``file``; start again where the server does not continue at ``start``."""
    if start > size:
        file.truncate(0)
        start = 0
    # identity: a range of a compressed transfer would be a range of other bytes
    headers = {"Accept-Encoding": "identity", "User-Agent": "paperkit"}
    if start:
        headers["Range"] = f"bytes={start}-"
    received, stated = start, ""
    try:
        with requests.get(address, headers=headers, stream=True, timeout=timeout) as answer:
            if answer.status_code == 416 or (answer.status_code == 206 and _first_byte(answer) != start):
                file.truncate(0)
                raise _Retry(InputError(f"{address} could not be continued at byte {start}"))
            if answer.status_code not in (200, 206):
                failure = InputError(f"{address} answered {answer.status_code} {answer.reason}".rstrip())
                raise _Retry(failure) if answer.status_code in (408, 429) or answer.status_code >= 500 else failure
            if answer.status_code == 200:
                file.truncate(0)
                received = start = 0
            stated = answer.headers.get("Content-Length", "")
            for chunk in answer.iter_content(CHUNK):
                file.write(chunk)
                received += len(chunk)
                if received > size:  # not our file, and perhaps endless
                    break
            file.flush()
    except requests.exceptions.ChunkedEncodingError:
        file.flush()
        stated = "more"
    except requests.exceptions.ConnectTimeout:
        raise Unreachable(f"{address}: no connection within {timeout[0]:.0f} seconds") from None
    except requests.ConnectionError as error:
        file.flush()
        kind = InputError if received > start else Unreachable
        raise _Retry(kind(f"{address}: connection failed ({_cause(error)})")) from None
    except requests.Timeout:
        file.flush()
        raise _Retry(InputError(f"{address}: nothing received for {timeout[1]:.0f} seconds")) from None
    except requests.RequestException as error:
        file.flush()
        raise _Retry(InputError(f"{address}: {_cause(error)}")) from None
    # an answer that is whole by its own account but too short is a wrong file, which the checksum will say
    if received < size and str(received - start) != stated:
        raise _Retry(InputError(f"{address}: connection closed after {received} of {size} bytes"))


def _first_byte(answer: requests.Response) -> int | None:
    found = re.match(r"bytes (\d+)-", answer.headers.get("Content-Range", ""))
    return int(found[1]) if found else None


def _cause(error: Exception) -> str:
    """What the system said, out of a chain of wrapped errors, on one line."""
    line = " ".join(str(error).split())
    found = re.findall(r"\[Errno [^]]*\] ([^'\"()]+)", line)
    return found[-1].strip() if found else line[:120] or type(error).__name__
