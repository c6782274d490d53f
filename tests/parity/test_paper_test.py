"""The passes and chunks of the authors' test of Point Transformer, against the numbers of their code."""

import json
from pathlib import Path

import fill
import numpy as np
import pytest

from vidpc.ops.paper_test import fnv, hashed_voxels, potential_chunks

HERE = Path(__file__).parent
META = json.loads((HERE / "pointtransformer_seg.json").read_text())
VOTE = META["vote"]


@pytest.fixture(scope="module")
def expected():
    stored = np.load(HERE / "pointtransformer_seg.npz")
    return {key.removeprefix("vote."): stored[key] for key in stored if key.startswith("vote.")}


@pytest.fixture(scope="module")
def cloud():
    moved = fill.make(VOTE["cloud"]).astype(np.float64) - np.array(VOTE["shift"])
    return moved - moved.min(axis=0)


def test_voxels_are_hashed_and_taken_in_turn_as_the_authors_do(cloud, expected):
    hashes = fnv(np.floor(cloud / VOTE["voxel_size"]).astype(np.int64))
    np.testing.assert_array_equal(hashes[:64], expected["hash_of_first_64"])
    voxels = hashed_voxels(cloud, VOTE["voxel_size"])
    np.testing.assert_array_equal(voxels.counts, expected["voxel_counts"])
    for number, part in enumerate(expected["parts.idx"]):
        np.testing.assert_array_equal(voxels.turn(number), part)


def test_chunks_cover_every_pass_as_the_authors_do(cloud, expected):
    voxels = hashed_voxels(cloud, VOTE["voxel_size"])
    chunks, per_pass = [], []
    for number in range(int(voxels.counts.max())):
        part = voxels.turn(number)
        potential = 1e-3 * fill.uniform(f"vote.potential{number}", (len(part),), META["seed"]).astype(np.float64)
        found = [part[chunk] for chunk in potential_chunks(cloud[part], VOTE["voxel_max"], potential)]
        per_pass.append(len(found))
        chunks += found
    np.testing.assert_array_equal(per_pass, expected["chunks_per_pass"])
    np.testing.assert_array_equal([len(chunk) for chunk in chunks], expected["chunk_sizes"])
    np.testing.assert_array_equal([chunk[0] for chunk in chunks], expected["chunk_starts.idx"])
    np.testing.assert_array_equal(np.bincount(np.concatenate(chunks), minlength=len(cloud)), expected["times_covered"])
    for number in range(3):
        np.testing.assert_array_equal(chunks[number], expected[f"chunk{number}.idx"])
