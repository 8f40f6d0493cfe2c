"""What old kernels leave behind is swept at set-up."""

import os

from backtests.engine.kernels.compiler import sources_digest
from backtests.engine.warm import sweep_old_kernels


def test_old_kernels_go_and_the_present_and_the_ones_before_stay(tmp_path, monkeypatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    for age, name in enumerate([sources_digest(), "before", "older", "oldest"]):
        folder = tmp_path / "kernels" / name
        folder.mkdir(parents=True)
        (folder / "kernel.nbi").write_bytes(b"code")
        os.utime(folder, (1e9 - age, 1e9 - age))
    (tmp_path / "kernels" / "young").mkdir()
    os.utime(tmp_path / "kernels" / "before", (2e9, 2e9))
    assert sweep_old_kernels() == 2
    assert {path.name for path in (tmp_path / "kernels").iterdir()} == {sources_digest(), "before", "young"}


def test_without_a_folder_of_its_own_nothing_is_swept(monkeypatch):
    monkeypatch.delenv("NUMBA_CACHE_DIR")
    assert sweep_old_kernels() == 0
