#!/usr/bin/env python3
"""Writes the results of a bench to docs/PERFORMANCE.md.

    document.py NAME <OUTPUT     replaces what is between `<!-- results: NAME -->` and the next `<!-- end -->`
    document.py --check NAME…    fails if the document has no such place for one of the names

Results are the lines `ok|MISSED|info  WHAT: VALUE UNIT (limit LIMIT UNIT)`; other lines are ignored.
"""

import os
import platform
import re
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DOCUMENT = ROOT / "docs/PERFORMANCE.md"
RESULT = re.compile(r"(ok|MISSED|info) +(.+): (.+?)(?: \(limit (.+)\))?")
END = "<!-- end -->"


def place(text, name):
    """Start and end of the results of a bench."""
    begin = f"<!-- results: {name} -->\n"
    if text.count(begin) != 1 or END not in text.partition(begin)[2]:
        sys.exit(f"{DOCUMENT}: there must be one {begin.strip()} with an {END} after it")
    start = text.index(begin) + len(begin)
    return start, text.index(END, start)


def describe_run():
    """When and on what the results were measured."""
    git = ["git", "-C", str(ROOT)]
    commit = subprocess.check_output([*git, "rev-parse", "--short", "HEAD"], text=True).strip()
    # This document changes with every result.
    changes = [*git, "status", "--porcelain", "--untracked-files=no", "--", ".", f":!{DOCUMENT.relative_to(ROOT)}"]
    if subprocess.check_output(changes):
        commit += " with local changes"
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    moment = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
    processors = os.cpu_count()
    return (
        f"{moment}, commit {commit}.\n"
        f"{processors} processors, {memory:.1f} GiB of memory, {platform.system()} {platform.release()}. "
        f"Load average at the end: {os.getloadavg()[1]:.1f}.\n"
    )


def table(lines):
    rows = ["| Result | What | Value | Limit |", "|---|---|---|---|"]
    for line in lines:
        match = RESULT.fullmatch(line.strip())
        if match:
            verdict, what, value, limit = (part or "" for part in match.groups())
            verdict = {"ok": "ok", "MISSED": "**MISSED**", "info": ""}[verdict]
            rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in (verdict, what, value, limit)) + " |")
    return rows


def main():
    names = sys.argv[1:]
    text = DOCUMENT.read_text()
    if names[:1] == ["--check"]:
        for name in names[1:]:
            place(text, name)
        return
    (name,) = names
    rows = table(sys.stdin)
    if len(rows) == 2:
        sys.exit(f"{name}: there are no results; the document keeps the earlier ones")
    start, end = place(text, name)
    results = f"\n{describe_run()}\n" + "\n".join(rows) + "\n\n"
    DOCUMENT.write_text(text[:start] + results + text[end:])


if __name__ == "__main__":
    main()
