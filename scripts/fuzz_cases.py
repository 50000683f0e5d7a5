"""The cases of fuzz.py: hostile models, data, YAML, JSON, names, run folders, storages."""

import contextlib
import io
import json
import os
import random
import shutil
import sqlite3
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from onnx import TensorProto, helper, numpy_helper

SPACE = {
    "version": 1,
    "name": "small",
    "parameters": {
        "backend": ["onnxruntime"],
        "onnxruntime.quantization": ["none", "dynamic_int8"],
    },
}


@dataclass
class Case:
    """One case while it is made: its draws, its folder, and what is to be run in it."""

    rng: random.Random
    folder: Path
    seed_run: Path
    arguments: list[str] = field(default_factory=list)
    may_write: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    runs_task: bool = False

    @property
    def work(self) -> Path:
        return self.folder / "work"

    @property
    def mark(self) -> str:
        """A file that only code from the input would make."""
        return str(self.folder / "elsewhere" / "ran")

    def copy(self, name: str) -> Path:
        """A file or folder of the finished run's surroundings, to be damaged here."""
        source, target = self.seed_run.parent / name, self.work / Path(name).name
        shutil.copytree(source, target) if source.is_dir() else shutil.copyfile(source, target)
        return target

    def text(self) -> str:
        """Text that is code, a path or an escape sequence somewhere."""
        mark = self.mark
        return self.rng.choice(
            [
                f'"""; open({mark!r}, "w"); """',
                f"'); open('{mark}', 'w'); ('",
                f"x\nimport pathlib; pathlib.Path({mark!r}).touch()\n",
                f"{{{{ cycler.__init__.__globals__.os.system('touch {mark}') }}}}",
                f"$(touch {mark})`touch {mark}`; touch {mark}",
                f"!!python/object/apply:os.system ['touch {mark}']",
                "\x1b]0;owned\x07\x1b[31mred",
                "```\n# heading <script>alert(1)</script>",
                "../../elsewhere/precious",
                mark,
                *("", " ", "\0", "-", "--help", "a/b:0", "é\u202e\ud7ff", "no", "1e3", "x" * 3000),
                "%s%n{0}{x!r}",
            ]
        )

    def value(self) -> Any:
        """A JSON value of any kind."""
        deep: Any = []
        for _ in range(self.rng.randrange(60)):
            deep = [deep] if self.rng.random() < 0.5 else {"a": deep}
        plain = [None, True, False, 0, -1, 1, 2.5, -1e308, 10**30, 1e999, float("nan"), {}, []]
        return self.rng.choice([*plain, deep, self.text(), [self.text()], {self.text(): 1}])

    def damage(self, path: Path) -> None:
        """Replace bytes of a file, or the file by something else."""
        rng, data = self.rng, bytearray(path.read_bytes())
        kind = rng.randrange(9)
        if kind < 3 and data:
            for _ in range(rng.randrange(1, 8)):
                data[rng.randrange(len(data))] = rng.randrange(256)
        elif kind == 3:
            del data[rng.randrange(len(data) + 1) :]
        elif kind == 4:
            at = rng.randrange(len(data) + 1)
            data[at:at] = rng.choice([b"\xff\xfe", b"\0" * 99, b"[" * 99_999, self.text().encode()])
        elif kind == 5 and len(data) > 1:
            start = rng.randrange(len(data))
            data[start:start] = data[start : start + rng.randrange(1, 4096)]
        else:
            path.unlink()
            if kind == 6:
                path.symlink_to(rng.choice(["/dev/zero", "/dev/null", "/", "nowhere", path.name]))
            elif kind == 7:
                path.mkdir()
            elif kind == 8:
                os.mkfifo(path)
            if kind > 5:
                return
        path.write_bytes(data)

    def twist(self, value: Any) -> Any:
        """Change a value somewhere within: another kind, a key less, a key more."""
        rng, at = self.rng, value
        while isinstance(at, dict | list) and at:
            key = rng.choice(list(at) if isinstance(at, dict) else range(len(at)))
            if isinstance(at[key], dict | list) and at[key] and rng.random() < 0.8:
                at = at[key]
                continue
            action = rng.randrange(6)
            if action == 0:
                del at[key]
            elif action == 1 and isinstance(at, dict):
                at[self.text()] = at[key]
            elif action == 2 and isinstance(at, list):
                at.append(at[key])
            else:
                at[key] = self.value()
            return value
        return self.value()

    def spoil_json(self, path: Path) -> None:
        if self.rng.random() < 0.25:
            self.damage(path)
            return
        value = json.loads(path.read_text())
        for _ in range(self.rng.choice([1, 1, 1, 3])):
            value = self.twist(value)
        path.write_text(json.dumps(value))


def run_folders(case: Case) -> None:
    run = case.copy("run")
    for name in case.rng.sample(["run", "facts", "result", "source"], case.rng.choice([1, 1, 2])):
        if (run / f"{name}.json").is_file():
            case.spoil_json(run / f"{name}.json")
    if case.rng.random() < 0.2:
        rank = {
            "k": {"parameters": {"backend": "openvino"}, "layers": [{"layer": "x", "error": 1}]}
        }
        (run / "sensitivity.json").write_text(json.dumps(case.twist(rank)))
    _look_at(case)


def storages(case: Case) -> None:
    run = case.copy("run")
    if case.rng.random() < 0.3:
        case.damage(run / "study.db")
    else:
        with contextlib.closing(sqlite3.connect(run / "study.db")) as database, database:
            table, column = case.rng.choice(
                [
                    ("trial_user_attributes", "value_json"),
                    ("trial_user_attributes", "value_json"),
                    ("trial_user_attributes", "key"),
                    ("trial_system_attributes", "value_json"),
                    ("trial_params", "distribution_json"),
                    ("trial_params", "param_value"),
                    ("trial_values", "value"),
                    ("trials", "state"),
                    ("study_directions", "direction"),
                    ("studies", "study_name"),
                ]
            )
            rows = database.execute(f"SELECT rowid, {column} FROM {table}").fetchall()  # noqa: S608
            rowid, text = case.rng.choice(rows)
            with contextlib.suppress(TypeError, ValueError):
                inner = json.loads(text)
                record = isinstance(inner, str) and inner.startswith("{")
                twisted = case.twist(json.loads(inner) if record else inner)
                text = json.dumps(json.dumps(twisted) if record else twisted)
            text = case.text() if case.rng.random() < 0.2 else text
            with contextlib.suppress(sqlite3.Error):
                database.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", (text, rowid))  # noqa: S608
    _look_at(case)


def _look_at(case: Case) -> None:
    case.may_write = ("report.html", "out.md", "out.html", "run")
    case.arguments = case.rng.choice(
        [
            ["show", "run"],
            ["show", "run", "--json"],
            ["compare", "run", str(case.seed_run)],
            ["report", "run", "--output", "out.html", "--markdown", "out.md"],
            ["export", "run", "--output", "out.md", "--trial", "99"],
        ]
    )


def recipes(case: Case) -> None:
    path = case.copy("best/recipe.json")
    value = json.loads(path.read_text())
    value["parameters"][case.rng.choice(["backend", "prune.ratio", case.text()])] = case.value()
    path.write_text(json.dumps(value))
    case.spoil_json(path)
    case.arguments = ["apply", path.name, model(case), "--output", "out"]
    case.may_write = ("out",)


def manifests(case: Case) -> None:
    best = case.copy("best")
    value = json.loads((best / "manifest.json").read_text())
    # Timing one that is whole takes seconds.
    value["files"].append(case.rng.choice(["../../elsewhere/precious", case.mark, "absent"]))
    (best / "manifest.json").write_text(json.dumps(value))
    case.spoil_json(best / "manifest.json")
    case.arguments = ["benchmark", "best", "--threads", str(case.rng.choice([1, 0, 10**7]))]


def studies(case: Case) -> None:
    model(case), arrays(case)
    which = case.rng.choice(["study.yaml", "space.yaml"])
    study = {
        "name": "x",
        "task": {"source": {"path": "model.onnx"}, "data": {"path": "data.npz"}},
        "space": "space.yaml",
        "constraints": {"max_accuracy_drop": 1},
        "budget": {"trials": 2},
        "objectives": ["latency"],
    }
    for name, value in (("study.yaml", study), ("space.yaml", json.loads(json.dumps(SPACE)))):
        twisted = case.twist(value) if name == which else value
        (case.work / name).write_text(yaml.safe_dump(twisted), encoding="utf-8")
    if case.rng.random() < 0.4:
        case.damage(case.work / which)
    case.arguments = ["plan", "study.yaml"]


def models(case: Case) -> None:
    name = model(case, **_odd_model(case))
    if case.rng.random() < 0.4:
        case.damage(case.work / name)
    if case.rng.random() < 0.1:
        name = "model.pt"
        with zipfile.ZipFile(case.work / name, "w") as archive:
            archive.writestr("m/data.pkl", f"cos\nsystem\n(S'touch {case.mark}'\ntR.".encode())
            archive.writestr("m/version", "3\n")
    if case.rng.random() < 0.5:
        case.arguments, case.may_write = ["init", name, "--output", "out"], ("out",)
        case.runs_task = True
    else:
        case.arguments = ["plan", name]


def _odd_model(case: Case) -> dict[str, Any]:
    rng = case.rng
    return {
        "inputs": case.text() if rng.random() < 0.5 else "x",
        "outputs": case.text() if rng.random() < 0.3 else "y",
        "kind": rng.choice([TensorProto.FLOAT, TensorProto.FLOAT, TensorProto.STRING, 99, 0]),
        "shape": rng.choice([["n", 4], [1, 4], [], [0, 4], [2**40, 4], [-1, 4], [case.text(), 4]]),
        "operator": rng.choice(
            ["MatMul", "MatMul", "MatMul", "Nonsense", "Loop", "SplitToSequence"]
        ),
        "opset": rng.choice([18, 18, 18, 1, 99999]),
        "outside": rng.random() < 0.1,
    }


def data(case: Case) -> None:
    model(case)
    path = arrays(case, case.text() if case.rng.random() < 0.2 else "x")
    kind = case.rng.randrange(6)
    if kind == 0:
        case.damage(path)
    elif kind == 1:
        shape = case.rng.choice(["(40000000000, 4)", "(-4, 4)", "4", "()", f"{case.text()!r}"])
        header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("x.npy", b"\x93NUMPY\x01\x00v\x00" + header.encode() + bytes(640))
    elif kind == 2:
        code = f"cos\nsystem\n(S'touch {case.mark}'\ntR.".encode()
        head = b"{'descr': '|O', 'fortran_order': False, 'shape': (40,), }".ljust(117) + b"\n"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("x.npy", b"\x93NUMPY\x01\x00v\x00" + head + code)
    elif kind > 3:
        dtypes = ["f4", "f8", ">f4", "f2", "i8", "O", "U3", "c8", "M8[s]", "b1", "f4,i4"]
        shapes: list[tuple[int, ...]] = [(40, 4), (0, 4), (), (40,), (40, 5), (1, 4), (40, 4, 1)]
        odd = {}
        for name in ("x", case.rng.choice(["labels", "train/x", "nonsense/x", case.text()])):
            array = np.zeros(case.rng.choice(shapes), case.rng.choice(dtypes))
            if array.dtype.kind == "f":
                array[...] = case.rng.choice([1, np.nan, np.inf, 3e38])
            odd[name] = array
        with contextlib.suppress(ValueError, TypeError, OSError):
            savez(path, odd)
    case.arguments = ["plan", "model.onnx", "--data", path.name]


def names(case: Case) -> None:
    odd = case.text().replace("/", "_").replace("\0", "")[:200].encode("utf-8", "ignore")
    odd = case.rng.choice([odd, b"\xff\xfe.onnx", b"a\nb.onnx", odd + b".onnx", odd + b".yaml"])
    name = os.fsdecode(odd) or "x"
    model(case).encode()
    with contextlib.suppress(OSError):
        (case.work / "model.onnx").rename(case.work / name)
    flags = ["--input", "--data", "--space", "--backends", "--output-name", "--metric", "--goal"]
    more = [case.rng.choice(flags), case.text().replace("\0", "")] * (case.rng.random() < 0.6)
    verb = case.rng.choice(["plan", "show", "init", "benchmark", "spaces", "report", "search"])
    # A search or timing that goes well takes seconds: these are given what cannot.
    hopeless = {"search": ["--trials", "0"], "benchmark": ["--batch-size", "0"]}.get(verb, [])
    case.arguments = [verb, name, *more, *hopeless]
    case.may_write = ("study", name, Path(name).stem)
    if verb == "init":
        case.arguments, case.may_write = [verb, name, "--output", "out"], ("out",)
        case.runs_task = True


def surroundings(case: Case) -> None:
    case.copy("run")
    case.environment = case.rng.choice(
        [
            {"COLUMNS": case.rng.choice(["0", "1", "-1", "9" * 30, "wide"])},
            {"LANG": "C", "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
            {"HAMERSPACE_HISTORY": case.rng.choice([str(case.work), "/dev/null", case.mark, ""])},
            {"HAMERSPACE_CACHE": case.rng.choice(["/dev/null", "/proc/x"])},
            {"TERM": "dumb", "NO_COLOR": "1"},
            {"TMPDIR": "/nowhere"},
        ]
    )
    case.arguments = case.rng.choice(
        [["show", "run"], ["spaces"], ["plan", model(case)], ["show", "run", "--json"], ["schema"]]
    )
    case.may_write = ("run",)


FAMILIES: dict[str, tuple[int, Callable[[Case], None]]] = {
    "run folders": (25, run_folders),
    "storages": (15, storages),
    "recipes": (8, recipes),
    "manifests": (8, manifests),
    "studies": (14, studies),
    "models": (8, models),
    "data": (6, data),
    "names": (11, names),
    "surroundings": (5, surroundings),
}


def model(
    case: Case,
    inputs: str = "x",
    outputs: str = "y",
    kind: int = TensorProto.FLOAT,
    shape: Any = ("n", 4),
    operator: str = "MatMul",
    opset: int = 18,
    outside: bool = False,
) -> str:
    weight = numpy_helper.from_array(np.ones((4, 3), np.float32), "w")
    if outside:
        weight.ClearField("raw_data")
        weight.data_location = TensorProto.EXTERNAL
        entry = weight.external_data.add()
        entry.key, entry.value = "location", case.rng.choice(["../elsewhere/precious", case.mark])
    texts = [text.encode("utf-8", "ignore").decode() for text in (inputs, outputs)]
    graph = helper.make_graph(
        [helper.make_node(operator, [texts[0], "w"], [texts[1]], name=texts[0])],
        "g",
        [helper.make_tensor_value_info(texts[0], kind, shape)],
        [helper.make_tensor_value_info(texts[1], TensorProto.FLOAT, [*shape[:1], 3])],
        [weight],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)
    (case.work / "model.onnx").write_bytes(made.SerializeToString())
    return "model.onnx"


def arrays(case: Case, name: str = "x") -> Path:
    path = case.work / "data.npz"
    savez(path, {name: np.ones((40, 4), np.float32)})
    return path


def savez(path: Path, arrays: dict[str, Any]) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in arrays.items():
            stream = io.BytesIO()
            np.save(stream, array)
            archive.writestr(f"{name or 'x'}.npy".replace("\0", ""), stream.getvalue())
