"""Taking a port for a server that runs in a thread."""

from __future__ import annotations

import os
import socket

from monitor.errors import SetupError


def listen(host: str, port: int, server: str, host_name: str, port_name: str) -> socket.socket:
    """Open a listening socket.

    Parameters
    ----------
    host, port
        Address and port; port 0 for any that is free.
    server
        What listens there, such as "The dashboard".
    host_name, port_name
        What the user calls the two, such as "--host".

    Raises
    ------
    SetupError
        If there is no such address, or the port cannot be had.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        # Connections that come before the server is up wait in the backlog, so none is turned away.
        return socket.create_server(address[:2], family=family, backlog=128)
    except socket.gaierror as error:
        raise SetupError(f"{host_name}: {host} is not the name of an address: {error.strerror}.") from error
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise SetupError(
            f"{server} cannot listen on {host}, port {port}: {reason}; choose another {host_name} or"
            f" {port_name}."
        ) from error


def address_of(host: str, port: int) -> str:
    """Write the URL of a server's root; an IPv6 address is put in brackets."""
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/"
