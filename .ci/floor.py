"""Compares results of the recorded cases with the floor, which only rises.

    floor.py RESULTS FLOOR [--raise]

A line of the floor names an area, or `total`, and the percentages of its cases that must at least be reached:
of those that end the same (outcome), of those with the same events too, and of those the same in every value
(exact). Areas that were not run are not compared.
"""

import collections
import json
import math
import sys

LEVELS = ("outcome", "events", "exact")
HEADER = """\
# What must at least be reached of the cases recorded on AWS, in percent: `make conformance`.
# It only rises: .ci/conformance DIR --raise
# Exact answers of synchronous Express executions hold how long they took on AWS, so they come and go here.
"""


def reached(results):
    """Percentages by area and in total, rounded down to a tenth."""
    groups = collections.defaultdict(list)
    for case in results:
        if not case.get("not_runnable"):
            groups[case["area"]].append(case)
            groups["total"].append(case)
    share = lambda cases, level: math.floor(1000 * sum(bool(case[level]) for case in cases) / len(cases)) / 10
    return {area: [share(cases, level) for level in LEVELS] for area, cases in sorted(groups.items())}


def read(path):
    with open(path) as file:
        lines = [line.split() for line in file if line.strip() and not line.startswith(("#", "area"))]
    return {line[0]: [float(number) for number in line[1:]] for line in lines}


def write(path, floor):
    with open(path, "w") as file:
        file.write(HEADER)
        file.write(f"{'area':<26}{LEVELS[0]:>9}{LEVELS[1]:>9}{LEVELS[2]:>9}\n")
        for area in sorted(floor, key=lambda area: (area == "total", area)):
            file.write(f"{area:<26}" + "".join(f"{number:>9.1f}" for number in floor[area]) + "\n")


def main(results_path, floor_path, *options):
    with open(results_path) as file:
        now = reached(json.load(file)["results"])
    floor = read(floor_path)
    if not now:
        sys.exit("conformance: no case was run")
    under = []
    for area, numbers in now.items():
        least = floor.get(area, [0.0] * len(LEVELS))
        print(f"{area:<26}" + "".join(f"{level:>9} {number:5.1f}" for level, number in zip(LEVELS, numbers)))
        for level, number, minimum in zip(LEVELS, numbers, least):
            if number < minimum:
                under.append(f"{area}: {level} {number} is under the floor of {minimum}")
    if under:
        sys.exit("\n".join(["conformance: fallen", *under]))
    if "--raise" in options:
        for area, numbers in now.items():
            floor[area] = [max(pair) for pair in zip(numbers, floor.get(area, numbers))]
        write(floor_path, floor)
    print(f"conformance: at or over the floor, exact {now['total'][2]} %")


main(*sys.argv[1:])
