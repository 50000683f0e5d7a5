from hamerspace.build import builder
from hamerspace.config.loading import load_study


def test_a_task_is_prepared_again_with_other_versions(tmp_path, monkeypatch):
    (tmp_path / "model.onnx").write_bytes(b"model")
    (tmp_path / "study.yaml").write_text("name: a\ntask:\n  source:\n    path: model.onnx\n")
    loaded = load_study(tmp_path / "study.yaml")
    keys = []
    for version in ("1", "1", "2"):
        monkeypatch.setattr(builder, "installed_versions", lambda names, v=version: {names[0]: v})
        keys.append(builder._task_key(loaded))
    assert keys[0] == keys[1] != keys[2]
