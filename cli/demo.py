"""``vidpc demo``: sample inputs."""

from pathlib import Path

import click

from vidpc.errors import printable

from .options import progress_option, verbose_option
from .progress import Progress


@click.command("demo")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Another street with other people, another room."
)
@click.option("--seconds", type=click.FloatRange(0.2, 600), default=10.0, show_default=True, help="Length of the clip.")
@click.option("--overwrite", is_flag=True, help="Replace files that exist.")
@progress_option
@verbose_option
def command(folder: Path, seed: int, seconds: float, overwrite: bool, progress: str) -> None:
    """Write generated sample inputs into FOLDER.

    A street clip with walking people and sound, a scanned room, and what is true of both.
    """
    from vidpc.demo import VIDEO, write_demo  # brings the codecs: not for --help

    with Progress(progress, unit="frames") as report:
        paths = write_demo(
            folder,
            seed=seed,
            seconds=seconds,
            overwrite=overwrite,
            on_progress=lambda done, total: report.update(VIDEO, done, total),
        )
    for path in paths:
        click.echo(printable(str(path)))
