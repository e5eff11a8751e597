"""Plain `git http-backend` behind a small HTTP server: what gitshard is compared with."""
import http.server
import os
import subprocess
import threading

from harness import gitrun

EXEC = subprocess.run(["git", "--exec-path"], capture_output=True, text=True).stdout.strip()
# What gitshard gives every repository and every child of git, as far as a client can see it.
CONFIG = {"http.receivepack": "true", "uploadpack.allowFilter": "true",
          "receive.advertisePushOptions": "true", "receive.unpackLimit": "1",
          "transfer.fsckObjects": "true", "gc.auto": "0", "receive.autogc": "false",
          "core.logAllRefUpdates": "false", "receive.denyDeleteCurrent": "refuse"}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def chunks(self):
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            while True:
                n = int(self.rfile.readline().split(b";")[0], 16)
                if n:
                    yield self.rfile.read(n)
                self.rfile.readline()
                if n == 0:
                    return
        else:
            left = int(self.headers.get("Content-Length") or 0)
            while left > 0:
                piece = self.rfile.read(min(left, 65536))
                if not piece:
                    raise ValueError("the body ended early")
                left -= len(piece)
                yield piece

    def serve(self):
        path, _, query = self.path.partition("?")
        env = {"PATH": os.environ["PATH"], "HOME": str(self.server.root), "LC_ALL": "C",
               "GIT_CONFIG_NOSYSTEM": "1", "GIT_PROJECT_ROOT": str(self.server.root),
               "GIT_HTTP_EXPORT_ALL": "1", "REQUEST_METHOD": self.command, "PATH_INFO": path,
               "QUERY_STRING": query, "REMOTE_ADDR": "127.0.0.1",
               "CONTENT_TYPE": self.headers.get("Content-Type", ""),
               "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
               "GIT_PROTOCOL": self.headers.get("Git-Protocol", "")}
        if self.headers.get("Content-Length"):
            env["CONTENT_LENGTH"] = self.headers["Content-Length"]
        env = {k: v for k, v in env.items() if v != ""}
        p = subprocess.Popen([f"{EXEC}/git-http-backend"], env=env, stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        feeder = threading.Thread(target=self.feed, args=(p,), daemon=True)
        feeder.start()
        try:
            self.answer(p.stdout)
            feeder.join()
        finally:
            p.kill()
            p.wait()

    def feed(self, p):
        try:
            for piece in self.chunks():
                try:
                    p.stdin.write(piece)
                except BrokenPipeError:
                    pass
        except (OSError, ValueError):
            p.kill()  # git http-backend spins for ever on a body that ends early
        finally:
            try:
                p.stdin.close()
            except BrokenPipeError:
                pass

    def answer(self, pipe):
        status, fields = 200, []
        while line := pipe.readline().rstrip(b"\r\n").decode("latin-1"):
            key, value = line.split(": ", 1)
            if key == "Status":
                status = int(value.split()[0])
            else:
                fields.append((key, value))
        self.send_response(status)
        for key, value in fields:
            self.send_header(key, value)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        while piece := pipe.read1(65536):
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        self.wfile.write(b"0\r\n\r\n")

    do_GET = do_POST = serve


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass  # clients that cut their body off are part of the tests


class Peer:
    """Repositories under root, served; with the surface of harness.cluster that the tests share."""

    def __init__(self, root):
        self.root = root
        root.mkdir(parents=True)
        self.git = gitrun.Git(root / "home")
        self.server = Server(("127.0.0.1", 0), Handler)
        self.server.root = root
        self.base = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def url(self, repo, router=1):
        return f"{self.base}/{repo}.git"

    def repo_dir(self, repo):
        return self.root / f"{repo}.git"

    def create(self, repo, *args):
        path = self.repo_dir(repo)
        fmt = args[args.index("--object-format") + 1] if "--object-format" in args else "sha1"
        head = args[args.index("--head") + 1] if "--head" in args else "main"
        self.git.run("init", "-q", "--bare", f"--object-format={fmt}", "-b", head, path)
        for key, value in CONFIG.items():
            self.git.run("config", key, value, cwd=path)
        return self.url(repo)

    def dumps(self, repo):
        return gitrun.dump(self.git, self.repo_dir(repo))

    def close(self):
        self.server.shutdown()
        self.server.server_close()
