"""Commands about models: train, train-reranker, evaluate, verify, show-prompt."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from annatto.app.console import result, say, show, table
from annatto.core.errors import UsageError
from annatto.train.reranker_settings import RerankerSettings, RerankObjective
from annatto.train.settings import Schedule, Settings, Tracker

DEFAULT = Settings()
PLAIN = RerankerSettings()
KEEP_TASK = "A folder whose task must not be forgotten, beside the built-in ones; give several."


def train(
    collection: Annotated[Path, typer.Argument(help="A collection; best one from annatto mine.")],
    model: Annotated[
        str, typer.Option("--model", "-m", help="Where to start: a folder, weights name or hub id.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Where to put the model.")],
    steps: Annotated[int, typer.Option(help="How long to train.")] = DEFAULT.steps,
    minutes: Annotated[
        float, typer.Option(help="How long to train instead; a short trial chooses the steps.")
    ] = DEFAULT.minutes,
    teacher: Annotated[
        str,
        typer.Option(help="Source of soft labels, such as teacher:minilm; hard labels if none."),
    ] = DEFAULT.teacher,
    batch_size: Annotated[int, typer.Option(help="Queries per step.")] = DEFAULT.batch_size,
    negatives: Annotated[
        int, typer.Option(help="Mined negatives per query and step.")
    ] = DEFAULT.negatives,
    lr: Annotated[float, typer.Option(help="Peak learning rate.")] = DEFAULT.lr,
    lora_rank: Annotated[
        int, typer.Option(help="Of the adapters; 0 trains all weights.")
    ] = DEFAULT.lora_rank,
    schedule: Annotated[
        Schedule, typer.Option(help="How the learning rate falls: linear or cosine.")
    ] = DEFAULT.schedule,
    gradient_checkpointing: Annotated[
        bool, typer.Option(help="Less memory, more time: compute activations again.")
    ] = DEFAULT.gradient_checkpointing,
    demos: Annotated[
        int, typer.Option(help="Most demonstrations before the queries of a step.")
    ] = DEFAULT.demos,
    evaluate_every: Annotated[
        int, typer.Option(help="Steps between evaluations on dev; the best state is kept.")
    ] = DEFAULT.evaluate_every,
    tracker: Annotated[
        Tracker, typer.Option(help="Also log to tensorboard or trackio, if installed.")
    ] = DEFAULT.tracker,
    layers: Annotated[int | None, typer.Option(help="Keep only the first so many layers.")] = None,
    pooling: Annotated[str | None, typer.Option(help="last, mean or first.")] = None,
    instruction: Annotated[
        str | None, typer.Option(help="What queries ask for; shown to the model, and saved.")
    ] = None,
    dtype: Annotated[str, typer.Option(help="float32, bfloat16, or auto.")] = "auto",
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same model.")] = DEFAULT.seed,
    keep: Annotated[
        bool,
        typer.Option(
            "--keep/--no-keep", help="Measure other tasks before and after: what was forgotten?"
        ),
    ] = True,
    keep_task: Annotated[
        list[str] | None, typer.Option(metavar="[NAME=]FOLDER", help=KEEP_TASK)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Train a model on a collection; stopped or killed, the same command goes on.

    What it forgot of other tasks is said at the end, and in OUTPUT/keep.md. To stop after the
    current step: Ctrl-C, or a file named stop in OUTPUT.work.

    Example: annatto train mined --model smollm2 --layers 12 --steps 200 -o trained
    """
    from annatto.app.sources import named
    from annatto.app.training import train_to

    start = {"weights": model, "layers": layers, "pooling": pooling, "instruction": instruction}
    settings = Settings(
        steps=steps,
        minutes=minutes,
        teacher=teacher,
        batch_size=batch_size,
        negatives=negatives,
        lr=lr,
        schedule=schedule,
        lora_rank=lora_rank,
        gradient_checkpointing=gradient_checkpointing,
        demos=demos,
        evaluate_every=evaluate_every,
        tracker=tracker,
        seed=seed,
    )
    if keep_task and not keep:
        raise UsageError("--no-keep measures no other tasks, and --keep-task names one; give one.")
    tasks = named(keep_task or [], "--keep-task") if keep else None
    train_to(collection, {**start, "dtype": dtype}, output, settings=settings, keep=tasks)
    result({"model": str(output)}, str(output), as_json=as_json)


def train_reranker(
    collection: Annotated[Path, typer.Argument(help="A collection from annatto mine.")],
    model: Annotated[
        str, typer.Option("--model", "-m", help="Where to start: a folder, weights name or hub id.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Where to put the reranker.")],
    steps: Annotated[int, typer.Option(help="How long to train.")] = PLAIN.steps,
    objective: Annotated[
        RerankObjective,
        typer.Option(help="listwise: a query's documents against each other; bce: each by itself."),
    ] = PLAIN.objective,
    teacher: Annotated[
        str, typer.Option(help="Source of soft labels for listwise; hard labels only if none.")
    ] = PLAIN.teacher,
    batch_size: Annotated[int, typer.Option(help="Queries per step.")] = PLAIN.batch_size,
    negatives: Annotated[
        int, typer.Option(help="Mined negatives per query and step.")
    ] = PLAIN.negatives,
    max_tokens: Annotated[
        int, typer.Option(help="Limit of a pair; only the document is cut.")
    ] = PLAIN.max_tokens,
    layers: Annotated[
        int, typer.Option(help="Keep only the first so many layers; 0 keeps all.")
    ] = PLAIN.layers,
    lr: Annotated[float, typer.Option(help="Peak learning rate.")] = PLAIN.lr,
    lora_rank: Annotated[
        int, typer.Option(help="Of the adapters; 0 trains all weights.")
    ] = PLAIN.lora_rank,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same reranker.")] = PLAIN.seed,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Train a cross-encoder that scores a query and a document; it can be stopped and resumed.

    To stop after the current step: Ctrl-C, or a file named stop in OUTPUT.work.

    Example: annatto train-reranker mined --model minilm --steps 300 -o reranker
    """
    from annatto.app.training import train_reranker_to

    settings = RerankerSettings(
        steps=steps,
        objective=objective,
        teacher=teacher,
        batch_size=batch_size,
        negatives=negatives,
        max_tokens=max_tokens,
        layers=layers,
        lr=lr,
        lora_rank=lora_rank,
        seed=seed,
    )
    train_reranker_to(collection, model, output, settings=settings)
    result({"reranker": str(output)}, str(output), as_json=as_json)


def evaluate(
    context: typer.Context,
    collection: Annotated[
        Path,
        typer.Argument(
            help="A collection with judged queries; with --benchmark a model, reranker, or bm25."
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Where to put the evaluation.")],
    model: Annotated[
        list[str] | None,
        typer.Option("--model", "-m", metavar="NAME=PLACE", help="A system; give several."),
    ] = None,
    compare: Annotated[
        list[str] | None,
        typer.Option(
            metavar="AFTER=BEFORE",
            help="Two systems: is the first better, how surely? Give several, or all.",
        ),
    ] = None,
    untouched: Annotated[
        list[str] | None,
        typer.Option(help="A system to show at its best pooling and instruction, chosen on dev."),
    ] = None,
    origins: Annotated[
        str, typer.Option(help="Whose judgments count, such as gold,human or synthetic.")
    ] = "gold,human",
    split: Annotated[str, typer.Option(help="Whose queries to measure.")] = "test",
    bm25: Annotated[bool, typer.Option(help="Measure BM25, too.")] = True,
    keep: Annotated[
        bool,
        typer.Option("--keep", help="Measure other tasks, too: what did compared models forget?"),
    ] = False,
    keep_task: Annotated[
        list[str] | None, typer.Option(metavar="[NAME=]FOLDER", help=KEEP_TASK)
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the random documents that are shown.")] = 0,
    benchmark: Annotated[
        list[str] | None,
        typer.Option(help="A benchmark or task of mteb to measure a model on; give several."),
    ] = None,
    prompt: Annotated[
        list[str] | None,
        typer.Option(metavar="TASK=STORED", help="The prompt for a task or type of mteb."),
    ] = None,
    devices: Annotated[int, typer.Option(help="Processes that encode for --benchmark.")] = 1,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only list the tasks of --benchmark and prompts.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure models on held-out queries, and write a report with plots; or measure on mteb.

    With --benchmark, a model is measured on tasks of mteb, in place of COLLECTION; options about
    systems and queries do not count then. Stopped, the same command goes on.

    Example: annatto evaluate pairs -m before=minilm -m after=trained --compare after=before -o eval
    """
    from annatto.app import measuring
    from annatto.app.benchmarking import Asked, check_options
    from annatto.app.benchmarking import show as show_scores
    from annatto.app.sources import mapping, named
    from annatto.evaluate.details import needed

    check_options(
        benchmark,
        systems=model or compare or untouched or keep or keep_task,
        own=prompt or dry_run or devices != 1,
    )
    if (keep or keep_task) and not compare:
        raise UsageError(
            "--keep compares models on other tasks; say which: --compare AFTER=BEFORE."
        )
    if benchmark:
        prompts = mapping(prompt or [], "--prompt TASK=STORED")
        asked = Asked(str(collection), benchmark, prompts, devices)
        show_scores(asked, output, dry_run=dry_run, as_json=as_json)
        return
    systems = mapping(model or [], "--model NAME=PLACE")
    how = {"split": split, "untouched": untouched or [], "bm25": bm25, "seed": seed}
    how["origins"] = [origin.strip() for origin in origins.split(",")]
    compared = measuring.named_pairs(compare or [], [*systems, *(["BM25"] if bm25 else [])])
    found = measuring.evaluate_to(
        collection,
        systems,
        output,
        how=how,
        comparisons=compared,
        command=str(context.obj or ""),
        keep=named(keep_task or [], "--keep-task") if keep or keep_task else None,
    )
    told = measuring.told(output)
    if as_json:
        result({"systems": measuring.records(found), "comparisons": told}, "", as_json=True)
    else:
        table("", *measuring.grid(found))
        for one in told:
            show(measuring.sentence(one))
    for one in told:
        say(needed(one))
    say(f"the report is {output / 'report' / 'report.html'}")


def show_prompt(
    model: Annotated[str, typer.Argument(help="A folder, weights name or hub id.")],
    text: Annotated[str, typer.Argument(help="What is to be encoded.")],
    prompt: Annotated[
        str, typer.Option(help="The stored prompt: document, query or query/TASK.")
    ] = "query",
    demo: Annotated[
        list[str] | None,
        typer.Option(
            metavar="QUERY=DOCUMENT", help="Show this instead of stored demonstrations; repeatable."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print what a model sees of a text, special tokens included, and what its tokens are.

    Example: annatto show-prompt trained "split a command line into words"
    """
    from dataclasses import asdict

    from annatto.app.sources import pairs
    from annatto.models.shown import read, show

    demos = pairs(demo or [], "--demo QUERY=DOCUMENT")
    shown = show(read(model), text, prompt=prompt, demos=demos)
    result(asdict(shown), shown.input, as_json=as_json)
    say(shown.counts)


def verify(
    model: Annotated[str, typer.Argument(help="A model that annatto saved.")],
    against: Annotated[
        str | None,
        typer.Option(
            metavar="FOLDER|URL",
            help="Its copy: a folder, or a server with OpenAI's /v1/embeddings; itself if none.",
        ),
    ] = None,
    dtype: Annotated[
        str | None, typer.Option(help="What the copy computes in; as saved if none.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check that a copy of a model gives the vectors saved with it.

    1 - cosine may be 1e-6 in float32 and 1e-3 in bfloat16; exit code 1 when a text is beyond.

    Example: annatto verify trained --against http://localhost:8000
    """
    from annatto.models.verify import refuse
    from annatto.models.verify import verify as check

    checked = check(model, against=against, dtype=dtype)
    if as_json:
        result([{**asdict(one), "is_right": one.is_right} for one in checked], "", as_json=True)
    else:
        rows = [(one.prompt, one.text[:50].strip(), f"{one.distance:.1e}") for one in checked]
        table("", ["prompt", "text", "1 - cosine"], rows)
    refuse(checked, against or model)
