"""Kafka brokers of a local cluster: KRaft, each one broker and controller.  Used by tests/cluster."""
import pathlib
import socket
import struct
import subprocess

VERSIONS = ("3.9.1", "4.1.0")
# Small and quick to start; what a site wants is in docs/operations.md.
JAVA = ["java", "-Xms128m", "-Xmx256m", "-XX:+UseSerialGC", "-XX:ActiveProcessorCount=1",
        "-XX:TieredStopAtLevel=1"]
CLUSTER_ID = "MkU3OEVBNTcwNTJENDM2Qg"  # any; every cluster has ports of its own
LOG4J = """log4j.rootLogger=WARN, out
log4j.appender.out=org.apache.log4j.ConsoleAppender
log4j.appender.out.layout=org.apache.log4j.PatternLayout
log4j.appender.out.layout.ConversionPattern=%d %p %m (%c)%n
"""
LOG4J2 = """rootLogger.level=warn
rootLogger.appenderRefs=out
rootLogger.appenderRef.out.ref=out
appender.out.type=Console
appender.out.name=out
appender.out.layout.type=PatternLayout
appender.out.layout.pattern=%d %p %m (%c)%n
"""


def jars(tree, version):
    """The folder of a version's jars; None when they are not there."""
    libs = pathlib.Path(tree) / "build" / "kafka" / version / "libs"
    return libs if any(libs.glob("kafka_2.13-*.jar")) else None


def command(libs, etc, *more):
    # libs/* is for java to expand, not for a shell.
    return [*JAVA, f"-Dlog4j.configuration=file:{etc}/log4j.properties",
            f"-Dlog4j2.configurationFile={etc}/log4j2.properties", "-cp", f"{libs}/*", *more]


USER, PASSWORD = "gitshard", "correct horse"


def make_certificates(etc):
    """A CA and, signed by it, what every broker shows: kafka-ca.pem, kafka-broker.pem."""
    if (etc / "kafka-broker.pem").exists():
        return
    ca, key, csr = etc / "kafka-ca.pem", etc / "kafka-broker.key", etc / "kafka-broker.csr"
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    alt = etc / "kafka-broker.ext"
    alt.write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\n")
    for args in (["req", "-x509", *curve, "-keyout", etc / "kafka-ca.key", "-out", ca, "-days", "30",
                  "-subj", "/CN=a CA for tests"],
                 ["req", *curve, "-keyout", key, "-out", csr, "-subj", "/CN=127.0.0.1"],
                 ["x509", "-req", "-in", csr, "-CA", ca, "-CAkey", etc / "kafka-ca.key", "-CAcreateserial",
                  "-days", "30", "-extfile", alt, "-out", etc / "kafka-broker.crt"]):
        subprocess.run(["openssl", *map(str, args)], stdin=subprocess.DEVNULL, capture_output=True,
                       check=True, timeout=30)
    (etc / "kafka-broker.pem").write_text(key.read_text() + (etc / "kafka-broker.crt").read_text())


def write_options(etc, password=PASSWORD, ca=None):
    """The kafka_options of the daemons."""
    path = etc / "kafka.properties"
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_text(f"security.protocol=SASL_SSL\nssl.ca.location={ca or etc / 'kafka-ca.pem'}\n"
                    f"sasl.mechanism=SCRAM-SHA-512\nsasl.username={USER}\nsasl.password={password}\n")
    return path


def secure_rows(etc, member):
    """A listener by TLS and SCRAM for clients; the brokers speak to each other on the plain one."""
    scram = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
    return {
        "listeners": f"PLAINTEXT://{member['listen']},CONTROLLER://{member['controller']},"
                     f"SECURE://{member['secure']}",
        "advertised.listeners": f"PLAINTEXT://{member['listen']},SECURE://{member['secure']}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SECURE:SASL_SSL",
        "inter.broker.listener.name": "PLAINTEXT",
        "sasl.enabled.mechanisms": "SCRAM-SHA-512",
        "listener.name.secure.scram-sha-512.sasl.jaas.config": scram,
        "listener.name.secure.ssl.keystore.type": "PEM",
        "listener.name.secure.ssl.keystore.location": etc / "kafka-broker.pem",
    }


def write_conf(path, number, member, voters, data):
    """path: of the broker's own file; log4j's go beside it."""
    rows = {
        "process.roles": "broker,controller",
        "node.id": number,
        "controller.quorum.voters": ",".join(f"{i}@{addr}" for i, addr in voters),
        "controller.listener.names": "CONTROLLER",
        "listeners": f"PLAINTEXT://{member['listen']},CONTROLLER://{member['controller']}",
        "advertised.listeners": f"PLAINTEXT://{member['listen']}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "log.dirs": data,
        "auto.create.topics.enable": "false",
        "broker.session.timeout.ms": 3000,
        "broker.heartbeat.interval.ms": 500,
        # The leader of the controllers may go with its broker: all brokers get a new session then.
        "controller.quorum.fetch.timeout.ms": 800,
        "controller.quorum.election.timeout.ms": 300,
        "controller.quorum.election.backoff.max.ms": 150,
        "log.cleaner.dedupe.buffer.size": 4194304,
        "offsets.topic.replication.factor": min(3, len(voters)),
        "num.network.threads": 2,
        "num.io.threads": 4,
    }
    if "secure" in member:
        make_certificates(path.parent)
        rows.update(secure_rows(path.parent, member))
    path.write_text("".join(f"{k}={v}\n" for k, v in rows.items()))
    (path.parent / "log4j.properties").write_text(LOG4J)
    (path.parent / "log4j2.properties").write_text(LOG4J2)


def format_storage(libs, conf, data, secure):
    if (pathlib.Path(data) / "meta.properties").exists():
        return None
    user = ["--add-scram", f"SCRAM-SHA-512=[name={USER},password={PASSWORD}]"] if secure else []
    r = subprocess.run(command(libs, conf.parent, "kafka.tools.StorageTool", "format", "-t",
                               CLUSTER_ID, "-c", str(conf), *user),
                       stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    return None if r.returncode == 0 else f"kafka storage format: {r.stdout}{r.stderr}"


# ---- what a broker says of itself --------------------------------------------------------------

class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def number(self, fmt):
        (value,) = struct.unpack_from(">" + fmt, self.data, self.at)
        self.at += struct.calcsize(">" + fmt)
        return value

    def text(self):
        n = self.number("h")
        self.at += max(n, 0)
        return self.data[self.at - max(n, 0):self.at].decode()

    def array(self, one):
        return [one() for _ in range(self.number("i"))]


def metadata(addr, seconds=2.0):
    """({broker ids}, [(topic, partition, leader, replicas, isr)]); OSError when it does not answer."""
    host, port = addr.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=seconds) as s:
        ask = struct.pack(">hhih", 3, 1, 7, 4) + b"test" + struct.pack(">i", -1)
        s.sendall(struct.pack(">i", len(ask)) + ask)
        f = s.makefile("rb")
        head = f.read(4)
        body = f.read(struct.unpack(">i", head)[0]) if len(head) == 4 else b""
    if len(body) < 4:
        raise OSError("the broker closed the connection")
    r = Reader(body)
    r.number("i")
    brokers = r.array(lambda: (r.number("i"), r.text(), r.number("i"), r.text())[0])
    r.number("i")

    def partition():
        r.number("h")
        return (r.number("i"), r.number("i"), r.array(lambda: r.number("i")),
                r.array(lambda: r.number("i")))

    def topic():
        r.number("h")
        name = r.text()
        r.number("b")
        return [(name, *p) for p in r.array(partition)]
    topics = r.array(topic)
    return set(brokers), [p for t in topics for p in t]


def why_not_ready(addr, number):
    """None when the broker is in its cluster and in step with all partitions that it has."""
    try:
        brokers, partitions = metadata(addr)
    except (OSError, struct.error) as e:
        return str(e) or type(e).__name__
    if number not in brokers:
        return "not registered yet"
    late = [f"{t}-{p}" for t, p, _, replicas, isr in partitions
            if number in replicas and number not in isr]
    return f"out of step: {' '.join(late[:5])}" if late else None
