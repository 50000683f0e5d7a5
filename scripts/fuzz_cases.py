"""The cases of fuzz.py: hostile models, data, YAML, JSON, names, run folders, storages."""

import contextlib
import json
import os
import random
import runpy
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

_KINDS = {"backend": ["onnxruntime"], "onnxruntime.quantization": ["none", "dynamic_int8"]}
SPACE = {"version": 1, "name": "small", "parameters": _KINDS}
COLUMNS = """
trial_user_attributes.value_json trial_user_attributes.value_json trial_user_attributes.key
trial_system_attributes.value_json trial_params.distribution_json trial_params.param_value
trial_values.value trials.state study_directions.direction studies.study_name
"""


@dataclass
class Case:
    """One case while it is made: its draws, its folder, and what is to be run in it."""

    rng: random.Random
    folder: Path
    seed_run: Path
    arguments: list[str] = field(default_factory=list)
    may_write: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    after: Callable[["Case"], None] = lambda _: None

    def __post_init__(self) -> None:
        self.work = self.folder / "work"
        self.mark = str(self.folder / "elsewhere" / "ran")  # only code from the input makes it
        for name in ("work", "elsewhere", "own/tmp"):
            (self.folder / name).mkdir(parents=True)
        (self.folder / "elsewhere" / "precious").write_text("kept")

    def copy(self, name: str) -> Path:
        """A file or folder of the finished run's surroundings, to be damaged here."""
        source, target = self.seed_run.parent / name, self.work / Path(name).name
        if not source.is_dir():
            return shutil.copyfile(source, target)
        # What SQLite has beside a storage while a case beside this one looks at it.
        return shutil.copytree(source, target, ignore=shutil.ignore_patterns("*-shm", "*-wal"))

    def code(self) -> str:
        """Text that is code somewhere."""
        mark = self.mark
        return self.rng.choice(
            [
                f'"""; open({mark!r}, "w"); """',
                f"'); open('{mark}', 'w'); ('",
                f"x\nimport pathlib; pathlib.Path({mark!r}).touch()\n",
                f"{{{{ cycler.__init__.__globals__.os.system('touch {mark}') }}}}",
                f"$(touch {mark})`touch {mark}`; touch {mark}",
                f"!!python/object/apply:os.system ['touch {mark}']",
            ]
        )

    def text(self) -> str:
        """Text that is code, a path or an escape sequence somewhere."""
        return self.rng.choice(
            [
                *(self.code() for _ in range(6)),
                "\x1b]0;owned\x07\x1b[31mred",
                "```\n# heading <script>alert(1)</script>",
                "../../elsewhere/precious",
                self.mark,
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
        layers = [{"layer": "x", "error": 1}]
        rank = {"k": {"parameters": {"backend": "openvino"}, "layers": layers}}
        (run / "sensitivity.json").write_text(json.dumps(case.twist(rank)))
    _look_at(case)


def storages(case: Case) -> None:
    run = case.copy("run")
    if case.rng.random() < 0.3:
        case.damage(run / "study.db")
    else:
        with contextlib.closing(sqlite3.connect(run / "study.db")) as database, database:
            table, column = case.rng.choice(COLUMNS.split()).split(".")
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
    case.may_write, case.after = ("report.html", "out.md", "out.html", "run", "out"), predict
    commands = ["show run", "show run --json", f"compare run {case.seed_run}"]
    commands += ["report run --output out.html --markdown out.md"]
    commands += [f"export run --output out --trial {case.rng.choice(['0', '99'])}"]
    case.arguments = case.rng.choice(commands).split()


def goods(case: Case) -> None:
    """Nothing is wrong, but for what the tensors are called."""
    case.may_write, case.after = ("out", "run"), predict
    if case.rng.random() < 0.5:
        case.copy("run")
        case.arguments = ["export", "run", "--trial", case.rng.choice("01"), "--output", "out"]
    else:
        recipe, name = case.copy("best/recipe.json").name, model(case, case.text(), case.text())
        case.arguments = ["apply", recipe, name, "--output", "out"]


def predict(case: Case) -> None:
    """Run what was exported, as its owner would."""
    folder = case.work / "out"
    names = [each["name"] for each in json.loads((folder / "manifest.json").read_text())["inputs"]]
    run = runpy.run_path(str(folder / "predict.py"))["load"](folder)
    (found,) = run({name: np.ones((5, 4), np.float32) for name in names}).values()
    assert found.shape == (5, 3)


def run_task(case: Case) -> None:
    """Run the code that ``init`` wrote."""
    folder = case.work / "out"
    yaml.safe_load((folder / "study.yaml").read_text(encoding="utf-8"))
    if (folder / "task.py").is_file():
        runpy.run_path(str(folder / "task.py"))


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
    if case.rng.random() < 0.7:  # timing one that is whole takes seconds
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
    rng = case.rng
    odd = {
        "inputs": case.text() if rng.random() < 0.5 else "x",
        "outputs": case.text() if rng.random() < 0.3 else "y",
        "kind": rng.choice([TensorProto.FLOAT, TensorProto.FLOAT, TensorProto.STRING, 99, 0]),
        "shape": rng.choice([["n", 4], [1, 4], [], [0, 4], [2**40, 4], [-1, 4], [case.text(), 4]]),
        "operator": rng.choice([*["MatMul"] * 3, "Nonsense", "Loop", "SplitToSequence"]),
        "opset": rng.choice([18, 18, 18, 1, 99999]),
        "outside": rng.random() < 0.1,
    }
    name = model(case, **(odd if rng.random() < 0.7 else {}))
    if case.rng.random() < 0.4:
        case.damage(case.work / name)
    if case.rng.random() < 0.1:
        name = "model.pt"
        with zipfile.ZipFile(case.work / name, "w") as archive:
            archive.writestr("m/data.pkl", _pickle(case))
            archive.writestr("m/version", "3\n")
    verb = case.rng.choice(["init", "init", "plan", "search"])
    (case.work / "space.yaml").write_text(yaml.safe_dump(SPACE))
    search = ["--trials", "1", "--space", "./space.yaml", "--out", "run"]
    more = {"init": ["--output", "out"], "plan": [], "search": search}[verb]
    case.arguments, case.may_write, case.after = [verb, name, *more], ("out", "run"), run_task


def _pickle(case: Case) -> bytes:
    return f"cos\nsystem\n(S'touch {case.mark}'\ntR.".encode()


def data(case: Case) -> None:
    model(case)
    path = arrays(case, case.text() if case.rng.random() < 0.2 else "x")
    kind = case.rng.randrange(6)
    if kind == 0:
        case.damage(path)
    elif kind < 3:
        shape = case.rng.choice(["(40000000000, 4)", "(-4, 4)", "4", "()", f"{case.text()!r}"])
        kinds = [("<f4", shape, bytes(640)), ("|O", "(40,)", _pickle(case))]
        descr, shape, values = kinds[kind - 1]
        header = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}".ljust(117)
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("x.npy", b"\x93NUMPY\x01\x00v\x00" + f"{header}\n".encode() + values)
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
    case.may_write, case.after = ("study", name, Path(name).stem, "out"), run_task
    if verb == "init":
        case.arguments = [verb, name, "--output", "out"]


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
    commands = ["show run", "spaces", f"plan {model(case)}", "show run --json", "schema"]
    case.arguments = case.rng.choice(commands).split()
    case.may_write = ("run",)


FAMILIES: dict[str, tuple[int, Callable[[Case], None]]] = {
    "run folders": (22, run_folders),
    "storages": (15, storages),
    "goods": (14, goods),
    "recipes": (8, recipes),
    "manifests": (8, manifests),
    "studies": (14, studies),
    "models": (8, models),
    "data": (6, data),
    "names": (11, names),
    "surroundings": (5, surroundings),
}


def model(case: Case, inputs: str = "x", outputs: str = "y", **odd: Any) -> str:
    """Write ``model.onnx``, a matrix product but for what is ``odd``, and return that name."""
    shape = odd.get("shape", ("n", 4))
    weight = numpy_helper.from_array(np.ones((4, 3), np.float32), "w")
    if odd.get("outside"):
        weight.ClearField("raw_data")
        weight.data_location = TensorProto.EXTERNAL
        entry = weight.external_data.add()
        entry.key, entry.value = "location", case.rng.choice(["../elsewhere/precious", case.mark])
    texts = [text.encode("utf-8", "ignore").decode() for text in (inputs, outputs)]
    graph = helper.make_graph(
        [
            helper.make_node(
                odd.get("operator", "MatMul"), [texts[0], "w"], [texts[1]], name=texts[0]
            )
        ],
        "g",
        [helper.make_tensor_value_info(texts[0], odd.get("kind", TensorProto.FLOAT), shape)],
        [helper.make_tensor_value_info(texts[1], TensorProto.FLOAT, [*shape[:1], 3])],
        [weight],
    )
    opsets = [helper.make_opsetid("", odd.get("opset", 18))]
    made = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    (case.work / "model.onnx").write_bytes(made.SerializeToString())
    return "model.onnx"


def arrays(case: Case, name: str = "x") -> Path:
    path = case.work / "data.npz"
    savez(path, {name: np.ones((40, 4), np.float32)})
    return path


def savez(path: Path, arrays: dict[str, Any]) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name or 'x'}.npy".replace("\0", ""), "w") as stream:
                np.save(stream, array)
