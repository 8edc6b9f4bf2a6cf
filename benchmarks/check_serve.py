"""Schemathesis over the server's OpenAPI document: no 5xx, no answer beside the schema.

    python benchmarks/check_serve.py
    python benchmarks/check_serve.py --quick

It starts `annatto serve` on a tiny index with a reranker, lets Schemathesis make requests that fit
the document and requests that do not, and counts them. Exit code 1 on any failure. One check is
left out, positive_data_acceptance: what no schema can say, such as a query of too many tokens, or a
value that is none of a column's, is refused with 400 although it fits the document.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from measure import commit, machine
from serving import started, tiny_index
from transformers import AutoModelForSequenceClassification

from annatto.testing import tiny_model


def tiny_reranker(folder: Path) -> Path:
    tiny_model(folder, kind="encoder")
    AutoModelForSequenceClassification.from_pretrained(folder, num_labels=1).save_pretrained(folder)
    return folder


def statuses(report: Path) -> Counter[int]:
    """How many requests were answered by which status."""
    lines = report.read_text().splitlines()
    return Counter(status for line in lines for status in _statuses(json.loads(line)))


def _statuses(value: Any) -> Iterator[int]:
    if isinstance(value, dict):
        if "status_code" in value and "headers" in value:
            yield int(value["status_code"])
        for one in value.values():
            yield from _statuses(one)
    elif isinstance(value, list):
        for one in value:
            yield from _statuses(one)


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--examples", type=int, default=1000, help="per operation")
    words.add_argument("--seed", type=int, default=0)
    words.add_argument("--quick", action="store_true", help="about two minutes")
    asked = words.parse_args()
    examples = 25 if asked.quick else asked.examples
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        scorer = tiny_reranker(place / "judge")
        report = place / "report.ndjson"
        options = ["--reranker", str(scorer), "--port", "0", "--max-characters", "2000"]
        serve = ["-m", "annatto", "serve", str(tiny_index(place)), *options]
        with started(serve) as (address, process):
            command = [
                *(str(Path(sys.executable).with_name("schemathesis")), "run"),
                *(f"{address}/openapi.json", "--checks", "all", "--continue-on-failure"),
                *("--exclude-checks", "positive_data_acceptance"),
                *("--max-examples", str(examples), "--seed", str(asked.seed)),
                *("--suppress-health-check", "all", "--report-ndjson-path", str(report)),
            ]
            done = subprocess.run(command, check=False)
            is_alive = process.poll() is None
        found = statuses(report)
    failed = done.returncode or not is_alive or any(status >= 500 for status in found)
    said = {
        "name": "check_serve",
        "requests": sum(found.values()),
        "statuses": {str(status): count for status, count in sorted(found.items())},
        "failed": bool(failed),
        "machine": machine(),
        "commit": commit(),
    }
    print(json.dumps(said), flush=True)
    sys.exit(int(bool(failed)))


if __name__ == "__main__":
    main()
