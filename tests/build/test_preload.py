"""What the worker imports before it knows the model."""

from pathlib import Path

from hamerspace.build.preload import reading


def test_tensorflow_is_imported_only_for_what_needs_it(tmp_path):
    (tmp_path / "saved_model.pb").touch()
    for source in (Path("net.keras"), Path("net.h5"), tmp_path):
        assert "tensorflow" in reading(source)
    for source in (None, Path("net.onnx"), Path("net.tflite"), tmp_path / "none"):
        assert "tensorflow" not in reading(source)
