"""https_server - a web server that misbehaves as its paths say, for tests.

https_server.py CERTIFICATE KEY [OTHER_PORT]: prints its port, serves until it is
killed, writes a line "METHOD PATH" for each request.

/file.csv       "id\\n1\\n2\\n", with an ETag
/nohead.csv     the same, but HEAD is answered with 405
/plain.csv      the same, with neither ETag nor length
/to?LOCATION    302 to LOCATION, in which PORT and OTHER stand for the ports
"""
import http.server
import ssl
import sys
import urllib.parse

BODY = b"id\n1\n2\n"
other = sys.argv[3] if len(sys.argv) > 3 else ""


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        print(self.command, self.path, flush=True)

    def answer(self, status, headers=(), body=b""):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        if body is not None:
            self.send_header("Content-Length", str(len(body)))
        else:
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(BODY if body is None else body)

    def do_GET(self):
        path, _, query = self.path.partition("?")
        if path == "/to":
            port = str(self.server.server_address[1])
            target = urllib.parse.unquote(query).replace("PORT", port).replace("OTHER", other)
            self.answer(302, [("Location", target)])
        elif path == "/nohead.csv" and self.command == "HEAD":
            self.answer(405)
        elif path in ("/file.csv", "/nohead.csv"):
            self.answer(200, [("ETag", '"one"')], BODY)
        elif path == "/plain.csv":
            self.answer(200, [("Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT")], None)
        else:
            self.answer(404)

    do_HEAD = do_GET


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1], sys.argv[2])
server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_address[1], flush=True)
server.serve_forever()
