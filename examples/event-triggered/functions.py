"""The storehouse, in Python."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "kit"))

from functions import Failure, serve

STOCK = {"book": 100, "lamp": 0}


def reserve(request):
    if request["item"] not in STOCK:
        raise Failure("UnknownItem", f"the shop does not sell {request['item']}")
    return {"reserved": request["quantity"] <= STOCK[request["item"]]}


serve({"reserve": reserve})
