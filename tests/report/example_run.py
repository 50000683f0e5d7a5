"""A realistic run: a ResNet-8 on Fashion-MNIST, 40 trials over three runtimes."""

import random
from dataclasses import replace

from hamerspace.outcome.confirmed import Confirmed
from hamerspace.outcome.interval import Interval
from hamerspace.outcome.measurement import Gate, Latency, Measurement, Quality
from hamerspace.outcome.record import Evaluation, Record
from hamerspace.outcome.trial import Trial
from hamerspace.quantities import Metric
from hamerspace.recipe import Recipe
from hamerspace.report import Miss, Nearest, RunData, SourceRecord
from hamerspace.space.describe import recipe_label

LIMITS = {"max_size_mb": 1.0, "max_latency_ms": 0.6, "max_accuracy_drop": 1.0}
SOURCE = {
    "quality": 0.921,
    "drop_points": 0.0,
    "latency_ms": 1.21,
    "latency_low_ms": 1.18,
    "latency_high_ms": 1.24,
    "latency_ratio": 1.0,
    "size_mb": 1.26,
    "memory_mb": 48.2,
    "throughput_per_s": 826.0,
    "load_time_ms": 12.0,
}
# quantization: (latency over eager, size over fp32, drop in points)
EFFECTS = {
    "onnxruntime": {
        "none": (0.19, 1.0, 0.0),
        "dynamic": (1.35, 0.25, 0.2),
        "static": (0.07, 0.27, 0.12),
        "fp16": (0.19, 0.5, 0.0),
    },
    "openvino": {
        "none": (0.26, 1.0, 0.0),
        "bf16": (0.143, 1.0, 0.1),
        "int8": (0.096, 0.3, 0.15),
        "weights_int8": (0.247, 0.3, 0.0),
    },
    "pytorch": {
        "none": (0.59, 1.0, 0.0),
        "bf16": (0.73, 0.5, 0.1),
        "static": (0.25, 0.4, 0.2),
    },
}
PRUNING = {
    0.0: (1.0, 1.0, 0.0),
    0.1: (0.92, 0.8, 0.3),
    0.2: (0.84, 0.63, 0.8),
    0.3: (0.76, 0.47, 1.6),
    0.5: (0.28, 0.25, 5.5),
    0.7: (0.16, 0.08, 30.0),
}


def measured(values, ended_at="complete", reason="", seconds=None):
    """A measurement with these of its figures."""

    def interval(key, low, high):
        found = values.get(key)
        known = [found if values.get(end) is None else values[end] for end in (low, high)]
        return None if found is None else Interval(found, *known)

    latency = quality = None
    if values.get("latency_ms") is not None:
        latency_ms = interval("latency_ms", "latency_low_ms", "latency_high_ms")
        ratio = interval("latency_ratio", "latency_ratio_low", "latency_ratio_high")
        ms, per_s = latency_ms.estimate, values.get("throughput_per_s")
        latency = Latency(ratio, latency_ms, ms, ms, ms, ms, ms, 100, 10, 1.0, "wall", per_s)
    if values.get("drop_points") is not None or values.get("quality") is not None:
        drop = interval("drop_points", "drop_low", "drop_high")
        quality = Quality(values.get("quality"), SOURCE["quality"], drop, 100, 100)
    return Measurement(
        Gate.QUALITY if ended_at == "load" else Gate(ended_at),
        reason,
        failed=ended_at in ("build", "load"),
        size_mb=values.get("size_mb"),
        download_mb=values.get("download_mb"),
        load_time_ms=values.get("load_time_ms"),
        peak_memory_mb=values.get("memory_mb"),
        latency=latency,
        quality=quality,
        seconds={k: v for k, v in (seconds or {}).items() if k not in ("build", "overhead")},
    )


def finished(
    number,
    label,
    parameters,
    ended_at="complete",
    *,
    reason="",
    feasible=True,
    origin="sampled",
    values=None,
    violations=None,
    seconds=None,
    started_s=0.0,
    default_of="",
    choices=None,
    lent_by=None,
):
    """A trial that tells what is given."""
    reused, seconds = ended_at == "reused", seconds or {}
    found = measured(values or {}, "complete" if reused else ended_at, reason, seconds)
    built = {"all": seconds["build"]} if "build" in seconds else {}
    record = Record(
        Evaluation(Recipe(parameters), found, built),
        origin,
        violations or {},
        {},
        () if feasible else ("quality",),
        lent_by,
        started_s,
        started_s + sum(seconds.values()),
        default_of,
    )
    return Trial(number, label, record, parameters if choices is None else choices)


def changed(trial, **changes):
    """The trial, telling something else."""
    told = "number label parameters ended_at reason feasible origin values violations seconds"
    told += " started_s default_of choices"
    same = {name: getattr(trial, name) for name in told.split()}
    return finished(**same | {"lent_by": trial.record.reused_from} | changes)


def _parameters(rng, number):
    backends = list(EFFECTS)
    if number < len(backends):
        return {"backend": backends[number], f"{backends[number]}.quantization": "none"}, 0.0
    backend = rng.choice(backends)
    ratio = rng.choice(list(PRUNING))
    values = {
        "backend": backend,
        f"{backend}.quantization": rng.choice(list(EFFECTS[backend])),
        "prune.ratio": ratio,
    }
    if ratio:
        values["recover.method"] = rng.choice(["finetune", "distill"])
    if backend == "onnxruntime":
        values["onnxruntime.optimization_level"] = rng.choice(["basic", "all"])
    return values, ratio


def _trial(number, rng, clock, seen):
    parameters, ratio = _parameters(rng, number)
    recipe = Recipe(parameters)
    origin = "baseline" if number < 3 else "known" if number < 9 else "sampled"
    common = {
        "number": number,
        "label": recipe_label(recipe),
        "parameters": parameters,
        "origin": origin,
        "started_s": clock,
    }
    if recipe.id in seen:
        first = seen[recipe.id]
        lent = {"ended_at": "reused", "started_s": clock, "lent_by": first.number}
        lent["seconds"] = {"overhead": 0.1}
        return changed(first, number=number, **lent)
    if number in (11, 23):
        return finished(
            **common,
            ended_at="build",
            reason="INVALID_GRAPH: per-channel QDQ needs opset 13, the model has 12",
            feasible=False,
            violations={"builds": 1.0},
            seconds={"build": 4.1, "overhead": 0.1},
        )
    quantization = parameters[f"{recipe.backend}.quantization"]
    latency, size, drop = EFFECTS[recipe.backend][quantization]
    latency *= PRUNING[ratio][0] * rng.uniform(0.97, 1.03)
    size *= PRUNING[ratio][1]
    drop += PRUNING[ratio][2] * rng.uniform(0.8, 1.2) + rng.uniform(-0.15, 0.15)
    return _measured(common, rng, latency, size, drop, 9.0 if ratio else 1.2)


def _measured(common, rng, latency, size, drop, build_s):
    values = {"size_mb": SOURCE["size_mb"] * size}
    seconds = {"build": build_s * rng.uniform(0.7, 1.3), "size": 0.01, "overhead": 0.15}
    ended, reason = "complete", "keeps all limits"
    violations = {"max_size_mb": values["size_mb"] / 1.0 - 1}
    if violations["max_size_mb"] > 0 and common["origin"] != "baseline":
        ended, reason = "size", f"{values['size_mb']:.2f} MB, at most 1 MB"
    else:
        values["latency_ms"] = SOURCE["latency_ms"] * latency
        values["latency_ratio"] = latency
        violations["max_latency_ms"] = values["latency_ms"] / 0.6 - 1
        seconds |= {"load": 0.3, "latency": 1.1}
        if violations["max_latency_ms"] > 0 and common["origin"] != "baseline":
            ended, reason = "latency", f"{values['latency_ms']:.2f} ms, at most 0.6 ms"
    if ended == "complete":
        low, high = values["latency_ms"] * 0.98, values["latency_ms"] * 1.02
        values |= {"latency_low_ms": low, "latency_high_ms": high}
        values |= {"drop_points": drop, "drop_low": drop - 0.45, "drop_high": drop + 0.45}
        values["quality"] = SOURCE["quality"] - drop / 100
        violations["max_accuracy_drop"] = drop - 1
        seconds["quality"] = 0.8
        if drop > 1.4:
            ended, reason = "quality", f"drop {drop:.1f} points, at most 1"
        else:
            values["memory_mb"] = 6 + 9 * size
            values["throughput_per_s"] = 1000 / values["latency_ms"]
            values["load_time_ms"] = 4 + 20 * latency
            seconds |= {"quality": 3.2, "latency": 4.3, "memory": 0.4}
    feasible = ended == "complete" and all(v <= 0 for v in violations.values())
    if ended == "complete" and not feasible:
        reason = "misses " + ", ".join(k for k, v in violations.items() if v > 0)
    return finished(
        **common,
        ended_at=ended,
        reason=reason,
        feasible=feasible,
        values=values,
        violations=violations,
        seconds=seconds,
    )


def _trials(count):
    rng = random.Random(4)
    clock, seen, trials = 0.0, {}, []
    for number in range(count):
        trial = _trial(number, rng, clock, seen)
        clock = trial.finished_s
        seen.setdefault(trial.recipe_id, trial)
        trials.append(trial)
    return tuple(trials)


def example_run(count=40):
    """A run with a winner, two other confirmed candidates and one warning."""
    trials = _trials(count)
    feasible = sorted((t for t in trials if t.feasible), key=lambda t: t.values["latency_ms"])
    best = {t.recipe_id: t for t in reversed(feasible)}
    chosen = sorted(best.values(), key=lambda t: t.values["latency_ms"])[:3]
    fates = ["kept", "not shown", "missed"]
    confirmed = tuple(
        Confirmed(
            t.number,
            t.recipe_id,
            measured({**t.values, "drop_low": t.values["drop_points"] - 0.4}),
            {**dict.fromkeys(LIMITS, "kept"), "max_accuracy_drop": fate},
        )
        for t, fate in zip(chosen, fates, strict=False)
    )
    return RunData(
        name="fashion-mnist",
        source=SourceRecord(
            "resnet8 (PyTorch, fp32)",
            SOURCE,
            {**SOURCE, "quality": 0.9185},
            {
                "format": "pytorch",
                "parameters": "310,000",
                "inputs": "image: float32[?, 1, 28, 28]",
            },
        ),
        metric=Metric("accuracy"),
        trials=trials,
        confirmed=confirmed,
        chosen=confirmed[0].number if confirmed else None,
        constraints=LIMITS,
        confirm_rows=4000,
        warnings=("The host was busy during 3 of 40 trials: latencies rest on CPU time.",),
        environment={
            "hamerspace": "0.1.0",
            "processor": "x86_64, 2 cores, avx512_vnni",
            "threads": "1",
            "batch size": "1",
            "python": "3.11.9",
            "onnxruntime": "1.32.0",
            "openvino": "2026.4.1",
        },
        command="hamerspace run studies/fashion-mnist/study.yaml --seed 0",
        stopped_because="the budget of 40 trials is spent",
    )


def infeasible_run():
    """A run in which nothing keeps the limits."""
    run = example_run()
    limits = {"max_size_mb": 0.02, "max_latency_ms": 0.6, "max_accuracy_drop": 1.0}
    trials = tuple(changed(t, feasible=False) for t in run.trials)
    near = sorted(
        (t for t in trials if t.ended_at == "complete"), key=lambda t: t.values["size_mb"]
    )[:3]
    return replace(
        run,
        trials=trials,
        constraints=limits,
        confirmed=(),
        nearest=tuple(
            Nearest(t.label, t.number, {"max_size_mb": Miss(t.values["size_mb"], 0.02)})
            for t in near
        ),
    )
