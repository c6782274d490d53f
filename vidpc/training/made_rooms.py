"""Generated rooms as labelled scans."""

from collections.abc import Sequence

import numpy as np

from vidpc.media.raycast import open_scene
from vidpc.ops.point_features import BlockPoints
from vidpc.synthetic.rooms import RoomOptions, make_room
from vidpc.training.scans import LabelledPoints, Scan, classes_of


def made_rooms(count: int, codes: Sequence[Sequence[int]], *, seed: int) -> list[Scan]:
    """``count`` rooms, the same for the same ``seed``. ``codes`` are the generator's labels of every class."""
    options = RoomOptions()
    rooms = []
    for number in range(count):
        xyz, colour, label = make_room(np.random.default_rng((seed, number)), options, open_scene)
        rooms.append(Scan(f"generated_{number:04}", LabelledPoints(BlockPoints(xyz, colour), classes_of(label, codes))))
    return rooms
