"""``hamerspace benchmark``."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from hamerspace._numbers import amount, number, quality
from hamerspace.cli import options
from hamerspace.cli.console import console, plain_table, print_json, print_notes

if TYPE_CHECKING:
    from hamerspace.outcome.measurement import Measurement
    from hamerspace.search.benchmark import BenchmarkResult


@options.of_study(
    *options.TASK,
    *("batch_size", "threads", "trust_pickle"),
    batch_size="The deployment batch size; default: as it was exported, else 1.",
    threads="Threads of one inference; default: as it was exported, else 1.",
)
def benchmark(target: options.Target, *, json: options.Json = False, **given: Any) -> None:
    """Measure one model, or an exported candidate's folder, as a search would."""
    from hamerspace.cli.target import study_of
    from hamerspace.search.benchmark import benchmark_candidate, benchmark_study, is_candidate

    folder = Path(target)
    if is_candidate(folder):
        alike = {name: given[name] for name in ("weights", "metric", "direction")}
        flags = {"input": given["inputs"], **alike, "output-name": given["output"]}
        options.refuse(f"{folder} is one that was exported, which is timed as it is", **flags)
        data = None if given["data"] is None else Path(given["data"])
        result = benchmark_candidate(folder, data, given["batch_size"], given["threads"])
    else:
        result = benchmark_study(study_of(target, given).loaded)
    if json:
        told = {name: value for name, value in vars(result).items() if name != "deployment"}
        print_json({**told, **vars(result.deployment)})
        return
    table = plain_table([], show_header=False)
    for name, value in _rows(result.measurement, result.metric):
        table.add_row(name, value)
    out = console()
    print_notes(out, result.warnings, result.notes)
    out.print(_how(result), highlight=False)
    out.print(table)


def _how(result: "BenchmarkResult") -> str:
    batch, threads = result.deployment.batch_size, result.deployment.threads
    return (
        f"runs on {result.backend}, batch size {batch}, "
        f"{threads} thread{'' if threads == 1 else 's'}; {result.environment['processor']}"
    )


def _rows(measurement: "Measurement", metric: str | None) -> list[tuple[str, str]]:
    latency, judged = measurement.latency, measurement.quality
    rows = [
        ("size", amount("size_mb", measurement.size_mb)),
        ("load time", amount("load_time_ms", measurement.load_time_ms)),
        ("peak memory over the runtime", amount("memory_mb", measurement.peak_memory_mb)),
    ]
    if latency is not None:
        p99 = "too few runs" if latency.p99_ms is None else amount("latency_ms", latency.p99_ms)
        timed = f"{latency.runs:,} runs in {latency.processes} pairs of processes"
        rows += [
            ("latency p50", amount("latency_ms", latency.p50_ms)),
            ("latency p90", amount("latency_ms", latency.p90_ms)),
            ("latency p99", p99),
            ("CPU time p50", amount("latency_ms", latency.cpu_p50_ms)),
            ("CPU time p90", amount("latency_ms", latency.cpu_p90_ms)),
            ("wall over CPU time", number(latency.wall_over_cpu)),
            ("throughput", amount("throughput_per_s", latency.throughput_per_s)),
            (
                "noise (itself beside itself)",
                f"{latency.ratio.low:.3f} to {latency.ratio.high:.3f}, {timed}",
            ),
        ]
    if judged is not None:
        rows.append((metric or "quality", f"{quality(judged.value)} on {judged.rows:,} rows"))
    return rows
