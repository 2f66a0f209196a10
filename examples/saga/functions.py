"""The agency's functions. Its bookings are files, one each, in the directory `$BOOKINGS`."""

import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "kit"))

from functions import Failure, serve

BOOKINGS = pathlib.Path(os.environ.get("BOOKINGS", "bookings"))


def book(request):
    """The same request twice is one booking: its name is made of what is booked, and drawn by nobody."""
    if request["wish"] == "sold out":
        raise Failure("SoldOut", f"there is no {request['kind']} left")
    booking = BOOKINGS / f"{request['trip']}-{request['kind']}"
    booking.write_text(request["wish"])
    return {"booking": booking.name, "of": request["wish"]}


def cancel(request):
    """What was never booked may be cancelled, too: whoever asks may not know."""
    (BOOKINGS / f"{request['trip']}-{request['kind']}").unlink(missing_ok=True)


serve({"book": book, "cancel": cancel})
