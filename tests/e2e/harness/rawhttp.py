"""HTTP by hand, for what no real client sends; and the few packets a push is made of."""
import dataclasses
import hashlib
import http.client
import socket
import struct
import urllib.parse

FLUSH, DELIM = b"0000", b"0001"


@dataclasses.dataclass
class Answer:
    status: int
    fields: dict
    body: bytes

    @property
    def text(self):
        return self.body.decode(errors="replace")


def pkts(*items):
    out = b""
    for item in items:
        if item in (FLUSH, DELIM):
            out += item
        else:
            data = item.encode() if isinstance(item, str) else item
            out += b"%04x%s" % (len(data) + 4, data)
    return out


def unpkts(data):
    """Payloads of a packet stream; None for each flush."""
    found = []
    while data:
        n = int(data[:4], 16)
        if n < 4:
            found.append(None)
            data = data[4:]
        else:
            found.append(data[4:n])
            data = data[n:]
    return found


def request(url, method, body=None, fields=None, chunked=False, seconds=120):
    u = urllib.parse.urlsplit(url)
    c = http.client.HTTPConnection(u.hostname, u.port, timeout=seconds)
    try:
        c.request(method, (u.path or "/") + (f"?{u.query}" if u.query else ""), body, fields or {},
                  encode_chunked=chunked)
        r = c.getresponse()
        return Answer(r.status, {k.lower(): v for k, v in r.getheaders()}, r.read())
    finally:
        c.close()


def get(url, fields=None):
    return request(url, "GET", fields=fields)


def post(url, body, fields=None, chunked=False):
    if chunked:
        body = [body[i:i + 1000] for i in range(0, len(body), 1000)]
        fields = {**(fields or {}), "Transfer-Encoding": "chunked"}
    return request(url, "POST", body, fields, chunked)


def raw(url, data, seconds=60, half_close=False):
    """Sends bytes as they are; returns all that comes until the other side closes."""
    u = urllib.parse.urlsplit(url)
    with socket.create_connection((u.hostname, u.port), seconds) as s:
        s.settimeout(seconds)
        s.sendall(data)
        if half_close:
            s.shutdown(socket.SHUT_WR)
        got = b""
        try:
            while piece := s.recv(65536):
                got += piece
        except (ConnectionResetError, TimeoutError):
            pass
        return got


def raw_status(answer):
    """The status of a raw answer; 0 when there was none."""
    return int(answer.split()[1]) if answer.startswith(b"HTTP/1.1 ") else 0


def empty_pack():
    head = b"PACK" + struct.pack(">II", 2, 0)
    return head + hashlib.sha1(head).digest()


CAPS = "report-status side-band-64k object-format=sha1 agent=test"


def push_body(commands, pack=b"", caps=CAPS, options=None):
    """commands: [(old, new, ref)]; pack: bytes or empty."""
    lines = []
    for i, (old, new, ref) in enumerate(commands):
        line = f"{old} {new} ".encode() + (ref if isinstance(ref, bytes) else ref.encode())
        lines.append(line + (b"\0 " + caps.encode() if i == 0 else b""))
    body = pkts(*lines, FLUSH)
    if options is not None:
        body += pkts(*options, FLUSH)
    return body + pack


def push(url, commands, pack=b"", fields=None, **kw):
    """A whole receive-pack POST; returns (answer, report): report is {ref or "unpack": words}."""
    chunked = kw.pop("chunked", False)
    r = post(f"{url}/git-receive-pack", push_body(commands, pack, **kw), {
        "Content-Type": "application/x-git-receive-pack-request", **(fields or {})}, chunked)
    return r, report(r)


def report(answer):
    if answer.status != 200:
        return {}
    band1 = b""
    try:
        packets = unpkts(answer.body)
    except ValueError:
        return {}
    for p in packets:
        if p and p[:1] == b"\x01":
            band1 += p[1:]
    out = {}
    for p in unpkts(band1) if band1 else packets:
        if p is None:
            continue
        words = p.decode(errors="replace").rstrip("\n").split(" ", 2)
        if words[0] == "unpack":
            out["unpack"] = " ".join(words[1:])
        elif words[0] in ("ok", "ng"):
            out[words[1]] = " ".join([words[0]] + words[2:])
    return out
