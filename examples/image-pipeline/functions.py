"""What is done with images, but for resizing. `$IMAGES` is a directory: `taken`, `stored` and `mails` are in it.

The images are in the format PPM, so that nothing need be installed: a head of `P6 WIDTH HEIGHT 255`, then three bytes
for each pixel.
"""

import hashlib
import json
import os
import pathlib
import re
import shutil
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "kit"))

from functions import Failure, serve

IMAGES = pathlib.Path(os.environ.get("IMAGES", "images"))
HEAD = re.compile(rb"P6\s(\d+)\s(\d+)\s255\s")


def extract_metadata(request):
    content = (IMAGES / "taken" / request["image"]).read_bytes()
    head = HEAD.match(content)
    if head is None:
        raise Failure("UnknownFormat", f"{request['image']} is no PPM")
    width, height = map(int, head.groups())
    return {"width": width, "height": height, "sha256": hashlib.sha256(content).hexdigest()}


def store(request):
    """Twice is once: it puts the same into the same place."""
    original = IMAGES / "stored" / request["image"]
    shutil.copyfile(IMAGES / "taken" / request["image"], original)
    original.with_suffix(".json").write_text(json.dumps(request["metadata"]))
    return {"stored": original.name}


def mail(alert):
    (IMAGES / "mails" / f"{alert['image']}.txt").write_text(f"{alert['error']}: {alert['cause']}\n")


serve({"extract-metadata": extract_metadata, "store": store, "mail": mail})
