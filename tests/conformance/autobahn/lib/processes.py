"""The programs that a run starts, each in a process group of its own, and all of them ended by it."""
import json
import os
import queue
import re
import signal
import subprocess
import sys
import threading
import time

FOLDER = os.path.dirname(os.path.abspath(__file__))
# What a fuzzer prints about itself, which explains nothing when it died.
CHATTER = re.compile(r"(Running test|Cases =|Ok, will|Autobahn)")


class Program:
    started = []
    # Set by each program that ends and each fuzzer that says something.
    happened = threading.Event()

    def __init__(self, argv, stdin=subprocess.DEVNULL, **options):
        self.process = subprocess.Popen(argv, start_new_session=True, stdin=stdin, **options)
        Program.started.append(self)
        threading.Thread(target=self.watch, daemon=True).start()

    def watch(self):
        self.process.wait()
        Program.happened.set()

    @classmethod
    def wait(cls, end):
        """Waits for the next of what happens, until `end` at the most; look at everything afterwards."""
        cls.happened.wait(max(0, end - time.monotonic()))
        cls.happened.clear()

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
    """fuzzer.py, and the events that it has told on its pipe since they were last read."""

    def __init__(self, orders, folder, number):
        self.logfile = os.path.join(folder, "log%d" % number)
        self.told = queue.SimpleQueue()
        self.is_silent = False
        self.last_event = None
        self.current = None
        pipe, out = os.pipe()
        super().__init__(script("fuzzer.py", json.dumps(dict(orders, out=out))), stdin=subprocess.PIPE,
                         stdout=open(self.logfile, "w"), stderr=subprocess.STDOUT, pass_fds=[out])
        os.close(out)
        self.reader = threading.Thread(target=self.read, args=[pipe], daemon=True)
        self.reader.start()

    def read(self, pipe):
        with open(pipe, "rb") as lines:
            for line in lines:
                if line.endswith(b"\n"):  # the last of one that was ended may be a part
                    self.told.put(json.loads(line))
                    Program.happened.set()
        self.is_silent = True
        Program.happened.set()

    def poll(self):
        """Its exit status, once all that it told can be read."""
        return super().poll() if self.is_silent else None

    def end(self, grace=2.0):
        super().end(grace)
        self.reader.join(5.0)

    def events(self):
        events = []
        while not self.told.empty():
            events.append(self.told.get())
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
