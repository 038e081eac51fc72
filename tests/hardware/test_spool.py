"""What a device keeps while it is offline: in order, within bounds, with right times."""

from pathlib import Path

import pytest

from gridfleet.devices.edge import real_time
from gridfleet.devices.edge.device import _timed
from gridfleet.devices.edge.spool import FILE_BYTES, Kept, Spool


def kept(number: int, *, words: str = "") -> Kept:
    return Kept("sample", {"number": number, "words": words}, "boot", number)


def drain(spool: Spool) -> list[int]:
    found: list[int] = []
    while (oldest := spool.oldest()) is not None:
        path, messages = oldest
        found += [int(message.payload["number"]) for message in messages]
        spool.done(path)
    return found


def test_what_is_kept_comes_out_in_order(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "samples", 10**6)
    for number in range(3000):
        spool.keep(kept(number))
    assert not spool.empty
    assert drain(spool) == list(range(3000))
    assert spool.oldest() is None
    assert list((tmp_path / "samples").iterdir()) == []


def test_it_survives_a_crash(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 10**6)
    for number in range(10):
        spool.keep(kept(number))
    assert spool._file is not None
    spool._file.close()  # as the kernel does; the spool itself is never closed
    again = Spool(tmp_path, 10**6)
    again.keep(kept(10))
    assert drain(again) == list(range(11))


def test_a_file_is_kept_until_it_has_been_said(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 10**6)
    spool.keep(kept(1))
    assert spool.oldest() == spool.oldest()
    assert drain(Spool(tmp_path, 10**6)) == [1]


def test_a_line_cut_off_when_the_power_failed_is_counted(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 10**6)
    spool.keep(kept(1))
    spool.keep(kept(2))
    spool.close()
    (path,) = tmp_path.iterdir()
    path.write_text(path.read_text()[:-9])
    again = Spool(tmp_path, 10**6)
    assert drain(again) == [1]
    assert again.lost == 1


def test_the_oldest_goes_first_when_there_is_too_much(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 3 * FILE_BYTES)
    for number in range(200):
        spool.keep(kept(number, words="x" * 5000))
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 3 * FILE_BYTES
    assert spool.lost > 0
    left = drain(spool)
    assert left == list(range(left[0], 200))


def test_a_disk_that_is_full_stops_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = Spool(tmp_path, 10**6)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "open", full)
    spool.keep(kept(1))
    spool.keep(kept(2))
    assert spool.lost == 2


def test_a_time_is_mended_when_the_clock_was_set_only_later() -> None:
    boot = real_time.boot_id()
    now = real_time.Stamp(at_ms=1_750_000_100_000, synchronised=True, up_ms=100_000)
    said = {"at_ms": 86_400_000, "synchronised": False}  # a Pi without battery wakes up in 1970
    assert _timed(Kept("sample", said, boot, 40_000), now) == {
        "at_ms": 1_750_000_040_000,
        "synchronised": True,
    }


@pytest.mark.parametrize(
    ("boot", "synchronised_then", "synchronised_now"),
    [("another", False, True), ("", True, True), ("", False, False)],
)
def test_a_time_that_cannot_be_mended_stays_as_it_was(
    boot: str, synchronised_then: bool, synchronised_now: bool
) -> None:
    now = real_time.Stamp(1_750_000_100_000, synchronised_now, 100_000)
    said = {"at_ms": 86_400_000, "synchronised": synchronised_then}
    assert _timed(Kept("sample", said, boot or real_time.boot_id(), 40_000), now) == said


def test_the_kernel_says_whether_its_clock_is_synchronised() -> None:
    assert real_time.synchronised() in (True, False)
    assert real_time.stamp().at_ms > 1_700_000_000_000
