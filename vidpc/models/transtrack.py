"""TransTrack: Multiple Object Tracking with Transformer (Sun et al. 2020, arXiv 2012.15460).

Loads the published checkpoints (``weights/`` converts their layout ``transtrack``) and the built-in ``people`` weights.

    frame t ──► ResNet ──► 4 levels ─┬─► combine ─► deformable encoder ─► memory
    frame t-1 ──── its 4 levels ─────┘                                     │
    learned or encoder-proposed queries ──► detection decoder ◄────────────┤ ──► boxes, logits of frame t
    detections of t-1 (hidden, boxes) ────► track decoder ◄────────────────┘ ──► where each of them is in frame t

Frame t needs of frame t-1 only its levels and its *detections*, never its tracks, so a run of frames goes through as
one batch: detections of all frames first, then tracks of all frames.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from ..ops.boxes import cxcywh_to_xyxy, inverse_sigmoid
from ..ops.deformable import LevelShapes
from .deformable import MLP, DecoderLayer, EncoderLayer
from .resnet import ResNet


@dataclass(frozen=True, slots=True)
class TransTrackConfig:
    """Sizes; the defaults are the published ones. ``query_source`` is ``learned`` (published) or ``encoder``."""

    block: str = "bottleneck"
    depths: tuple[int, int, int, int] = (3, 4, 6, 3)
    stem: int = 64
    width: int = 256
    heads: int = 8
    encoder_layers: int = 6
    decoder_layers: int = 6
    feedforward: int = 1024
    levels: int = 4
    points: int = 4
    queries: int = 500
    classes: int = 20
    query_source: str = "learned"
    dropout: float = 0.1


class Memory(NamedTuple):
    """The encoder's output and what the decoders must know of it."""

    tokens: Tensor  # f32[b tokens width]
    shapes: LevelShapes
    hidden: Tensor | None  # bool[b tokens], True in padding; None where nothing is padded
    valid_ratios: Tensor  # f32[b levels 2], share of (width, height) that is picture


class Decoded(NamedTuple):
    """A decoder's output, one entry a layer; the last is the result."""

    hidden: list[Tensor]  # f32[b n width]
    boxes: list[Tensor]  # f32[b n 4] cxcywh in 0..1 of the unpadded picture


class Proposals(NamedTuple):
    """What the encoder head says of every token (``query_source="encoder"``)."""

    logits: Tensor  # f32[b tokens classes]
    boxes: Tensor  # f32[b tokens 4]
    content: Tensor  # f32[b tokens width]


class Queries(NamedTuple):
    """What a decoder starts from. ``references`` f32[b n 2|4] in 0..1."""

    content: Tensor  # f32[b n width]
    references: Tensor
    prior: Tensor | None = None  # f32[b n classes], the encoder head's logits


class Carry(NamedTuple):
    """What frame t+1 needs of frame t, a row a frame."""

    levels: tuple[Tensor, ...]  # f32[b width h w], projected, before ``combine``
    hidden: Tensor  # f32[b n width]
    boxes: Tensor  # f32[b n 4]

    def rows(self, index: Tensor) -> "Carry":
        """The rows at ``index`` i64[r]."""
        return Carry(tuple(level[index] for level in self.levels), self.hidden[index], self.boxes[index])


class Output(NamedTuple):
    """Raw heads of a batch of frames. ``track_*`` row i says where query i of the frame before is in this frame."""

    logits: Tensor  # f32[b n classes]
    boxes: Tensor  # f32[b n 4]
    track_logits: Tensor
    track_boxes: Tensor
    carry: Carry


class TransTrack(nn.Module):
    """Detections and their next positions for a batch of frames."""

    def __init__(self, config: TransTrackConfig) -> None:
        super().__init__()
        self.config = config
        layer = {
            "width": config.width,
            "heads": config.heads,
            "levels": config.levels,
            "points": config.points,
            "feedforward": config.feedforward,
            "dropout": config.dropout,
        }
        self.backbone = ResNet(block=config.block, depths=config.depths, width=config.stem)
        self.input_proj = nn.ModuleList(self._projections())
        self.combine = nn.Conv2d(2 * config.width, config.width, 1)
        self.level_embed = nn.Parameter(torch.randn(config.levels, config.width))
        self.encoder = nn.ModuleList(EncoderLayer(**layer) for _ in range(config.encoder_layers))  # type: ignore[arg-type]
        if config.query_source == "learned":
            self.query_embed = nn.Parameter(torch.randn(config.queries, 2 * config.width))
            self.reference_points = nn.Linear(config.width, 2)
        else:
            self.proposal_content = nn.Sequential(nn.Linear(config.width, config.width), nn.LayerNorm(config.width))
            self.proposal_class = nn.Linear(config.width, config.classes)
            self.proposal_box = MLP(config.width, config.width, 4, depth=3)
            self.query_position = MLP(4, config.width, config.width, depth=2)
        self.decoder = nn.ModuleList(DecoderLayer(**layer) for _ in range(config.decoder_layers))  # type: ignore[arg-type]
        self.track_decoder = nn.ModuleList(DecoderLayer(**layer) for _ in range(config.decoder_layers))  # type: ignore[arg-type]
        self.class_embed = nn.ModuleList(nn.Linear(config.width, config.classes) for _ in range(config.decoder_layers))
        self.bbox_embed = nn.ModuleList(MLP(config.width, config.width, 4, depth=3) for _ in range(config.decoder_layers))
        self._start_heads()

    def _projections(self) -> list[nn.Sequential]:
        """One a backbone level; levels beyond it are strided convolutions of the coarsest map."""
        channels, width = self.backbone.channels, self.config.width
        convolutions = [nn.Conv2d(c, width, 1) for c in channels]
        convolutions += [
            nn.Conv2d(channels[-1] if level == len(channels) else width, width, 3, stride=2, padding=1)
            for level in range(len(channels), self.config.levels)
        ]
        return [nn.Sequential(convolution, nn.GroupNorm(32, width)) for convolution in convolutions[: self.config.levels]]

    def _start_heads(self) -> None:
        """Focal-loss prior of 0.01; a box starts at its reference, and the first one small (Deformable DETR)."""
        classifiers = [*self.class_embed, *([self.proposal_class] if self.config.query_source == "encoder" else [])]
        for classifier in classifiers:
            nn.init.constant_(classifier.bias, -math.log((1 - 0.01) / 0.01))
        regressors = [*self.bbox_embed, *([self.proposal_box] if self.config.query_source == "encoder" else [])]
        for regressor in regressors:
            nn.init.zeros_(regressor.layers[-1].weight)
            nn.init.zeros_(regressor.layers[-1].bias)
        if self.config.query_source == "learned":
            first = cast(MLP, self.bbox_embed[0])
            nn.init.constant_(cast(nn.Linear, first.layers[-1]).bias[2:], -2.0)
        self.track_decoder.load_state_dict(self.decoder.state_dict())

    def levels(self, images: Tensor) -> list[Tensor]:
        """Projected maps f32[b width h w] of normalised ``images`` f32[b 3 h w], finest first."""
        maps = self.backbone(images)
        projected = [project(x) for project, x in zip(self.input_proj, maps, strict=False)]
        x = maps[-1]
        for project in self.input_proj[len(maps) :]:
            x = project(x)
            projected.append(x)
        return projected

    def encode(self, current: Sequence[Tensor], previous: Sequence[Tensor], padding: Tensor | None = None) -> Memory:
        """The memory of the current frames. ``padding`` bool[b h w] of the input is True outside the picture.

        One 1x1 convolution serves all levels; at the published sizes the order (current, previous) matters.
        """
        combined = [self.combine(torch.cat(pair, dim=1)) for pair in zip(current, previous, strict=True)]
        shapes = [(int(x.shape[2]), int(x.shape[3])) for x in combined]
        b = 1 if padding is None else len(padding)  # unpadded frames share their geometry
        masks = [level_padding(padding, shape, b, combined[0].device) for shape in shapes]
        valid_ratios = torch.stack([valid_ratio(mask) for mask in masks], dim=1)
        positions = torch.cat(
            [
                sine_positions(mask, self.config.width // 2).flatten(1, 2) + embed
                for mask, embed in zip(masks, self.level_embed, strict=True)
            ],
            dim=1,
        )
        tokens = torch.cat([x.flatten(2).transpose(1, 2) for x in combined], dim=1)
        hidden = None if padding is None else torch.cat([mask.flatten(1) for mask in masks], dim=1)
        references = token_references(shapes, valid_ratios)
        for layer in self.encoder:
            tokens = layer(tokens, positions, references, shapes, hidden)
        return Memory(tokens, shapes, hidden, valid_ratios.expand(len(tokens), -1, -1))

    def propose(self, memory: Memory) -> Proposals:
        """The encoder head's word on every token (two-stage variant of Deformable DETR, appendix A.5)."""
        content = self.proposal_content(memory.tokens)
        logits = self.proposal_class(content)
        if memory.hidden is not None:
            logits = logits.masked_fill(memory.hidden[..., None], torch.finfo(logits.dtype).min)
        anchors = token_anchors(memory)
        return Proposals(logits, (self.proposal_box(content).float() + inverse_sigmoid(anchors)).sigmoid(), content)

    def queries(self, memory: Memory, proposals: Proposals | None = None, most: int | None = None) -> Queries:
        """Learned queries, or the best ``config.queries`` proposals, or the best ``most`` of these."""
        if self.config.query_source == "learned":
            position, content = self.query_embed.chunk(2, dim=1)
            references = self.reference_points(position).sigmoid()
            b = memory.tokens.shape[0]
            # The position part gives the reference alone: released weights use no query position in the decoders.
            return Queries(content.expand(b, -1, -1), references.expand(b, -1, -1))
        proposals = proposals or self.propose(memory)
        best = distinct(proposals.logits.amax(dim=-1), proposals.boxes, most or self.config.queries)[..., None]
        content = proposals.content.gather(1, best.expand(-1, -1, self.config.width)).detach()
        boxes = proposals.boxes.gather(1, best.expand(-1, -1, 4)).detach()
        prior = proposals.logits.gather(1, best.expand(-1, -1, self.config.classes)).detach()
        return Queries(self.placed(content, boxes), boxes, prior)

    def placed(self, content: Tensor, boxes: Tensor) -> Tensor:
        """Content that knows its box: without a place, queries could not tell a neighbour from their own double."""
        return content + self.query_position(inverse_sigmoid(boxes, eps=1e-3))

    def detect(self, memory: Memory, queries: Queries, allowed: Tensor | None = None) -> Decoded:
        """The detection decoder: every layer refines the boxes of the one before (iterative box refinement)."""
        targets, references = queries.content, queries.references
        hidden, boxes = [], []
        for layer, regress in zip(self.decoder, self.bbox_embed, strict=True):
            targets = layer(targets, on_levels(references, memory), memory.tokens, memory.shapes, memory.hidden, allowed)
            box = refine(regress(targets).float(), references)
            hidden.append(targets)
            boxes.append(box)
            references = box.detach()
        return Decoded(hidden, boxes)

    def track(self, memory: Memory, hidden: Tensor, boxes: Tensor, allowed: Tensor | None = None) -> Decoded:
        """The track decoder on the detections of the frame before: their references stay as they were (no refinement)."""
        targets, references = hidden, on_levels(boxes, memory)
        hiddens, moved = [], []
        for layer, regress in zip(self.track_decoder, self.bbox_embed, strict=True):
            targets = layer(targets, references, memory.tokens, memory.shapes, memory.hidden, allowed)
            hiddens.append(targets)
            moved.append(refine(regress(targets).float(), boxes))
        return Decoded(hiddens, moved)

    def forward(
        self,
        images: Tensor,
        previous: Tensor,
        carry: Carry | None = None,
        padding: Tensor | None = None,
        most: int | None = None,
    ) -> Output:
        """Heads of a batch of frames, f32[b 3 h w], whose predecessors are named by ``previous`` i64[b].

        Rows are numbered through ``carry`` (r rows, frames of an earlier batch) and then ``images``: row r + i is image i.
        A first frame names itself; its ``track_*`` mean nothing then. ``padding`` bool[b h w] is True outside the picture.
        ``most`` bounds the queries that start from proposals; it must not change from batch to batch.
        """
        own = self.levels(images)
        pool = own if carry is None else [torch.cat(pair) for pair in zip(carry.levels, own, strict=True)]
        memory = self.encode(own, [level[previous] for level in pool], padding)
        queries = self.queries(memory, most=most)
        detected = self.detect(memory, queries)
        hidden, boxes = detected.hidden[-1], detected.boxes[-1]
        all_hidden = hidden if carry is None else torch.cat([carry.hidden, hidden])
        all_boxes = boxes if carry is None else torch.cat([carry.boxes, boxes])
        tracked = self.track(memory, all_hidden[previous], all_boxes[previous])
        classify = self.class_embed[-1]
        logits = judge(classify(hidden).float(), boxes, queries.prior)
        return Output(logits, boxes, classify(tracked.hidden[-1]), tracked.boxes[-1], Carry(tuple(own), hidden, boxes))


def judge(logits: Tensor, boxes: Tensor, prior: Tensor | None) -> Tensor:
    """What counts of the decoder's logits: alone without a ``prior``, else averaged with it, and none for doubles."""
    if prior is None:
        return logits
    logits = (logits + prior.float()) / 2
    order = logits.amax(dim=-1).argsort(dim=1, descending=True)
    is_double = doubles(boxes.gather(1, order[..., None].expand(-1, -1, 4)))
    return logits.masked_fill(torch.zeros_like(is_double).scatter(1, order, is_double)[..., None], NOTHING)


def refine(delta: Tensor, references: Tensor) -> Tensor:
    """Boxes f32[... 4] from a correction and the reference it corrects; a 2-d reference corrects the centre alone."""
    known = inverse_sigmoid(references)
    if known.shape[-1] == 2:
        return torch.cat([delta[..., :2] + known, delta[..., 2:]], dim=-1).sigmoid()
    return (delta + known).sigmoid()


def on_levels(references: Tensor, memory: Memory) -> Tensor:
    """References of the picture, f32[b n 2|4], as shares of every padded level, f32[b n levels 2|4]."""
    repeat = references.shape[-1] // 2
    return references[:, :, None] * memory.valid_ratios.repeat(1, 1, repeat)[:, None]


def level_padding(padding: Tensor | None, shape: tuple[int, int], b: int, device: torch.device) -> Tensor:
    """The padding of one level, bool[b h w], by nearest neighbour from that of the input."""
    if padding is None:
        return torch.zeros(b, *shape, dtype=torch.bool, device=device)
    return nn.functional.interpolate(padding[:, None].float(), size=shape)[:, 0].bool()


def valid_ratio(mask: Tensor) -> Tensor:
    """Share of (width, height) that is picture, f32[b 2], from ``mask`` bool[b h w]."""
    height, width = mask.shape[1:]
    return torch.stack([(~mask[:, 0, :]).sum(1) / width, (~mask[:, :, 0]).sum(1) / height], dim=-1)


def sine_positions(mask: Tensor, channels: int) -> Tensor:
    """Sine codes of (y, x) inside the picture, f32[b h w 2*channels], from ``mask`` bool[b h w].

    Deformable DETR's form: a pixel's place is (count - 0.5) / (last + 1e-6) * 2 pi, temperature 10000.
    """
    inside = (~mask).float()
    frequency = 10000 ** (2 * (torch.arange(channels, device=mask.device) // 2) / channels)
    codes = []
    for axis in (1, 2):
        count = inside.cumsum(axis)
        last = count.narrow(axis, count.shape[axis] - 1, 1)
        angle = ((count - 0.5) / (last + 1e-6) * (2 * math.pi))[..., None] / frequency
        codes.append(torch.stack([angle[..., 0::2].sin(), angle[..., 1::2].cos()], dim=-1).flatten(-2))
    return torch.cat(codes, dim=-1)


def token_references(shapes: LevelShapes, valid_ratios: Tensor) -> Tensor:
    """Where every token lies on every level, f32[b tokens levels 2] as (x, y) in 0..1 of the padded level."""
    points = []
    for level, (height, width) in enumerate(shapes):
        y = (torch.arange(height, device=valid_ratios.device) + 0.5) / height
        x = (torch.arange(width, device=valid_ratios.device) + 0.5) / width
        grid = torch.stack(torch.meshgrid(y, x, indexing="ij")[::-1], dim=-1).view(1, -1, 2)
        points.append(grid / valid_ratios[:, level, None])
    return torch.cat(points, dim=1)[:, :, None] * valid_ratios[:, None]


DOUBLE_IOU = 0.6
NOTHING = -12.0  # a logit that no threshold lets through, yet finite in half precision


def distinct(scores: Tensor, boxes: Tensor, count: int) -> Tensor:
    """Tokens i64[b count] of the best proposals, those last that overlap a better one.

    Several tokens speak for each object. Queries that start from doubles leave the decoder to tell them apart, which it
    learns last of all: on the built-in network this step alone raised the average precision from 0.27 to 0.37.
    """
    best = scores.topk(min(3 * count, scores.shape[1]), dim=1).indices
    is_double = doubles(boxes.gather(1, best[..., None].expand(-1, -1, 4)))
    return best.gather(1, is_double.int().argsort(dim=1, stable=True)[:, :count])


def doubles(boxes: Tensor) -> Tensor:
    """Which of the boxes cxcywh f32[b k 4], best first, overlap a better one: bool[b k]."""
    corners, size = cxcywh_to_xyxy(boxes), boxes[..., 2:].prod(dim=-1)
    low = torch.maximum(corners[:, :, None, :2], corners[:, None, :, :2])
    high = torch.minimum(corners[:, :, None, 2:], corners[:, None, :, 2:])
    common = (high - low).clamp(min=0).prod(dim=-1)  # f32[b k k]
    iou = common / (size[:, :, None] + size[:, None] - common).clamp(min=1e-9)
    return (iou.tril(diagonal=-1) > DOUBLE_IOU).any(dim=-1)


ANCHOR_TOKENS = 4.0  # side of an anchor in tokens of its level


def token_anchors(memory: Memory) -> Tensor:
    """A box around every token, f32[b tokens 4]: its own place, a few tokens of its own level wide and high.

    In tokens and not, as published, in shares of the picture: the head then means the same pixels in a picture of any size.
    """
    sizes = [torch.tensor([ANCHOR_TOKENS / w, ANCHOR_TOKENS / h]).expand(h * w, 2) for h, w in memory.shapes]
    size = torch.cat(sizes).to(memory.tokens.device)[None]  # f32[1 tokens 2], of the padded level
    own_level = torch.cat(
        [torch.full((h * w,), level, device=memory.tokens.device) for level, (h, w) in enumerate(memory.shapes)]
    )
    places = token_references(memory.shapes, memory.valid_ratios)
    ratios = memory.valid_ratios[:, own_level]
    centres = places[:, torch.arange(len(own_level)), own_level] / ratios
    return torch.cat([centres, size / ratios], dim=-1).clamp(0.01, 0.99)
