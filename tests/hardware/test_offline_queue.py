"""The queue of a device that is offline: in order, within bounds, with right times."""

import itertools
import os
from pathlib import Path

import pytest

from gridfleet.broker.address import BrokerAddress
from gridfleet.broker.brokers.embedded import EmbeddedBroker
from gridfleet.broker.mqtt.client import MqttLoop
from gridfleet.broker.protocol.messages import Sample
from gridfleet.broker.protocol.quota import BUDGETS, REFILL_S
from gridfleet.devices.config.device_file import parse
from gridfleet.devices.edge import device as device_module
from gridfleet.devices.edge import real_time
from gridfleet.devices.edge.device import SEGMENT_PAUSE_S, Device, with_correct_time
from gridfleet.devices.edge.offline_queue import SEGMENT_BYTES, OfflineQueue, QueuedMessage
from tests.waiting import PATIENCE_S

from .files import TURBINE


def message(number: int, *, words: str = "") -> QueuedMessage:
    return QueuedMessage("sample", {"number": number, "words": words}, "boot", number)


def drain(queue: OfflineQueue) -> list[int]:
    found: list[int] = []
    while (oldest := queue.oldest()) is not None:
        number, messages = oldest
        found += [int(each.payload["number"]) for each in messages]
        queue.delete(number)
    return found


def test_messages_come_out_in_order(tmp_path: Path) -> None:
    queue = OfflineQueue(tmp_path / "samples", 10**6)
    for number in range(3000):
        queue.put(message(number))
    assert not queue.empty
    assert drain(queue) == list(range(3000))
    assert queue.oldest() is None
    assert list((tmp_path / "samples").iterdir()) == []


def test_it_survives_a_crash(tmp_path: Path) -> None:
    queue = OfflineQueue(tmp_path, 10**6)
    for number in range(10):
        queue.put(message(number))
    # The queue is never closed, as when the process is killed.
    again = OfflineQueue(tmp_path, 10**6)
    again.put(message(10))
    assert drain(again) == list(range(11))


def test_a_segment_is_kept_until_it_is_deleted(tmp_path: Path) -> None:
    queue = OfflineQueue(tmp_path, 10**6)
    queue.put(message(1))
    assert queue.oldest() == queue.oldest()
    assert drain(OfflineQueue(tmp_path, 10**6)) == [1]


def test_a_record_cut_off_by_a_power_failure_is_counted(tmp_path: Path) -> None:
    queue = OfflineQueue(tmp_path, 10**6)
    queue.put(message(1))
    queue.put(message(2))
    queue.close()
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:-9])
    again = OfflineQueue(tmp_path, 10**6)
    assert drain(again) == [1]
    assert again.lost == 1


def test_a_full_queue_drops_the_oldest(tmp_path: Path) -> None:
    queue = OfflineQueue(tmp_path, 3 * SEGMENT_BYTES)
    for number in range(200):
        queue.put(message(number, words="x" * 5000))
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 3 * SEGMENT_BYTES
    assert queue.lost > 0
    left = drain(queue)
    assert left == list(range(left[0], 200))


def test_a_full_disk_does_not_stop_the_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    queue = OfflineQueue(tmp_path, 10**6)

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        queue.put(message(1))
        queue.put(message(2))
    assert queue.lost == 2
    queue.put(message(3))
    assert drain(queue) == [3]


def test_a_card_is_synced_seldom_but_when_a_segment_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda file: synced.append(os.fstat(file).st_size))
    queue = OfflineQueue(tmp_path, 10**6)
    for number in range(100):
        queue.put(message(number, words="x" * 1000))
    assert 1 <= sum(size >= SEGMENT_BYTES for size in synced) == len(list(tmp_path.iterdir())) - 1
    assert len(synced) <= 3


def test_a_time_is_corrected_when_the_clock_was_set_only_later() -> None:
    boot = real_time.boot_id()
    now = real_time.Timestamp(at_ms=1_750_000_100_000, synchronised=True, up_ms=100_000)
    payload = {"at_ms": 86_400_000, "synchronised": False}  # a Pi without battery starts in 1970
    assert with_correct_time(QueuedMessage("sample", payload, boot, 40_000), now) == {
        "at_ms": 1_750_000_040_000,
        "synchronised": True,
    }


@pytest.mark.parametrize(
    ("boot", "synchronised_then", "synchronised_now"),
    [("another", False, True), ("", True, True), ("", False, False)],
)
def test_a_time_that_cannot_be_corrected_stays_as_it_was(
    boot: str, synchronised_then: bool, synchronised_now: bool
) -> None:
    now = real_time.Timestamp(1_750_000_100_000, synchronised_now, 100_000)
    payload = {"at_ms": 86_400_000, "synchronised": synchronised_then}
    assert (
        with_correct_time(QueuedMessage("sample", payload, boot or real_time.boot_id(), 40_000), now)
        == payload
    )


def test_the_kernel_says_whether_its_clock_is_synchronised() -> None:
    assert real_time.synchronised() in (True, False)
    assert real_time.timestamp().at_ms > 1_700_000_000_000


def test_a_long_queue_is_published_within_the_quota_of_receivers(
    hil_broker: EmbeddedBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s = 1_000.0
    monkeypatch.setattr(device_module, "monotonic", lambda: now_s)
    file = parse(TURBINE.split("[pins]")[0].replace('"mock"', '"synthetic"'), "device.toml")
    queue = OfflineQueue(tmp_path, 10**6)
    sample = {"at_ms": 1, "synchronised": True, "measured": False, "readings": {"wind_m_per_s": 9.0}}
    for number in range(1_000):
        queue.put(QueuedMessage("sample", sample, "boot", number))
    with MqttLoop(BrokerAddress.parse(hil_broker.url)) as loop:
        device = Device(file, loop, queue=queue)
        loop.wait_online(PATIENCE_S)
        published = [0]
        while not queue.empty:
            device.publish_queued()
            assert loop.run_until(lambda: device.connection.all_acknowledged, PATIENCE_S)
            device.publish_queued()  # the next segment waits
            published.append(device.published)
            now_s += SEGMENT_PAUSE_S
        device.close()
    segments = [after - before for before, after in itertools.pairwise(published)]
    assert device.published == 1_000
    assert len([each for each in segments if each]) > 1
    most_in_a_refill = max(segments) * -(-REFILL_S // SEGMENT_PAUSE_S)
    assert most_in_a_refill < BUDGETS[Sample.TYPE]
