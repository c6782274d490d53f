"""Writing sound from samples."""

from pathlib import Path

import av
import numpy as np
from av.error import FFmpegError

from vidpc.errors import OutputError
from vidpc.types import F32

_LAYOUTS = {1: "mono", 2: "stereo"}
_CHUNK = 1 << 16


def write_sound(path: str | Path, samples: F32, *, rate_hz: int) -> None:
    """Writes ``samples`` f32[n c] between -1 and 1, c 1 or 2, as AAC in an MP4 container. Raises OutputError."""
    try:
        with av.open(str(Path(path).absolute()), "w", format="mp4") as container:
            stream = container.add_stream("aac", rate=rate_hz, layout=_LAYOUTS[samples.shape[1]])
            for start in range(0, len(samples), _CHUNK):
                chunk = np.ascontiguousarray(samples[start : start + _CHUNK].T, np.float32)
                frame = av.AudioFrame.from_ndarray(chunk, format="fltp", layout=_LAYOUTS[samples.shape[1]])
                frame.sample_rate, frame.pts = rate_hz, start
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    except (FFmpegError, OSError) as error:
        raise OutputError(f"cannot write sound to {path}: {error}") from error
