"""Faults of the disk against faults of what is built."""

import os

import pytest

from hamerspace.build import faults
from hamerspace.build.faults import disk_faults, refuse_lost
from hamerspace.errors import BuildError, StoreError


def _save():
    try:
        os.write(os.open("/dev/full", os.O_WRONLY), b"x")
    except OSError as error:
        raise BuildError("cannot save the model") from error


def test_a_full_disk_is_found_behind_the_error_of_a_framework(tmp_path):
    with pytest.raises(StoreError, match=r"the disk of .*HAMERSPACE_CACHE"), disk_faults(tmp_path):
        _save()


def test_a_full_disk_is_found_in_the_text_of_a_framework(tmp_path):
    with pytest.raises(StoreError, match="is full"), disk_faults(tmp_path):
        raise RuntimeError("write failed: No space left on device")


def test_a_full_disk_is_found_where_the_framework_says_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(faults, "_free_bytes", lambda folder: 0)
    with pytest.raises(StoreError, match="is full"), disk_faults(tmp_path):
        raise RuntimeError("file write failed")


def test_another_failure_stays_what_it_is(tmp_path):
    with pytest.raises(BuildError, match="no such operator"), disk_faults(tmp_path):
        raise BuildError("no such operator")


def test_what_is_gone_is_named(tmp_path):
    refuse_lost([tmp_path])
    with pytest.raises(StoreError, match=r"lost\.npy is gone.*give the command again"):
        refuse_lost([tmp_path, tmp_path / "lost.npy"])
