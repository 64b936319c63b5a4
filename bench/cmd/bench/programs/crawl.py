"""Reads all pages of all streams of an API, and counts the records: crawl.py URL STREAMS."""
import json
import sys
import urllib.request

url, streams = sys.argv[1], int(sys.argv[2])
count = 0
for stream in range(streams):
    page = 1
    while True:
        with urllib.request.urlopen(f"{url}/s{stream}?page={page}") as response:
            records = json.loads(response.read())["data"]
        if not records:
            break
        cursor = None
        for record in records:
            cursor = (record["at"], record["id"])
            count += 1
        page += 1
print(count)
