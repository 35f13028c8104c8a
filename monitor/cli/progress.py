"""Progress bars on standard error; where that is no terminal, a line at the end of each stage."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


@contextmanager
def training_progress(epochs: int) -> Iterator[Any]:
    """Show the epochs of a training with their loss; lends the Keras callback that reports them."""
    import tensorflow as tf

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[loss]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not (epochs and console.is_terminal)) as progress:
        task = progress.add_task("Running the teacher", total=None, loss="")

        class ShowEpochs(tf.keras.callbacks.Callback):  # type: ignore[misc]  # Keras is untyped
            def on_train_begin(self, logs: Any = None) -> None:
                progress.update(task, description="Training the student", total=epochs)

            def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
                loss = f"loss {logs['loss']:.4f}" if logs else ""
                progress.update(task, completed=epoch + 1, loss=loss)
                if not console.is_terminal and epoch + 1 == epochs:
                    console.print(f"Trained the student for {epochs} epochs, {loss}.", soft_wrap=True)

        yield ShowEpochs()


@contextmanager
def counting_progress(description: str, total: int | None) -> Iterator[Any]:
    """Show how many of something are done; lends a function that takes the number so far."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task(description, total=total)
        yield lambda done: progress.update(task, completed=done)
