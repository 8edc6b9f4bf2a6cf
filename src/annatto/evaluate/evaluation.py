"""What was measured: scores per query, the runs behind them, and how it was done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from annatto.core.atomic import new_folder, read_card, refuse_other, write_json
from annatto.core.errors import InputError, UsageError, nearest
from annatto.core.store import content_hash

CARD = "card.json"
TABLES = ("scores", "runs", "separation", "queries", "judgments", "features")


@dataclass(frozen=True)
class Evaluation:
    """Several systems, measured on the same queries of one collection.

    Attributes:
        scores: system, query_id, measure, value (float64, higher is better): one row for every
            system, measure and query, in that order; a query without results has 0.
        runs: CANDIDATES; `source` is the system's name, `rank` begins at 1.
        separation: system, kind (`positive`, `hardest negative` or `random`), value (float64,
            cosine in [-1, 1]), of the dense systems.
        queries: the QUERIES rows that were measured, q of them.
        judgments: the JUDGMENTS they were measured by, all with grades above 0.
        notes: plain JSON values: `systems` in order, `split`, `sizes`, `origins`, `synthetic`,
            `collection` (hash), `versions`, `cut`, `health` of dense systems' vectors, `untouched`
            and how they were chosen, `models` (see `evaluate.described`).
        features: what each query and its positives are, see `evaluate.strata`; q rows, or none.
    """

    scores: pa.Table
    runs: pa.Table
    separation: pa.Table
    queries: pa.Table
    judgments: pa.Table
    notes: Mapping[str, Any]
    features: pa.Table = field(default_factory=lambda: pa.table({}))

    @property
    def systems(self) -> list[str]:
        """Names in the order in which they were given, BM25 last."""
        return list(self.notes["systems"])

    @property
    def measures(self) -> list[str]:
        """Names of the measures, the main one first."""
        names: list[str] = pc.unique(self.scores["measure"]).to_pylist()
        return names

    def values(self, system: str, measure: str) -> np.ndarray:
        """(q,) float64, one value per query in the order of `queries`.

        Raises:
            UsageError: there is no such system or measure.
        """
        for word, words, what in (
            (system, self.systems, "system"),
            (measure, self.measures, "measure"),
        ):
            if word not in words:
                raise UsageError(f"the evaluation has no {what} '{word}'; {nearest(word, words)}.")
        named = pc.and_(
            pc.equal(self.scores["system"], system), pc.equal(self.scores["measure"], measure)
        )
        values: np.ndarray = self.scores.filter(named)["value"].to_numpy()
        return values

    def save(self, folder: Path) -> Path:
        """Write six Parquet files and a card, replacing an evaluation that was there.

        Raises:
            InputError: `folder` holds something else, or cannot be written.
        """
        folder = Path(folder)
        refuse_other(folder, "evaluation")
        with new_folder(folder) as temporary:
            for name in TABLES:
                pq.write_table(
                    getattr(self, name), temporary / f"{name}.parquet", compression="zstd"
                )
            hashes = {name: content_hash(getattr(self, name)) for name in TABLES}
            card = {"kind": "evaluation", "notes": dict(self.notes), "tables": hashes}
            write_json(temporary / CARD, card)
        return folder

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read a saved evaluation.

        Raises:
            InputError: `folder` holds no whole evaluation.
        """
        folder = Path(folder)
        card = read_card(folder / CARD) if (folder / CARD).exists() else {}
        if card.get("kind") != "evaluation":
            holds = f"it holds: {card['kind']}" if "kind" in card else f"it has no {CARD}"
            raise InputError(
                f"{folder} is not an evaluation ({holds}); make one with `annatto evaluate`."
            )
        return cls(
            **{name: _table(folder / f"{name}.parquet") for name in TABLES},
            notes=card.get("notes", {}),
        )


def _table(path: Path) -> pa.Table:
    try:
        return pq.read_table(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise InputError(
            f"{path} is missing or damaged ({error}); make the evaluation again."
        ) from error
