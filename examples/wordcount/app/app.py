#!/usr/bin/python3
"""One program, four parts: setup, web, worker, and the check that web is healthy."""

import collections
import html
import http.server
import os
import signal
import socket
import sys
import urllib.parse
import urllib.request

import redis

PORT = 8080
PAGE = """<!doctype html>
<title>Word count</title>
<h1>{title}</h1>
<form method="post" action="/texts"><textarea name="text"></textarea><button>Count</button></form>
<p>{waiting} texts wait, {done} are counted.</p>
<h2>Words</h2><ol>{words}</ol>
<h2>Workers</h2><ul>{workers}</ul>
"""


def connect():
    """The database, with the password that Compose puts into a file."""
    with open("/run/secrets/password", encoding="utf-8") as secret:
        password = secret.read().strip()
    return redis.Redis("db", password=password, decode_responses=True)


def setup():
    """What has to be there before anybody else begins."""
    connect().set("title", os.environ.get("TITLE", "Word count"), nx=True)


class Handler(http.server.BaseHTTPRequestHandler):
    """GET / shows all, POST /texts takes one, GET /healthy asks the database."""

    def do_GET(self):
        db = connect()
        if self.path == "/healthy":
            return self.answer(200 if db.ping() else 503, "text/plain", "ok\n")
        if self.path != "/":
            return self.answer(404, "text/plain", "no such page\n")

        def items(name):
            rows = db.zrevrange(name, 0, 9, withscores=True)
            return "".join(f"<li>{html.escape(key)}: {int(count)}</li>" for key, count in rows)

        page = PAGE.format(
            title=html.escape(db.get("title") or ""),
            waiting=db.llen("texts"),
            done=db.get("done") or 0,
            words=items("words"),
            workers=items("workers"),
        )
        return self.answer(200, "text/html; charset=utf-8", page)

    def do_POST(self):
        if self.path != "/texts":
            return self.answer(404, "text/plain", "no such page\n")
        length = min(int(self.headers.get("Content-Length", 0)), 1 << 20)
        form = urllib.parse.parse_qs(self.rfile.read(length).decode(errors="replace"))
        connect().rpush("texts", form.get("text", [""])[0])
        self.send_response(303)
        self.send_header("Location", "/")
        self.end_headers()

    def answer(self, status, kind, text):
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def web():
    """Serves pages, each request on a thread of its own."""
    http.server.ThreadingHTTPServer(("", PORT), Handler).serve_forever()


def worker():
    """Counts one text after the other, until it is told to stop."""
    stopped = []
    signal.signal(signal.SIGTERM, lambda *_: stopped.append(True))
    db, name = connect(), socket.gethostname()
    print("worker", name, "waits for texts", flush=True)
    while not stopped:
        found = db.blpop("texts", timeout=1)
        if found is None:
            continue
        counted = collections.Counter(found[1].lower().split())
        with db.pipeline() as changes:
            for word, count in counted.items():
                changes.zincrby("words", count, word)
            changes.zincrby("workers", 1, name)
            changes.incr("done")
            changes.execute()
    print("worker", name, "has stopped", flush=True)


def healthy():
    """Fails unless the web server answers."""
    urllib.request.urlopen(f"http://127.0.0.1:{PORT}/healthy", timeout=2).read()


if __name__ == "__main__":
    {"setup": setup, "web": web, "worker": worker, "healthy": healthy}[sys.argv[1]]()
