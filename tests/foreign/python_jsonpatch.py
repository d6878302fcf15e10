"""Applies JSON Patches by `jsonpatch`. Usage: FILE. Each of its lines is an object: before, after, patch, all JSON
texts; the last may be missing. Tells how many it applied."""

import json
import sys

import jsonpatch


def same(one, another):
    """Numbers count as doubles, and true is not 1."""
    if isinstance(one, dict) and isinstance(another, dict):
        return one.keys() == another.keys() and all(same(one[key], another[key]) for key in one)
    if isinstance(one, list) and isinstance(another, list):
        return len(one) == len(another) and all(map(same, one, another))
    if isinstance(one, bool) or isinstance(another, bool):
        return one is another
    if isinstance(one, (int, float)) and isinstance(another, (int, float)):
        return float(one) == float(another)
    return type(one) is type(another) and one == another


patches = 0
with open(sys.argv[1], encoding="utf-8") as lines:
    for line in lines:
        case = json.loads(line)
        if "patch" in case:
            patch = jsonpatch.JsonPatch(json.loads(case["patch"]))
            document = patch.apply(json.loads(case["before"]))
            assert same(document, json.loads(case["after"])), line
            patches += 1
print(json.dumps({"event": "applied", "patches": patches}), flush=True)
