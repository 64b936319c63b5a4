"""Counts the statuses in Docker json-file logs as the nginx tailer does: prints them as JSON.

count.py PATTERN FILE...
"""
import json
import re
import sys

pattern = re.compile(sys.argv[1])
counts = {}
for path in sys.argv[2:]:
    with open(path) as lines:
        for line in lines:
            try:
                log = json.loads(line.strip())["log"].strip()
            except (ValueError, KeyError):
                continue
            match = pattern.match(log)
            if match:
                status = match.group("status")
                counts[status] = counts.get(status, 0) + 1
json.dump(counts, sys.stdout)
