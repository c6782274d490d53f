"""Writing video: new pictures and frames of a source into a file or a folder of pictures.

A file keeps what its source has: the times of frames, how they are turned and stretched to be displayed, their colours and
depth, sound and subtitles. What its container or codec cannot keep is said in ``warnings``, and then the pictures are changed
so that they look the same.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from fractions import Fraction
from pathlib import Path
from typing import Protocol

from vidpc.media.clock import Clock
from vidpc.media.picture_folder import PictureFolder
from vidpc.media.target import is_folder, open_target
from vidpc.media.video_codecs import check_format, choose_coding
from vidpc.media.video_file import VideoFile
from vidpc.types import U8, U16, Bool, Frame, VideoFormat, VideoInfo


class VideoSink(Protocol):
    """Takes the pictures of a video in order of time. ``warnings`` tells what could not be kept."""

    warnings: list[str]

    def write(self, rgb: U8 | U16, time_s: Fraction) -> None:
        """Append a new picture [h w 3] in displayed orientation and size, u8 or u16 of 0..65535, shown from ``time_s`` on."""
        ...

    def keep(self, frame: Frame, time_s: Fraction) -> None:
        """Append a frame of the source as it is: where the format allows, its coded samples are passed on unconverted."""
        ...

    def patch(self, frame: Frame, rgb: U8 | U16, mask: Bool, time_s: Fraction) -> None:
        """Append a frame of the source with the pixels of ``mask`` bool[h w] replaced by those of ``rgb``.

        Coded samples that cover no masked pixel stay bit-identical.
        """
        ...


def open_video(
    path: str | Path,
    info: VideoInfo,
    *,
    copy_from: Path | str | None = None,
    start_s: Fraction | None = None,
    end_s: Fraction | None = None,
    speed: Fraction = Fraction(1),
    video_format: VideoFormat | None = None,
    overwrite: bool = False,
) -> AbstractContextManager[VideoSink]:
    """A sink whose file, or folder of pictures, has its name once the ``with`` block has ended well.

    A folder is what ends in a slash, is one, or has no suffix. ``info`` is of the source whose frames are kept or replaced.
    Times are on the clock of ``Frame.time_s``: ``start_s`` becomes zero, and a second of it is shown for ``1 / speed``
    seconds. Sound and subtitles come from ``copy_from``, between ``start_s`` and ``end_s``. A block that is interrupted leaves
    what is there under a name that says so; one that fails leaves nothing. Raises OutputError and PresetError, at once where
    that can be.
    """
    wanted = video_format or VideoFormat()
    clock = Clock(start_s, end_s, start_s or Fraction(0), speed)
    inputs = [source for source in (info.path, copy_from) if source is not None]
    target = open_target(path, inputs=inputs, overwrite=overwrite)
    if target.is_folder:
        return PictureFolder(target, clock, bit_depth=info.bit_depth)
    return VideoFile(target, info, choose_coding(path, info, wanted), clock, copy_from=copy_from)


def check_video(
    path: str | Path,
    *,
    inputs: Sequence[str | Path],
    video_format: VideoFormat | None = None,
    overwrite: bool = False,
) -> None:
    """Raises OutputError or PresetError, before any work, where a video must not or cannot be written like this.

    ``inputs`` are files, folders of pictures and their patterns that must not be written over: videos, masks.
    """
    if not is_folder(path):
        check_format(path, video_format or VideoFormat())
    open_target(path, inputs=inputs, overwrite=overwrite)
