"""Front desk: one file per command. Parse, call one room, print, map errors to exit codes."""

from __future__ import annotations

import importlib
import pkgutil
import sys
from types import ModuleType

import click

from edgeq import __version__
from edgeq.errors import EdgeqError, ToolError

_INTERRUPTED = 130
_NO_SPACE = (28, 122)  # ENOSPC, EDQUOT


class _Commands(click.Group):
    """Finds a command in the file of its name; only click is loaded until a command runs."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(m.name for m in pkgutil.iter_modules(__path__) if not m.name.startswith("_"))

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in self.list_commands(ctx):
            return None
        module: ModuleType = importlib.import_module(f"edgeq.cli.{name}")
        command = module.command
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as e:
            from edgeq.plugins import nearest

            raise click.UsageError(f"{e.message} {nearest(args[0], self.list_commands(ctx))}", ctx) from None


@click.command(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="edgeq")
def cli() -> None:
    """Quantize language models, measure what each file really costs on this device, and compare them.

    \b
    edgeq run MODEL --types Q4_K_M,IQ3_XXS --text my.txt     the whole job, one table
    edgeq doctor                                             what this machine has and lacks
    """


def main() -> None:
    """Entry point of the ``edgeq`` command: one sentence and the right exit code for every failure."""
    try:
        status = cli.main(standalone_mode=False)
        sys.exit(status if isinstance(status, int) else 0)
    except click.Abort:
        _say("Interrupted. The same command carries on from here.")
        sys.exit(_INTERRUPTED)
    except click.ClickException as e:
        e.show()
        sys.exit(e.exit_code)
    except KeyboardInterrupt:
        _say("Interrupted. The same command carries on from here.")
        sys.exit(_INTERRUPTED)
    except BrokenPipeError:
        sys.exit(0)
    except EdgeqError as e:
        _say(f"Error: {e.text}")
        if isinstance(e, ToolError) and e.tail:
            _say("\n".join(f"  | {line}" for line in e.tail.splitlines()))
        if e.hint:
            _say(e.hint)
        sys.exit(e.exit_code)
    except OSError as e:
        if e.errno not in _NO_SPACE:
            raise
        _say(f"Error: There is no space left: {e.filename or e}.\nFree some space, then run the same command again.")
        sys.exit(4)


def _say(text: str) -> None:
    click.echo(text, err=True)
