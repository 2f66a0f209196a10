"""What an expense needs done. Questions are files in the directory `$INBOX`; they could as well be mails."""

import json
import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "kit"))

from functions import serve

INBOX = pathlib.Path(os.environ.get("INBOX", "inbox"))


def ask_manager(question):
    """Puts the question, and is done. Whoever has the token gives the answer, be it in a month."""
    unfinished = INBOX / f"{question['id']}.unfinished"
    unfinished.write_text(json.dumps(question))
    unfinished.rename(INBOX / f"{question['id']}.json")


def pay(expense):
    """Twice for the same expense is one payment: it is named after it."""
    return {"payment": f"payment-{expense['id']}", "amount": expense["amount"]}


serve({"ask-manager": ask_manager, "pay": pay})
