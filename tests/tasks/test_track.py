"""The track task on pictures of its own making: an untrained network is as good as any to test the ways of data."""

import json
from dataclasses import asdict
from fractions import Fraction

import numpy as np
import pytest
import torch

from vidpc import weights
from vidpc.engine.device import choose
from vidpc.engine.infer import infer
from vidpc.errors import DecodeError, PresetError, WeightsError
from vidpc.models.transtrack import TransTrack, TransTrackConfig
from vidpc.ops import image
from vidpc.presets import AssociationSettings, TrackConfig
from vidpc.stream.batch import group
from vidpc.tasks.track import TrackTask, predecessors, with_near
from vidpc.types import Closed, Frame, Opened, Planes

REORDERED_SUMS = 1e-4
TINY = TransTrackConfig(
    block="basic",
    depths=(1, 1, 1, 1),
    stem=8,
    width=64,
    heads=2,
    encoder_layers=1,
    decoder_layers=1,
    feedforward=32,
    points=2,
    queries=8,
    classes=3,
    query_source="encoder",
)


class Picture:
    """An image of fixed pixels that can show itself as planes of one grey level."""

    nbytes = 0

    def __init__(self, pixels, planes=None):
        self.pixels, self._planes = pixels, planes

    def rgb(self, width, height):
        assert (height, width) == self.pixels.shape[:2]
        return self.pixels

    def planes(self):
        return self._planes


def write_weights(path, **changes):
    torch.manual_seed(1)
    model = TransTrack(TINY)
    for head in model.bbox_embed:
        torch.nn.init.normal_(head.layers[-1].weight, std=0.3)
    rules = {"order": "rgb", "mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25]}
    metadata = {
        "architecture": "transtrack",
        "config": json.dumps(asdict(TINY)),
        "labels": '["person", "bicycle"]',
        "logits": "[2, 0]",
        "input": json.dumps(rules),
        "licence": "Apache-2.0",
    } | changes
    weights.write(path, model.state_dict(), metadata)
    return weights.read(path)


@pytest.fixture
def tiny(tmp_path):
    return write_weights(tmp_path / "tiny.safetensors")


def config(**changes):
    settings = AssociationSettings(rule="paper", score=0.0)
    return TrackConfig("tiny", short_side=64, long_side=96, resize="scaler", association=settings, **changes)


def video(stream, count, *, seed):
    generator = np.random.default_rng(seed)
    yield Opened(stream, None)
    for t in range(count):
        pixels = generator.integers(0, 256, (64, 96, 3), dtype=np.uint8)
        yield Frame(Picture(pixels), t, Fraction(t, 25), 96, 64)
    yield Closed(stream)


def run(task, items, *, batch):
    batches = group(task.samples(items), size=batch, max_bytes=1 << 30)
    return list(task.results(infer(batches, task.step, device=choose("cpu"))))


@pytest.mark.parametrize("batch", [2, 3, 8])
def test_tracks_do_not_depend_on_the_batch_even_across_videos(tiny, batch):
    def items():
        yield from video(0, 4, seed=5)
        yield from video(1, 3, seed=6)

    alone = run(TrackTask(config(), tiny), items(), batch=1)
    together = run(TrackTask(config(), tiny), items(), batch=batch)
    assert [type(item) for item in together] == [type(item) for item in alone]
    for ours, reference in zip(together, alone, strict=True):
        if not isinstance(reference, (Opened, Closed)):
            assert (ours.stream, ours.tracks.index, ours.tracks.time_s) == (
                reference.stream,
                reference.tracks.index,
                reference.tracks.time_s,
            )
            assert ours.tracks.ids.tolist() == reference.tracks.ids.tolist()
            np.testing.assert_allclose(ours.tracks.boxes_xyxy, reference.tracks.boxes_xyxy, atol=REORDERED_SUMS * 96)


@pytest.mark.parametrize("batch", [2, 3])
def test_the_small_picture_travels_through_batches_too(tiny, batch):
    def items():
        yield from video(0, 4, seed=5)
        yield from video(1, 2, seed=6)

    alone, together = (run(TrackTask(config(near_scale=0.5), tiny), items(), batch=size) for size in (1, batch))
    frames = [(a.tracks, b.tracks) for a, b in zip(alone, together, strict=True) if not isinstance(a, (Opened, Closed))]
    assert len(frames) == 6
    for reference, ours in frames:
        assert ours.ids.tolist() == reference.ids.tolist()
        np.testing.assert_allclose(ours.boxes_xyxy, reference.boxes_xyxy, atol=REORDERED_SUMS * 96)


def found(*rows):
    """One picture's queries from (score, x0, y0, x1, y1)."""
    table = torch.tensor(rows, dtype=torch.float32)[None]
    boxes = table[..., 1:]
    return {"scores": table[..., 0], "labels": torch.zeros(1, len(rows)), "boxes": boxes, "track_boxes": boxes}


def test_the_small_picture_answers_for_people_close_by_and_silences_their_parts():
    far = found(
        (0.7, 0.40, 0.80, 0.50, 0.95),  # a boot: below the close person's box, within its stretch
        (0.9, 0.45, 0.20, 0.55, 0.60),  # more certain than the close person: stays
        (0.6, 0.46, 0.30, 0.48, 0.38),  # somebody small behind: stays
        (0.6, 0.70, 0.20, 0.80, 0.60),  # elsewhere: stays
    )
    near = found((0.8, 0.40, 0.10, 0.60, 0.80), (0.8, 0.7, 0.2, 0.8, 0.6))  # one close, one not tall enough for it
    scores = with_near(far, near)["scores"][0].tolist()
    assert scores == pytest.approx([0, 0.9, 0.6, 0.6, 0.8, 0])


def test_each_video_numbers_its_own_tracks(tiny):
    def items():
        yield from video(0, 1, seed=5)
        yield from video(1, 1, seed=6)

    results = [item for item in run(TrackTask(config(), tiny), items(), batch=2) if not isinstance(item, (Opened, Closed))]
    assert [result.stream for result in results] == [0, 1]
    assert all(result.tracks.ids.min() == 1 for result in results)


def test_predecessors_are_counted_through_the_carry():
    assert predecessors([7, 7, 8, 8], []) == [0, 0, 2, 2]
    assert predecessors([7, 8, 7, 8], [8, 7]) == [1, 0, 2, 3]
    assert predecessors([9], [8]) == [1]


def test_frames_are_kept_only_when_asked(tiny):
    kept = run(TrackTask(config(), tiny, keep_frames=True), video(0, 1, seed=5), batch=1)[1]
    dropped = run(TrackTask(config(), tiny), video(0, 1, seed=5), batch=1)[1]
    assert kept.frame.index == 0
    assert dropped.frame is None


class Unreadable:
    nbytes = 0

    def rgb(self, width, height):
        raise DecodeError("cannot convert")

    def planes(self):
        return None


def test_a_picture_that_cannot_be_converted_ends_its_own_input_alone(tiny):
    def items():
        yield Opened(0, None)
        yield Frame(Unreadable(), 0, Fraction(0), 96, 64)
        yield Frame(Unreadable(), 1, Fraction(1), 96, 64)
        yield Closed(0)
        yield from video(1, 1, seed=6)

    out = run(TrackTask(config(), tiny), items(), batch=2)
    assert [type(item).__name__ for item in out] == ["Opened", "Closed", "Opened", "TrackResult", "Closed"]
    assert isinstance(out[1].error, DecodeError)


def test_labels_come_from_the_columns_that_the_weights_name(tiny):
    task = TrackTask(config(), tiny)
    result = run(task, video(0, 1, seed=5), batch=1)[1]
    with torch.inference_mode():
        frame = next(item for item in video(0, 1, seed=5) if isinstance(item, Frame))
        picture = torch.from_numpy(frame.rgb()).permute(2, 0, 1)[None]
        images = image.normalize(picture, mean=[0.5] * 3, std=[0.25] * 3)
        logits = task.model(images, torch.tensor([0])).logits[0]
    expected = sorted(logits[:, [2, 0]].sigmoid().amax(1).tolist())
    np.testing.assert_allclose(sorted(result.tracks.scores), expected, atol=1e-5)


def test_classes_keep_tracks_of_these_labels_alone(tiny):
    everything = run(TrackTask(config(), tiny), video(0, 2, seed=5), batch=1)[1].tracks
    bicycles = run(TrackTask(config(), tiny, classes=["bicycle"]), video(0, 2, seed=5), batch=1)[1].tracks
    assert bicycles.ids.tolist() == everything.ids[everything.labels == 1].tolist()


def test_a_class_that_the_model_lacks_is_named(tiny):
    with pytest.raises(PresetError, match="unknown class 'persn'; did you mean 'person'"):
        TrackTask(config(), tiny, classes=["persn"])


def test_planes_are_read_as_their_own_video_says(tiny):
    """Two videos of equal size but other range and turn share no batch, and give the pictures of the slow way."""
    grey = np.full((64, 96), 126, dtype=np.uint8)
    chroma = np.full((32, 48), 128, dtype=np.uint8)
    task = TrackTask(config(), tiny, on_device=True)
    shapes = []
    for full_range, rotation in ((False, 0), (True, 180)):
        planes = Planes(grey, chroma, chroma, "bt709", full_range, rotation, mirrored=False)
        frame = Frame(Picture(None, planes), 0, Fraction(0), 96, 64)
        (sample,) = task.samples([frame])
        shapes.append(sample.shapes)
        tensors = {name: torch.from_numpy(array)[None] for name, array in sample.arrays.items()}
        level = 126 if full_range else round((126 - 16) * 255 / 219)
        assert task._pictures(tensors).unique().tolist() == [level]
    assert shapes[0] != shapes[1]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"architecture": "yolo"}, "weights of 'yolo', expected 'transtrack'"),
        ({"config": json.dumps(asdict(TINY) | {"width": 128})}, "does not fit the network"),
        ({"config": json.dumps(asdict(TINY) | {"depth": 3})}, "does not fit the network"),
        ({"logits": "[0, 9]"}, "names? .* logits"),
        ({"input": "{}"}, "do not say how pictures are normalised"),
    ],
)
def test_weights_that_do_not_fit_are_refused(tmp_path, changes, message):
    with pytest.raises(WeightsError, match=message):
        TrackTask(config(), write_weights(tmp_path / "other.safetensors", **changes))
