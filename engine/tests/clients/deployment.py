"""`warren serve` as often as a test wants it, on the real servers and under names of its own."""

import pathlib
import socket
import urllib.error
import urllib.request

from own_names import Names
from support import PATIENCE, SERVES, WARREN, Process, eventually, temporary_directory


def free_ports(count):
    """Ports that nobody listens on now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


class Deployment:
    """Names of its own, and the engines that work under them. `cleanup` takes what ends them."""

    def __init__(self, cleanup, functions=()):
        place = temporary_directory()
        cleanup(place.cleanup)
        self.place, self.cleanup = pathlib.Path(place.name), cleanup
        names = Names(functions)
        cleanup(names.remove)
        self.prefix, self.variables = names.prefix, names.variables()

    def start(self, *arguments, **variables):
        """The program with these arguments."""
        process = Process([WARREN, *arguments], self.place, RUST_LOG="warn", **{**self.variables, **variables})
        self.cleanup(process.end)
        return process

    def serve(self):
        """An engine that is ready, and its endpoint."""
        engine = self.start("serve", "--port", "0")
        endpoint = engine.says(SERVES).removeprefix(SERVES).strip()

        def is_ready():
            if engine.child.poll() is not None:
                raise AssertionError(f"it ended: {engine.printed()}")
            try:
                return urllib.request.urlopen(f"{endpoint}/readyz", timeout=PATIENCE).status == 200
            except urllib.error.HTTPError:
                return False
        eventually(is_ready, every=0.1)
        return engine, endpoint
