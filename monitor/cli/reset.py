"""``drift-monitor reset``: other windows for a monitor that has some."""

from __future__ import annotations

from pathlib import Path

import click

from monitor.cli.options import ExampleCommand, choose_monitor, config_option, monitor_option, read_config


@click.command("reset", cls=ExampleCommand, examples=["drift-monitor reset -c monitor.yaml --monitor churn"])
@config_option
@monitor_option
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
def reset(config_path: Path, monitor_name: str | None, yes: bool) -> None:
    """Drop a monitor's open windows, so that it can go on with windows of the size in the config.

    Settled verdicts, alert states and references stay. Events that no settled window holds are counted again
    by the next worker, in the new windows. Stop the workers of the old config first: one that goes on with it
    ends with an error.
    """
    config = read_config(config_path)
    monitor = choose_monitor(config, monitor_name)

    from monitor.checks.findings import require
    from monitor.checks.redis import check_redis, connect
    from monitor.policies import window_policy
    from monitor.verdicts.standing import Standing
    from streams.state.founding import Shape, holding
    from streams.state.founding import reset as reset_windows
    from streams.state.redis_keys import MonitorKeys

    keys = MonitorKeys(config.redis.prefix, monitor.name)
    shape = Shape.of(window_policy(monitor))
    connection = connect(config)
    try:
        require(check_redis(config, connection))
        held = holding(connection, keys)
        if held.shape is None:
            click.echo(f"{monitor.name}: Redis holds no windows of it; a worker begins with {shape}")
            return
        click.echo(
            f"{monitor.name}: {held.shape}; {held.open:,} open with {held.scores:,} scores, {held.closed:,}"
            " closed without a verdict"
        )
        if not yes:
            click.confirm(f"Drop them and go on with {shape}?", abort=True)
        reset_windows(connection, keys, shape, Standing.foundation)
    finally:
        connection.close()
    click.echo(f"{monitor.name}: goes on with {shape}")
