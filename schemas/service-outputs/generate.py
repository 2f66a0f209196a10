"""Writes outputs.bin, the shapes of what the services of AWS answer, from the models that botocore carries.

README.md beside this file says how to run it and what the file looks like.
"""

import gzip
import json
import pathlib
import re
import sys
import zlib

import botocore

MODELS = pathlib.Path(botocore.__file__).parent / "data"
OUTPUTS = pathlib.Path(__file__).parent / "outputs.bin"
NUMBERS = ("integer", "long", "float", "double")
# Where Step Functions was recorded to know another bound than the model has by now: service, shape, bound.
RECORDED = {("Lambda", "MemorySize"): {"max": 10_240}}


def models():
    """The latest model of each service."""
    for service in sorted(path for path in MODELS.iterdir() if path.is_dir()):
        versions = sorted(service.glob("*/service-2.json*"))
        if versions:
            path = versions[-1]
            text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
            yield as_recorded(json.loads(text))


def as_recorded(model):
    for (service, shape), bound in RECORDED.items():
        if service == model["metadata"]["serviceId"]:
            model["shapes"][shape].update(bound)
    return model


def sdk_name(service_id):
    """`CloudWatch Logs` is `cloudwatchlogs` in a resource, `Config Service` is `config`."""
    name = re.sub(r"[^a-z0-9]", "", service_id.lower())
    return name.removeprefix("amazon").removeprefix("aws").removesuffix("service")


class Shapes:
    """The shapes that outputs reach, in the order in which they are met; equal ones of no parts are one."""

    def __init__(self, model):
        self.model = model
        self.written = []
        self.numbers = {}

    def number(self, name):
        if name not in self.numbers:
            shape = self.model[name]
            if shape["type"] in ("structure", "list", "map") and not shape.get("document"):
                # Numbered before its parts: they may hold it.
                number = self.numbers[name] = len(self.written)
                self.written.append(None)
                self.written[number] = self.compound(shape)
            else:
                self.numbers[name] = self.leaf(self.plain(shape))
        return self.numbers[name]

    def leaf(self, written):
        if written not in self.written:
            self.written.append(written)
        return self.written.index(written)

    def compound(self, shape):
        if shape["type"] == "map":
            return {"map": self.number(shape["value"]["shape"])}
        if shape["type"] == "list":
            return {"list": {"of": self.number(shape["member"]["shape"]), **bounds(shape)}}
        members = {
            name: self.number(member["shape"])
            for name, member in shape["members"].items()
            if not self.model[member["shape"]].get("eventstream")
        }
        required = [name for name in shape.get("required", ()) if name in members]
        return {"structure": {"members": members, **({"required": required} if required else {})}}

    def plain(self, shape):
        kind = shape["type"]
        if kind in NUMBERS:
            return {"number": bounds(shape, zero_counts=True)}
        if kind == "boolean":
            return "boolean"
        if kind == "timestamp":
            return {"text": {}}
        if kind == "blob":
            # The text that stands for bytes is at least as long as they are, and may be longer than they may be.
            return {"text": {key: bound for key, bound in bounds(shape).items() if key == "min"}}
        if kind == "string":
            return {"enum": shape["enum"]} if "enum" in shape else {"text": bounds(shape)}
        return "any"


def bounds(shape, zero_counts=False):
    kept = {key: shape[key] for key in ("min", "max") if key in shape}
    if not zero_counts and kept.get("min") == 0:
        del kept["min"]
    return kept


def outputs(model):
    """What is kept of a service: its operations that answer something, and their shapes."""
    shapes = Shapes(model["shapes"])
    operations = {
        name: shapes.number(operation["output"]["shape"])
        for name, operation in model["operations"].items()
        if "output" in operation
    }
    return {"operations": operations, "shapes": shapes.written}


def compact(value):
    return json.dumps(value, separators=(",", ":")).encode()


def main():
    sys.setrecursionlimit(10_000)
    services, bodies = {}, b""
    for model in models():
        text = compact(outputs(model))
        deflate = zlib.compressobj(level=9, wbits=-15)
        body = deflate.compress(text) + deflate.flush()
        services[sdk_name(model["metadata"]["serviceId"])] = (len(bodies), len(body), len(text))
        bodies += body
    index = compact({"source": f"botocore {botocore.__version__}", "services": services})
    OUTPUTS.write_bytes(len(index).to_bytes(4, "little") + index + bodies)
    print(f"{len(services)} services, {OUTPUTS.stat().st_size} bytes")


if __name__ == "__main__":
    main()
