"""Tracks as COCO for video (the layout of CocoVID): COCO detection, with ``frame_id`` on images and ``instance_id`` on boxes.

Annotations are streamed. The list of images, which has to follow them, waits in a temporary file. ``bbox`` is left, top, width,
height in pixels counted from 0; ``frame_id`` is the frame's index from 0, ids count from 1. Described by ``coco.schema.json``.
"""

import tempfile
from collections.abc import Iterable, Iterator
from pathlib import PurePath
from typing import Any

from vidpc.outputs.json_tracks import BOX_DECIMALS, Counts, all_warnings, dumped, rounded, seconds
from vidpc.outputs.sink import encoded
from vidpc.types import FrameTracks, TrackHeader

_SPOOL_BYTES = 1 << 20  # of the image list that stay in memory
_PIECE_BYTES = 1 << 16
_VIDEO_ID = 1


class CocoVideo:
    """One object: categories and video, the annotations of all frames, then the images."""

    def __init__(self, header: TrackHeader) -> None:
        self._header = header
        self._counts = Counts()
        self._boxes = 0
        self._images = tempfile.SpooledTemporaryFile(max_size=_SPOOL_BYTES)  # noqa: SIM115 - closed by close()

    def head(self) -> str:
        """The document up to the first annotation."""
        labels = self._header.model.labels
        facts = {
            "info": {"description": "tracks", "vidpc_version": self._header.vidpc_version, "source": self._header.source},
            "licenses": [],
            "videos": [self._video()],
            "categories": [{"id": i, "name": name} for i, name in enumerate(labels, start=1)],
        }
        return f'{dumped(facts)[:-1]},\n"annotations":['

    def _video(self) -> dict[str, Any]:
        video = self._header.video
        name = PurePath(self._header.source).name
        return {"id": _VIDEO_ID, "name": name, "width": video.width, "height": video.height, "fps": video.rate_fps}

    def frame(self, tracks: FrameTracks) -> str:
        """The frame's annotations; its image is put aside."""
        comma = "," if self._counts.frames else ""
        self._counts.add(tracks)
        self._images.write(encoded(f"{comma}\n{dumped(self._image(tracks))}"))
        return "".join(self._annotations(tracks))

    def _image(self, tracks: FrameTracks) -> dict[str, Any]:
        return {
            "id": self._counts.frames,
            "video_id": _VIDEO_ID,
            "frame_id": tracks.index,
            "time_s": seconds(tracks.time_s),
            "file_name": f"{tracks.index:06d}.jpg",
            "width": self._header.video.width,
            "height": self._header.video.height,
        }

    def _annotations(self, tracks: FrameTracks) -> Iterator[str]:
        boxes, scores = rounded(tracks)
        for number, (x1, y1, x2, y2), score, label in zip(tracks.ids, boxes, scores, tracks.labels, strict=True):
            comma = "," if self._boxes else ""
            self._boxes += 1
            width, height = round(x2 - x1, BOX_DECIMALS), round(y2 - y1, BOX_DECIMALS)
            record = {
                "id": self._boxes,
                "image_id": self._counts.frames,
                "video_id": _VIDEO_ID,
                "category_id": int(label) + 1,
                "instance_id": int(number),
                "bbox": [x1, y1, width, height],
                "area": round(width * height, BOX_DECIMALS),
                "iscrowd": 0,
                "score": score,
            }
            yield f"{comma}\n{dumped(record)}"

    def tail(self, warnings: Iterable[str]) -> Iterator[str]:
        """The images, counts and warnings."""
        yield '\n],\n"images":['
        self._images.seek(0)
        while piece := self._images.read(_PIECE_BYTES):
            yield piece.decode("ascii")  # file names are ours, so a piece never ends inside a character
        yield f"\n],\n{dumped({**self._counts.record(), 'warnings': all_warnings(self._header, warnings)})[1:]}\n"

    def close(self) -> None:
        """Remove the temporary file."""
        self._images.close()
