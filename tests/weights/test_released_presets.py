"""Presets of released weights say of clips what the converted weights themselves say."""

import pytest

from vidpc import presets
from vidpc.presets import RecognizeConfig
from vidpc.weights import registry, timesformer, torchvision_video, vidtr

# The classes of HowTo100M have no names, so its networks have no presets.
RELEASED = [
    name for name, entry in registry.entries().items() if entry.task == "recognize" and entry.urls and "howto100m" not in name
]
LOOKS = {
    "timesformer": lambda preset, classes: timesformer.look(
        {"frames": preset.frames, "classes": classes, "size": [preset.crop, preset.crop]}
    ),
    "vidtr": lambda preset, classes: vidtr.look({"frames": preset.frames, "size": [preset.crop, preset.crop]}),
}


def test_every_layout_of_video_networks_has_released_ones():
    assert {registry.find(name).layout for name in RELEASED} == {"timesformer", "vidtr", "torchvision"}


@pytest.mark.parametrize("name", RELEASED)
def test_a_preset_and_its_weights_agree(name):
    preset = presets.load(name, RecognizeConfig)
    entry = registry.find(name)
    assert preset.weights == name
    if entry.layout == "torchvision":
        rules = {**torchvision_video.RULES, **torchvision_video.LOOKS[entry.architecture]}
    else:
        rules = LOOKS[entry.layout](preset, len(entry.labels))
    for key in ("frames", "rate", "sampling", "resize", "short_side", "crop", "order", "combine"):
        assert getattr(preset, key) == rules[key], key
    assert (list(preset.mean), list(preset.std)) == (rules["mean"], rules["std"])
    assert preset.rate or preset.window_s == rules["window_s"]
