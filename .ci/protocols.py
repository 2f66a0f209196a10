"""Asks a server whether it is one: enough of AMQP 0-9-1 and of Postgres' protocol to log in and leave, and HTTP."""

import socket
import ssl
import struct
import urllib.request
from urllib.parse import unquote, urlsplit

ANSWER_SECONDS = 3


class Refused(Exception):
    """Nobody answers there, or does not let us in. The text says which."""


def _parts(url, port, user, password, path):
    url = urlsplit(url)
    return (
        url.scheme,
        (url.hostname or "127.0.0.1", url.port or port),
        unquote(url.username or user),
        unquote(url.password or password),
        unquote(url.path[1:]) or path,
    )


def _connect(address):
    try:
        connection = socket.create_connection(address, timeout=ANSWER_SECONDS)
    except OSError as error:
        raise Refused(f"nobody answers at {address[0]}:{address[1]}: {error}") from error
    return connection


def _read(connection, size):
    data = b""
    while len(data) < size:
        try:
            more = connection.recv(size - len(data))
        except OSError as error:
            raise Refused(f"the server stopped answering: {error}") from error
        if not more:
            raise Refused("the server closed the connection")
        data += more
    return data


def amqp(url):
    """Logs in and opens the virtual host."""
    scheme, address, user, password, host = _parts(url, 5672, "guest", "guest", "/")
    with _connect(address) as connection:
        if scheme == "amqps":
            connection = ssl.create_default_context().wrap_socket(connection, server_hostname=address[0])
        _amqp_login(connection, user.encode(), password.encode(), host.encode())


def _amqp_login(connection, user, password, host):
    short = lambda text: struct.pack("!B", len(text)) + text
    long = lambda text: struct.pack("!I", len(text)) + text

    def send(method, arguments):
        payload = struct.pack("!HH", 10, method) + arguments
        connection.sendall(struct.pack("!BHI", 1, 0, len(payload)) + payload + b"\xce")

    def receive(expected):
        kind, _, size = struct.unpack("!BHI", _read(connection, 7))
        payload = _read(connection, size + 1)[:-1]
        found = struct.unpack("!HH", payload[:4])
        if (kind, *found) != (1, 10, expected):
            reason = payload[7 : 7 + payload[6]].decode(errors="replace") if found == (10, 50) else f"method {found}"
            raise Refused(f"the broker refuses us: {reason}")
        return payload[4:]

    connection.sendall(b"AMQP\x00\x00\x09\x01")
    receive(10)
    send(11, long(b"") + short(b"PLAIN") + long(b"\0" + user + b"\0" + password) + short(b"en_US"))
    channels, frame, _ = struct.unpack("!HIH", receive(30))
    send(31, struct.pack("!HIH", channels, frame, 0))
    send(40, short(host) + short(b"") + b"\0")
    receive(41)
    send(50, struct.pack("!H", 200) + short(b"") + struct.pack("!HH", 0, 0))
    receive(51)


def postgres(url, strict=True):
    """Logs in without a password. Not `strict`: one that asks for a password, or for TLS, has answered too."""
    _, address, user, _, database = _parts(url, 5432, "postgres", "", "postgres")
    with _connect(address) as connection:
        names = b"".join(text.encode() + b"\0" for text in ("user", user, "database", database)) + b"\0"
        connection.sendall(struct.pack("!II", 8 + len(names), 196608) + names)
        while True:
            kind, size = struct.unpack("!cI", _read(connection, 5))
            body = _read(connection, size - 4)
            if kind == b"Z":
                connection.sendall(struct.pack("!cI", b"X", 4))
                return
            if kind == b"E":
                fields = {field[:1]: field[1:].decode(errors="replace") for field in body.split(b"\0") if field}
                if strict or not fields.get(b"C", "").startswith("28"):
                    raise Refused(f"the database refuses us: {fields.get(b'M')}")
                return
            if kind == b"R" and struct.unpack("!I", body[:4])[0] != 0:
                if strict:
                    raise Refused("the database asks for a password")
                return


def http(url):
    """Asks for a page that says that all is well."""
    try:
        with urllib.request.urlopen(url, timeout=ANSWER_SECONDS):
            pass
    except OSError as error:
        raise Refused(f"{url} does not answer well: {error}") from error
