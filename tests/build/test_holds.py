"""What holding a folder means for others."""

import os
import shutil
from pathlib import Path

from hamerspace.build.holds import Holds, unheld


def _is_free(folder):
    with unheld(folder) as free:
        return free


def test_a_held_folder_is_nobody_elses_until_all_have_let_go(tmp_path):
    with Holds() as one, Holds() as two:
        assert one.take(tmp_path)
        assert two.take(tmp_path)
        one.release()
        assert not _is_free(tmp_path)
    assert _is_free(tmp_path)


def test_a_folder_that_is_not_there_cannot_be_held(tmp_path):
    assert not Holds().take(tmp_path / "absent")
    assert not _is_free(tmp_path / "absent")


def test_a_folder_made_anew_is_held_anew(tmp_path):
    folder = tmp_path / "entry"
    folder.mkdir()
    with Holds() as holds:
        assert holds.take(folder)
        shutil.rmtree(folder)
        assert not holds.take(folder)
        folder.mkdir()
        assert holds.take(folder)
        assert not _is_free(folder)


def test_holding_marks_as_used_at_once_now_and_then_and_at_the_end(tmp_path):
    def aged():
        os.utime(tmp_path, (1000, 1000))

    holds = Holds()
    for use in (lambda: holds.take(tmp_path), holds.mark_used, holds.release):
        aged()
        use()
        assert tmp_path.stat().st_mtime > 1000


def test_a_hold_needs_no_place_of_its_own(tmp_path):
    with Holds() as holds:
        holds.take(tmp_path)
        assert list(tmp_path.iterdir()) == []
        before = sorted(Path("/proc/self/fd").iterdir())
        holds.take(tmp_path)
        assert sorted(Path("/proc/self/fd").iterdir()) == before
