"""Submits a job and follows it to its end: python3 submit.py word-count '{"text": "to be or not to be"}'"""
import json, os, sys
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

URL = os.environ.get("JOBCAST_URL", "http://127.0.0.1:3300")
HEADERS = {"Content-Type": "application/json", "Authorization": f"Bearer {os.environ.get('JOBCAST_KEY', '')}"}

def call(path, body=None):
    data = None if body is None else json.dumps(body).encode()
    with urlopen(Request(URL + path, data, HEADERS), timeout=60) as answer:
        return json.load(answer)

try:
    job = call("/api/jobs", {"type": sys.argv[1], "payload": json.loads(sys.argv[2])})
    while job["status"] in ("scheduled", "queued", "processing"):
        job = call(f"/api/jobs/{job['jobId']}?after={job['cursor']}&wait=20")  # answered as soon as something happens
        for event in job["events"]:
            print(event["kind"], json.dumps(event["data"]), file=sys.stderr)
    print(json.dumps(job["result"] if job["status"] == "completed" else job["error"]))
    sys.exit(0 if job["status"] == "completed" else 1)
except HTTPError as refused:
    sys.exit(json.load(refused)["detail"])
except URLError as away:
    sys.exit(f"{URL} cannot be reached: {away.reason}")
