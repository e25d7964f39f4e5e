"""docs_check - the pages against the install script, the settings and the JSON Schema.

What there is: names from src/sql/*.sql and src/dynpipe.c by their COMMENT ON
and Define... lines (001_install.pl holds these against the catalog), keys from the schema.  What is described: a
name in backquotes in the first cell of a table's row, or a heading
"### dynpipe.name".  Prints "file: what is missing", status 1.
"""
import glob
import json
import re
import sys

wrong = []


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def section(page, name):
    """The text under the heading ### dynpipe.NAME."""
    match = re.search(rf"^### dynpipe\.{name}\b.*?(?=^##|\Z)", page, re.M | re.S)
    return match.group(0) if match else None


def first_cells(text):
    """Names in backquotes in the first cell of each row of a table."""
    cells = re.findall(r"^\| ([^|]*) \|", text, re.M)
    return {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}


def check_sql(page, path):
    sql = "".join(read(name) for name in sorted(glob.glob("src/sql/*.sql")))
    for name in sorted(set(re.findall(r"^CREATE FUNCTION dynpipe\.(\w+)", sql, re.M))):
        if section(page, name) is None and f"`dynpipe.{name}(" not in page:
            wrong.append(f"{path}: function dynpipe.{name} is missing")
    for name in sorted(set(re.findall(r"^CREATE (?:TABLE|SEQUENCE) dynpipe\.(\w+)", sql, re.M))):
        if f"`dynpipe.{name}`" not in page:
            wrong.append(f"{path}: dynpipe.{name} is missing")
    for view in sorted(set(re.findall(r"^CREATE VIEW dynpipe\.(\w+)", sql, re.M))):
        text = section(page, view)
        columns = re.findall(rf'^COMMENT ON COLUMN dynpipe\.{view}\."?(\w+)"? IS', sql, re.M)
        if text is None or not columns:
            wrong.append(f"{path}: view dynpipe.{view} is missing, or its columns have no comments")
            continue
        described = first_cells(text)
        wrong.extend(f"{path}: column {view}.{name} is missing"
                     for name in columns if name not in described)
        wrong.extend(f"{path}: column {view}.{name} does not exist"
                     for name in sorted(described) if name not in columns)


def check_settings(page, path):
    defined = re.findall(r'DefineCustom\w+\("(dynpipe\.\w+)"', read("src/dynpipe.c"))
    described = first_cells(page.split("\n## Settings", 1)[-1])
    wrong.extend(f"{path}: setting {name} is missing" for name in defined if name not in described)
    wrong.extend(f"{path}: setting {name} does not exist"
                 for name in sorted(described) if name not in defined)


def keys_of(schema):
    """Every key that an object of the document may have."""
    if isinstance(schema, dict):
        properties = schema.get("properties")
        if isinstance(properties, dict):
            yield from properties
        for value in schema.values():
            yield from keys_of(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from keys_of(value)


def check_keys(page, path):
    described = first_cells(page)
    keys = sorted(set(keys_of(json.loads(read("src/config/dynpipe.schema.json")))))
    wrong.extend(f"{path}: key {name} is missing" for name in keys if name not in described)


def anchors(page):
    """The anchors of a page's headings, as forges make them."""
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
            for heading in re.findall(r"^#+ (.+)$", page, re.M)}


def check_links(path):
    page = read(path)
    folder = path.rpartition("/")[0]
    for target in re.findall(r"\]\(([^)\s]+)\)", page):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        name = re.sub(r"[^/]+/\.\./", "", f"{folder}/{file}".lstrip("/")) if file else path
        try:
            text = read(name)
        except OSError:
            wrong.append(f"{path}: link to {target} leads nowhere")
            continue
        if anchor and anchor not in anchors(text):
            wrong.append(f"{path}: link to {target}: no such heading")


check_sql(read("docs/sql-reference.md"), "docs/sql-reference.md")
check_settings(read("docs/sql-reference.md"), "docs/sql-reference.md")
check_keys(read("docs/configuration.md"), "docs/configuration.md")
for pages in ("*.md", "docs/*.md", "src/*.md"):
    for name in sorted(glob.glob(pages)):
        check_links(name)
print("\n".join(wrong), end="\n" if wrong else "")
sys.exit(1 if wrong else 0)
