"""What became of a run: its last lines on stderr, and the exit code. The same for every subcommand that runs a model."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vidpc.errors import OutputError, VidpcError, printable

if TYPE_CHECKING:
    from vidpc.pipeline.drive import InputSummary, Summary


@dataclass(frozen=True, slots=True)
class Words:
    """How a subcommand words what its tallies counted: ``unit`` and ``count``, ``record`` for JSON, ``facts`` of a run."""

    unit: str
    count: Callable[[Any], int]
    record: Callable[[Any], dict[str, Any]]
    facts: Callable[[Sequence[Any]], list[str]] = lambda _: []


def tell(summary: "Summary[Any]", words: Words, *, mode: str, benchmark: bool) -> None:
    """What became of the run, on stderr: lines for people, or one JSON line where progress is JSON."""
    if mode == "json":
        click.echo(json.dumps({"summary": _record(summary, words)}), err=True)
        return
    for row in summary.inputs:
        for warning in row.warnings if row.error is None else ():
            click.echo(f"vidpc: warning: {printable(f'{row.source}: {warning}')}", err=True)
    failed = sum(row.error is not None for row in summary.inputs)
    inputs = "" if len(summary.inputs) == 1 else f"{len(summary.inputs)} inputs, {failed} failed: "
    warnings = sum(len(row.warnings) for row in summary.inputs)
    count = sum(words.count(row.counted) for row in summary.inputs)
    seconds = sum(row.seconds for row in summary.inputs)  # of the inputs' own time: without loading weights
    per_s = count / seconds if seconds > 0 else 0.0
    rate = f"{per_s:.2g}" if 0 < per_s < 1 else f"{per_s:.1f}"
    facts = [f"{count} {words.unit}", *words.facts([row.counted for row in summary.inputs]), f"{rate} {words.unit}/s"]
    click.echo(f"vidpc: {inputs}{', '.join(facts)}, {warnings} warnings", err=True)
    if benchmark:
        click.echo(_stages(summary, count, words.unit.removesuffix("s")), err=True)


def leave(ctx: click.Context, rows: "Sequence[InputSummary[Any]]") -> None:
    """The exit: the error itself where it was the only input, else 1 when one failed."""
    errors = [row.error for row in rows if row.error is not None]
    if len(rows) == 1 and errors:
        raise errors[0]
    for error in errors:
        if not isinstance(error, VidpcError):
            raise error
        click.echo(f"vidpc: error: {printable(str(error))}", err=True)
    if errors:
        ctx.exit(1)


def make_folder(folder: Path) -> None:
    """The folder for outputs is there afterwards. Raises ``OutputError``."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the folder {folder}: {error.strerror}") from error


def say_skipped(count: int) -> None:
    """That so many inputs were left out under --skip-existing."""
    if count:
        click.echo(f"vidpc: {count} input{'s'[: count > 1]} skipped: its output exists", err=True)


def _stages(summary: "Summary[Any]", count: int, item: str) -> str:
    """Where the time went. Decoding, preparing and the rest have a thread each, so the shares add up to more than the whole."""
    lines = [f"vidpc: {summary.seconds:.2f} s in all on {summary.device}, batch {summary.batch}"]
    unit, scale = ("ms", 1e3) if item in ("frame", "window") else ("µs", 1e6)
    for stage, seconds in summary.stages.items():
        each = scale * seconds / max(count, 1)
        lines.append(f"  {stage:<20} {seconds:8.2f} s  {100 * seconds / summary.seconds:5.1f} %  {each:8.2f} {unit} a {item}")
    return "\n".join(lines)


def _record(summary: "Summary[Any]", words: Words) -> dict[str, Any]:
    rows = [
        {
            "source": row.source,
            **words.record(row.counted),
            "seconds": round(row.seconds, 3),
            "warnings": row.warnings,
            "error": None if row.error is None else str(row.error),
            "outputs": row.outputs,
        }
        for row in summary.inputs
    ]
    stages = {stage: round(seconds, 4) for stage, seconds in summary.stages.items()}
    return {"inputs": rows, "seconds": round(summary.seconds, 3), "stages_s": stages, "device": summary.device}
