"""``vidpc models``: list, show, pull, verify and convert weights."""

import json
from dataclasses import asdict
from pathlib import Path

import click

from vidpc.errors import OutputError, printable
from vidpc.weights import download, read, read_header, registry, store
from vidpc.weights.convert import LAYOUTS, convert
from vidpc.weights.registry import Entry

from .options import choice_option, complete_weights, progress_option, verbose_option
from .progress import Progress


@click.group(name="models", no_args_is_help=False)
def command() -> None:
    """List, fetch, check and convert weights.

    Downloads lie in $VIDPC_CACHE, else $XDG_CACHE_HOME/vidpc, else ~/.cache/vidpc. With --offline, VIDPC_OFFLINE=1 or
    HF_HUB_OFFLINE=1 no command opens a connection.
    """


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON document instead of a table.")
@verbose_option
def list_weights(as_json: bool) -> None:
    """Every set of weights that vidpc knows, where it is, and its licence."""
    if as_json:
        click.echo(json.dumps([_described(entry) for entry in registry.entries().values()], indent=2))
        return
    rows = [(entry.id, entry.task, _state(entry), entry.licence) for entry in registry.entries().values()]
    widths = [max(len(row[i]) for row in rows) for i in range(3)]
    for row in rows:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)) + f"  {row[3]}")


@command.command()
@click.argument("name", shell_complete=complete_weights)
@click.option("--json", "as_json", is_flag=True, help="One JSON document instead of lines.")
@verbose_option
def show(name: str, as_json: bool) -> None:
    """What is known of the weights NAME: a name of the list, or a weights file."""
    facts = _file_facts(Path(name)) if registry.is_path(name) else _described(registry.find(name))
    if as_json:
        click.echo(json.dumps(facts, indent=2))
        return
    for key, value in facts.items():
        text = ", ".join(map(str, value)) if isinstance(value, list | tuple) else "unknown" if value is None else str(value)
        click.echo(f"{key:13} {printable(text)}")


@command.command()
@click.argument("names", nargs=-1, shell_complete=complete_weights)
@click.option("--all", "everything", is_flag=True, help="Every set of weights of the list.")
@click.option("--offline", is_flag=True, help="Open no connection; use what was placed in the cache by hand.")
@progress_option
@verbose_option
def pull(names: tuple[str, ...], everything: bool, offline: bool, progress: str) -> None:
    """Fetch weights NAMES into the cache, check them, and convert them for use."""
    if bool(names) == everything:
        raise click.UsageError("give the names of weights, or --all", click.get_current_context())
    entries = list(registry.entries().values()) if everything else [registry.find(name) for name in names]
    with Progress(progress, unit="MB") as report:
        for entry in entries:
            pulled = store.pull(entry, offline=offline, progress=_megabytes(report, entry.id))
            click.echo(f"{entry.id}: {pulled.path}")
            if not pulled.published:
                click.echo(
                    f"vidpc: warning: nobody publishes a hash of {entry.id}, so nothing vouches for this download; its sha256 "
                    f"{pulled.download_sha256} is recorded, and any later one has to equal it",
                    err=True,
                )


@command.command()
@click.argument("names", nargs=-1, shell_complete=complete_weights)
@verbose_option
def verify(names: tuple[str, ...]) -> None:
    """Check weights NAMES, or all that are on this machine: hash, header, shapes, numbers. Files may be given too."""
    chosen = names or tuple(entry.id for entry in registry.entries().values() if store.is_here(entry))
    if not chosen:
        click.echo("vidpc: no weights are on this machine", err=True)
    for name in chosen:
        digest = read(name).sha256 if registry.is_path(name) else store.verify(registry.find(name))
        click.echo(f"{printable(name)}: good, sha256 {digest}")


@command.command("convert")
@click.argument("file", type=click.Path(path_type=Path))
@choice_option("--layout", tuple(LAYOUTS), required=True, help="Whose published layout the file has.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Weights file to write (.safetensors).")
@click.option("--licence", default="unknown", show_default=True, help="Terms of the weights, kept in the file.")
@click.option("--allow-pickle", is_flag=True, help="Unpickle anything. This can run any code: only for files that you trust.")
@click.option("--overwrite", is_flag=True, help="Replace the output if it exists.")
@verbose_option
def convert_file(file: Path, layout: str, out: Path, licence: str, allow_pickle: bool, overwrite: bool) -> None:
    """Turn the published checkpoint FILE into a weights file."""
    if out.suffix != ".safetensors":
        raise click.BadParameter(f"{str(out)!r} does not end in .safetensors", param_hint="--out")
    if out.exists() and not overwrite:
        raise OutputError(f"{out} exists; give --overwrite to replace it")
    header = convert(file, out, layout=layout, licence=licence, allow_pickle=allow_pickle)
    click.echo(f"{printable(str(out))}: {header.architecture}, {len(header.shapes)} tensors")


def _state(entry: Entry) -> str:
    if store.is_here(entry):
        return "built in" if entry.builtin else "here"
    return "missing" if entry.builtin else "to pull"


def _described(entry: Entry) -> dict[str, object]:
    return {**asdict(entry), "state": _state(entry), "path": str(registry.place(entry))}


def _file_facts(path: Path) -> dict[str, object]:
    header = read_header(path)
    return {**dict(header.metadata), "tensors": len(header.shapes), "path": str(path)}


def _megabytes(report: Progress, label: str) -> download.Progress:
    def update(done: int, total: int | None) -> None:
        report.update(label, round(done / 1e6, 1), None if total is None else round(total / 1e6, 1))

    return update
