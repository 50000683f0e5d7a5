from pathlib import Path

import pytest

from hamerspace._files import free_name, remove, replacing, write_text
from hamerspace.errors import RunFolderError


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "new" / "report.html"
    write_text(path, "first")
    write_text(path, "später")
    assert path.read_text(encoding="utf-8") == "später"
    assert names(path.parent) == ["report.html"]


def test_what_stood_there_stays_where_the_writing_fails(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    write_text(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_text(path, "half \ud800")
    assert path.read_text() == "old"
    assert names(tmp_path) == ["report.html"]


def test_nobody_sees_a_folder_before_it_is_whole(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    with replacing(folder) as draft:
        (draft / "weights").mkdir(parents=True)
        (draft / "weights" / "a.bin").write_bytes(b"1")
        assert not folder.exists()
    assert (folder / "weights" / "a.bin").read_bytes() == b"1"
    assert names(tmp_path) == ["model"]


def test_a_folder_with_something_in_it_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "mine.txt").write_text("mine")
    with pytest.raises(RunFolderError, match=r"cannot write .*model: "):  # noqa: SIM117
        with replacing(tmp_path / "model") as draft:
            draft.mkdir()
    assert (tmp_path / "model" / "mine.txt").read_text() == "mine"


def test_the_draft_has_the_suffix_by_which_writers_tell_formats(tmp_path: Path) -> None:
    with replacing(tmp_path / "model.keras") as draft:
        assert draft.suffix == ".keras"
        draft.write_text("model")


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    link = tmp_path / "report.md"
    link.symlink_to(tmp_path / "there" / "report.md")
    write_text(link, "text")
    assert link.is_symlink()
    assert (tmp_path / "there" / "report.md").read_text() == "text"


def test_a_device_is_written_to_and_not_replaced() -> None:
    write_text(Path("/dev/null"), "text")
    assert Path("/dev/null").is_char_device()


def test_a_refusal_names_the_path_the_user_gave(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunFolderError) as caught:
        write_text(tmp_path / "file" / "report.html", "text")
    assert str(caught.value).startswith(f"cannot write {tmp_path}/file/report.html: ")
    assert "choose another" in str(caught.value)


def test_a_refusal_names_the_file_that_could_not_be_read(tmp_path: Path) -> None:
    gone = tmp_path / "gone.onnx"
    with pytest.raises(RunFolderError, match=r"gone\.onnx: No such file"):  # noqa: SIM117
        with replacing(tmp_path / "copy.onnx") as draft:
            draft.write_bytes(gone.read_bytes())
    assert names(tmp_path) == []


def test_removing_takes_links_but_not_what_they_point_to(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "kept")
    for name in ("link", "absent"):
        remove(tmp_path / name)
    assert names(tmp_path) == ["kept"]


def test_a_free_name_is_one_at_which_not_even_a_broken_link_stands(tmp_path: Path) -> None:
    path = tmp_path / "run"
    (tmp_path / "run.before-1").mkdir()
    (tmp_path / "run.before-2").symlink_to("nowhere")
    assert free_name(path, "before") == tmp_path / "run.before-3"
