"""Sample inputs, generated: a street clip with sound and its true tracks, and a scanned room with its true classes."""

import tempfile
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np

from vidpc.errors import OutputError
from vidpc.media.raycast import open_scene
from vidpc.media.sound_file import write_sound
from vidpc.media.video_writer import open_video
from vidpc.outputs.sink import writing
from vidpc.outputs.tracks import open_tracks
from vidpc.synthetic.rooms import LABELS, RoomOptions, make_room
from vidpc.synthetic.sound import street_sound
from vidpc.synthetic.street import Known, Street
from vidpc.types import AudioInfo, FrameTracks, ModelInfo, TrackHeader, VideoInfo

RATE_FPS = 25
SOUND_HZ = 44_100
VIDEO, TRACKS, NOTES = "street.mp4", "street.tracks.txt", "README.txt"
ROOM, ROOM_LABELS = "room.ply", "room.labels.npz"
# Of whom less shows than this the known tracks ask nothing: score 0 marks a region to ignore.
SCORED_FROM = 0.3
ROOM_SEED = 1  # of the room that goes with seed 0

Progress = Callable[[int, int], None]  # frames done, frames in all


def write_demo(
    folder: Path,
    *,
    seed: int = 0,
    seconds: float = 10.0,
    overwrite: bool = False,
    on_progress: Progress = lambda done, total: None,
) -> list[Path]:
    """Writes the sample inputs into ``folder`` and returns their paths. Equal seeds give equal pictures.

    Raises ``OutputError``, also where a file exists and ``overwrite`` is not set.
    """
    paths = [folder / name for name in (VIDEO, TRACKS, ROOM, ROOM_LABELS, NOTES)]
    if existing := [path for path in paths if path.exists() and not overwrite]:
        raise OutputError(f"{existing[0]} exists; give --overwrite to replace it")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / NOTES).write_text(_notes(seed), encoding="utf-8")
    except OSError as error:
        raise OutputError(f"cannot write to the folder {folder}: {error.strerror}") from error
    street = Street(seed=seed, duration_s=seconds)
    _write_room(folder, seed)
    _write_clip(street, folder, seed=seed, frames=round(seconds * RATE_FPS), on_progress=on_progress)
    return paths


def _write_clip(street: Street, folder: Path, *, seed: int, frames: int, on_progress: Progress) -> None:
    info = _video_info(street, folder / VIDEO, frames)
    model = ModelInfo("generated", "none", "", "CC0-1.0", ("person",))
    with tempfile.TemporaryDirectory() as scratch:
        sound = Path(scratch) / "sound.m4a"
        write_sound(sound, street_sound(street, seconds=frames / RATE_FPS, rate_hz=SOUND_HZ, seed=seed), rate_hz=SOUND_HZ)
        with (
            open_tracks(folder / TRACKS, header=TrackHeader(str(folder / VIDEO), info, model), overwrite=True) as tracks,
            open_video(folder / VIDEO, info, copy_from=sound, overwrite=True) as video,
        ):
            for index in range(frames):
                time_s = Fraction(index, RATE_FPS)
                rgb, known = street.frame(float(time_s))
                video.write(rgb, time_s)
                tracks.write(_as_tracks(index, time_s, known))
                on_progress(index + 1, frames)
            tracks.finish()


def _write_room(folder: Path, seed: int) -> None:
    """An office as a scanner sees it, in colour, and the class of every point in a file of its own."""
    options = RoomOptions(kinds={"office": 1.0}, spacing_m=(0.022, 0.022), even_share=1.0, colour_share=1.0)
    xyz, colour, label = make_room(np.random.default_rng(ROOM_SEED + seed), options, open_scene)
    points = np.empty(len(xyz), [("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("red", "u1"), ("green", "u1"), ("blue", "u1")])
    for column, name in enumerate("xyz"):
        points[name] = xyz[:, column]
    if colour is not None:
        for column, name in enumerate(("red", "green", "blue")):
            points[name] = colour[:, column]
    kinds = {"<f4": "float", "|u1": "uchar"}
    fields = [f"property {kinds[points.dtype[name].str]} {name}" for name in points.dtype.names or ()]
    head = ["ply", "format binary_little_endian 1.0", f"element vertex {len(points)}", *fields, "end_header"]
    with writing(folder / ROOM):
        (folder / ROOM).write_bytes("\n".join([*head, ""]).encode("ascii") + points.tobytes())
    with writing(folder / ROOM_LABELS):
        np.savez_compressed(folder / ROOM_LABELS, label=label.astype(np.uint8), names=np.array(LABELS))


def _as_tracks(index: int, time_s: Fraction, known: Known) -> FrameTracks:
    scores = (known.visible >= SCORED_FROM).astype(np.float64)
    return FrameTracks(index, time_s, known.ids, known.boxes_xyxy, scores, np.zeros(len(known.ids), np.int64))


def _video_info(street: Street, path: Path, frames: int) -> VideoInfo:
    width, height = street.ground.width, street.ground.height
    return VideoInfo(
        path=str(path),
        container="mp4",
        codec="h264",
        width=width,
        height=height,
        coded_width=width,
        coded_height=height,
        rotation_deg=0,
        mirrored=False,
        sample_aspect=Fraction(1),
        pixel_format="yuv420p",
        bit_depth=8,
        matrix="bt601",
        full_range=False,
        start_s=Fraction(0),
        rate_fps=Fraction(RATE_FPS),
        duration_s=Fraction(frames, RATE_FPS),
        frame_count=frames,
        audio=(AudioInfo("aac", SOUND_HZ, 2),),
    )


def _notes(seed: int) -> str:
    return f"""Sample inputs of vidpc, drawn by a program (seed {seed}). No rights are reserved (CC0-1.0).

{VIDEO}
    A street with walking people, 640x360, {RATE_FPS} frames/s, with sound.
{TRACKS}
    Who is where in every frame, as MOTChallenge text: frame, id, left, top, width, height, score, -1, -1, -1.
    Score 0 marks people of whom less than {SCORED_FROM:.0%} shows.

{ROOM}
    A furnished office as a laser scanner sees it, in colour, in metres.
{ROOM_LABELS}
    What every point of it belongs to, in the order of the scan: label, and the names of the thirteen classes.

    vidpc track {VIDEO} --out tracks.txt --render tracked.mp4
    vidpc eval track --gt {TRACKS} --pred tracks.txt --ignore-regions
    vidpc segment {ROOM} --render room.html
    vidpc eval segment --gt {ROOM_LABELS} --pred room.segmented.ply --grid 0.05
"""
