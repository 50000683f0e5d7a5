"""What is known to go wrong without an error, on the real models: it must not pass as a winner."""

from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
import yaml

from hamerspace import Study
from tests import onnx_models

ROOT = Path(__file__).parents[1]
VAD = ROOT / "studies" / "silero_vad" / "model.onnx"
RATE_HZ = 16_000
VOWELS_HZ = ((730, 1090, 2440), (270, 2290, 3010), (530, 1840, 2480), (300, 870, 2240))


def vowel(seconds, pitch_hz, formants_hz):
    """Harmonics under an envelope of formants, swelling as syllables do."""
    t = np.arange(int(seconds * RATE_HZ)) / RATE_HZ
    phase = 2 * np.pi * np.cumsum(pitch_hz * (1 + 0.03 * np.sin(10 * np.pi * t))) / RATE_HZ
    sound = np.zeros_like(t)
    for k in range(1, int(7000 / pitch_hz)):
        gain = sum(np.exp(-(((k * pitch_hz - f) / (90 + 0.06 * f)) ** 2)) for f in formants_hz)
        sound += (gain + 0.01) * np.sin(k * phase) / np.sqrt(k)
    return sound * (1 - np.cos(7 * np.pi * t)) / 2


def frames_of_sound():
    """Two seconds of vowels, two of noise, and so on: frames of 512 samples and the 64 before."""
    rng = np.random.default_rng(0)
    parts = []
    for _ in range(12):
        voice = np.concatenate(
            [vowel(0.25, rng.uniform(90, 220), VOWELS_HZ[rng.integers(4)]) for _ in range(8)]
        )
        noise = rng.normal(0, 1, 2 * RATE_HZ)
        parts += [0.5 * voice / np.abs(voice).max(), 0.3 * noise / np.abs(noise).max()]
    sound = np.concatenate([np.zeros(64), *parts]).astype(np.float32)
    count = (len(sound) - 64) // 512 // 64 * 64
    return np.stack([sound[i * 512 : i * 512 + 576] for i in range(count)])


@pytest.fixture(scope="module")
def vad_study(tmp_path_factory):
    """The voice detector under dynamic int8, judged by what the model itself calls speech."""
    folder = tmp_path_factory.mktemp("vad")
    frames = frames_of_sound()
    session = ort.InferenceSession(VAD)
    state = np.zeros((1, 1, 128), np.float32)
    speech = np.concatenate(
        [
            session.run(["speech_probs"], {"input": window, "h": state, "c": state})[0]
            for window in frames.reshape(-1, 64, 576)
        ]
    )
    np.savez(folder / "data.npz", input=frames, labels=(speech > 0.5).astype(np.int64))
    space = {
        "version": 1,
        "name": "dynamic",
        "parameters": {
            "backend": "onnxruntime",
            "onnxruntime.quantization": ["none", "dynamic_int8"],
            "onnxruntime.dynamic_op_types": ["linear", "all"],
        },
    }
    study = {
        "name": "vad",
        "task": {
            "source": {"path": str(VAD), "constants": ["h", "c"]},
            "data": {"path": "data.npz", "whole_batches": True},
            "quality": {"metric": "roc_auc", "output": "speech_probs"},
            "batch_size": 64,
        },
        "space": "space.yaml",
        "constraints": {"max_accuracy_drop": 1.0},
        "budget": {"trials": 3},
    }
    (folder / "space.yaml").write_text(yaml.safe_dump(space))
    (folder / "study.yaml").write_text(yaml.safe_dump(study))
    return Study.from_yaml(folder / "study.yaml", out=folder / "run").optimize()


def test_a_voice_detector_that_quantised_convolutions_make_deaf_is_rejected(vad_study):
    records = {
        r.recipe.get("onnxruntime.dynamic_op_types", "none"): r
        for r in vad_study.records().values()
    }
    assert set(records) == {"none", "linear", "all"}
    deaf = records["all"]
    assert deaf.measurement.ended_at == "quality"
    assert deaf.measurement.quality.drop.low > 10
    assert not deaf.feasible
    assert records["linear"].feasible
    assert abs(records["linear"].measurement.quality.drop.estimate) < 1
    chosen = vad_study.best or vad_study.nearest_to_source
    assert chosen.recipe_id != deaf.recipe.id


def test_a_half_precision_gru_is_a_result_whatever_the_runtime_makes_of_it(tmp_path):
    """Some versions of ONNX Runtime crash when they load one; the search must go on."""
    model = onnx_models.gated(tmp_path)
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "data.npz", steps=rng.standard_normal((60, 5, 8)).astype(np.float32))
    space = {
        "version": 1,
        "name": "half",
        "parameters": {
            "backend": "onnxruntime",
            "onnxruntime.quantization": ["fp16", "none", "dynamic_int8"],
        },
    }
    study = {
        "name": "gru",
        "task": {"source": {"path": str(model.file("model"))}, "data": {"path": "data.npz"}},
        "space": "space.yaml",
        "budget": {"trials": 12},
    }
    (tmp_path / "space.yaml").write_text(yaml.safe_dump(space))
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(study))
    done = Study.from_yaml(tmp_path / "study.yaml", out=tmp_path / "run").optimize()
    found = {r.recipe["onnxruntime.quantization"]: r.measurement for r in done.records().values()}
    assert set(found) == {"none", "fp16", "dynamic_int8"}
    half = found["fp16"]
    assert (half.failed and half.reason) or abs(half.quality.drop.estimate) < 1
    assert not found["none"].failed
    assert done.best or done.nearest_to_source
