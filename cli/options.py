"""Options that several subcommands share, as decorators, and the types of their values.

Each decorator adds keyword arguments of the same name to the command:

    device_options   device, precision, batch (None stands for auto)
    source_options   start, end, fps, stride, input_fps, strict, allow_url: span_options, thinning and reading_options
    output_options   overwrite, skip_existing
    video_options    codec, crf, pix_fmt, lossless: ``video_format`` makes one value of them
    model_options    model, preset, settings (a dict of what --set gave)
    progress_option  progress
    verbose_option   nothing: it turns the logging up

``together`` makes one such decorator out of several options.
"""

import logging
import re
import tomllib
import warnings
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any, TypeVar

import click

from vidpc.errors import unknown_name

if TYPE_CHECKING:
    from vidpc.types import VideoFormat

Command = TypeVar("Command", bound=Callable[..., Any])

PRECISIONS = ("fp32", "tf32", "bf16", "fp16")
PROGRESS_MODES = ("auto", "plain", "json", "none")

_CLOCK = re.compile(r"(?:(?:(\d+):)?(\d{1,2}):)?(\d+(?:\.\d+)?)")
_BOX = re.compile(r"(-?\d+),(-?\d+),(\d+),(\d+)")
_DEVICE = re.compile(r"auto|cpu|cuda(:\d+)?")


def time_s(text: str) -> Fraction:
    """Seconds (``12.5``) or a clock (``1:02:03.5``) as an exact number of seconds."""
    match = _CLOCK.fullmatch(text)
    if match is None:
        raise click.BadParameter(f"{text!r} is no time; write seconds (12.5) or a clock (1:02:03.5)")
    hours, minutes, seconds = match.groups(default="0")
    return int(hours) * 3600 + int(minutes) * 60 + Fraction(seconds)


def box_xywh(text: str) -> tuple[int, int, int, int]:
    """A box as x,y,w,h in pixels."""
    match = _BOX.fullmatch(text)
    if match is None or not int(match[3]) or not int(match[4]):
        raise click.BadParameter(f"{text!r} is no box; write x,y,width,height in pixels, as in 20,20,160,48")
    x, y, w, h = map(int, match.groups())
    return x, y, w, h


def rate_fps(text: str) -> Fraction:
    """A positive rate: ``25``, ``29.97`` or ``30000/1001``."""
    try:
        rate = Fraction(text)
    except (ValueError, ZeroDivisionError):
        rate = Fraction(0)
    if not 0 < rate <= 10**6:
        raise click.BadParameter(f"{text!r} is no rate; write a positive number (25) or a ratio (30000/1001)")
    return rate


def batch_size(text: str) -> int | None:
    """A number of frames, None for ``auto``."""
    if text == "auto":
        return None
    if not text.isdecimal() or int(text) < 1:
        raise click.BadParameter(f"{text!r} is neither 'auto' nor a number of frames from 1 on")
    return int(text)


def device(text: str) -> str:
    """The spelling of a device. Whether it is there is the engine's question: asking needs torch."""
    if not _DEVICE.fullmatch(text):
        raise click.BadParameter(unknown_name("device", text, ("auto", "cpu", "cuda", "cuda:1")))
    return text


def setting(text: str) -> tuple[str, Any]:
    """``key=value``: the value as TOML reads it, and as plain text where it is no TOML (``--set rule=paper``)."""
    key, sign, value = text.partition("=")
    if not sign or not key.isidentifier():
        raise click.BadParameter(f"{text!r} is no setting; write key=value")
    try:
        return key, tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key, value


def choice_option(name: str, values: Sequence[str], **attributes: Any) -> Callable[[Command], Command]:
    """An option that takes one of ``values``, completes them in the shell, and answers a wrong one with the nearest."""

    def one_of(text: str) -> str:
        if text not in values:
            raise click.BadParameter(unknown_name("value", text, values))
        return text

    def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
        return [value for value in values if value.startswith(incomplete)]

    return click.option(name, type=one_of, metavar="|".join(values), shell_complete=complete, **attributes)


def complete_weights(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Names of weights, for completion in the shell."""
    from vidpc.weights import registry  # not for --help

    return [name for name in registry.entries() if name.startswith(incomplete)]


def _complete_presets(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    from vidpc import presets  # not for --help

    return [name for name in presets.names() if name.startswith(incomplete)]


def _settings(ctx: click.Context, param: click.Parameter, pairs: tuple[tuple[str, Any], ...]) -> dict[str, Any]:
    """The pairs as a dict; a key that is given twice is an error, not a silent choice."""
    settings = dict(pairs)
    if len(settings) < len(pairs):
        twice = next(key for i, (key, _) in enumerate(pairs) if key in dict(pairs[:i]))
        raise click.BadParameter(f"{twice!r} is set twice", ctx, param)
    return settings


def _exclude_both(ctx: click.Context, param: click.Parameter, skip_existing: bool) -> bool:
    if skip_existing and ctx.params.get("overwrite"):
        raise click.UsageError("--overwrite and --skip-existing exclude each other", ctx)
    return skip_existing


def _verbosity(ctx: click.Context, param: click.Parameter, count: int) -> None:
    """Turns the logging up, never down: the group and a command can both be given ``-v``."""
    if count:
        logger = logging.getLogger("vidpc")
        logger.setLevel(min(logger.getEffectiveLevel(), logging.INFO if count == 1 else logging.DEBUG))
        warnings.simplefilter("default")


def together(*decorators: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """One decorator out of several; ``--help`` shows them in this order."""

    def decorate(command: Command) -> Command:
        for decorator in reversed(decorators):
            command = decorator(command)
        return command

    return decorate


device_options = together(
    click.option(
        "--device", type=device, metavar="DEVICE", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N."
    ),
    choice_option("--precision", PRECISIONS, default="fp32", show_default=True, help="Arithmetic of the model."),
    click.option(
        "--batch",
        type=batch_size,
        metavar="auto|N",
        default="auto",
        show_default=True,
        help="Frames, or blocks of points, that the model sees at once.",
    ),
)

span_options = together(
    click.option("--start", type=time_s, metavar="TIME", help="Begin at this time: seconds or h:mm:ss."),
    click.option("--end", type=time_s, metavar="TIME", help="Stop before this time."),
)

reading_options = together(
    click.option("--input-fps", type=rate_fps, metavar="RATE", help="Rate of an image sequence, which says none itself."),
    click.option("--strict", is_flag=True, help="Damage in the input is an error, not a warning."),
    click.option("--allow-url", is_flag=True, help="Allow http, https and rtsp addresses as inputs."),
)

source_options = together(
    span_options,
    click.option("--fps", type=rate_fps, metavar="RATE", help="Thin frames to this rate, by their times."),
    click.option("--stride", type=click.IntRange(min=1), default=1, show_default=True, help="Take every N-th frame."),
    reading_options,
)


output_options = together(
    click.option("--overwrite", is_flag=True, is_eager=True, help="Replace outputs that exist."),
    click.option("--skip-existing", is_flag=True, callback=_exclude_both, help="Leave out inputs whose output exists."),
)

video_options = together(
    click.option(
        "--codec",
        metavar="NAME",
        default="auto",
        show_default=True,
        help="h264, hevc, vp9, av1, ffv1, prores or mjpeg; auto: what fits the file's suffix and the depth of its source.",
    ),
    click.option("--crf", type=float, metavar="N", help="Quality on the codec's own scale: lower is better and larger."),
    click.option(
        "--pix-fmt", metavar="NAME", default="auto", show_default=True, help="Pixels as FFmpeg names them, as in yuv420p10le."
    ),
    click.option("--lossless", is_flag=True, help="Keep every sample: ffv1 in .mkv and .avi, lossless H.264 in .mp4 and .mov."),
)


def video_format(given: Mapping[str, Any]) -> "VideoFormat":
    """What ``video_options`` gave. Raises PresetError."""
    from vidpc.types import VideoFormat  # brings NumPy: not for --help

    return VideoFormat(given["codec"], given["crf"], given["pix_fmt"], given["lossless"])


model_options = together(
    click.option(
        "--preset", metavar="NAME|FILE", shell_complete=_complete_presets, help="Settings and weights that belong together."
    ),
    click.option(
        "--model",
        metavar="NAME|FILE",
        shell_complete=complete_weights,
        help="Other weights than the preset's: see `vidpc models list`.",
    ),
    click.option(
        "--set",
        "settings",
        type=setting,
        metavar="KEY=VALUE",
        multiple=True,
        callback=_settings,
        help="Change one setting of the preset; may be repeated.",
    ),
)

progress_option = choice_option(
    "--progress", PROGRESS_MODES, default="auto", show_default=True, help="Progress on stderr; auto: on a terminal only."
)

verbose_option = click.option(
    "-v", "--verbose", count=True, expose_value=False, callback=_verbosity, help="Say more, with tracebacks (-vv: everything)."
)


def changed(ctx: click.Context, settings: Mapping[str, Any], direct: Mapping[str, Any]) -> dict[str, Any]:
    """What --set and the options of a command's own change, the latter by the names of settings, None where not given."""
    named = {key: value for key, value in direct.items() if value is not None}
    for key in named.keys() & settings.keys():
        raise click.UsageError(f"{key!r} is set by --set and by an option of its own", ctx)
    return {**settings, **named}
