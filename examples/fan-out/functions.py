"""The bookkeeping."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "kit"))

from functions import Failure, serve


def invoice(job):
    if job["quantity"] < 1:
        raise Failure("InvalidJob", f"the quantity of job {job['id']} is {job['quantity']}")
    return {"job": job["id"], "cents": job["price_cents"] * job["quantity"]}


def add_up(results):
    """All results of a batch, in one."""
    invoices = [each for each in results if "cents" in each]
    return {
        "jobs": len(results),
        "failed": len(results) - len(invoices),
        "cents": sum(each["cents"] for each in invoices),
    }


serve({"invoice": invoice, "add-up": add_up})
