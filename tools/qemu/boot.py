# ruff: noqa: INP001, T201, S607 - a script to run by hand, as root, with programs of the system
"""Try a whole first boot without a Pi: `make qemu` (root; 3 GB of disk; emulated, or with KVM=1 make qemu).

A plain Debian trixie for x86-64 is made (mmdebstrap), a FAT seed is written by `gridfleet flash`, and both are booted
by qemu in a network that leads nowhere but to the broker on this machine. Then, over that broker and SSH:

1. the flashed device bids on the market;
2. `gridfleet doctor` finds nothing that fails;
3. an agent that is stopped (SIGSTOP) is killed by the watchdog and comes back;
4. an agent that crashes again and again ends in safe mode, which says so over MQTT.

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
WORK: Final = ROOT / "build" / "qemu"
BROKER: Final = "10.0.2.100"
"""Where the guest sees the broker: an address of qemu's own network, of which nothing else leads out."""
PORT: Final = 8883
DEVICE: Final = "charger-01"
SITE: Final = "germany"
PACKAGES: Final = (
    *("linux-image-cloud-amd64", "systemd-sysv", "systemd-timesyncd", "udev", "dbus", "iproute2", "sudo"),
    *("cloud-init", "netplan.io", "e2fsprogs", "openssh-server", "python3", "python3-venv"),
)
"""As on Raspberry Pi OS, as far as the first boot needs them."""
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
    """Build, flash, boot, look."""
    for program in ("mmdebstrap", "mke2fs", "mformat", "mosquitto", "qemu-system-x86_64", "ssh-keygen"):
        if shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin:/sbin") is None:
            raise SystemExit(f"{program} is missing; {__doc__.strip().splitlines()[-1]}")
    began_s = time.monotonic()
    WORK.mkdir(parents=True, exist_ok=True)
    system()
    for old in ("secrets", "seed.img", "serial.log", "key", "key.pub"):
        path = WORK / old
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    gridfleet("secrets", "secrets", "--host", BROKER, "--set", *SCENARIO)
    seed()
    with broker() as port, clock(port), SiteListener(port) as ear, machine(port) as (guest, ssh):
        since = time.monotonic()
        ear.wait(lambda topic: topic.split("/")[2] == "bid" and topic.endswith(DEVICE), 1800, guest)
        say(f"the device bids, {time.monotonic() - since:.0f} s after power-on")
        look(ssh, ear, guest)
    words: list[str | Path] = ["mtype", "-i", f"{WORK / 'seed.img'}@@1M", "::/gridfleet/first-boot.txt"]
    print(subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip())
    say(f"all is well, {time.monotonic() - began_s:.0f} s in all")
    return 0


def look(ssh: list[str | Path], ear: "SiteListener", guest: "subprocess.Popen[bytes]") -> None:
    """Do what an owner would do, and worse."""
    unit = "gridfleet-device.service"
    print(remote(ssh, "gridfleet", "upgrade"))
    ask(ssh, "ok    service")
    remote(ssh, "sudo", "systemctl", "stop", unit)
    ask(ssh, "ok    access rules")
    remote(ssh, "sudo", "systemctl", "start", unit)
    print(remote(ssh, "systemd-analyze", "security", "--no-pager", unit).splitlines()[-1])

    process = remote(ssh, "systemctl", "show", "-P", "MainPID", unit).strip()
    remote(ssh, "sudo", "kill", "-STOP", process)
    since = time.monotonic()
    while remote(ssh, "systemctl", "show", "-P", "MainPID", unit).strip() in {process, "0"}:
        if time.monotonic() - since > 180:
            raise SystemExit("the watchdog does not bite")
        time.sleep(2)
    say(f"a stopped agent was replaced after {time.monotonic() - since:.0f} s")

    ear.heard.clear()
    for _ in range(12):
        remote(ssh, "sudo", "systemctl", "kill", "--signal=KILL", unit, check=False)
        time.sleep(6)
        if remote(ssh, "systemctl", "is-active", "gridfleet-safe.service", check=False).strip() == "active":
            break
    ear.wait(lambda topic: topic.split("/")[2] == "incident" and topic.endswith(DEVICE), 60, guest)
    say("after repeated crashes it is in safe mode, and says so")
    print(remote(ssh, "journalctl", "--unit=gridfleet-safe", "--no-pager", "--lines=5"))
    remote(ssh, "sudo", "systemctl", "restart", unit)
    ear.heard.clear()
    ear.wait(lambda topic: topic.split("/")[2] == "bid" and topic.endswith(DEVICE), 120, guest)
    say("restarted by hand it bids again")


def ask(ssh: list[str | Path], wanted: str) -> None:
    """Have the doctor look; a line must begin so, and none may fail but that the agent was stopped."""
    said = remote(ssh, "sudo", "gridfleet", "doctor", check=False)
    print(said)
    lines = [line for line in said.splitlines() if line.startswith("fail ") and "does not run" not in line]
    if lines or wanted not in said:
        raise SystemExit(f"the doctor finds something that fails, or not what was expected: {wanted}")


def system() -> None:
    """Make the disk of a plain Debian, once."""
    disk = WORK / "root.img"
    if disk.is_file():
        return
    if os.geteuid() != 0:
        raise SystemExit("make qemu builds a system, and needs root for that")
    say("building Debian trixie")
    tree = WORK / "root"
    shutil.rmtree(tree, ignore_errors=True)
    fstab = "LABEL=root / ext4 defaults 0 1\\nLABEL=CIDATA /boot/firmware vfat defaults,nofail 0 2\\n"
    hooks = (
        f'printf "{fstab}" > "$1/etc/fstab"; mkdir -p "$1/boot/firmware"',
        'printf "datasource_list: [NoCloud, None]\\n" > "$1/etc/cloud/cloud.cfg.d/90_nocloud.cfg"',
    )
    words = ["mmdebstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}"]
    subprocess.run([*words, *(f"--customize-hook={hook}" for hook in hooks), "trixie", tree], check=True)
    for name in ("vmlinuz", "initrd.img"):
        shutil.copy(next((tree / "boot").glob(f"{name}-*")), WORK / name)
    draft = WORK / "root.new"
    words = ["/sbin/mke2fs", "-q", "-t", "ext4", "-L", "root", "-d"]
    subprocess.run([*words, tree, draft, "2G"], check=True)
    draft.replace(disk)
    shutil.rmtree(tree)


def seed() -> None:
    """Have `gridfleet flash` write the boot partition of that machine: FAT32, at 1 MiB, as on a Pi's card."""
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
    words = [
        "--machine",
        "x86_64",
        "--python",
        "3.13",
        "--ssh-key",
        "key.pub",
        "--user",
        "owner",
        "--plain",
        "--yes",
    ]
    gridfleet("flash", DEVICE, "--image", "seed.img", "--out", "cards", *words)
    (out / f"{DEVICE}.img").replace(disk)


@contextlib.contextmanager
def broker() -> Iterator[int]:
    """A Mosquitto with the site's secrets; yields its port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    with child(gridfleet_command("broker", "--secrets", "secrets", "--port", str(port)), "broker.log"):
        for _ in range(100):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.1)
        yield port


def clock(port: int) -> contextlib.AbstractContextManager["subprocess.Popen[bytes]"]:
    """Let time pass: a tick of 15 simulated minutes in ten seconds."""
    words = ["--seconds-per-tick", "10", "--patience", "0", "--ticks", "10000", "--set", *SCENARIO]
    url = f"mqtts://127.0.0.1:{port}"
    return child(
        gridfleet_command("clock", "normal", "--broker", url, "--secrets", "secrets", *words), "clock.log"
    )


@contextlib.contextmanager
def machine(port: int) -> Iterator[tuple["subprocess.Popen[bytes]", list[str | Path]]]:
    """Power it on; yields qemu and how to log in. The guest reaches the broker, and nothing else."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        shell = int(free.getsockname()[1])
    pipe = f"{sys.executable} {Path(__file__).resolve()} --pipe {port}"
    net = f"user,id=n0,restrict=on,hostfwd=tcp:127.0.0.1:{shell}-:22,guestfwd=tcp:{BROKER}:{PORT}-cmd:{pipe}"
    # Under emulation Debian's kernel hangs with cx16; a virtual machine's KVM may not know the host's own instructions.
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
    say(
        f"booting ({speed[1] if speed[0] == '-accel' else 'emulated'}); serial console in {WORK / 'serial.log'}"
    )
    ssh: list[str | Path] = [
        "ssh",
        "-q",
        "-i",
        WORK / "key",
        "-p",
        str(shell),
        "-o",
        "StrictHostKeyChecking=no",
    ]
    ssh += ["-o", "UserKnownHostsFile=/dev/null", "-o", "ConnectTimeout=20", "owner@127.0.0.1"]
    with child(command, "qemu.log") as guest:
        yield guest, ssh


class SiteListener:
    """Context manager: hears, as the site's viewer, everything that is said."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._listen)
        self.heard: list[str] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def wait(self, wanted: Callable[[str], bool], seconds: float, guest: "subprocess.Popen[bytes]") -> None:
        """Return once a topic is heard that is wanted."""
        until = time.monotonic() + seconds
        while not any(map(wanted, list(self.heard))):
            if guest.poll() is not None or time.monotonic() > until:
                lines = (WORK / "serial.log").read_text(errors="replace").splitlines()
                raise SystemExit("\n".join([*lines[-40:], "what was waited for did not come"]))
            time.sleep(0.5)

    def _listen(self) -> None:
        from gridfleet.broker.address import BrokerAddress
        from gridfleet.broker.credentials import FileCredentials
        from gridfleet.broker.mqtt.client import MqttLoop
        from gridfleet.broker.protocol.topics import everything

        login = FileCredentials(WORK / "secrets").login("viewer")
        with MqttLoop(BrokerAddress("127.0.0.1", self._port, tls=True), retry_refused=True) as loop:
            loop.open(
                "viewer",
                on_message=lambda topic, _payload, _retained: self.heard.append(topic),
                filters=[(everything(SITE), 1)],
                login=login,
            )
            while not self._end.is_set():
                loop.run_until(self._end.is_set, 0.5)


def remote(ssh: list[str | Path], *words: str, check: bool = True) -> str:
    """Return what a command says on the machine."""
    done = subprocess.run(
        [*ssh, *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if check and done.returncode != 0:
        raise SystemExit(f"{' '.join(words)} failed: {done.stdout}{done.stderr}")
    return str(done.stdout)


@contextlib.contextmanager
def child(command: list[str], log: str) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a program until the block ends."""
    with (WORK / log).open("wb") as said:
        process = subprocess.Popen(
            command, cwd=WORK, env=environment(), stdin=subprocess.DEVNULL, stdout=said, stderr=said
        )
        try:
            yield process
        finally:
            process.terminate()
            process.wait(30)


def gridfleet(*words: str) -> None:
    """Run a command of ours."""
    subprocess.run(gridfleet_command(*words), cwd=WORK, env=environment(), check=True)


def gridfleet_command(*words: str) -> list[str]:
    """Return a command of ours, as this interpreter runs it."""
    return [sys.executable, "-m", "gridfleet", *words]


def environment() -> dict[str, str]:
    """Return the environment in which these sources are found."""
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def pipe(port: int) -> None:
    """Join standard input and output with the broker: what qemu runs for each connection of the guest."""
    with socket.create_connection(("127.0.0.1", port)) as link:

        def inwards() -> None:
            while data := os.read(0, 65_536):
                link.sendall(data)
            link.shutdown(socket.SHUT_WR)

        threading.Thread(target=inwards, daemon=True).start()
        while data := link.recv(65_536):
            os.write(1, data)


def say(text: str) -> None:
    """Tell how far it is."""
    print(f"=== {text}", flush=True)


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    if sys.argv[1:2] == ["--pipe"]:
        pipe(int(sys.argv[2]))
    else:
        sys.exit(main())
