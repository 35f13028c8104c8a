"""``drift-monitor experiment``: studies that show what the monitor can and cannot see."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from monitor.cli.options import ExampleCommand, ExampleGroup
from monitor.cli.tensorflow_loading import load_tensorflow
from monitor.errors import SetupError

if TYPE_CHECKING:
    from monitor.experiment.measuring import Scorer

_FILE = click.Path(path_type=Path)


@click.group("experiment", cls=ExampleGroup, examples=["drift-monitor experiment contamination -o study"])
def experiment() -> None:
    """Make a study that shows what the monitor can and cannot see."""


@experiment.command(
    "contamination",
    cls=ExampleCommand,
    short_help="Tell harmful inputs from harmless ones, as published.",
    examples=[
        "drift-monitor experiment contamination -o study",
        "drift-monitor experiment contamination --clean cifar-10-batches-py --corrupted CIFAR-10-C \\",
        "    --teacher resnet32.keras --distilled student.keras -o study",
        "drift-monitor experiment contamination --clean clean.npz --corrupted corrupted.npz \\",
        "    --detector models/churn -o study",
    ],
)
@click.option(
    "--clean",
    type=_FILE,
    metavar="SOURCE",
    help="Clean data: the directory of the CIFAR-10 Python batches, or a .npz file with X and y. Without it,"
    " scikit-learn's digits.",
)
@click.option(
    "--corrupted",
    type=_FILE,
    metavar="SOURCE",
    help="The same, corrupted: a directory with <corruption>.npy and labels.npy like CIFAR-10-C, or a .npz"
    " file with <corruption>_<severity>.",
)
@click.option(
    "--probabilities",
    type=_FILE,
    metavar="FILE",
    help="Known probabilities instead of models: a .npz file with teacher_<name> and distilled_<name>, <name>"
    " being 'eval' for the clean data and <corruption>_<severity>.",
)
@click.option(
    "--detector", type=_FILE, metavar="DIR", help="Detector bundle with the teacher, as 'fit' writes it."
)
@click.option("--teacher", metavar="SOURCE", help="The classifier: .keras, or module:function.")
@click.option("--distilled", metavar="SOURCE", help="Its distilled copy; without it one is trained.")
@click.option(
    "--train",
    metavar="SOURCE",
    help="What to train the copy on: .npy, .npz or .parquet, or module:function; by default CIFAR-10's own.",
)
@click.option("--epochs", type=click.IntRange(min=1), default=20, show_default=True, help="Of that training.")
@click.option(
    "--divide-by",
    type=click.FloatRange(min=0, min_open=True),
    metavar="NUMBER",
    help="Divide the instances. By default, bytes by 255 and other numbers not.",
)
@click.option(
    "--loss", type=click.Choice(["kld", "xent"]), default="kld", show_default=True, help="The score."
)
@click.option(
    "--temperature",
    type=click.FloatRange(min=0, min_open=True),
    default=1.0,
    show_default=True,
    help="Of the teacher's probabilities.",
)
@click.option(
    "--corruption", "corruptions", multiple=True, metavar="NAME", help="Only these; all by default."
)
@click.option(
    "--pool",
    multiple=True,
    metavar="NAME",
    help="Corruptions to look at together; by default those that come in every severity.",
)
@click.option(
    "--reference-size",
    type=click.IntRange(min=20),
    default=1000,
    show_default=True,
    help="Clean instances in the reference; at most half when all were corrupted.",
)
@click.option(
    "--window-size", type=click.IntRange(min=10), default=100, show_default=True, help="Instances a batch."
)
@click.option(
    "--repetitions",
    type=click.IntRange(min=1),
    default=100,
    show_default=True,
    help="Batches for each share.",
)
@click.option(
    "--p-val",
    type=click.FloatRange(0, 1, min_open=True),
    default=0.05,
    show_default=True,
    help="A batch has drifted when its p-value is below.",
)
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Makes studies repeatable."
)
@click.option("-o", "--output", type=_FILE, required=True, metavar="DIR", help="For the numbers and figures.")
@click.option("--no-figures", is_flag=True, help="Numbers only; matplotlib is not needed then.")
def contamination(
    clean: Path | None,
    corrupted: Path | None,
    probabilities: Path | None,
    detector: Path | None,
    teacher: str | None,
    distilled: str | None,
    train: str | None,
    epochs: int,
    divide_by: float | None,
    loss: Literal["kld", "xent"],
    temperature: float,
    corruptions: tuple[str, ...],
    pool: tuple[str, ...],
    reference_size: int,
    window_size: int,
    repetitions: int,
    p_val: float,
    seed: int,
    output: Path,
    no_figures: bool,
) -> None:
    """Repeat the published study: whether harmful inputs are told from harmless ones.

    Corrupted inputs are harmful when the classifier was right on the clean input and is wrong on the
    corrupted one, and harmless when it is right on both. Batches with a growing share of either are tested
    against a clean reference: the former should be detected, the latter should not. Writes accuracy, scores
    and p-values by corruption and severity as CSV and JSON, with the figures.
    """
    models = {"--probabilities": probabilities, "--detector": detector, "--teacher": teacher}
    given = [option for option, value in models.items() if value is not None]
    _check_sources(clean, corrupted, given)
    if distilled is not None and teacher is None:
        raise SetupError("--distilled is the copy of --teacher, which is not given.")
    if not no_figures and find_spec("matplotlib") is None:
        raise SetupError(
            "The figures need matplotlib; install the extra: pip install 'drift-monitor[plots]', or add"
            " --no-figures."
        )

    load_tensorflow()
    from monitor.cli.experiment_models import assemble, model_scorer, open_bundle, open_digits
    from monitor.cli.progress import counting_progress
    from monitor.experiment.data import check_corruptions, complete_corruptions
    from monitor.experiment.measuring import StoredScorer, instance_count, measure
    from monitor.experiment.report import write_numbers
    from monitor.experiment.settings import StudySettings
    from monitor.experiment.study import cell_count, run_study
    from monitor.experiment.summary import summary_lines

    scorer: Scorer
    if clean is None or corrupted is None:
        data, scorer = open_digits(seed)
    else:
        from monitor.experiment.sources import open_data

        data = open_data(clean, corrupted, train)
        if probabilities is not None:
            scorer = StoredScorer(probabilities, loss, temperature)
        elif detector is not None:
            scorer = model_scorer(open_bundle(detector), divide_by)
        else:
            made = assemble(data, str(teacher), distilled, epochs, divide_by, loss, temperature, seed)
            scorer = model_scorer(made, divide_by)
    if corruptions:
        data = data.only(corruptions)
    pooled = list(pool) or complete_corruptions(data.corrupted)
    check_corruptions(pooled, data.corruptions, "--pool")
    with counting_progress("Scoring", instance_count(data)) as progress:
        measurements = measure(data, scorer, progress)
    settings = StudySettings(
        reference_size=reference_size,
        window_size=window_size,
        repetitions=repetitions,
        p_val=p_val,
        seed=seed,
    )
    with counting_progress(
        "Mixing and testing batches", cell_count(list(data.corrupted), pooled)
    ) as progress:
        result = run_study(measurements, settings, pooled, progress)
    for line in summary_lines(result):
        click.echo(line)
    facts = {
        "data": dict(data.sources),
        "models": given or ["digits"],
        "loss": loss,
        "temperature": temperature,
    }
    written = write_numbers(result, facts, output)
    if not no_figures:
        from monitor.experiment.figures import draw_figures

        written += draw_figures(result, output)
    click.echo(f"\nWrote {output}: {', '.join(path.name for path in written)}.")


def _check_sources(clean: Path | None, corrupted: Path | None, models: list[str]) -> None:
    if (clean is None) != (corrupted is None):
        raise SetupError("--clean and --corrupted belong together; give both, or neither for the digits.")
    if clean is None and models:
        raise SetupError(f"{models[0]} is about data that are not given; add --clean and --corrupted.")
    if clean is not None and len(models) != 1:
        raise SetupError("Give one of --probabilities, --detector and --teacher, and no more than one.")
