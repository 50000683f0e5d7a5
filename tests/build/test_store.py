import contextlib
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from hamerspace.build.holds import Holds
from hamerspace.build.store import MARK, Store, content_key, default_store_folder, file_digest
from hamerspace.errors import StoreError

KEYS = [content_key(number=n) for n in range(5)]


def _fill(text, name="model.bin"):
    return lambda folder: (folder / name).write_text(text)


def _files(root):
    return [path for path in root.rglob("*") if path.is_file()]


def test_an_entry_is_made_once(tmp_path):
    store, made = Store(tmp_path), []

    def fill(folder):
        made.append(folder)
        (folder / "model.bin").write_text("weights")

    first = store.make(KEYS[0], fill)
    again = store.make(KEYS[0], fill)
    assert first == again == store.get(KEYS[0])
    assert (first / "model.bin").read_text() == "weights"
    assert len(made) == 1


def test_a_tool_environment_needs_no_more_than_it_has(tmp_path, monkeypatch):
    """Such as litert-torch's, which lacks platformdirs; the folder may hold what is not ours."""
    monkeypatch.setitem(sys.modules, "platformdirs", None)
    foreign = tmp_path / KEYS[1][:2] / KEYS[1]
    foreign.mkdir(parents=True)
    (foreign / "thesis.txt").write_text("years")
    made = Store(tmp_path).make(KEYS[0], _fill("weights"))
    assert (made / "model.bin").read_text() == "weights"
    assert not (tmp_path / MARK).exists()


def test_an_absent_entry_is_none(tmp_path):
    assert Store(tmp_path / "never made").get(KEYS[0]) is None


def test_an_entry_appears_whole_or_not_at_all(tmp_path):
    store = Store(tmp_path)

    def fill(folder):
        (folder / "half").write_text("x")
        assert store.get(KEYS[0]) is None
        (folder / "other half").write_text("y")

    assert len(_files(store.make(KEYS[0], fill))) == 2


def test_a_fill_that_raises_leaves_nothing(tmp_path):
    store = Store(tmp_path)

    def fill(folder):
        (folder / "half").write_text("x")
        raise RuntimeError("disk on fire")

    with pytest.raises(RuntimeError, match="disk on fire"):
        store.make(KEYS[0], fill)
    assert store.get(KEYS[0]) is None
    assert _files(tmp_path) == []
    assert (store.make(KEYS[0], _fill("whole")) / "model.bin").read_text() == "whole"


def test_makers_at_the_same_time_agree_on_one_entry(tmp_path):
    store, barrier, found = Store(tmp_path), threading.Barrier(4), []

    def fill(folder):
        barrier.wait(10)
        (folder / "model.bin").write_text("same")

    def make():
        found.append(store.make(KEYS[0], fill))

    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert found == [store.path(KEYS[0])] * 4
    assert len(_files(tmp_path)) == 1


def _filled(root, max_bytes):
    store = Store(root, max_bytes)
    for age, key in enumerate(KEYS):
        path = store.make(key, _fill("x" * 100))
        os.utime(path, (1000 + age, 1000 + age))
    return store


def test_the_least_recently_used_entries_go_first(tmp_path):
    store = _filled(tmp_path, 250)
    store.get(KEYS[0])  # the oldest is used again
    assert store.evict() == 300
    assert [store.path(key).is_dir() for key in KEYS] == [True, False, False, False, True]


def test_nothing_goes_within_the_bound(tmp_path):
    store = _filled(tmp_path, 500)
    assert store.evict() == 0
    assert all(store.get(key) for key in KEYS)


def test_eviction_leaves_no_rest(tmp_path):
    store = _filled(tmp_path, 0)
    assert store.evict() == 500
    assert _files(tmp_path) == []
    assert not list(tmp_path.glob(".new-*"))


def test_an_entry_that_another_process_evicts_meanwhile_is_no_error(tmp_path, monkeypatch):
    store = _filled(tmp_path, 0)
    victim, whole = store.path(KEYS[2]), type(tmp_path).rename

    def rename(path, target):
        if path == victim:
            whole(victim, tmp_path / "taken")
        return whole(path, target)

    monkeypatch.setattr(type(tmp_path), "rename", rename)
    store.evict()
    assert not any(store.path(key).exists() for key in KEYS)


_HOLDER = """
import sys
from pathlib import Path
from hamerspace.build.holds import Holds
from hamerspace.build.store import Store
holds, store = Holds(), Store(Path(sys.argv[1]))
if sys.argv[3] == "makes":
    store.make(sys.argv[2], lambda folder: (print(folder, flush=True), input()), holds)
else:
    print(store.get(sys.argv[2], holds), flush=True)
input()
"""


@contextlib.contextmanager
def _another_process(root, key, what):
    """A process that holds an entry, or makes one."""
    command = [sys.executable, "-c", _HOLDER, str(root), key, what]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        yield holder, Path(holder.stdout.readline().decode().strip())
        holder.kill()


def _age(*folders):
    for folder in folders:
        os.utime(folder, (1000, 1000))


def test_what_another_process_holds_stays_until_that_ends(tmp_path):
    store = _filled(tmp_path, 0)
    with _another_process(tmp_path, KEYS[0], "uses") as (holder, entry):
        _age(entry)
        assert store.evict() == 400
        assert [store.has(key) for key in KEYS] == [True, False, False, False, False]
        holder.kill()
        holder.wait()
        assert store.evict() == 100
    assert _files(tmp_path) == []


def test_an_entry_is_held_by_whoever_made_it(tmp_path):
    store = Store(tmp_path, 0)
    with Holds() as holds:
        entry = store.make(KEYS[0], _fill("x"), holds)
        _age(entry)
        assert store.evict() == 0
        assert (entry / "model.bin").read_text() == "x"
    assert store.evict() == 0, "used until just now"
    _age(entry)
    assert store.evict() == 1


def test_what_was_used_just_now_stays(tmp_path):
    store = Store(tmp_path, 0)
    store.make(KEYS[0], _fill("x"))
    assert store.evict() == 0
    assert store.has(KEYS[0])


def test_scratch_that_a_killed_process_left_is_swept_and_that_of_a_slow_one_is_not(tmp_path):
    store = Store(tmp_path)
    with _another_process(tmp_path, KEYS[0], "makes") as (maker, scratch):
        _age(scratch)
        store.evict()
        assert scratch.is_dir()
        maker.kill()
        maker.wait()
        store.evict()
        assert not scratch.exists()


def test_a_store_that_one_may_only_read_serves_what_it_has(tmp_path, permissions_hold):
    store = _filled(tmp_path, 0)
    for path in (tmp_path, *tmp_path.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    with permissions_hold(), Holds() as holds:
        assert store.get(KEYS[0], holds) == store.path(KEYS[0])
        assert store.make(KEYS[1], _fill("other"), holds) == store.path(KEYS[1])
        with pytest.raises(StoreError, match=r"cannot be written \(Permission denied\)"):
            store.make(content_key(number="new"), _fill("x"))
        assert store.evict() == 0
        assert all(store.has(key) for key in KEYS)


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path):
    def fill(folder):
        (folder / "half").write_text("x")
        with Path("/dev/full").open("w") as stream:
            stream.write("x" * 10**6)

    with pytest.raises(StoreError, match=r"is full.*free space"):
        Store(tmp_path).make(KEYS[0], fill)
    assert _files(tmp_path) == []


def test_nothing_of_others_in_a_store_is_deleted(tmp_path):
    others = [
        tmp_path / "ab" / "notes",  # looks like an entry to whoever does not look closely
        tmp_path / "me" / "a" / "photos",
        tmp_path / ("0" * 2) / ("f" * 64),  # a key, but not where it has its place
        tmp_path / "AB" / ("AB" * 32),
        tmp_path / ".new-year",
        tmp_path / ".new-abcdefgh",
    ]
    for folder in others:
        folder.mkdir(parents=True)
        (folder / "precious").write_text("x" * 1000)
    outside = tmp_path.with_name("outside")
    outside.mkdir()
    (outside / "precious").write_text("x")
    link = tmp_path / "cd" / ("cd" * 32)
    link.parent.mkdir()
    link.symlink_to(outside)
    store = _filled(tmp_path, 0)
    _age(*others, outside)
    assert store.evict() == 500
    assert all((folder / "precious").is_file() for folder in [*others, outside])
    assert link.is_symlink()


def test_a_folder_that_looks_like_a_store_and_is_none_keeps_all(tmp_path, caplog):
    blob = tmp_path / "ab" / ("ab" * 32)  # as registries of containers lay out theirs
    blob.mkdir(parents=True)
    (blob / "data").write_text("x")
    _age(blob)
    assert _filled(tmp_path, 0).evict() == 0
    assert (blob / "data").is_file()
    assert "nothing is deleted; choose an empty folder" in caplog.text


def _unmarked(root, contents):
    """A store of an early version: an entry for each name and text, all of them old."""
    store = Store(root, max_bytes=0)
    for key, (name, text) in zip(KEYS, contents.items(), strict=False):
        _age(store.make(key, _fill(text, name)))
    (root / MARK).rmdir()
    return store


OURS = {
    "manifest.json": '{"format": "onnx", "inputs": [], "outputs": [], "metadata": {}}',
    "task.json": '{"info": {}, "source_fingerprint": ""}',
    "sensitivity.json": '[{"layer": "a", "error": 0.1}]',
    "outputs.npy": "x",
}


def test_a_store_of_an_early_version_keeps_its_bound(tmp_path, caplog):
    store = _unmarked(tmp_path, OURS)
    assert store.evict() > 0
    assert not any(map(store.has, KEYS))
    assert not caplog.text


@pytest.mark.parametrize("others", [{"data": "x"}, {"manifest.json": '{"layers": []}'}])
def test_one_entry_of_another_and_nothing_is_deleted(tmp_path, others):
    store = _unmarked(tmp_path, {**others, "task.json": OURS["task.json"]})
    assert store.evict() == 0
    assert store.make(KEYS[4], _fill("x")).is_dir()
    assert store.evict() == 0
    assert all(map(store.has, KEYS[:2]))


def test_the_default_folder_keeps_its_bound_whatever_made_it(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("HAMERSPACE_CACHE", raising=False)
    store = _unmarked(default_store_folder(), {"model.bin": "x"})
    assert store.evict() > 0


def test_an_absent_store_evicts_nothing(tmp_path):
    assert Store(tmp_path / "absent").evict() == 0


def test_keys_depend_on_values_and_not_on_their_order():
    assert content_key(a=1, b={"x": 1, "y": 2}) == content_key(b={"y": 2, "x": 1}, a=1)
    assert content_key(a=1) != content_key(a=2)
    assert content_key(a=1) != content_key(a=True)


def test_a_file_is_told_by_its_bytes(tmp_path):
    one, two, three = (tmp_path / name for name in "abc")
    one.write_bytes(b"same")
    two.write_bytes(b"same")
    three.write_bytes(b"other")
    assert file_digest(one) == file_digest(two) != file_digest(three)


def test_a_relative_folder_is_found_from_any_other(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    store = Store(Path("cache"))
    made = store.make(content_key(n=1), lambda scratch: (scratch / "file").touch())
    monkeypatch.chdir("/")
    assert made.is_dir()
    assert made == tmp_path / "cache" / content_key(n=1)[:2] / content_key(n=1)


def test_the_folder_is_the_users_choice(monkeypatch, tmp_path):
    monkeypatch.setenv("HAMERSPACE_CACHE", str(tmp_path))
    assert default_store_folder() == tmp_path
    monkeypatch.delenv("HAMERSPACE_CACHE")
    assert default_store_folder().parts[-2:] == ("hamerspace", "store")
