"""What can go wrong between here and the Hub, as one clear line; and what is worth another try."""

from __future__ import annotations

import json
import logging
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from factory.core.errors import BadInput, WorkFailed

T = TypeVar("T")

ATTEMPTS = 4
PATIENCE_SECONDS = 20.0
LONGEST_WAIT_SECONDS = 300.0
_BUSY = (408, 425, 429, 500, 502, 503, 504)


class HubBusy(WorkFailed):
    """The Hub or the way to it failed in a manner that may pass.

    Attributes:
        wait_seconds: how long the Hub asks to wait; None where it does not say.
    """

    def __init__(self, text: str, wait_seconds: float | None = None) -> None:
        super().__init__(text)
        self.wait_seconds = wait_seconds


def patiently(call: Callable[[], T], what: str, say: Callable[[str], None] | None = None) -> T:
    """Call until it succeeds, waiting as long as the Hub asks, else 1, 2, 4 seconds.

    huggingface_hub itself tries some requests several times; what took longer than `PATIENCE_SECONDS` to fail is not
    begun again here.

    Args:
        call: safe to be repeated.
        what: the repository, for messages.
        say: told of every wait.

    Raises:
        BadInput: the Hub refuses: a token, a name, a right that is missing.
        WorkFailed: it cannot be reached, or failed to the end.
    """
    _quietly()
    start, attempt = time.monotonic(), 0
    while True:
        attempt += 1
        try:
            with clear_hub_errors(what):
                return call()
        except HubBusy as error:
            wait = 2.0 ** (attempt - 1) if error.wait_seconds is None else error.wait_seconds
            slow = error.wait_seconds is None and time.monotonic() - start > PATIENCE_SECONDS
            if attempt == ATTEMPTS or slow or wait > LONGEST_WAIT_SECONDS:
                raise
            if say:
                say(f"{error}; trying again in {wait:g} s")
        time.sleep(wait)


@contextmanager
def clear_hub_errors(what: str) -> Iterator[None]:
    """Turn huggingface_hub's and the connection's errors into one line.

    Args:
        what: the repository, for messages.

    Raises:
        HubBusy: what may pass: 408, 429, 5xx, a connection that failed or was cut.
        BadInput: 401, 403, 404, 409, 412, and names that are none.
        WorkFailed: everything else.
    """
    import httpx2
    from huggingface_hub import errors

    try:
        yield
    except (BadInput, WorkFailed):
        raise
    except errors.OfflineModeIsEnabled as error:
        raise WorkFailed(f"{what}: HF_HUB_OFFLINE is set, so the Hub is not asked; unset it and run again") from error
    except errors.HFValidationError as error:
        raise BadInput(f"'{what}' is not a name on the Hub; expected USER/NAME") from error
    except Exception as error:
        cause = _cause(error, (errors.HfHubHTTPError, httpx2.TransportError, errors.OfflineModeIsEnabled))
        if isinstance(cause, errors.HfHubHTTPError):
            raise _answered(what, cause) from error
        if isinstance(cause, httpx2.TransportError):
            told = f"{type(cause).__name__}: {_short(str(cause))}".rstrip(": ")
            raise HubBusy(f"{what}: the connection to the Hub failed ({told}); run the same command again") from error
        if cause is not None or isinstance(error, errors.LocalEntryNotFoundError):
            raise WorkFailed(
                f"'{what}' is not here and the Hub cannot be reached; check the network or HF_HUB_OFFLINE"
            ) from error
        if type(error).__module__.startswith("hf_xet"):
            raise HubBusy(f"{what}: the Hub's Xet storage failed ({_short(str(error))}); run again") from error
        if isinstance(error, json.JSONDecodeError):
            raise HubBusy(f"{what}: the Hub, or something before it, answered with no JSON; run again") from error
        if isinstance(error, OSError) and "Consistency check failed" in str(error):
            raise HubBusy(f"{what}: a download ended early; run the same command again") from error
        raise


class _WithoutQueries(logging.Filter):
    """Addresses without their query, which may hold a signature that lets others upload."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = re.sub(r"\?[^\s'\"]+", "", record.getMessage()), ()
        return True


_FILTER = _WithoutQueries()


def _quietly() -> None:
    """huggingface_hub tells of its own waits in its log, and draws bars wherever it writes to."""
    from huggingface_hub.utils.tqdm import disable_progress_bars

    if not sys.stderr.isatty():
        disable_progress_bars()
    logging.getLogger("huggingface_hub.utils._http").addFilter(_FILTER)  # the same one is added once


def _cause(error: BaseException, kinds: tuple[type[BaseException], ...]) -> BaseException | None:
    """The error itself or the nearest one behind it that is of one of the kinds."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, kinds):
            return seen
        seen = seen.__cause__ or seen.__context__
    return None


def _answered(what: str, error: Any) -> Exception:
    """The Hub's answer as an error; its address without the query, which may hold a signature."""
    from huggingface_hub.errors import RevisionNotFoundError

    response = error.response
    status, told = response.status_code, _short(error.server_message or "")
    because = f" ({told})" if told else ""
    if status in _BUSY:
        wait = _retry_after(response.headers.get("Retry-After"))
        asked = f"{response.request.method} {response.request.url.path}"
        asks = f" and asks to wait {wait:g} s" if wait is not None else ""
        return HubBusy(f"{what}: the Hub answered {status} to {asked}{asks}{because}; run the same command later", wait)
    if isinstance(error, RevisionNotFoundError):
        return BadInput(f"{what}: the Hub has no such revision; look at the repository's branches and commits")
    known = {
        400: f"the Hub does not take it (400){because}",
        401: "is not on the Hub, or it is private and the token is missing or not accepted (401); "
        "'hf auth login', or set HF_TOKEN",
        402: f"the Hub asks for payment{because}",
        403: f"the token may not do this (403){because}; it needs the right to write there",
        404: f"is not on the Hub (404){because}; a private one needs HF_TOKEN",
        409: f"the Hub has a conflict with what is there (409){because}; wait for other pushes, or choose another name",
        412: "somebody else pushed at the same time (412); run the same command again",
        413: f"is too large for the Hub{because}",
    }
    if status in known:
        return BadInput(f"'{what}': {known[status]}")
    return WorkFailed(f"{what}: the Hub answered {status}{because}")


def _retry_after(text: str | None) -> float | None:
    """Seconds from a Retry-After header: a number, or a date (RFC 9110, section 10.2.3)."""
    if not text:
        return None
    try:
        return max(0.0, float(text))
    except ValueError:
        from datetime import UTC, datetime
        from email.utils import parsedate_to_datetime

        try:
            return max(0.0, (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds())
        except (TypeError, ValueError):
            return None


def _short(text: str) -> str:
    return " ".join(text.split())[:200]
