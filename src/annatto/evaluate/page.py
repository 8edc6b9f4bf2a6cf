"""An evaluation as one page, report.html: made of the figures of report.json, loading nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from annatto.evaluate import charts, details, history
from annatto.evaluate.look import SCRIPT, STYLE, policy
from annatto.evaluate.marks import code, figure, grid, key, listed, paragraph

SYNTHETIC = "measured on synthetic queries only: no evidence for your users' queries"
Told = Mapping[str, Any]
"""What report.json holds; see `evaluate.report.write`."""


def page(told: Told) -> str:
    """The whole page as HTML; every text in it is escaped, and it may load nothing.

    Args:
        told: what report.json holds.
    """
    parts = [
        _head(told),
        *_first(told),
        *_before_after(told),
        *_kept(told),
        *_systems(told),
        *_tasks(told),
        *_queries(told),
        *_separation(told),
        *history.training(told),
        *history.mining(told),
        *_strata(told),
        *_health(told),
        *_skipped(told),
        *_how(told),
        f"</main><script>{SCRIPT}</script></body></html>\n",
    ]
    return "\n".join(parts)


def _head(told: Told) -> str:
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy()}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(told['title'])}</title><style>{STYLE}</style></head><body><main>"
    )


def _first(told: Told) -> Iterator[str]:
    """What was forgotten, then a warning where there is one, then the headline."""
    warnings = [one["warning"] for one in told["forgetting"] if one["warning"]]
    warnings += [SYNTHETIC] if told["notes"]["synthetic"] else []
    yield from (f'<p class="warning">{code(said)}</p>' for said in warnings)
    yield f"<h1>{escape(told['title'])}</h1>"
    yield f'<p class="headline">{escape(told["headline"])}</p>'


def _before_after(told: Told) -> Iterator[str]:
    found = told["comparisons"]
    if not found:
        return
    yield "<h2>Before and after</h2>"
    rows = [
        charts.Row(
            f"{one['after']} − {one['before']}",
            details.change(one["difference"], one["low"], one["high"]),
            one["difference"],
            (one["low"], one["high"]),
            number,
        )
        for number, one in enumerate(found)
    ]
    measure = found[0]["measure"]
    drawn = charts.differences(
        rows,
        title="Difference of each comparison with its 95 % interval",
        x_name=f"difference of mean {measure} (above 0: better), 95 % interval",
        y_name="comparison",
    )
    yield f'<div class="charts">{figure("Each comparison", drawn)}</div>'
    names = ["after", "before", "mean after", "mean before", "difference", "95 % interval", "p'"]
    lines = [
        [
            *(one["after"], one["before"]),
            *(f"{one[name]:.3f}" for name in ("mean_after", "mean_before")),
            f"{one['difference']:+.3f}",
            f"{one['low']:+.3f} to {one['high']:+.3f}",
            details.probability(one["p_corrected"]).removeprefix("p ").removeprefix("= "),
            f"{one['wins']:,} / {one['ties']:,} / {one['losses']:,}",
            "–" if one["effect"] is None else f"{one['effect']:+.2f}",
            one["verdict"],
        ]
        for one in found
    ]
    yield grid([*names, "wins / ties / losses", "effect", "said"], lines, texts=(0, 1, 9))
    yield paragraph(f"{measure}. {details.ABOUT_COMPARISONS}")
    yield from (paragraph(details.needed(one)) for one in found)


def _kept(told: Told) -> Iterator[str]:
    for one in told["forgetting"]:
        yield f"<h2>What {escape(one['after'])} kept and forgot of {escape(one['before'])}</h2>"
        yield paragraph(
            "Tasks it was not trained for. The intervals of a difference hold for all tasks "
            "together (95 %, paired bootstrap, Bonferroni)."
        )
        means, changes = [], []
        for task in one["tasks"]:
            name = f"{task['task']} ({task['measure']}, {task['items']:,} items)"
            pair = (("before", task["mean_before"], 6), ("after", task["mean_after"], 0))
            means += [
                charts.Row(f"{task['task']} {when}", f"{v:.3f}", max(v, 0.0), None, colour)
                for when, v, colour in pair
            ]
            ends = (task["low"], task["high"])
            colour = 5 if task["high"] < 0 else 0
            told_so = details.change(task["difference"], *ends)
            changes.append(charts.Row(name, told_so, task["difference"], ends, colour))
        drawn = charts.bars(
            means,
            title="Every task before and after",
            x_name="mean over items (higher is better)",
            y_name="task",
        )
        moved = charts.differences(
            changes,
            title="Difference of every task with its interval",
            x_name="after − before (below 0: forgotten)",
            y_name="task",
        )
        both = figure("Before and after", drawn) + figure("Differences", moved)
        yield f'<div class="charts">{both}</div>'


def _systems(told: Told) -> Iterator[str]:
    yield "<h2>All systems</h2>"
    systems = list(dict.fromkeys(row["system"] for row in told["table"]))
    drawn = []
    for measure in dict.fromkeys(row["measure"] for row in told["table"]):
        rows = [
            _bar(row, row["system"], systems) for row in told["table"] if row["measure"] == measure
        ]
        chart = charts.bars(
            rows,
            title=f"{measure} of every system",
            x_name=f"mean {measure} over queries, 0 to 1 (higher is better)",
            y_name="system",
        )
        drawn.append(figure(f"{measure}, means with 95 % bootstrap intervals", chart))
    yield f'<div class="charts">{"".join(drawn)}</div>'


def _tasks(told: Told) -> Iterator[str]:
    if not told["tasks"]:
        return
    yield "<h2>By task</h2>"
    measure, drawn = told["table"][0]["measure"], []
    systems = list(dict.fromkeys(row["system"] for row in told["table"]))
    for task in dict.fromkeys(row["task"] for row in told["tasks"]):
        own = [row for row in told["tasks"] if row["task"] == task]
        chart = charts.bars(
            [_bar(row, row["system"], systems) for row in own],
            title=f"{measure} of the task {task}",
            x_name=f"mean {measure} over queries, 0 to 1 (higher is better)",
            y_name="system",
        )
        drawn.append(figure(f"{task or 'no task'}: {own[0]['queries']:,} queries", chart))
    yield f'<div class="charts">{"".join(drawn)}</div>'


def _bar(row: Told, label: str, systems: Sequence[str]) -> charts.Row:
    said = f"{row['mean']:.3f} ({row['low']:.3f}–{row['high']:.3f})"
    ends = (row["low"], row["high"])
    return charts.Row(label, said, row["mean"], ends, systems.index(row["system"]))


def _queries(told: Told) -> Iterator[str]:
    drawn = []
    for one in told["points"]:
        dots = [charts.Dot(q["before"], q["after"], q["text"]) for q in one["queries"]]
        chart = charts.scatter(
            dots,
            title=f"Every query with {one['before']} and with {one['after']}",
            x_name=f"{one['measure']} of {one['before']}, 0 to 1",
            y_name=f"{one['measure']} of {one['after']}, 0 to 1",
        )
        part = (
            "" if len(dots) == one["of"] else f" ({len(dots):,} of {one['of']:,}, drawn at random)"
        )
        drawn.append(figure(f"{key(0)}better {key(6)}same {key(5)}worse{part}", chart, asks=True))
    if not drawn:
        return
    yield "<h2>Every query</h2>"
    yield paragraph(
        "A larger dot stands for more queries. Point at one, or touch it, to read them."
    )
    yield f'<div class="charts">{"".join(drawn)}</div>'
    for one in told["comparisons"]:
        yield f"<h3>Moved most from {escape(one['before'])} to {escape(one['after'])}</h3>"
        rows = [
            [way, query["text"], f"{query['before']:.3f}", f"{query['after']:.3f}"]
            for way in ("up", "down")
            for query in one[way]
        ]
        yield grid(["", "query", "before", "after"], rows, texts=(0, 1))


def _separation(told: Told) -> Iterator[str]:
    if not told["separation"]:
        return
    yield "<h2>Right documents and wrong ones</h2>"
    yield paragraph(
        "Cosines of queries with their positives, with the best-ranked document that is not one, "
        "and with a random document. The less they overlap, the better. Lines: medians."
    )
    drawn = [
        history.spread(one, one["system"], x_name="cosine with the query, -1 to 1")
        for one in told["separation"]
    ]
    yield f'<div class="charts">{"".join(drawn)}</div>'


def _strata(told: Told) -> Iterator[str]:
    found = told["strata"]
    if not found:
        return
    yield "<h2>By kind of query</h2>"
    yield paragraph(f"Mean {told['table'][0]['measure']}. {details.ABOUT_STRATA}")
    systems = list(dict.fromkeys(row["system"] for row in told["table"]))
    pairs = [f"{one['after']} − {one['before']}" for one in told["comparisons"]]
    rows = [
        [
            *(one["feature"], one["label"], f"{one['queries']:,}"),
            *(f"{one['means'][system]:.3f}" for system in systems),
            *(details.change(*one["differences"][pair]) for pair in pairs),
        ]
        for one in found
    ]
    yield grid(["feature", "range", "queries", *systems, *pairs], rows, texts=(0,))


def _health(told: Told) -> Iterator[str]:
    found, cut = told["notes"].get("health", {}), told["notes"]["cut"]
    if not found:
        return
    yield "<h2>Health of the vectors</h2>"
    yield paragraph(details.ABOUT_VECTORS)
    rows = [[name, *details.health_cells(one, cut.get(name))] for name, one in found.items()]
    yield grid(["system", *details.VECTORS, "shared", "length", "cut"], rows, texts=(0,))


def _skipped(told: Told) -> Iterator[str]:
    yield "<h2>What was cut or left out</h2>"
    yield listed(escape(said) for said in details.skipped(told["notes"]))


def _how(told: Told) -> Iterator[str]:
    yield "<h2>How it was measured, and how to repeat it</h2>"
    yield listed(code(said) for said in details.measured(told["notes"]))
    if told["command"]:
        yield f"<pre>{escape(told['command'])}</pre>"
