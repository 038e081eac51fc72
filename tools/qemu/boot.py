# ruff: noqa: INP001, T201, S607 - a script to run by hand, as root, with programs of the system
"""Tests a first boot in a virtual machine: `make qemu` (needs root and 3 GB of disk; emulated, or `KVM=1 make qemu`).

Makes a plain Debian trixie for x86-64 (mmdebstrap) and a FAT seed with `gridfleet device flash`, boots both with qemu
in a network that reaches only the broker on this machine. Then checks, over that broker and SSH:

1. the flashed device publishes bids;
2. `gridfleet device doctor` reports no failure;
3. the watchdog restarts an agent that is suspended (SIGSTOP);
4. an agent that crashes several times ends in safe mode, and publishes an incident.

Needs: sudo apt-get install mmdebstrap e2fsprogs mtools mosquitto qemu-system-x86 openssh-client
"""

import contextlib
import os
import shutil
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, Self

ROOT: Final = Path(__file__).resolve().parents[2]
SOURCES: Final = ROOT / "src"
WORK: Final = ROOT / "build" / "qemu"
BROKER: Final = "10.0.2.100"
"""The broker's address for the guest, in qemu's own network, from which nothing else is reachable."""
PORT: Final = 8883
DEVICE: Final = "charger-01"
SITE: Final = "germany"
PACKAGES: Final = (
    *("linux-image-cloud-amd64", "systemd-sysv", "systemd-timesyncd", "udev", "dbus", "iproute2", "sudo"),
    *("cloud-init", "netplan.io", "e2fsprogs", "openssh-server", "python3", "python3-venv"),
)
"""The packages of Raspberry Pi OS that the first boot needs."""
SCENARIO: Final = (
    "vehicles.count=1",
    "chargers.count=1",
    "households.count=1",
    "commerce.count=0",
    "farms.count=0",
)
FILE: Final = f"""\
id = "{DEVICE}"
kind = "charger"
site = "{SITE}"
backend = "synthetic"
place = [53.6, 10.0]

[broker]
url = "mqtts://{BROKER}:{PORT}"

[telemetry]
every_s = 2.0

[charger]
stored_share = 0.1
"""


def main() -> int:
    """Build, flash, boot and check; return the exit code."""
    for program in ("mmdebstrap", "mke2fs", "mformat", "mosquitto", "qemu-system-x86_64", "ssh-keygen"):
        if shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin:/sbin") is None:
            raise SystemExit(f"{program} is missing; {__doc__.strip().splitlines()[-1]}")
    start_s = time.monotonic()
    WORK.mkdir(parents=True, exist_ok=True)
    system()
    for old in ("secrets", "seed.img", "serial.log", "key", "key.pub"):
        path = WORK / old
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    gridfleet("site", "init", "--host", BROKER, "--set", *SCENARIO)
    seed()
    with broker() as port, clock(port), TopicListener(port) as listener, machine(port) as (guest, ssh):
        since = time.monotonic()
        listener.wait(lambda topic: topic.split("/")[2] == "bid" and topic.endswith(DEVICE), 1800, guest)
        report(f"the device publishes bids, {time.monotonic() - since:.0f} s after power-on")
        check_device(ssh, listener, guest)
    command: list[str | Path] = ["mtype", "-i", f"{WORK / 'seed.img'}@@1M", "::/gridfleet/first-boot.txt"]
    print(subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip())
    report(f"all checks passed, {time.monotonic() - start_s:.0f} s in all")
    return 0


def check_device(ssh: list[str | Path], listener: "TopicListener", guest: "subprocess.Popen[bytes]") -> None:
    """Run commands as an owner would; suspend and kill the agent."""
    unit = "gridfleet-device.service"
    print(remote(ssh, "gridfleet", "device", "upgrade"))
    check_doctor(ssh, "ok    service")
    remote(ssh, "sudo", "systemctl", "stop", unit)
    check_doctor(ssh, "ok    access rules")
    remote(ssh, "sudo", "systemctl", "start", unit)
    print(remote(ssh, "systemd-analyze", "security", "--no-pager", unit).splitlines()[-1])

    process = remote(ssh, "systemctl", "show", "-P", "MainPID", unit).strip()
    remote(ssh, "sudo", "kill", "-STOP", process)
    since = time.monotonic()
    while remote(ssh, "systemctl", "show", "-P", "MainPID", unit).strip() in {process, "0"}:
        if time.monotonic() - since > 180:
            raise SystemExit("the watchdog did not restart the agent within 180 s")
        time.sleep(2)
    report(f"the watchdog restarted a suspended agent after {time.monotonic() - since:.0f} s")

    listener.topics.clear()
    for _ in range(12):
        remote(ssh, "sudo", "systemctl", "kill", "--signal=KILL", unit, check=False)
        time.sleep(6)
        if remote(ssh, "systemctl", "is-active", "gridfleet-safe.service", check=False).strip() == "active":
            break
    listener.wait(lambda topic: topic.split("/")[2] == "incident" and topic.endswith(DEVICE), 60, guest)
    report("after several crashes the device is in safe mode and has published an incident")
    print(remote(ssh, "journalctl", "--unit=gridfleet-safe", "--no-pager", "--lines=5"))
    remote(ssh, "sudo", "systemctl", "restart", unit)
    listener.topics.clear()
    listener.wait(lambda topic: topic.split("/")[2] == "bid" and topic.endswith(DEVICE), 120, guest)
    report("after a restart it publishes bids again")


def check_doctor(ssh: list[str | Path], expected: str) -> None:
    """Run the doctor; its output must contain a text, and no failure except that the agent is stopped."""
    output = remote(ssh, "sudo", "gridfleet", "device", "doctor", check=False)
    print(output)
    lines = [line for line in output.splitlines() if line.startswith("fail ") and "does not run" not in line]
    if lines or expected not in output:
        raise SystemExit(f"the doctor reports a failure, or does not print: {expected}")


def system() -> None:
    """Make the disk of a plain Debian, unless it exists."""
    disk = WORK / "root.img"
    if disk.is_file():
        return
    if os.geteuid() != 0:
        raise SystemExit("make qemu builds a Debian system, which needs root: run it with sudo")
    report("building Debian trixie")
    tree = WORK / "root"
    shutil.rmtree(tree, ignore_errors=True)
    fstab = "LABEL=root / ext4 defaults 0 1\\nLABEL=CIDATA /boot/firmware vfat defaults,nofail 0 2\\n"
    hooks = (
        f'printf "{fstab}" > "$1/etc/fstab"; mkdir -p "$1/boot/firmware"',
        'printf "datasource_list: [NoCloud, None]\\n" > "$1/etc/cloud/cloud.cfg.d/90_nocloud.cfg"',
    )
    command = ["mmdebstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}"]
    subprocess.run([*command, *(f"--customize-hook={hook}" for hook in hooks), "trixie", tree], check=True)
    for name in ("vmlinuz", "initrd.img"):
        shutil.copy(next((tree / "boot").glob(f"{name}-*")), WORK / name)
    draft = WORK / "root.new"
    mke2fs = ["/sbin/mke2fs", "-q", "-t", "ext4", "-L", "root", "-d"]
    subprocess.run([*mke2fs, tree, draft, "2G"], check=True)
    draft.replace(disk)
    shutil.rmtree(tree)


def seed() -> None:
    """Write the boot partition of the machine with `gridfleet device flash`: FAT32 at 1 MiB, as on a Pi's card."""
    disk = WORK / "seed.img"
    first, sectors = 2_048, 131_072
    with disk.open("wb") as file:
        file.truncate((first + sectors) * 512)
        file.seek(446)
        file.write(struct.pack("<4xB3xII", 0x0C, first, sectors) + bytes(48) + b"\x55\xaa")
    geometry = ["-F", "-v", "CIDATA", "-T", str(sectors), "-h", "64", "-s", "32"]
    subprocess.run(["mformat", "-i", f"{disk}@@{first * 512}", *geometry, "::"], check=True)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", WORK / "key"], check=True)
    (WORK / f"{DEVICE}.toml").write_text(FILE, encoding="utf-8")
    out = WORK / "cards"
    shutil.rmtree(out, ignore_errors=True)
    platform = ("--machine", "x86_64", "--python", "3.13")
    login = ("--ssh-key", "key.pub", "--user", "owner")
    gridfleet(
        "device",
        "flash",
        DEVICE,
        "--image",
        "seed.img",
        "--out",
        "cards",
        *platform,
        *login,
        "--plain",
        "--yes",
    )
    (out / f"{DEVICE}.img").replace(disk)


@contextlib.contextmanager
def broker() -> Iterator[int]:
    """Run a Mosquitto with the site's secrets; yield its port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    with child(
        gridfleet_command("site", "broker", "--secrets", "secrets", "--port", str(port)), "broker.log"
    ):
        for _ in range(100):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.1)
        yield port


def clock(port: int) -> contextlib.AbstractContextManager["subprocess.Popen[bytes]"]:
    """Run the clock with ten seconds per tick."""
    options = ["--seconds-per-tick", "10", "--wait", "0", "--ticks", "10000", "--set", *SCENARIO]
    url = f"mqtts://127.0.0.1:{port}"
    return child(
        gridfleet_command("site", "clock", "normal", "--broker", url, "--secrets", "secrets", *options),
        "clock.log",
    )


@contextlib.contextmanager
def machine(port: int) -> Iterator[tuple["subprocess.Popen[bytes]", list[str | Path]]]:
    """Start the virtual machine; yield qemu's process and the ssh command. The guest reaches only the broker."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        shell = int(free.getsockname()[1])
    pipe = f"{sys.executable} {Path(__file__).resolve()} --pipe {port}"
    net = f"user,id=n0,restrict=on,hostfwd=tcp:127.0.0.1:{shell}-:22,guestfwd=tcp:{BROKER}:{PORT}-cmd:{pipe}"
    # Under emulation Debian's kernel hangs with cx16.
    speed = ["-accel", "kvm", "-cpu", "host"] if os.environ.get("KVM") == "1" else ["-cpu", "qemu64,-cx16"]
    drives = [
        f"file={WORK / 'root.img'},if=virtio,format=raw,snapshot=on",
        f"file={WORK / 'seed.img'},if=virtio,format=raw",
    ]
    command = [
        *("qemu-system-x86_64", *speed, "-smp", "1", "-m", "1024", "-display", "none", "-no-reboot"),
        *("-kernel", str(WORK / "vmlinuz"), "-initrd", str(WORK / "initrd.img")),
        *("-append", "root=LABEL=root rw console=ttyS0 ds=nocloud"),
        *(word for drive in drives for word in ("-drive", drive)),
        *("-netdev", net, "-device", "virtio-net-pci,netdev=n0", "-serial", f"file:{WORK / 'serial.log'}"),
    ]
    report(
        f"booting ({speed[1] if speed[0] == '-accel' else 'emulated'}); serial console in {WORK / 'serial.log'}"
    )
    settings = ("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "ConnectTimeout=20")
    options = [word for setting in settings for word in ("-o", setting)]
    ssh: list[str | Path] = ["ssh", "-q", "-i", WORK / "key", "-p", str(shell), *options, "owner@127.0.0.1"]
    with child(command, "qemu.log") as guest:
        yield guest, ssh


class TopicListener:
    """Context manager: collects the topics of all messages of the site, as its viewer."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._listen)
        self.topics: list[str] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def wait(self, matches: Callable[[str], bool], seconds: float, guest: "subprocess.Popen[bytes]") -> None:
        """Wait until a matching topic is received; end the program after the timeout, or when the guest ends."""
        deadline_s = time.monotonic() + seconds
        while not any(map(matches, list(self.topics))):
            if guest.poll() is not None or time.monotonic() > deadline_s:
                lines = (WORK / "serial.log").read_text(errors="replace").splitlines()
                raise SystemExit("\n".join([*lines[-40:], "the expected message was not received"]))
            time.sleep(0.5)

    def _listen(self) -> None:
        from gridfleet.broker.address import BrokerAddress
        from gridfleet.broker.credentials import FileCredentials
        from gridfleet.broker.mqtt.client import MqttLoop
        from gridfleet.broker.protocol.topics import all_topics_filter

        login = FileCredentials(WORK / "secrets").login("viewer")
        with MqttLoop(BrokerAddress("127.0.0.1", self._port, tls=True), retry_refused=True) as loop:
            loop.open(
                "viewer",
                on_message=lambda topic, _payload, _retained: self.topics.append(topic),
                filters=[(all_topics_filter(SITE), 1)],
                login=login,
            )
            while not self._end.is_set():
                loop.run_until(self._end.is_set, 0.5)


def remote(ssh: list[str | Path], *arguments: str, check: bool = True) -> str:
    """Run a command on the machine; return its output."""
    done = subprocess.run(
        [*ssh, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if check and done.returncode != 0:
        raise SystemExit(f"{' '.join(arguments)} failed: {done.stdout}{done.stderr}")
    return str(done.stdout)


@contextlib.contextmanager
def child(command: list[str], log: str) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a program while the block runs; its output goes to a log file."""
    with (WORK / log).open("wb") as output:
        process = subprocess.Popen(
            command, cwd=WORK, env=environment(), stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
        try:
            yield process
        finally:
            process.terminate()
            process.wait(30)


def gridfleet(*arguments: str) -> None:
    """Run a `gridfleet` command."""
    subprocess.run(gridfleet_command(*arguments), cwd=WORK, env=environment(), check=True)


def gridfleet_command(*arguments: str) -> list[str]:
    """Return a `gridfleet` command for this interpreter."""
    return [sys.executable, "-m", "gridfleet", *arguments]


def environment() -> dict[str, str]:
    """Return an environment in which this checkout is imported."""
    return {**os.environ, "PYTHONPATH": str(SOURCES)}


def pipe(port: int) -> None:
    """Connect standard input and output with the broker; qemu runs this for each connection of the guest."""
    with socket.create_connection(("127.0.0.1", port)) as link:

        def forward_input() -> None:
            while data := os.read(0, 65_536):
                link.sendall(data)
            link.shutdown(socket.SHUT_WR)

        threading.Thread(target=forward_input, daemon=True).start()
        while data := link.recv(65_536):
            os.write(1, data)


def report(text: str) -> None:
    """Print a progress line."""
    print(f"=== {text}", flush=True)


if __name__ == "__main__":
    sys.path.insert(0, str(SOURCES))
    if sys.argv[1:2] == ["--pipe"]:
        pipe(int(sys.argv[2]))
    else:
        sys.exit(main())
