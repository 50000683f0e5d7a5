"""``hamerspace benchmark``."""

from pathlib import Path
from typing import TYPE_CHECKING

from hamerspace.cli import options

if TYPE_CHECKING:
    from hamerspace.measure.measurement import Measurement


def benchmark(
    target: options.Target,
    data: options.Data = None,
    inputs: options.Inputs = None,
    weights: options.Weights = None,
    metric: options.Metric = None,
    direction: options.Direction = None,
    batch_size: options.BatchSize = None,
    threads: options.Threads = None,
    trust_pickle: options.TrustPickle = False,
    json: options.Json = False,
) -> None:
    """Measure one model, or an exported candidate's folder, as a search would."""
    from hamerspace.cli.console import console, print_json
    from hamerspace.cli.target import study_of
    from hamerspace.search.benchmark import (
        benchmark_candidate,
        benchmark_study,
        is_candidate,
    )

    folder = Path(target)
    if is_candidate(folder):
        flags = {"input": inputs, "weights": weights, "metric": metric, "direction": direction}
        options.refuse(f"{folder} is one that was exported, which is timed as it is", **flags)
        result = benchmark_candidate(
            folder,
            None if data is None else Path(data),
            1 if batch_size is None else batch_size,
            1 if threads is None else threads,
        )
    else:
        study = study_of(
            target,
            inputs=inputs,
            trust_pickle=trust_pickle,
            data=data,
            weights=weights,
            metric=metric,
            direction=direction,
            batch_size=batch_size,
            threads=threads,
        )
        result = benchmark_study(study.loaded)
    if json:
        print_json(
            {
                "backend": result.backend,
                "measurement": result.measurement.to_dict(),
                "metric": result.metric,
                "environment": result.environment,
                "notes": list(result.notes),
            }
        )
        return
    from rich.table import Table

    table = Table(box=None, show_header=False, pad_edge=False)
    for name, value in _rows(result.measurement, result.metric):
        table.add_row(name, value)
    out = console()
    for note in result.notes:
        out.print(f"note: {note}", style="yellow", highlight=False)
    out.print(f"runs on {result.backend}; {result.environment['processor']}", highlight=False)
    out.print(table)


def _rows(measurement: "Measurement", metric: str | None) -> list[tuple[str, str]]:
    latency, quality = measurement.latency, measurement.quality
    rows = [
        ("size", f"{measurement.size_mb:.3f} MB"),
        ("load time", f"{measurement.load_time_ms:.1f} ms"),
        ("peak memory over the runtime", f"{measurement.peak_memory_mb:.1f} MB"),
    ]
    if latency is not None:
        p99 = "too few runs" if latency.p99_ms is None else f"{latency.p99_ms:.3f} ms"
        rows += [
            ("latency p50", f"{latency.p50_ms:.3f} ms"),
            ("latency p90", f"{latency.p90_ms:.3f} ms"),
            ("latency p99", p99),
            ("CPU time p50", f"{latency.cpu_p50_ms:.3f} ms"),
            ("CPU time p90", f"{latency.cpu_p90_ms:.3f} ms"),
            ("wall over CPU time", f"{latency.wall_over_cpu:.2f}"),
            ("throughput", f"{latency.throughput_per_s:,.0f} per second"),
            (
                "noise (itself beside itself)",
                f"{latency.ratio.low:.3f} to {latency.ratio.high:.3f}, {latency.runs:,} runs",
            ),
        ]
    if quality is not None:
        rows.append((metric or "quality", f"{quality.value:.4f} on {quality.rows:,} rows"))
    return rows
