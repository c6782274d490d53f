"""Which format a target asks for: by its own option, by the suffix of its name, or as a pipe."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from vidpc.errors import PresetError, unknown_name
from vidpc.outputs.sink import STDOUT


@dataclass(frozen=True, slots=True)
class Formats:
    """The formats of one kind of file: its ``noun`` in messages, their ``names``, those of suffixes, and that of a pipe."""

    noun: str
    names: Iterable[str]
    suffixes: Mapping[str, str]  # an earlier suffix wins
    stdout: str

    def choose(self, target: str | Path, format: str | None = None) -> str:  # noqa: A002 - the option's name
        """One of ``names``. Raises ``PresetError`` for a suffix or a name that has none."""
        if format is not None:
            if format not in self.names:
                raise PresetError(unknown_name(self.noun, format, self.names))
            return format
        if str(target) == STDOUT:
            return self.stdout
        name = Path(target).name.lower()
        for suffix, found in self.suffixes.items():
            if name.endswith(suffix):
                return found
        raise PresetError(f"{target}: no {self.noun} has this suffix: use one of {', '.join(self.suffixes)}, or --format")
