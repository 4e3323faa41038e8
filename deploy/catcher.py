"""A mail catcher and an SMS gateway for the demo: print what they get. Argument: a file for their two ports."""
import email
import email.policy
import http.server
import json
import socketserver
import sys
import threading


class Mail(socketserver.StreamRequestHandler):
    def say(self, text):
        self.wfile.write(text.encode() + b"\r\n")

    def handle(self):
        self.say("220 catcher")
        recipients = []
        while line := self.rfile.readline():
            word = line.decode("utf-8", "replace").strip()
            verb = word.upper()
            if verb.startswith("EHLO"):
                self.wfile.write(b"250-catcher\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n")
            elif verb.startswith("RCPT"):
                recipients.append(word[8:].strip("<> "))
                self.say("250 ok")
            elif verb == "DATA":
                self.say("354 go on")
                lines = []
                while (line := self.rfile.readline()) not in (b".\r\n", b""):
                    lines.append(line[1:] if line.startswith(b"..") else line)
                self.show(recipients, b"".join(lines))
                recipients = []
                self.say("250 kept")
            elif verb == "QUIT":
                self.say("221 bye")
                return
            else:
                self.say("250 ok")

    @staticmethod
    def show(recipients, data):
        message = email.message_from_bytes(data, policy=email.policy.default)
        body = message.get_body(("plain",))
        text = body.get_content().strip() if body else ""
        print(f"MAIL  {', '.join(recipients)}  {message['subject']}\n      " + text.replace("\n", "\n      "), flush=True)


class Gateway(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            message = json.loads(data)
            print(f"SMS   {message.get('to')}  {message.get('text')}", flush=True)
        except ValueError:
            print(f"SMS   {data!r}", flush=True)
        answer = b'{"Code":"OK"}'
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True


mail, gateway = Server(("127.0.0.1", 0), Mail), Server(("127.0.0.1", 0), Gateway)
threading.Thread(target=mail.serve_forever, daemon=True).start()
with open(sys.argv[1], "w") as ports:
    print(mail.server_address[1], gateway.server_address[1], file=ports)
gateway.serve_forever()
