"""``drift-monitor fit``: from a classifier and data to a detector bundle."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from monitor.cli.options import ExampleCommand
from monitor.cli.sources import data_options, read_sample
from monitor.cli.tensorflow_loading import load_tensorflow
from monitor.errors import SetupError

if TYPE_CHECKING:
    from monitor.fitting.fit import FitReport, FitSettings


@click.command(
    "fit",
    cls=ExampleCommand,
    examples=[
        "drift-monitor fit --teacher model.keras --data train.npz --data-key X -o models/churn",
        "drift-monitor fit --teacher my_models:load --data my_data:clean --epochs 30 -o models/churn",
        "drift-monitor fit --teacher model.keras --distilled student.keras --data clean.npy -o models/churn",
    ],
)
@data_options
@click.option("--teacher", metavar="SOURCE", help="The classifier: .keras, or module:function.")
@click.option("--teacher-from-logits", is_flag=True, help="The teacher ends in logits.")
@click.option(
    "--keep-teacher/--drop-teacher",
    default=True,
    show_default=True,
    help="Whether the bundle holds the teacher.",
)
@click.option(
    "--student",
    metavar="SOURCE",
    help="Student to train: .keras, or module:function; a small one by default.",
)
@click.option(
    "--distilled", metavar="SOURCE", help="Student that is trained already; nothing is trained then."
)
@click.option("--student-from-logits", is_flag=True, help="The student ends in logits.")
@click.option(
    "--epochs", type=click.IntRange(min=0), default=20, show_default=True, help="Passes over the data."
)
@click.option(
    "--batch-size", type=click.IntRange(min=1), default=64, show_default=True, help="Instances a step."
)
@click.option(
    "--learning-rate",
    type=click.FloatRange(min=0, min_open=True),
    default=1e-3,
    show_default=True,
    help="Of the Adam optimizer.",
)
@click.option(
    "--loss",
    type=click.Choice(["kld", "xent"]),
    default="kld",
    show_default=True,
    help="Score: KL divergence or cross-entropy.",
)
@click.option(
    "--temperature",
    type=click.FloatRange(min=0, min_open=True),
    default=1.0,
    show_default=True,
    help="Of the teacher's probabilities.",
)
@click.option(
    "--threshold-percentile",
    type=click.FloatRange(0, 100),
    default=95.0,
    show_default=True,
    help="Percentage of clean instances that are not flagged.",
)
@click.option(
    "--reference-size",
    type=click.IntRange(min=20),
    default=1000,
    show_default=True,
    help="Instances to hold out for the reference; at most a quarter of the data.",
)
@click.option("--reference-data", metavar="SOURCE", help="Clean instances for the reference, instead.")
@click.option("--reference-predictions", metavar="SOURCE", help="The teacher's probabilities for these.")
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Makes fits repeatable."
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    required=True,
    metavar="DIR",
    help="The bundle to write.",
)
@click.option("--overwrite", is_flag=True, help="Replace a bundle that is there.")
def fit(
    data: str,
    data_key: str | None,
    divide_by: float | None,
    predictions: str | None,
    predictions_key: str | None,
    teacher: str | None,
    teacher_from_logits: bool,
    keep_teacher: bool,
    student: str | None,
    distilled: str | None,
    student_from_logits: bool,
    epochs: int,
    batch_size: int,
    learning_rate: float,
    loss: Literal["kld", "xent"],
    temperature: float,
    threshold_percentile: float,
    reference_size: int,
    reference_data: str | None,
    reference_predictions: str | None,
    seed: int,
    output: Path,
    overwrite: bool,
) -> None:
    """Distil a classifier (the teacher) into a small student and write a detector bundle.

    Part of the data is held out from training: its scores become the reference that windows are tested
    against, and give the threshold above which a single instance is flagged. Data should look like what the
    model meets when all is well.
    """
    if teacher is None and predictions is None:
        raise SetupError("Give the classifier with --teacher, or its probabilities with --predictions.")
    if student is not None and distilled is not None:
        raise SetupError("Give --student, which is trained, or --distilled, which is not; not both.")
    if reference_predictions is not None and reference_data is None:
        raise SetupError("--reference-predictions belongs to --reference-data, which is not given.")
    if teacher is None and reference_data is not None and reference_predictions is None:
        raise SetupError("Without --teacher, --reference-data needs --reference-predictions beside it.")
    sample = read_sample(data, data_key, divide_by, predictions, predictions_key)
    held_out = None
    if reference_data is not None:
        held_out = read_sample(
            reference_data,
            data_key,
            divide_by,
            reference_predictions,
            predictions_key,
            data_option="--reference-data",
            predictions_option="--reference-predictions",
        )

    from monitor.samples.sample import split

    trains = distilled is None and epochs > 0
    training, reference = split(sample, held_out, size=reference_size, train=trains, seed=seed)

    load_tensorflow()
    from detectors.classifier import Classifier
    from detectors.instances import read_instances
    from monitor.fitting.fit import FitSettings, check_output, fit_bundle
    from monitor.fitting.keras_models import read_model

    settings = FitSettings(
        loss_type=loss,
        temperature=temperature,
        epochs=epochs if trains else 0,
        batch_size=batch_size,
        learning_rate=learning_rate,
        threshold_percentile=threshold_percentile,
        teacher_from_logits=teacher_from_logits,
        student_from_logits=student_from_logits,
        keep_teacher=keep_teacher,
        seed=seed,
    )
    check_output(output, overwrite)
    teacher_model = None if teacher is None else read_model(teacher, "--teacher")
    if teacher_model is not None:
        read_instances(
            sample.instances, Classifier(teacher_model, "--teacher").input_shape, f"--data: {data}"
        )
    option, source = ("--distilled", distilled) if distilled is not None else ("--student", student)
    student_model = None if source is None else read_model(source, option)

    from monitor.cli.progress import training_progress

    with training_progress(settings.epochs) as callback:
        report = fit_bundle(
            output,
            teacher=teacher_model,
            student=student_model,
            training=training,
            reference=reference,
            settings=settings,
            overwrite=overwrite,
            callbacks=[callback],
        )
    for line in summary(report, settings, output):
        click.echo(line)


def summary(report: FitReport, settings: FitSettings, output: Path) -> list[str]:
    """Say what came of a fit and what comes next, a line each."""
    import numpy as np

    n = len(report.scores)
    mean, median = np.mean(report.scores), np.median(report.scores)
    trained = f"trained on {report.n_trained:,} instances" if report.n_trained else "taken as it is"
    teacher = "with" if report.holds_teacher else "without"
    rows = {
        "Bundle": f"{output}, {teacher} the teacher",
        "Student": f"{report.student_parameters:,} parameters, {trained}",
        "Agreement": f"with the teacher on the class of {report.agreement:.1%} of {n:,} clean instances",
        "Scores": f"{settings.loss_type}, mean {mean:.4g}, median {median:.4g}",
        "Threshold": f"{report.threshold:.4g}, above {settings.threshold_percentile:g} % of them",
        "Reference": f"{report.reference_version[:19]}, {n:,} scores; good for windows of up to {n // 10:,}",
        "Next": f"put 'detector: {output}' into a config, then: drift-monitor check -c monitor.yaml",
    }
    return [f"{name + ':':<11}{text}" for name, text in rows.items()]
