"""The programs that a run starts, each in a process group of its own, and all of them ended by it."""
import json
import os
import re
import signal
import subprocess
import sys

FOLDER = os.path.dirname(os.path.abspath(__file__))
# What a fuzzer prints about itself, which explains nothing when it died.
CHATTER = re.compile(r"(Running test|Cases =|Ok, will|Autobahn)")


class Program:
    started = []

    def __init__(self, argv, stdin=subprocess.DEVNULL, **options):
        self.process = subprocess.Popen(argv, start_new_session=True, stdin=stdin, **options)
        Program.started.append(self)

    def poll(self):
        return self.process.poll()

    def end(self, grace=2.0):
        for sent, wait in ((signal.SIGTERM, grace), (signal.SIGKILL, 5.0)):
            try:
                os.killpg(self.process.pid, sent)
                self.process.wait(wait)
            except ProcessLookupError:
                return
            except subprocess.TimeoutExpired:
                continue
            return self.end_what_is_left()

    def end_what_is_left(self):
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass

    @classmethod
    def end_all(cls):
        for program in cls.started:
            program.end()


def script(name, *arguments):
    return [sys.executable, "-W", "ignore", os.path.join(FOLDER, name), *map(str, arguments)]


class Relay(Program):
    """slice.py before host and port."""

    def __init__(self, size, host, port):
        super().__init__(script("slice.py", size, host, port), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.port = int(self.process.stdout.readline())


class Fuzzer(Program):
    """fuzzer.py, and the events that it has written since they were last read."""

    def __init__(self, orders, folder, number):
        self.out = os.path.join(folder, "out%d" % number)
        self.logfile = os.path.join(folder, "log%d" % number)
        open(self.out, "w").close()
        self.read_to = 0
        self.rest = b""
        self.last_event = None
        self.current = None
        super().__init__(script("fuzzer.py", json.dumps(dict(orders, out=self.out))),
                         stdout=open(self.logfile, "w"), stderr=subprocess.STDOUT)

    def events(self):
        with open(self.out, "rb") as file:
            file.seek(self.read_to)
            data = file.read()
        self.read_to += len(data)
        *lines, self.rest = (self.rest + data).split(b"\n")
        events = [json.loads(line) for line in lines]
        for event in events:
            self.current = event.get("start", self.current)
            if "end" in event:
                self.last_event = event
        return events

    def died(self):
        return "the fuzzer died (exit status %s):\n%s" % (self.poll(), last_lines(self.logfile, 25))


def last_lines(path, count):
    with open(path, errors="replace") as file:
        lines = [line for line in file.read().splitlines() if not CHATTER.match(line)]
    return "\n".join("    " + line for line in lines[-count:])
