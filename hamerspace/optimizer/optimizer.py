"""The optimizer: from a model, a goal and limits to a study, searched."""

import contextlib
import inspect
from collections.abc import Callable, Collection, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, Self, Unpack

import numpy as np

from hamerspace.build.store import Store
from hamerspace.config.flags import (
    StudyFlags,
    backend_names,
    hardware_flags,
    merged,
    override,
    study_from_flags,
    study_name,
)
from hamerspace.config.loading import load_study
from hamerspace.config.study import LoadedStudy
from hamerspace.constraints import Constraints
from hamerspace.errors import ConfigError
from hamerspace.optimizer import in_memory
from hamerspace.optimizer.given import (
    InputShapes,
    Options,
    declared_inputs,
    flag_of,
    refuse_wrong,
    task_flags,
)
from hamerspace.optimizer.result import OptimizationResult
from hamerspace.optimizer.study_file import write_study_file
from hamerspace.progress import StudyListener
from hamerspace.search.run_folder import RunFolder
from hamerspace.search.suffixes import able_backends, refuse_suffix
from hamerspace.study import Study
from hamerspace.tasks.model import TensorSpec

MakeStudy = Callable[[Path, StudyFlags], LoadedStudy]
"""Makes a study from a folder for what lies in memory, and flags."""

MODEL_FLAGS: StudyFlags = {"space": "auto"}
"""What holds for a model where nothing else is said."""


class OptimizationGoal(StrEnum):
    """Which kind of compression is searched; ``AUTO`` searches all that suit the model."""

    AUTO = "auto"
    QUANTIZE = "quantize"
    PRUNE = "prune"
    DISTILL = "distill"


class Optimizer:
    """Compresses one model. Make one with :meth:`from_pytorch`, :meth:`from_onnx` and so on.

    Args:
        make_study: Makes the study.
        name: Of the study.
        out: Folder of the outputs; default: ``runs/<name>``.
        store: Where build results are kept; default: the user's cache folder.
        writes: Whether making the study writes files into the folder that it is given.
    """

    def __init__(
        self,
        make_study: MakeStudy,
        name: str,
        out: str | Path | None = None,
        store: Store | None = None,
        *,
        writes: bool = False,
    ) -> None:
        self._make_study = make_study
        self._writes = writes
        self._store = store
        self.name = name
        self.out = Path(out or Path("runs") / name).resolve()

    @classmethod
    def from_pytorch(
        cls,
        model: Any,
        input_shape: InputShapes | None = None,
        *,
        weights: str | Path | None = None,
        trust_pickle: bool = False,
        **options: Unpack[Options],
    ) -> Self:
        """Optimize a PyTorch model.

        Args:
            model: A ``torch.nn.Module``, of which a copy is taken as it stands; a file that
                ``torch.export.save`` or ``torch.jit.save`` wrote; ``module:function`` that returns
                a module; or the folder of a Hugging Face model.
            input_shape: Of the only input, batch first, such as ``[1, 3, 224, 224]``; for more
                inputs ``{name: shape}`` or ``{name: (shape, dtype)}``. Needed where neither data
                nor the file tell it. Its batch is the deployment batch size.
            weights: For ``module:function``: ``.safetensors`` or a state dict.
            trust_pickle: Whether a pickled module or checkpoint may be loaded, which can run any
                code.
            options: See :class:`~hamerspace.optimizer.given.Options`.

        Raises:
            ConfigError: An argument is wrong.
        """
        if isinstance(model, str | Path):
            return cls._of(model, input_shape, options, weights=weights, trust_pickle=trust_pickle)
        if not hasattr(model, "state_dict") or not hasattr(model, "forward"):
            raise ConfigError(f"model: a {type(model).__name__} is no torch.nn.Module and no path")
        if hasattr(model, "save_pretrained") and hasattr(model, "config"):
            return cls._of(model, input_shape, options, (), in_memory.save_pretrained)
        names = _arguments(model.forward, _held(input_shape, options))

        def write(module: Any, folder: Path) -> Path:
            example = _example(names, input_shape, options)
            return in_memory.save_torch_module(module, example, folder)

        return cls._of(model, input_shape, options, names, write)

    @classmethod
    def from_onnx(
        cls, model: Any, input_shape: InputShapes | None = None, **options: Unpack[Options]
    ) -> Self:
        """Optimize an ONNX model.

        Args:
            model: A file, or an ``onnx.ModelProto``.
            input_shape: As in :meth:`from_pytorch`.
            options: See :class:`~hamerspace.optimizer.given.Options`.

        Raises:
            ConfigError: An argument is wrong.
        """
        if isinstance(model, str | Path):
            return cls._of(model, input_shape, options)
        if not hasattr(model, "SerializeToString"):
            raise ConfigError(f"model: a {type(model).__name__} is no onnx.ModelProto and no path")
        held = {initializer.name for initializer in model.graph.initializer}
        names = tuple(value.name for value in model.graph.input if value.name not in held)
        return cls._of(model, input_shape, options, names, in_memory.save_onnx)

    @classmethod
    def from_tensorflow(
        cls, model: Any, input_shape: InputShapes | None = None, **options: Unpack[Options]
    ) -> Self:
        """Optimize a Keras or TensorFlow model; :meth:`from_keras` is the same.

        Args:
            model: A ``keras.Model``; a ``.keras``, ``.h5`` or ``.tflite`` file; or the folder of a
                SavedModel.
            input_shape: As in :meth:`from_pytorch`.
            options: See :class:`~hamerspace.optimizer.given.Options`.

        Raises:
            ConfigError: An argument is wrong.
        """
        if isinstance(model, str | Path):
            return cls._of(model, input_shape, options)
        if not hasattr(model, "get_weights") or not hasattr(model, "to_json"):
            raise ConfigError(f"model: a {type(model).__name__} is no keras.Model and no path")
        names = tuple(tensor.name for tensor in model.inputs)
        return cls._of(model, input_shape, options, names, in_memory.save_keras)

    from_keras = from_tensorflow

    @classmethod
    def from_config(
        cls,
        path: str | Path,
        *,
        trust_pickle: bool = False,
        out: str | Path | None = None,
        store: Store | None = None,
    ) -> Self:
        """Optimize what a study file says; what :meth:`optimize` is given goes over it.

        Raises:
            ConfigError: The file is wrong.
        """
        loaded = load_study(Path(path))

        def make(_: Path, flags: StudyFlags) -> LoadedStudy:
            return override(loaded, trust_pickle=trust_pickle, **flags)

        return cls(make, loaded.config.name, out, store)

    def optimize(
        self,
        goal: OptimizationGoal | str | None = None,
        constraints: Constraints | None = None,
        *,
        trials: int | None = None,
        timeout_s: float | None = None,
        output: str | None = None,
        space: str | Path | None = None,
        backends: tuple[str, ...] | None = None,
        seed: int | None = None,
        history: bool | None = None,
        force: bool = False,
        listener: StudyListener | None = None,
    ) -> OptimizationResult:
        """Search, confirm and choose. Called again, it goes on where it was.

        Args:
            goal: Which kind of compression; the uncompressed model on each runtime is always in.
            constraints: Limits, and the target hardware.
            trials: Finished trials; default: 40, or the study file's.
            timeout_s: Wall seconds of searching; confirmation comes on top.
            output: Suffix of the model file that is wanted in the end, such as ``.onnx``: only
                runtimes that take it are searched. ``.keras`` leaves all in; it is refused where
                no candidate can be a smaller Keras model.
            space: A space's name or file, instead of the one for model and hardware.
            backends: Search only these runtimes.
            seed: Of every random draw.
            history: Whether to begin with what earlier studies found and to keep what this does.
            force: As in :meth:`Study.optimize <hamerspace.study.Study.optimize>`.
            listener: Is told how it goes on; default: a display in a notebook, else the log.

        Raises:
            HamerspaceError: The model, the data, an argument or the folder is wrong.
        """
        chosen: StudyFlags = {
            "trials": trials,
            "timeout_s": timeout_s,
            "seed": seed,
            "history": history,
            "space": None if space is None else str(space),
        }
        flags = merged(study_flags(goal, constraints), chosen)
        backends = backend_names(backends)
        refuse_suffix(output, backends)
        folder = RunFolder(self.out)
        with in_memory.inputs_of(folder) if self._writes else contextlib.nullcontext():
            loaded = self._make_study(folder.inputs, flags)
            backends = able_backends(loaded, output, backends, self._store)
            study = Study(loaded, self.out, backends=backends, store=self._store)
            study.optimize(listener=listener, force=force)
        return OptimizationResult(study)

    def save_config(
        self,
        path: str | Path,
        goal: OptimizationGoal | str | None = None,
        constraints: Constraints | None = None,
    ) -> Path:
        """Write a study file that searches the same; what is in memory is saved beside it.

        Whether pickles are trusted is no part of a file: say it again where it is read.

        Raises:
            ConfigError: A function was given to validate with, which no file can hold; or a module
                is named that does not lie in the file's folder, where studies look for modules.
            RunFolderError: It cannot be written.
        """
        target = Path(path).resolve()
        loaded = self._make_study(target.parent / "inputs", study_flags(goal, constraints))
        write_study_file(loaded, target)
        return target

    @classmethod
    def _of(
        cls,
        model: Any,
        input_shape: InputShapes | None,
        options: Options,
        names: tuple[str, ...] = (),
        write: Callable[[Any, Path], Path] | None = None,
        *,
        weights: str | Path | None = None,
        trust_pickle: bool = False,
    ) -> Self:
        """Of a model in memory that ``write`` writes to a file; without it, of a file."""
        refuse_wrong(options)
        specs = _specs(input_shape, names, options)
        place = str(model) if write is None else type(model).__name__
        name = options.get("name") or study_name(place)

        def make(folder: Path, flags: StudyFlags) -> LoadedStudy:
            task = task_flags(options, names, specs, folder)
            own = {"name": name, "weights": None if weights is None else str(weights)}
            return study_from_flags(
                str(model if write is None else write(model, folder)),
                inputs=[flag_of(spec) for spec in specs],
                trust_pickle=trust_pickle,
                **merged(MODEL_FLAGS, task, own, flags),
            )

        writes = write is not None or not isinstance(options.get("data"), str | Path | None)
        return cls(make, name, options.get("out"), options.get("store"), writes=writes)


def study_flags(goal: OptimizationGoal | str | None, constraints: Constraints | None) -> StudyFlags:
    """What a goal, limits and a target hardware mean for a study.

    Raises:
        ConfigError: There is no such goal, or the limits are no :class:`Constraints`.
    """
    flags: StudyFlags = {}
    if goal is not None:
        try:
            flags["goal"] = OptimizationGoal(goal).value
        except ValueError as error:
            known = ", ".join(OptimizationGoal)
            raise ConfigError(f"goal: unknown goal {goal!r}; there are {known}") from error
    if constraints is None:
        return flags
    if not isinstance(constraints, Constraints):
        raise ConfigError(
            "constraints: give hamerspace.Constraints, such as Constraints(max_size_mb=10), not a "
            f"{type(constraints).__name__}"
        )
    return merged(hardware_flags(constraints.target_hardware), {**constraints.limits()}, flags)


def _arguments(forward: Callable[..., Any], held: Collection[str]) -> tuple[str, ...]:
    """Those that a call needs, and the optional ones that are held, in the forward's order."""
    several = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    parameters = inspect.signature(forward).parameters.values()
    return tuple(
        p.name
        for p in parameters
        if p.kind not in several and (p.default is p.empty or p.name in held)
    )


def _held(input_shape: InputShapes | None, options: Options) -> set[str]:
    """Names of what the data in memory, or the declared shapes, hold."""
    shapes = set(input_shape) if isinstance(input_shape, Mapping) else set()
    return (shapes | in_memory.names_of(options.get("data"))) - {"labels"}


def _specs(
    input_shape: InputShapes | None, names: tuple[str, ...], options: Options
) -> tuple[TensorSpec, ...]:
    return declared_inputs(input_shape, names, options.get("dtype", "float32"))


def _example(
    names: tuple[str, ...], input_shape: InputShapes | None, options: Options
) -> dict[str, Any]:
    """Two rows of every input, from the data in memory or of the declared shapes."""
    rng, data = np.random.default_rng(0), options.get("data")
    example = {spec.name: spec.sample(2, rng) for spec in _specs(input_shape, names, options)}
    if isinstance(data, Mapping | tuple):
        example |= in_memory.example_of(data, names, 2)
    missing = [name for name in names if name not in example]
    if missing:
        raise ConfigError(
            f"input_shape: the model takes {', '.join(names)}, and nothing tells the shape of "
            f"{', '.join(missing)}; give it, or data in memory under that name"
        )
    return {name: example[name] for name in names}
