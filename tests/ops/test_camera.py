"""The camera's motion, on pictures that were moved by a known map."""

import math

import torch
from torch import Tensor

from vidpc.ops.camera import aligned, camera_motion, chained, identity, in_window, inverse


def textured(height: int, width: int, seed: int = 0) -> Tensor:
    """A picture f32[1 1 h w] with structure of many sizes."""
    generator = torch.Generator().manual_seed(seed)
    picture = torch.zeros(1, 1, height, width)
    for side in (4, 8, 16, 32):
        cells = torch.rand(1, 1, height // side, width // side, generator=generator)
        picture += torch.nn.functional.interpolate(cells, size=(height, width), mode="bicubic") / 4
    return picture.clamp(0, 1)


def turned(degrees: float, zoom: float, x: float, y: float, shape: float) -> Tensor:
    """A turn and a zoom of a picture ``shape`` times as wide as high, then a shift, in coordinates from -1 to 1."""
    c, s = zoom * math.cos(math.radians(degrees)), zoom * math.sin(math.radians(degrees))
    return torch.tensor([[[c, -s / shape, x], [s * shape, c, y]]])


def test_a_known_motion_is_found() -> None:
    wide = textured(288, 512)
    motion = turned(2.0, 1.04, 0.06, -0.05, 16 / 9)
    second = wide[..., 72:216, 128:384]
    whole = torch.tensor([[-1.0, -1.0, 1.0, 1.0]])
    in_wide = in_window(motion, 2 * whole, 2 * whole)  # the same motion, told of the crop's picture
    moved = aligned(wide, in_wide)[..., 72:216, 128:384]
    seen = torch.ones_like(second)
    found = camera_motion(moved, second, seen, seen)
    torch.testing.assert_close(found, motion, atol=4e-3, rtol=0)


def test_what_is_hidden_or_moves_on_its_own_does_not_count() -> None:
    wide = textured(160, 256)
    first, second = wide[..., 8:152, 10:250].clone(), wide[..., 8:152, 6:246].clone()
    second[..., 40:90, 60:120] = textured(64, 64, seed=5)[..., :50, :60]  # something passes
    hidden = torch.ones_like(first)
    hidden[..., 90:140, 150:220] = 0
    first = torch.where(hidden > 0, first, torch.zeros_like(first))
    found = camera_motion(first, second, hidden, torch.ones_like(second))
    expected = torch.tensor([[[1.0, 0, 2 * 4 / 240], [0, 1, 0]]])
    torch.testing.assert_close(found, expected, atol=3e-3, rtol=0)


def test_where_nothing_is_visible_the_camera_stands_still() -> None:
    picture = textured(64, 96)
    nothing = torch.zeros_like(picture)
    assert torch.equal(camera_motion(picture, picture.flip(-1), nothing, nothing), identity(picture))


def test_a_motion_and_its_inverse_are_the_identity() -> None:
    motion = turned(10.0, 1.2, 0.3, -0.2, 1.5)
    torch.testing.assert_close(chained(motion, inverse(motion)), torch.eye(2, 3)[None], atol=1e-6, rtol=0)


def test_a_picture_is_read_where_the_motion_leads() -> None:
    picture = torch.arange(8.0).expand(1, 1, 4, 8)
    right = torch.tensor([[[1.0, 0, 2 / 8], [0, 1, 0]]])  # by one pixel
    assert aligned(picture, right)[0, 0, 0].tolist() == [1, 2, 3, 4, 5, 6, 7, 0]


def test_the_motion_of_crops_is_that_of_their_pictures() -> None:
    picture = textured(64, 64)
    motion = torch.tensor([[[1.0, 0, 8 / 64 * 2], [0, 1, 0]]])
    left, right = torch.tensor([[-1.0, -1, 0, 1]]), torch.tensor([[-0.75, -1, 0.25, 1]])  # the right one 8 pixels further
    torch.testing.assert_close(in_window(motion, left, right), torch.eye(2, 3)[None], atol=1e-6, rtol=0)
    torch.testing.assert_close(aligned(picture, motion)[..., :56], picture[..., 8:], atol=1e-5, rtol=0)
