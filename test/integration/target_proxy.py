"""A proxy in front of ClickHouse that refuses statements, loses answers, or has settings as a user's profile would."""

import http.client
import http.server
import re
import threading
import urllib.parse


class TargetProxy(http.server.ThreadingHTTPServer):
    """Between a node and its target. `statements` has the beginning of each statement with its query ID."""

    daemon_threads = True

    def __init__(self, target):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.target = target
        self.refusals = []  # (pattern, code, text)
        self.profile = {}
        self.statements = []
        self.lose = None  # pattern of the statement whose answer is lost, once
        self.killed = threading.Event()
        self.late = None  # what the server said to the one whose answer was lost
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.killed.set()
        self.shutdown()
        self.server_close()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}"

    def refuse(self, pattern, code, text):
        self.refusals.append((re.compile(pattern, re.DOTALL), code, text))

    def seen(self, pattern):
        return [(identity, text) for identity, text in self.statements if re.match(pattern, text, re.DOTALL)]


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def do_GET(self):
        self.forward(b"")

    def do_POST(self):
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = b""
            while size := int(self.rfile.readline().split(b";")[0], 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.forward(body)

    def forward(self, body):
        proxy = self.server
        parts = urllib.parse.urlsplit(self.path)
        settings = dict(urllib.parse.parse_qsl(parts.query, keep_blank_values=True))
        text = body[:2000].decode(errors="replace")
        proxy.statements.append((settings.get("query_id", ""), text))
        for pattern, code, reason in proxy.refusals:
            if pattern.match(text):
                self.answer(500, [("X-ClickHouse-Exception-Code", str(code))], f"Code: {code}. DB::Exception: {reason}".encode())
                return
        # What the request says goes before the profile.
        path = f"{parts.path}?{urllib.parse.urlencode({**proxy.profile, **settings})}"
        headers = {key: value for key, value in self.headers.items() if key.lower().startswith("x-clickhouse") or key == "Content-Encoding"}
        if proxy.lose and re.match(proxy.lose, text, re.DOTALL):
            proxy.lose = None
            threading.Thread(target=self.send_late, args=(path, headers, body), daemon=True).start()
            self.close_connection = True
            return
        upstream = http.client.HTTPConnection("127.0.0.1", proxy.target.port, timeout=120)
        upstream.request(self.command, path, body, headers)
        answer = upstream.getresponse()
        content = answer.read()
        upstream.close()
        if text.startswith("KILL QUERY WHERE query_id"):
            proxy.killed.set()
        kept = [(key, value) for key, value in answer.getheaders() if key.lower().startswith("x-clickhouse")]
        self.answer(answer.status, kept, content)

    def send_late(self, path, headers, body):
        """The server gets half of it at once, and the rest when somebody has tried to end it."""
        proxy = self.server
        upstream = http.client.HTTPConnection("127.0.0.1", proxy.target.port, timeout=120)
        upstream.putrequest(self.command, path)
        for key, value in {**headers, "Content-Length": str(len(body))}.items():
            upstream.putheader(key, value)
        upstream.endheaders()
        try:
            upstream.send(body[:len(body) // 2])
            proxy.killed.wait(60)
            upstream.send(body[len(body) // 2:])
            answer = upstream.getresponse()
            proxy.late = f"{answer.status} {answer.read().decode(errors='replace')}"
        except (OSError, http.client.HTTPException) as error:
            proxy.late = f"ended: {error}"

    def answer(self, status, headers, content):
        self.send_response(status)
        for key, value in headers:
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
