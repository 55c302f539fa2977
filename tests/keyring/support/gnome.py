"""A home with a session bus and GNOME Keyring of its own, without a display."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ...e2e.support.gateways import until
from ...e2e.support.sample_home import SampleHome, make_sample_home

PASSWORD = "of the login keyring"
SERVICE = "mcp-orchestration-gateway secrets"
PROMPTER = Path(__file__).parent.parent / "programs" / "silent_prompter.py"

_BUS = """<busconfig>
  <type>session</type>
  <listen>unix:path={socket}</listen>
  <auth>EXTERNAL</auth>
  <servicedir>{services}</servicedir>
  <policy context="default"><allow send_destination="*"/><allow receive_sender="*"/><allow own="*"/></policy>
</busconfig>
"""


def missing() -> str:
    """Return what keeps GNOME Keyring from being tried here."""
    if sys.platform != "linux":
        return "GNOME Keyring needs Linux"
    absent = [name for name in ("dbus-daemon", "gnome-keyring-daemon") if not shutil.which(name)]
    return f"{' and '.join(absent)} not installed" if absent else ""


@dataclass(frozen=True)
class GnomeHome(SampleHome):
    """A home of eight programs, with a keyring that can be locked and killed."""

    stack: ExitStack = field(default_factory=ExitStack)
    daemons: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def address(self) -> str:
        """The address of the session bus."""
        return self.variables["DBUS_SESSION_BUS_ADDRESS"]

    @contextmanager
    def connection(self) -> Iterator[object]:
        """Connect to the session bus."""
        from jeepney.io.blocking import open_dbus_connection

        with open_dbus_connection(self.address) as connection:
            yield connection

    def start_bus(self) -> None:
        """Start a session bus, on which nothing starts by itself."""
        services, config = self.folder / "services", self.folder / "bus.conf"
        services.mkdir()
        socket = Path(self.environment["XDG_RUNTIME_DIR"]) / "bus"
        config.write_text(_BUS.format(socket=socket, services=services))
        command = ["dbus-daemon", f"--config-file={config}", "--nofork", "--nopidfile"]
        self._start(command, stderr=subprocess.DEVNULL)
        until(socket.is_socket, "a session bus")

    def start_daemon(self) -> None:
        """Start the keyring, unlocked, as a login does."""
        from secretstorage import check_service_availability

        command = ["gnome-keyring-daemon", "--foreground", "--unlock", "--components=secrets"]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        daemon = self._start(command, stdin=subprocess.PIPE, **quiet)
        self.daemons.append(daemon)
        assert daemon.stdin is not None
        daemon.stdin.write(PASSWORD.encode())
        daemon.stdin.close()
        with self.connection() as connection:
            until(lambda: check_service_availability(connection), "a keyring on the session bus")

    def kill_daemon(self) -> None:
        """End the keyring without a word to it."""
        daemon = self.daemons.pop()
        daemon.kill()
        daemon.wait(20)

    def lock(self) -> None:
        """Lock the keyring, as a desktop does with the screen."""
        from secretstorage import get_default_collection

        with self.connection() as connection:
            get_default_collection(connection).lock()

    def unlock(self) -> None:
        """Give the keyring its password, as a login does."""
        from jeepney import DBusAddress, new_method_call
        from secretstorage import get_default_collection
        from secretstorage.util import format_secret, open_session

        with self.connection() as connection:
            place = "/org/freedesktop/secrets", "org.freedesktop.secrets"
            service = DBusAddress(*place, "org.gnome.keyring.InternalUnsupportedGuiltRiddenInterface")
            password = format_secret(open_session(connection), PASSWORD.encode(), "text/plain")
            given = get_default_collection(connection).collection_path, password
            connection.send_and_get_reply(new_method_call(service, "UnlockWithMasterPassword", "o(oayays)", given))
            assert not get_default_collection(connection).is_locked()

    def read_ring(self) -> dict[str, str]:
        """Return what the gateway keeps in the keyring, by name."""
        from secretstorage import get_default_collection

        with self.connection() as connection:
            items = get_default_collection(connection).search_items({"service": SERVICE})
            return {item.get_attributes()["username"]: item.get_secret().decode() for item in items}

    def start_silent_prompter(self) -> None:
        """Have a prompter that shows no window and never answers, as with nobody at the screen."""
        started = self._start([sys.executable, str(PROMPTER)], stdout=subprocess.PIPE)
        assert started.stdout is not None
        assert started.stdout.readline() == b"ready\n"

    def _start(self, command: list[str], **options: object) -> subprocess.Popen[bytes]:
        started = subprocess.Popen(command, env=self.environment, cwd=self.folder, **options)  # type: ignore[call-overload]
        self.stack.callback(_end, started)
        return started


def _end(popen: subprocess.Popen[bytes]) -> None:
    popen.kill()
    popen.wait(20)
    if popen.stdout is not None:
        popen.stdout.close()


@contextmanager
def gnome_home(folder: Path) -> Iterator[GnomeHome]:
    """Make a home whose session bus has no keyring yet."""
    made = make_sample_home(folder)
    address = {"DBUS_SESSION_BUS_ADDRESS": f"unix:path={folder.resolve() / 'run' / 'bus'}"}
    with ExitStack() as stack:
        home = GnomeHome(made.folder, {**made.variables, **address}, stack)
        home.start_bus()
        yield home
