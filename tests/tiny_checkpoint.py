"""The sizes of a very small network in the published TransTrack layout."""

CONFIG = {
    "block": "basic",
    "depths": [1, 1, 1, 1],
    "stem": 8,
    "width": 32,
    "heads": 8,
    "encoder_layers": 1,
    "decoder_layers": 1,
    "feedforward": 16,
    "levels": 4,
    "points": 1,
    "queries": 3,
    "classes": 20,
}
