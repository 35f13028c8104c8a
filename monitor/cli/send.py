"""``drift-monitor send``: publish inference events from a file."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from monitor.cli.options import ExampleCommand, choose_monitor, config_option, monitor_option, read_config
from monitor.cli.sources import read_events_file
from monitor.cli.tensorflow_loading import load_tensorflow
from monitor.errors import SetupError

if TYPE_CHECKING:
    from monitor.config import Config, MonitorConfig
    from monitor.samples.sample import Sample


@click.command(
    "send",
    cls=ExampleCommand,
    examples=[
        "drift-monitor send -c monitor.yaml clean.npz --predictions-key y --rate 100",
        "drift-monitor send -c monitor.yaml images.npy --divide-by 255 --predict",
        "drift-monitor send -c monitor.yaml --monitor churn events.jsonl",
    ],
)
@click.argument("file", type=click.Path(path_type=Path))
@config_option
@monitor_option
@click.option("--topic", metavar="NAME", help="Topic to publish to; the monitor's input by default.")
@click.option("--rate", type=click.FloatRange(min=0, min_open=True), metavar="R", help="Events per second.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Send the first N events only.")
@click.option(
    "--format",
    "format_name",
    type=click.Choice(["json", "tensor"]),
    help="How to write arrays; as the monitor reads them by default.",
)
@click.option("--data-key", metavar="NAME", help="Array of the .npz, or column of the .parquet file.")
@click.option(
    "--divide-by", type=click.FloatRange(min=0, min_open=True), metavar="NUMBER", help="As in 'fit'."
)
@click.option(
    "--predictions", metavar="SOURCE", help="The model's probabilities, when they are in another file."
)
@click.option("--predictions-key", metavar="NAME", help="Array or column of the predictions.")
@click.option("--predict", is_flag=True, help="Let the model in the monitor's bundle make the predictions.")
def send(
    file: Path,
    config_path: Path,
    monitor_name: str | None,
    topic: str | None,
    rate: float | None,
    limit: int | None,
    format_name: str | None,
    data_key: str | None,
    divide_by: float | None,
    predictions: str | None,
    predictions_key: str | None,
    predict: bool,
) -> None:
    """Publish inference events from FILE, at full speed or at a rate.

    A .npy, .npz or .parquet file holds instances, and predictions in an array or column called "predictions"
    or "prediction"; they are written in the format that the monitor reads. The lines of a .jsonl file are
    sent as they are. The command ends when the broker has acknowledged every event.
    """
    config = read_config(config_path)
    monitor = _monitor_of(config, monitor_name, topic)
    if not file.is_file():
        raise SetupError(f"There is no file {file}.")
    sample = None
    if file.suffix.lower() != ".jsonl":
        sample = read_events_file(file, data_key, divide_by, predictions, predictions_key, limit)
        if sample.predictions is None and predict:
            sample = _predicted(sample, monitor, file)
        if sample.predictions is None and monitor.prediction == "event":
            raise SetupError(
                f"{file} holds no predictions, which monitor {monitor.name!r} expects in its events; give"
                " them with --predictions or --predictions-key, or add --predict."
            )
    elif predict or predictions is not None or data_key is not None or divide_by is not None:
        raise SetupError("The lines of a .jsonl file are sent as they are; leave out the options for arrays.")

    from confluent_kafka.admin import AclOperation

    from monitor.checks.topic import require_topic
    from monitor.cli.progress import counting_progress
    from monitor.config.kafka_properties import for_producer
    from monitor.sending import publish
    from streams.kafka.producer import DeliveryConfirmedProducer

    target = require_topic(config, monitor, topic, AclOperation.WRITE)
    producer = DeliveryConfirmedProducer(for_producer(config.kafka.properties))
    total = None if sample is None else min(len(sample.instances), limit or len(sample.instances))
    begin = time.monotonic()
    with counting_progress(f"Sending to {target}", total) as show:
        sent = publish(
            producer,
            target,
            _events(file, sample, monitor, format_name),
            rate=rate,
            limit=limit,
            show=show,
        )
    seconds = max(time.monotonic() - begin, 1e-9)
    click.echo(f"Sent {sent:,} events to {target} in {seconds:.1f} s ({sent / seconds:,.0f}/s).", err=True)


def _monitor_of(config: Config, name: str | None, topic: str | None) -> MonitorConfig:
    """Find the monitor whose events these are: by name, by topic, or the only one."""
    if name is None and topic is not None:
        readers = [monitor for monitor in config.monitors if monitor.input.topic == topic]
        if readers:
            return readers[0]
    return choose_monitor(config, name)


def _predicted(sample: Sample, monitor: MonitorConfig, file: Path) -> Sample:
    """Run the model of a monitor's bundle."""
    load_tensorflow()
    from detectors import ModelDistillation, load_bundle
    from detectors.classifier import Classifier
    from detectors.instances import DEFAULT_BATCH_SIZE, read_instances
    from detectors.training import teacher_probabilities
    from monitor.samples.sample import Sample

    detector: Any = load_bundle(monitor.detector).detector
    if not isinstance(detector, ModelDistillation) or detector.model is None:
        raise SetupError(
            f"The bundle {monitor.detector} holds no model; give predictions instead of --predict."
        )
    teacher = Classifier(detector.model, "model", from_logits=detector.model_from_logits)
    instances = read_instances(sample.instances, detector.input_shape, str(file))
    return Sample(instances, teacher_probabilities(teacher, instances, DEFAULT_BATCH_SIZE))


def _events(
    file: Path, sample: Sample | None, monitor: MonitorConfig, format_name: str | None
) -> Iterator[bytes]:
    from monitor.sending import EventFormat, encode_sample, read_lines

    if sample is None:
        return read_lines(file)
    name = format_name or monitor.input.format
    form = EventFormat(name, monitor.input.event_fields, monitor.input.model)
    return encode_sample(sample, form, file.stem)
