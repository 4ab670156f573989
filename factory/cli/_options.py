"""Options that commands share, and how a command prints its result."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from factory.core.errors import BadInput

F = TypeVar("F", bound=Callable[..., Any])


def store_option(function: F) -> F:
    """`--store DIR`, also from FACTORY_STORE."""
    return click.option(
        "--store",
        type=click.Path(path_type=Path, file_okay=False),
        default=Path("store"),
        show_default=True,
        envvar="FACTORY_STORE",
        metavar="DIR",
        help="Where finished work is kept.",
    )(function)


def json_option(function: F) -> F:
    """`--json`."""
    return click.option("--json", is_flag=True, help="Print the result as JSON; logs stay on stderr.")(function)


def data_option(function: F) -> F:
    """`--data DIR`, also from FACTORY_DATA."""
    return click.option(
        "--data",
        type=click.Path(path_type=Path),
        envvar="FACTORY_DATA",
        metavar="DIR",
        help="Offline mirror of the datasets; also FACTORY_DATA. Without it they come from the Hub.",
    )(function)


def base_option(function: F) -> F:
    """`--base B`."""
    return click.option("--base", metavar="B", help="embedded, embedded@SEED, a folder, or a hub id[@revision].")(
        function
    )


def quantization_option(function: F) -> F:
    """`--quantization full|nf4|int8`."""
    return click.option(
        "--quantization",
        type=click.Choice(["full", "nf4", "int8"]),
        help="How the base is loaded.  [default: as the adapter was trained, else full]",
    )(function)


def jobs_option(function: F) -> F:
    """`--jobs N`."""
    cores = min(2, os.cpu_count() or 1)
    return click.option(
        "--jobs",
        type=click.IntRange(min=1),
        default=cores,
        show_default=True,
        help="Worker processes, one thread each.",
    )(function)


def emit(result: Any, json: bool, text: str) -> None:
    """Print a result: JSON for programs, text for people."""
    if json:
        import json as encoder

        click.echo(encoder.dumps(result, indent=2, ensure_ascii=False, allow_nan=False))
    elif text:
        click.echo(text)


def parse_weights(text: str | None) -> list[float] | None:
    """`--weights 0.5,0.5`; None stays None.

    Raises:
        BadInput: not numbers with commas between them.
    """
    if text is None:
        return None
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise BadInput(f"--weights '{text}': expected numbers with commas between them, for example 0.5,0.5") from None
