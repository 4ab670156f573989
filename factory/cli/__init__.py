"""The command line: one file, one command, found by its name and imported when it is called."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Any

import click

HERE = Path(__file__).parent
INTERRUPTED = 130


class Commands(click.Group):
    """A group whose commands are the files of this folder."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """File stems, without those that start with an underscore."""
        return sorted(path.stem for path in HERE.glob("*.py") if not path.stem.startswith("_"))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command."""
        if cmd_name not in self.list_commands(ctx):
            return None
        import importlib

        command: click.Command = importlib.import_module(f"factory.cli.{cmd_name}").command
        command.name = cmd_name
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """As click does, with the nearest name suggested."""
        if args and not args[0].startswith("-") and args[0] not in self.list_commands(ctx):
            from factory.core.errors import UnknownName

            raise click.UsageError(str(UnknownName("command", args[0], self.list_commands(ctx))), ctx)
        return super().resolve_command(ctx, args)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="lora-factory", prog_name="factory")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.pass_context
def group(ctx: click.Context, debug: bool) -> None:
    """One GRPO LoRA adapter for each verifiable task; merged, scored on one matrix, reported with statistics.

    \b
    Examples:
      factory run studies/embedded.yaml      the whole chain on a base made here, in minutes
      factory run studies/embedded.yaml --dry-run
      factory merge --recipe ties math sql --rank 8 --out merged
    """
    ctx.obj = {"debug": debug}


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and leave with its exit code: 0, 1 the work failed, 2 bad input, 130 Ctrl-C."""
    arguments = sys.argv[1:] if arguments is None else arguments
    # Also taken after the command, where people type it.
    debug = "--debug" in arguments
    arguments = [text for text in arguments if text != "--debug"]
    if not debug:
        # What libraries warn of is for their callers, which is us.
        warnings.simplefilter("ignore")
    try:
        group.main(args=arguments, prog_name="factory", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        sys.exit(error.exit_code)
    except click.ClickException as error:
        where = f" (see '{error.ctx.command_path} --help')" if isinstance(error, click.UsageError) and error.ctx else ""
        click.echo(f"error: {' '.join(error.format_message().split())}{where}", err=True)
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        click.echo("stopped; run the same command again to go on", err=True)
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)
    except Exception as error:  # noqa: BLE001  (the last resort: one line, and --debug for more)
        from factory.core.errors import FactoryError, one_line

        if debug:
            import traceback

            traceback.print_exc()
        if isinstance(error, FactoryError):
            click.echo(f"error: {one_line(error)}", err=True)
            sys.exit(error.exit_code)
        if debug:
            sys.exit(1)
        click.echo(f"error: unexpected {type(error).__name__}: {one_line(error)} (--debug shows where)", err=True)
        sys.exit(1)
