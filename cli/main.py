"""The ``vidpc`` command: a table of subcommands that load when they are called, and the exit codes."""

import importlib
import logging
import os
import signal
import sys
import traceback
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

import click

from vidpc import __version__, errors
from vidpc.errors import VidpcError, printable, unknown_name

from .options import verbose_option

# name -> (module beside this one, line in the help). The modules are imported only when their command is called:
# ``vidpc --help`` must not wait for torch.
COMMANDS = {
    "track": ("track", "Follow people and things through videos."),
    "recognize": ("recognize", "Say what happens in videos, and when."),
    "synthesize": ("synthesize", "Draw new frames between those of videos, and after them."),
    "inpaint": ("inpaint", "Fill what masks, boxes or tracks mark in videos."),
    "segment": ("segment", "Give every point of a scan a class."),
    "classify": ("classify", "Say what scans of single objects show."),
    "info": ("info", "Say what a file holds and what vidpc would do with it."),
    "demo": ("demo", "Write generated sample inputs, to try every command on."),
    "models": ("models", "List, fetch, check and convert weights."),
    "eval": ("eval", "Score results against known answers."),
    "train": ("train", "Train weights on labelled pictures and scans."),
}

# The first row that fits decides, so a special error stands before its parent.
EXIT_CODES: tuple[tuple[type[VidpcError], int], ...] = (
    (errors.TruncatedError, 6),
    (errors.SourceError, 3),
    (errors.PointCloudError, 3),
    (errors.WeightsError, 4),
    (errors.OutOfMemoryError, 5),
    (errors.DeviceError, 2),
    (errors.PresetError, 2),
)

EPILOG = """\b
Exit codes:
  0    everything went well
  1    an input of several failed, or an output could not be written
  2    a wrong option, setting, preset or device
  3    the input cannot be read
  4    weights are missing, damaged or of another layout
  5    out of memory, even with the smallest batch
  6    the input is damaged and --strict was given
  130  interrupted (Ctrl-C)      143  terminated
"""


class LazyGroup(click.Group):
    """A group that knows its commands by name and help line, and imports one when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every name, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, imported now, or None."""
        if cmd_name not in COMMANDS:
            return None
        command = importlib.import_module(f".{COMMANDS[cmd_name][0]}", __package__).command
        if not isinstance(command, click.Command):
            raise TypeError(f"cli/{COMMANDS[cmd_name][0]}.py: command is a {type(command).__name__}, expected a click.Command")
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        """As click's, but an unknown name is answered with the nearest ones."""
        if args[0] not in COMMANDS and not args[0].startswith("-"):
            raise click.UsageError(unknown_name("command", args[0], COMMANDS), ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The table as help, without importing anything."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.group(
    cls=LazyGroup,
    no_args_is_help=False,
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
)
@click.version_option(__version__, prog_name="vidpc", message="%(prog)s %(version)s")
@verbose_option
def cli() -> None:
    """Video and point-cloud transformers from the command line."""


def exit_code(error: VidpcError) -> int:
    """The exit code that stands for ``error``: see ``vidpc --help``."""
    return next((code for kind, code in EXIT_CODES if isinstance(error, kind)), 1)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line and returns the exit code; nothing but ``SystemExit`` ever leaves it."""
    signal.signal(signal.SIGTERM, _terminate)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # not where a shell started us with Ctrl-C ignored
        signal.signal(signal.SIGINT, _interrupt)
    if not sys.warnoptions:
        warnings.simplefilter("ignore")  # what libraries say to programmers; -v brings it back
    with _log_on_stderr():
        return _run(list(sys.argv[1:] if arguments is None else arguments))


def _run(arguments: list[str]) -> int:
    try:
        # Outside its standalone mode click hands errors and exit codes over instead of printing them its own way.
        code = cli.main(arguments or ["--help"], prog_name="vidpc", standalone_mode=False)
        sys.stdout.flush()
    except click.Abort:
        return 130
    except click.ClickException as error:
        _say(f"{error.format_message()}{_where_help_is(error)}")
        return error.exit_code
    except VidpcError as error:
        return _fail(error, str(error), exit_code(error))
    except BrokenPipeError as error:
        return _fail(error, "", 1)
    except MemoryError as error:
        return _fail(error, f"out of memory {error}".strip(), 5)
    except Exception as error:  # noqa: BLE001 - the last place: a user meets one line, not a traceback
        return _fail(error, f"internal error: {type(error).__name__}: {error} (please report it, with what -v adds)", 1)
    return code if isinstance(code, int) else 0


def _fail(error: Exception, message: str, code: int) -> int:
    """Says ``message`` in one line, with the traceback under ``-v``; silent where the reader of our stdout has gone."""
    if isinstance(error, BrokenPipeError) or isinstance(error.__cause__, BrokenPipeError):
        # The interpreter flushes stdout once more when it ends, and would complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return code
    if logging.getLogger("vidpc").isEnabledFor(logging.INFO):
        traceback.print_exception(error)
    _say(message)
    return code


@contextmanager
def _log_on_stderr() -> Iterator[None]:
    """Warnings of the library, one line each, dressed as the errors are; ``-v`` turns more of them on."""
    logger, handler = logging.getLogger("vidpc"), logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("vidpc: %(levelname)s: %(message)s"))
    handler.addFilter(_in_one_line)
    logger.addHandler(handler)
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(logging.NOTSET)


def _in_one_line(record: logging.LogRecord) -> bool:
    """Changes a record before it is written: no control characters, lower case as in the errors."""
    record.msg, record.args = printable(record.getMessage()), ()
    record.levelname = record.levelname.lower()
    return True


def _say(message: str) -> None:
    click.echo(f"vidpc: error: {printable(message)}", err=True)


def _where_help_is(error: click.ClickException) -> str:
    context = getattr(error, "ctx", None)
    return f" (see '{context.command_path} --help')" if context else ""


def _terminate(signum: int, frame: FrameType | None) -> None:
    signal.signal(signum, signal.SIG_IGN)  # `timeout` sends two: the second would break into the closing of files and threads
    raise SystemExit(128 + signum)


def _interrupt(signum: int, frame: FrameType | None) -> None:
    signal.signal(signum, signal.SIG_DFL)  # a second Ctrl-C ends the program where it stands
    raise KeyboardInterrupt
