#!/usr/bin/env python3
"""Hold the JSON Schema against the checker.

Which documents the checker refuses is pinned by sql/config_errors.sql and
sql/config_valid.sql; this script asks the schema about the same files, and
compares the keys that both know.  Exit status 77: no jsonschema here.
"""
import json
import os
import re
import sys

try:
    from jsonschema import Draft202012Validator
except ImportError:
    print("schema_check: skipped, python3-jsonschema is not installed")
    sys.exit(77)

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
SCHEMA = os.path.join(TOP, "src", "config", "dynpipe.schema.json")
DOCUMENTS = os.path.join(TOP, "test", "data", "documents")
EXPECTED = os.path.join(TOP, "expected", "config_errors.out")

# The checker's name of an object -> where its keys are in the schema.
PLACES = {
    "the document": None,
    "a pipeline": "pipeline",
    "a column": "column",
    "bronze": "bronze",
    "silver": "silver",
    "a derived column": "derived",
    "an expectation": "expectation",
    "a gold table": "gold",
    "batch": "batch",
    "a destination": "destination",
}


def verdicts(validator):
    """Structure is refused by both; meaning and validity pass the schema."""
    wrong = 0
    for name, accepted in (("structure", False), ("meaning", True), ("valid", True)):
        with open(os.path.join(DOCUMENTS, name + ".jsonl"), encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                if validator.is_valid(json.loads(line)) != accepted:
                    print(f"{name}.jsonl:{number}: the schema says otherwise: {line.strip()[:160]}")
                    wrong += 1
    return wrong


def keys(schema):
    """Each object has the same keys, as the checker's hints list them."""
    wrong = 0
    known = {}
    with open(EXPECTED, encoding="utf-8") as text:
        found = re.findall(r'unknown key ".*" in ([a-z ]+)\n.*Allowed keys: (.*)\.\n', text.read())
    for what, names in found:
        known[what] = set(names.split(", "))
    for what, place in PLACES.items():
        there = schema if place is None else schema["$defs"][place]
        if known.get(what) != set(there["properties"]):
            print(f"{what}: keys differ: {known.get(what)} and {set(there['properties'])}")
            wrong += 1
    return wrong


def closed(node, path="#"):
    """Every object that lists properties allows no others."""
    wrong = 0
    if isinstance(node, dict):
        if "properties" in node and isinstance(node["properties"], dict) \
                and node.get("type") == "object" and node.get("additionalProperties") is not False:
            print(f"{path}: additionalProperties is not false")
            wrong += 1
        for key, value in node.items():
            wrong += closed(value, f"{path}/{key}")
    elif isinstance(node, list):
        for i, value in enumerate(node):
            wrong += closed(value, f"{path}/{i}")
    return wrong


def main():
    with open(SCHEMA, encoding="utf-8") as text:
        schema = json.load(text)
    Draft202012Validator.check_schema(schema)
    wrong = verdicts(Draft202012Validator(schema)) + keys(schema) + closed(schema)
    print("schema_check: " + (f"{wrong} differences" if wrong else "schema and checker agree"))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
