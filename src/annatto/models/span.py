"""An encoder that points at the answer to a query in a document, or says that there is none.

A folder is plain transformers (config.json, *.safetensors, tokenizer, two logits for each token),
with annatto.json, which says {"kind": "span reader", "name", "max_tokens", "floor"}.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from annatto.core.atomic import new_folder, read_card, write_json
from annatto.core.errors import UsageError, WeightsError, a
from annatto.core.progress import track
from annatto.core.span import Span
from annatto.models import layout, transformer
from annatto.models.pairs import Pair, Pairs, open_pairs
from annatto.models.scoring import same_length
from annatto.models.weights import resolve

KIND = "span reader"
HEAD = "QuestionAnswering"
LONGEST = 30
"""Tokens of an answer, at most."""
OUT = -1e30
"""Logit of a token where no answer can begin or end."""


class Window(NamedTuple):
    """As much of a document as fits behind its query.

    Attributes:
        owner: number of the pair of query and document.
        pair: ids of the two, special tokens included.
        begin: place in `pair` of the first token of the document.
        places: first and last character, the latter exclusive, of each token of the document.
    """

    owner: int
    pair: Pair
    begin: int
    places: list[tuple[int, int]]


@dataclass(frozen=True, kw_only=True)
class SpanReader:
    """A transformer with two logits for each token: an answer begins here, an answer ends here.

    Paper: Devlin et al., BERT, 2019, arXiv:1810.04805, sections 4.2 and 4.3 (SQuAD 2.0), read
        second-hand: a span's score is its start's plus its end's, no answer's is that of the first
        token, and a span counts where it leads by a threshold chosen on held-out questions.
    Differs: a long document is read in windows that overlap by half, and the window with the
        largest lead decides; answers of at most 30 tokens.

    Attributes:
        name: what origins of judgments call it.
        model: the transformer with its head.
        pairs: how it reads a query and a document, and how many tokens of them.
        floor: the least lead of a span that counts as an answer.
        weights_id: sha256 over configuration and weights.
        card: how it was made; saved with it.
    """

    name: str
    model: torch.nn.Module
    pairs: Pairs
    floor: float
    weights_id: str
    card: Mapping[str, Any] = field(default_factory=dict)

    @staticmethod
    def load(
        weights: str | Path,
        *,
        name: str | None = None,
        dtype: str = "float32",
        floor: float | None = None,
    ) -> SpanReader:
        """Load a reader from a folder that `save` wrote; safetensors only.

        Args:
            weights: see `models.weights.resolve`.
            name: by default the one it was saved with.
            dtype: `float32`, `bfloat16`, or `auto`: bfloat16 where the processor computes in it.
            floor: by default the one it was saved with.

        Raises:
            WeightsError: no such weights, or of another kind.
            UsageError: an unknown dtype.
        """
        folder = resolve(weights)
        said = _said(folder)
        config = transformer.read_config(folder, layers=None, bidirectional=False)
        model = transformer.read_model(folder, config, transformer.known_dtype(dtype), head=HEAD)
        fast = transformer.read_tokenizer(folder, ends_in_eos=False).fast
        return SpanReader(
            name=name or said["name"],
            model=model,
            pairs=open_pairs(fast, model, max_tokens=said["max_tokens"]),
            floor=said["floor"] if floor is None else floor,
            weights_id=transformer.identity(folder, config),
        )

    def read(self, queries: Sequence[str], docs: Sequence[str]) -> list[Span]:
        """The likeliest answer in docs[i] to queries[i], in characters, whatever its lead.

        Raises:
            UsageError: not as many queries as documents, or a query that leaves a document no room.
        """
        same_length(queries, docs, self.name)
        windows = list(self._windows(queries, docs))
        order = sorted(range(len(windows)), key=lambda i: len(windows[i].pair.ids))
        lengths = [len(windows[i].pair.ids) for i in order]
        budget = transformer.token_budget(next(self.model.parameters()).device)
        batches = list(transformer.plan_batches(lengths, budget))
        found = [Span(0, 0, -np.inf)] * len(docs)
        self.model.eval()
        for start, stop in track(batches, f"{self.name}: reading"):
            batch = [windows[i] for i in order[start:stop]]
            for window, span in zip(batch, self._spans(batch), strict=True):
                found[window.owner] = max(found[window.owner], span, key=_rank)
        return found

    def save(self, folder: Path) -> Path:
        """Write a self-contained folder.

        Args:
            folder: replaced if it is there; the reader takes its name.

        Raises:
            InputError: the place cannot be written or the disk is full.
        """
        model: Any = self.model
        with new_folder(Path(folder)) as place:
            model.save_pretrained(place)
            self.pairs.tokenizer.fast.save_pretrained(place)
            config = transformer.read_config(place, layers=None, bidirectional=False)
            said = {
                "kind": KIND,
                "format": 1,
                "name": Path(folder).name,
                "max_tokens": self.pairs.max_tokens,
                "floor": self.floor,
                "weights_id": transformer.identity(place, config),
            }
            write_json(place / layout.OURS, said)
            card = {**self.card, "kind": KIND, "weights_id": said["weights_id"]}
            write_json(place / "card.json", card)
        return Path(folder)

    def _windows(self, queries: Sequence[str], docs: Sequence[str]) -> Iterator[Window]:
        asked = self.pairs.queries(queries)
        if len(long := self.pairs.crowded(asked)):
            raise UsageError(
                f"{self.name} reads {self.pairs.max_tokens} tokens of query and document; "
                f"{len(long)} of {len(queries)} pairs have a query that leaves the document no "
                f"room (first: {queries[long[0]][:40]!r} …); shorten it."
            )
        known = dict(zip(docs, tokens_of(self.pairs, docs), strict=True))
        for owner, (query, doc) in enumerate(zip(asked, docs, strict=True)):
            ids, places = known[doc]
            room = self.pairs.room(query)
            for start in _starts(len(ids), room):
                pair = self.pairs.join(query, ids[start : start + room])
                yield Window(owner, pair, first_place(self.pairs, query), places[start:][:room])

    @torch.no_grad()
    def _spans(self, batch: Sequence[Window]) -> list[Span]:
        """The best span of each window."""
        pairs, begins = [window.pair for window in batch], [window.begin for window in batch]
        starts, ends = token_logits(self.model, self.pairs, pairs, begins)
        none = starts[:, 0] + ends[:, 0]
        starts[:, 0] = ends[:, 0] = OUT
        size = starts.shape[1]
        near = torch.ones(size, size, dtype=torch.bool, device=starts.device)
        near = near.triu().tril(LONGEST - 1)
        both = starts[:, :, None] + ends[:, None]
        best, at = both.masked_fill(~near, 2 * OUT).flatten(1).max(1)
        leads = (best - none).tolist()
        return [
            Span(
                window.places[place // size - window.begin][0],
                window.places[place % size - window.begin][1],
                lead,
            )
            for window, place, lead in zip(batch, at.tolist(), leads, strict=True)
        ]


def token_logits(
    model: Any, pairs: Pairs, given: Sequence[Pair], begins: Sequence[int]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Start and end logits of b pairs, each (b, t) float32, with gradient.

    They are OUT but at the first token, which stands for no answer, and at the document's.

    Args:
        model: the transformer with its head.
        pairs: what joined them.
        given: the pairs.
        begins: where the document begins in each.
    """
    inputs = pairs.inputs(given, next(model.parameters()).device)
    out = model(**inputs)
    inside = torch.zeros_like(inputs["input_ids"], dtype=torch.bool)
    inside[:, 0] = True
    for row, (pair, begin) in enumerate(zip(given, begins, strict=True)):
        inside[row, begin : len(pair.ids) - len(pairs.frame.after)] = True
    starts, ends = (
        logits.float().masked_fill(~inside, OUT) for logits in (out.start_logits, out.end_logits)
    )
    return starts, ends


def tokens_of(pairs: Pairs, docs: Sequence[str]) -> list[tuple[list[int], list[tuple[int, int]]]]:
    """Ids of each document, whole, and which characters each of them stands for.

    Raises:
        WeightsError: the tokenizer does not say where its tokens begin.
    """
    fast = pairs.tokenizer.fast
    if not fast.is_fast:
        raise WeightsError(
            f"a span reader needs to know where tokens begin, which {type(fast).__name__} does not "
            "say; save the tokenizer as tokenizer.json."
        )
    found = fast(
        list(docs) or [""], add_special_tokens=False, return_offsets_mapping=True, verbose=False
    )
    return list(zip(found["input_ids"], found["offset_mapping"], strict=True))[: len(docs)]


def first_place(pairs: Pairs, query: Sequence[int]) -> int:
    """Where in a pair the document begins behind this query."""
    return len(pairs.frame.before) + len(query) + len(pairs.frame.between)


def _starts(tokens: int, room: int) -> list[int]:
    """Where the windows of a document begin: each half a window behind the last.

    >>> _starts(10, 10), _starts(11, 4), _starts(0, 4)
    ([0], [0, 2, 4, 6, 8], [])
    """
    if not tokens:
        return []
    step = max(room // 2, 1)
    return list(range(0, max(tokens - room + step, 1), step))


def _rank(span: Span) -> float:
    return span.lead


def _said(folder: Path) -> dict[str, Any]:
    """What annatto.json says."""
    place = folder / layout.OURS
    said = read_card(place) if place.exists() else {"kind": "transformer"}
    if (kind := said.get("kind", "embedding model")) != KIND:
        raise WeightsError(
            f"{folder} holds {a(kind)}, not a span reader; give a folder of train.span.train."
        )
    return said
