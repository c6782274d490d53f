"""How well weights label rooms: real ones that nobody trained on, and generated ones that nobody has seen.

python benchmarks/rooms.py ../shared/data/rooms vidpc/weights/builtin/rooms.safetensors [OTHER.safetensors …] [--votes N]

Real: room_09 to room_11, without colour. Generated: 20 rooms of seed 1000, as they are (half of them in colour) and without
colour. All through `vidpc segment` and `vidpc eval segment --grid 0.05`; prints JSON, IoU in percent.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from vidpc.media.raycast import open_scene
from vidpc.synthetic.rooms import LABELS, RoomOptions, make_room

ROOMS, SEED = 20, 1000


def make(folder: Path) -> dict[str, list[Path]]:
    """Writes the generated rooms: with the colours that they have, and with none."""
    made: dict[str, list[Path]] = {"generated": [], "generated, no colour": []}
    for number in range(ROOMS):
        xyz, colour, label = make_room(np.random.default_rng((SEED, number)), RoomOptions(), open_scene)
        arrays: dict[str, Any] = {"xyz": xyz, "label": label}
        painted = arrays if colour is None else {**arrays, "rgb": colour}
        for kind, content in zip(made, (painted, arrays), strict=True):
            path = folder / f"{list(made).index(kind)}_{number:02}.npz"
            np.savez(path, **content)
            made[kind].append(path)
    return made


def vidpc(*words: object) -> str:
    """What a command prints."""
    done = subprocess.run(
        [Path(sys.executable).with_name("vidpc"), *map(str, words)], check=True, capture_output=True, text=True
    )
    return done.stdout


def score(weights: Path, rooms: list[Path], folder: Path, votes: int) -> dict[str, Any]:
    """mIoU over the classes present, and the IoU of each."""
    out = folder / "found"
    vidpc("segment", *rooms, "--preset", "rooms", "--model", weights, "--votes", votes, "--out-dir", out, "--overwrite")
    pairs = [word for room in rooms for word in ("--gt", room, "--pred", out / f"{room.stem}.segmented.npz")]
    found = json.loads(vidpc("eval", "segment", *pairs, "--grid", 0.05, "--classes", ",".join(LABELS), "--json"))
    ious = {row["name"]: round(100 * row["IoU"], 1) for row in found["classes"] if row["points"]}
    return {"points": found["points"], "OA": found["OA"], "mIoU": found["mIoU_present"], **ious}


def main() -> None:
    """Every set of weights on every set of rooms."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rooms", type=Path)
    parser.add_argument("weights", type=Path, nargs="+")
    parser.add_argument("--votes", type=int, default=1)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        sets = {"real": [given.rooms / f"room_{number:02}.npz" for number in (9, 10, 11)], **make(Path(scratch))}
        for weights in given.weights:
            for name, rooms in sets.items():
                found = score(weights, rooms, Path(scratch), given.votes)
                sys.stdout.write(json.dumps({"weights": weights.name, "rooms": name, "votes": given.votes, **found}) + "\n")
                sys.stdout.flush()


if __name__ == "__main__":
    main()
