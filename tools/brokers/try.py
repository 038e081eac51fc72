# ruff: noqa: INP001, T201, S607 - a script to run by hand, not part of a package
"""Try the brokers that this machine has or can build: what `broker check` finds, and which commands they serve.

python tools/brokers/try.py [NAME ...]

Mosquitto and RabbitMQ are used where they are installed (sudo apt-get install mosquitto rabbitmq-server; neither need
run); aedes needs npm, mochi-mqtt Go, Moquette Maven. Everything is built in build/brokers/ and listens on 127.0.0.1.
Prints a table in Markdown; ends with 1 when a broker that was tried does not serve `run`.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).resolve().parents[2]
HERE: Final = ROOT / "tools" / "brokers"
BUILD: Final = ROOT / "build" / "brokers"
FILES: Final = ("ledger.csv", "ticks.csv", "agents.csv", "reservations.csv")
TICKS: Final = "6"
START_S: Final = 180.0
PROCESSES_S: Final = 60.0


class Broker(NamedTuple):
    """A broker: how it is built, how it is started, and how it states its version."""

    needs: str
    build: Callable[[], object]
    command: Callable[[int, Path], list[str]]
    version: Callable[[], str]
    environment: Callable[[int, Path], dict[str, str]] = lambda _port, _folder: {}


def build_aedes() -> None:
    """Install aedes from its lock file, without scripts."""
    shutil.copytree(HERE / "aedes", BUILD / "aedes", dirs_exist_ok=True)
    run("npm", "ci", "--ignore-scripts", "--silent", cwd=BUILD / "aedes")


def build_mochi() -> None:
    """Build mochi-mqtt with the modules of its go.sum."""
    run("go", "build", "-o", str(BUILD / "mochi"), ".", cwd=HERE / "mochi")


def build_moquette() -> None:
    """Build Moquette."""
    shutil.copytree(HERE / "moquette", BUILD / "moquette", dirs_exist_ok=True)
    path = "-Dmdep.outputFile=classpath"
    run("mvn", "-q", "-B", "compile", "dependency:build-classpath", path, cwd=BUILD / "moquette")


def mosquitto(port: int, folder: Path) -> list[str]:
    """Return the command of a Mosquitto without rights."""
    file = folder / "mosquitto.conf"
    file.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 20000\n")
    return [tool("mosquitto"), "-c", str(file)]


def moquette(port: int, _folder: Path) -> list[str]:
    """Return the command of a Moquette in memory."""
    built = BUILD / "moquette"
    return ["java", "-cp", f"{built}/target/classes:{(built / 'classpath').read_text()}", "Broker", str(port)]


def rabbitmq_environment(port: int, folder: Path) -> dict[str, str]:
    """Return the environment of a RabbitMQ of its own, beside one that may run."""
    amqp, distribution, epmd = free_port(), free_port(), free_port()
    (folder / "rabbitmq.conf").write_text(
        f"mqtt.listeners.tcp.1 = 127.0.0.1:{port}\nlisteners.tcp.1 = 127.0.0.1:{amqp}\nmqtt.allow_anonymous = true\n"
        "mqtt.default_user = guest\nmqtt.default_pass = guest\nmqtt.prefetch = 1000\n"
    )
    (folder / "plugins").write_text("[rabbitmq_mqtt].")
    return {
        "RABBITMQ_NODENAME": f"gridfleet{port}@localhost",
        "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq"),
        "RABBITMQ_MNESIA_BASE": str(folder / "db"),
        "RABBITMQ_LOG_BASE": str(folder / "logs"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
        "RABBITMQ_DIST_PORT": str(distribution),
        "ERL_EPMD_PORT": str(epmd),
        "HOME": str(folder),
    }


BROKERS: Final = {
    "Mosquitto": Broker("mosquitto", lambda: None, mosquitto, lambda: said("mosquitto", "-h").split()[2]),
    "rumqttd (embedded)": Broker("", lambda: None, lambda *_: [], lambda: installed("iotcore")),
    "mochi-mqtt": Broker(
        "go",
        build_mochi,
        lambda port, _: [str(BUILD / "mochi"), str(port)],
        lambda: stated("mochi/go.mod", "server/v2 v"),
    ),
    "aedes": Broker(
        "npm",
        build_aedes,
        lambda port, _: ["node", str(BUILD / "aedes" / "broker.mjs"), str(port)],
        lambda: stated("aedes/package.json", '"aedes": "'),
    ),
    "RabbitMQ": Broker(
        "rabbitmq-server",
        lambda: None,
        lambda *_: ["/usr/lib/rabbitmq/bin/rabbitmq-server"],
        lambda: said("dpkg-query", "-W", "-f=${Version}", "rabbitmq-server").split("-")[0],
        rabbitmq_environment,
    ),
    "Moquette": Broker(
        "mvn",
        build_moquette,
        moquette,
        lambda: stated("moquette/pom.xml", "moquette-broker</artifactId>\n      <version>"),
    ),
}


def try_broker(name: str, url: str, folder: Path) -> list[str]:
    """Return the row of a broker: version of MQTT, two runs, processes of a site, console."""
    check = gridfleet(folder, "broker", "check", "--broker", url, "--site", "checked")
    missing = [line.split()[1] for line in check.stdout.splitlines() if line.startswith("fail")]
    version = "3.1.1" if "MQTT 3.1.1 only" in check.stdout else "5"
    same = all(is_simulated(folder, url) for _ in range(2))
    return [
        name,
        BROKERS[name].version(),
        version,
        "yes" if same else "**no**",
        "yes" if serves_processes(folder, url) else "no",
        ", ".join(dict.fromkeys(missing)) or "–",
    ]


def is_simulated(folder: Path, url: str) -> bool:
    """Return whether a run on a broker gives the files of the simulation."""
    gridfleet(folder, "simulate", "normal", "--ticks", TICKS, "--no-report", "--out", "simulated", "--force")
    quiet = ("--no-console", "--no-report", "--force")
    done = gridfleet(folder, "run", "normal", "--ticks", TICKS, "--broker", url, "--out", "run", *quiet)
    return done.returncode == 0 and all(
        (folder / "run" / file).read_bytes() == (folder / "simulated" / file).read_bytes() for file in FILES
    )


def serves_processes(folder: Path, url: str) -> bool:
    """Return whether fleet, recorder, clock and status work in processes of their own, the clock last."""
    site = ("normal", "--broker", url)
    with contextlib.ExitStack() as stack:
        for words in (("site", "fleet", *site), ("site", "record", *site, "--out", str(folder / "recorded"))):
            stack.enter_context(started([*command(), *words], folder))
        time.sleep(5.0)
        clock = gridfleet(
            folder, "site", "clock", *site, "--ticks", "2", "--seconds-per-tick", "2", timeout_s=PROCESSES_S
        )
        status = gridfleet(folder, "site", "status", "--broker", url)
        time.sleep(3.0)
    rows = [file.read_text().count("\n") for file in folder.glob("recorded/runs/*/ledger.csv")]
    return clock.returncode == 0 and "57 of 57 devices" in status.stdout and sum(rows) > 1


# --- tools -----------------------------------------------------------------------------------------------


def command() -> list[str]:
    """Return the words that begin a command of GridFleet."""
    main = "import sys; from gridfleet.provisioning.cli.main import main; sys.exit(main())"
    return [sys.executable, "-c", main]


def gridfleet(folder: Path, *words: str, timeout_s: float = 300.0) -> "subprocess.CompletedProcess[str]":
    """Run a command of GridFleet."""
    try:
        return subprocess.run(
            [*command(), *words], cwd=folder, capture_output=True, text=True, check=False, timeout=timeout_s
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(words, 1, "", "timeout")


@contextlib.contextmanager
def started(words: list[str], folder: Path, environment: dict[str, str] | None = None) -> Iterator[None]:
    """Run a process, with its children, as long as the context lasts."""
    with (folder / "log").open("ab") as log:
        child = subprocess.Popen(
            words,
            cwd=folder,
            stdout=log,
            stderr=log,
            env={**os.environ, **(environment or {})},
            start_new_session=True,
        )
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGTERM)
        try:
            child.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()


@contextlib.contextmanager
def running(name: str, folder: Path) -> Iterator[str]:
    """Run a broker; its URL."""
    if name.startswith("rumqttd"):
        from gridfleet.broker.brokers.embedded import EmbeddedBroker

        with EmbeddedBroker() as embedded:
            yield embedded.url
        return
    broker, port = BROKERS[name], free_port()
    broker.build()
    environment = broker.environment(port, folder)
    with started(broker.command(port, folder), folder, environment):
        end_s = time.monotonic() + START_S
        while time.monotonic() < end_s:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.2)
        yield f"mqtt://127.0.0.1:{port}"
    if epmd := environment.get("ERL_EPMD_PORT"):  # Erlang's port mapper outlives the broker that started it
        subprocess.run(["epmd", "-port", epmd, "-kill"], capture_output=True, check=False)


def run(*words: str, cwd: Path) -> None:
    """Run a build."""
    subprocess.run(words, cwd=cwd, check=True)


def said(*words: str) -> str:
    """Return what a command prints."""
    return subprocess.run([tool(words[0]), *words[1:]], capture_output=True, text=True, check=False).stdout


def tool(name: str) -> str:
    """Return the path of a program; servers may be off the user's PATH."""
    return (
        shutil.which(name, path=f"{os.environ['PATH']}:/usr/local/sbin:/usr/sbin:/usr/lib/rabbitmq/bin")
        or name
    )


def stated(file: str, before: str) -> str:
    """Return the version that follows a text in a file of this folder."""
    return (HERE / file).read_text().partition(before)[2].split()[0].split("<")[0].strip('",')


def installed(package: str) -> str:
    """Return the version of a Python package."""
    from importlib.metadata import version

    return f"{package} {version(package)}"


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def main(names: list[str]) -> int:
    """Try the brokers that are named, or all; print the table."""
    BUILD.mkdir(parents=True, exist_ok=True)
    rows = []
    for name in names or BROKERS:
        if BROKERS[name].needs and not Path(tool(BROKERS[name].needs)).is_file():
            print(f"{name}: {BROKERS[name].needs} is missing", file=sys.stderr)
            continue
        with TemporaryDirectory() as scratch, running(name, Path(scratch)) as url:
            rows.append(try_broker(name, url, Path(scratch)))
        print(" | ".join(rows[-1]), file=sys.stderr, flush=True)
    print(
        "| broker | version | MQTT | `run` twice, bytes of the simulation | site processes | `broker check` fails |"
    )
    print("| --- | --- | --- | --- | --- | --- |")
    for row in rows:
        print(f"| {' | '.join(row)} |")
    return 0 if rows and all(row[3] == "yes" for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
