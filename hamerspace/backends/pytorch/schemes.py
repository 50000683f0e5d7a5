"""The precisions that the PyTorch backend offers, and what each needs; light."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec

from hamerspace.backends.base import Host
from hamerspace.tasks.model import SourceInfo


@dataclass(frozen=True)
class Scheme:
    """One way to lower the precision of a module.

    Attributes:
        families: Operator families of which the model must have one; empty for none.
        layers: The same for people.
        not_on_cpu: Why it is not offered on the CPU; empty where it is.
        not_on_gpu: The same for a GPU.
        capability: Least compute capability of a GPU, as CUDA counts them.
        package: What must be installed beside torch, which is also the extra that brings it.
        execution: The one way to run it that is stored without Python code; empty where the
            parameter decides.
        ranked: Whether single layers can be kept in higher precision.
    """

    families: frozenset[str] = frozenset()
    layers: str = ""
    not_on_cpu: str = ""
    not_on_gpu: str = ""
    capability: tuple[int, int] = (0, 0)
    package: str = ""
    execution: str = ""
    ranked: bool = False


_torch_ao = partial(
    Scheme,
    not_on_gpu="torch.ao.quantization has kernels for the CPU only",
    execution="frozen",
    ranked=True,
)
_linear = partial(Scheme, frozenset({"linear"}), "a linear layer")
_torchao = partial(_linear, package="torchao", execution="inductor")
_bitsandbytes = partial(
    _linear,
    not_on_gpu="bitsandbytes is offered on the CPU only",
    package="bitsandbytes",
    execution="eager",
)

SCHEMES: dict[str, Scheme] = {
    "none": Scheme(),
    "fp16": Scheme(not_on_cpu="torch has no fast float16 arithmetic on the CPU"),
    "bf16": Scheme(capability=(8, 0)),
    "dynamic_int8": _torch_ao(
        frozenset({"linear", "rnn", "attention"}), "a linear or a recurrent layer"
    ),
    "static_int8": _torch_ao(
        frozenset({"conv", "linear", "attention"}), "a convolution or a linear layer"
    ),
    "torchao_int8": _torchao(ranked=True),
    "torchao_int8_weights": _torchao(),
    "torchao_fp8": _torchao(
        not_on_cpu="torch has no float8 arithmetic on the CPU", capability=(8, 9)
    ),
    "bitsandbytes_int8": _bitsandbytes(),
    "bitsandbytes_nf4": _bitsandbytes(ranked=True),
}
"""Value of ``pytorch.quantization`` to what it needs."""

_EXTRAS = {"torchao": "pytorch", "bitsandbytes": "bitsandbytes"}
_BF16_FLAGS = frozenset({"avx512_bf16", "amx_bf16"})


def refusals(source: SourceInfo, host: Host) -> Iterator[tuple[str, str]]:
    """The schemes that cannot be had for a model on a host, with the reason."""
    for name, scheme in SCHEMES.items():
        reason = (
            _refused_by_source(name, scheme, source)
            or _refused_by_host(name, scheme, host)
            or _refused_by_installation(scheme)
        )
        if name != "none" and reason is not None:
            yield name, reason


def _refused_by_source(name: str, scheme: Scheme, source: SourceInfo) -> str | None:
    if source.format in ("torch_export", "torchscript"):
        return f"the weights of a {source.format} model cannot be replaced; give a 'builder'"
    if scheme.families and not scheme.families & set(source.op_families):
        return f"{name.replace('_', ' ')} needs {scheme.layers}; the model has none"
    if name == "static_int8" and "transformers" in source.details:
        return "static int8 needs a forward that torch.fx can trace; those of transformers branch"
    return None


def _refused_by_host(name: str, scheme: Scheme, host: Host) -> str | None:
    if host.gpu and not scheme.not_on_gpu and host.compute_capability < scheme.capability:
        wanted = ".".join(map(str, scheme.capability))
        found = ".".join(map(str, host.compute_capability))
        return f"{name} needs compute capability {wanted}; the {host.gpu} has {found}"
    if host.gpu:
        return scheme.not_on_gpu or None
    if name == "bf16" and host.machine == "x86_64" and not host.cpu_flags & _BF16_FLAGS:
        return "the processor has no bfloat16 arithmetic (avx512_bf16 or amx_bf16)"
    return scheme.not_on_cpu or None


def _refused_by_installation(scheme: Scheme) -> str | None:
    if scheme.package and find_spec(scheme.package) is None:
        extra = _EXTRAS[scheme.package]
        return f"{scheme.package} is not installed (pip install 'hamerspace[{extra}]')"
    return compiler_refusal() if scheme.execution == "inductor" else None


def compiler_refusal() -> str | None:
    """Why nothing can be compiled here; ``None`` where a C++ compiler is at hand."""
    compiler = os.environ.get("CXX", "g++")  # as inductor chooses it
    if shutil.which(compiler) is not None:
        return None
    return f"inductor needs a C++ compiler and '{compiler}' is not there; install g++ or set CXX"
