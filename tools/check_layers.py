#!/usr/bin/env python3
"""Checks the shape of the tree: who may include whom, unique file stems, function length,
banned calls, leftover markers. Prints one line a finding; exit status 1 if there is any.

SPDX-License-Identifier: Apache-2.0"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent

# ARCHITECTURE.md, "Who may include whom". The longest matching folder counts.
LAYERS = {
    "base": ["base"],
    "market": ["base", "market"],
    "model": ["base", "model"],
    "wire": ["base", "market", "model", "wire"],
    "hot/stream": ["base", "market", "wire", "hot/stream"],
    "hot/ingest": ["base", "market", "wire", "hot/stream", "hot/ingest"],
    "hot/state": ["base", "market", "wire", "hot/stream", "hot/state"],
    "hot/infer": ["base", "market", "model", "wire", "hot/state", "hot/infer"],
    "learn/lake": ["base", "market", "wire", "hot/stream", "learn/lake"],
    "learn": ["base", "market", "model", "wire", "learn"],
    "recover": ["base", "market", "wire", "hot/state", "learn/lake", "recover"],
    "edge": ["base", "market", "model", "wire", "hot", "recover", "learn", "edge"],
}
FUNCTION_LINES_MAX = 70
LINE_COLUMNS_MAX = 100
# Calls with a better replacement, and where they may stand all the same.
BANNED = {
    r"\b(strcpy|strcat|sprintf|gets|strtok|atof|atoi|rand)\s*\(": (),
    r"\b(time|gettimeofday|clock_gettime)\s*\(": ("edge/",),
    r"\b(sleep|usleep|nanosleep)\s*\(": ("edge/",),
}
MARKERS = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")


def layer_of(path):
    parts = path.split("/")
    two = "/".join(parts[:2])
    return two if two in LAYERS else parts[0]


def check_includes(path, text, findings):
    allowed = LAYERS.get(layer_of(path))
    if allowed is None:
        findings.append(f"src/{path}: folder is not in the layer table")
        return
    for number, line in enumerate(text.splitlines(), 1):
        match = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
        if not match:
            continue
        target = match.group(1)
        if target.endswith(".pb-c.h"):
            continue
        if not any(target.startswith(folder + "/") for folder in allowed):
            findings.append(f"src/{path}:{number}: {layer_of(path)} may not include {target}")


def check_functions(path, text, findings):
    lines = text.splitlines()
    start = None
    for number, line in enumerate(lines, 1):
        if line == "{":
            start = number
        elif line == "}" and start is not None:
            length = number - start - 1
            if length > FUNCTION_LINES_MAX:
                findings.append(f"{path}:{start}: function of {length} lines, at most {FUNCTION_LINES_MAX}")
            start = None


def check_lines(path, text, findings, banned):
    for number, line in enumerate(text.splitlines(), 1):
        if len(line) > LINE_COLUMNS_MAX:
            findings.append(f"{path}:{number}: {len(line)} columns, at most {LINE_COLUMNS_MAX}")
        if MARKERS.search(line):
            findings.append(f"{path}:{number}: leftover marker")
        if not banned:
            continue
        code = re.sub(r'"(\\.|[^"\\])*"', '""', line.split("/*")[0])
        for pattern, exempt in BANNED.items():
            inside = path.removeprefix("src/")
            if re.search(pattern, code) and not inside.startswith(exempt or ("\0",)):
                findings.append(f"{path}:{number}: banned call: {code.strip()}")


def main():
    findings = []
    stems = {}
    for file in sorted((ROOT / "src").rglob("*.[ch]")):
        path = str(file.relative_to(ROOT / "src"))
        text = file.read_text()
        check_includes(path, text, findings)
        check_functions("src/" + path, text, findings)
        check_lines("src/" + path, text, findings, True)
        stems.setdefault(file.stem, set()).add(str(file.parent))
        if "SPDX-License-Identifier: Apache-2.0" not in text:
            findings.append(f"src/{path}: no licence line")
    for stem, folders in stems.items():
        if len(folders) > 1:
            findings.append(f"file stem {stem} stands in {len(folders)} folders of src")
    for folder in ("services", "sim", "tests", "bench"):
        for file in sorted((ROOT / folder).rglob("*.[ch]")):
            path = str(file.relative_to(ROOT))
            text = file.read_text()
            check_functions(path, text, findings)
            check_lines(path, text, findings, False)
    for finding in findings:
        print(finding)
    print(f"layers: {len(findings)} findings")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
