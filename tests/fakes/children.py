"""What a made-up child says and hears, as source to start a process with."""

SPEAK = """\
import json, os, signal, socket, struct, sys, time
channel = socket.socket(fileno=int(sys.argv[1]))
def say(**message):
    body = json.dumps(message).encode()
    channel.sendall(struct.pack(">I", len(body)) + body)
def hear():
    size = struct.unpack(">I", channel.recv(4))[0]
    data = b""
    while len(data) < size:
        data += channel.recv(size - len(data))
    return json.loads(data)
def done():
    say(type="evaluated", requests=1, examples=1, non_finite=0, peak_rss_bytes=1, base_rss_bytes=1,
        seconds=0.1)
hear()
"""
