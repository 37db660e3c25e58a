"""Is a port free, and which one is."""

from __future__ import annotations

import socket

from memory_core.errors import Conflict, InvalidInput


def require_free_port(host: str, port: int) -> None:
    """Raise Conflict (PORT_TAKEN) when something listens there already, InvalidInput when the host is not ours."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError):
        raise InvalidInput(f"The host {ascii(host)} is not known here.", hint="Use 127.0.0.1.") from None
    with socket.socket(family, kind) as probe:
        # Connections that just closed linger on the port; they do not take it.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as error:
            raise Conflict(
                f"Port {port} on {host} is taken ({error.strerror}).",
                code="PORT_TAKEN",
                hint="Stop what listens there (neural-memory stop), or choose another port with --port.",
            ) from None


def free_port() -> int:
    """A port on the loopback interface that nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
