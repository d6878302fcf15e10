"""Runs the Autobahn suite's fuzzing client or server and sums up what it says about the peer.

Started by the scripts `server` and `client` in the folder above, which provide the Python environment
and the suite. The fuzzers themselves are processes of fuzzer.py, one for each job.
"""
import argparse
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import time

import cases
from greeting import Unusable, address, greet
from processes import Fuzzer, Program, Relay, last_lines
from verdicts import Verdicts

EXIT_UNUSABLE = 2
FUZZER_START_SECONDS = 60


class Run:
    """The cases of a run, dealt out to jobs, and what came of them."""

    def __init__(self, options, folder):
        self.options, self.folder = options, folder
        suite = cases.suite()
        try:
            ids = cases.chosen(list(suite), options.cases, options.exclude, options.fast, options.quick)
        except cases.Unknown as error:
            raise Unusable(str(error))
        self.hands = cases.dealt(ids, lambda case: suite[case][1], options.jobs)
        self.verdicts = Verdicts(ids, suite, options)

    def orders(self, number, **more):
        report = self.options.report and os.path.abspath(self.options.report)
        if report and len(self.hands) > 1:
            report = os.path.join(report, "job%d" % number)
        return dict(mode=self.options.mode, cases=self.hands[number], report=report,
                    relayed=bool(self.options.slice), case_timeout=self.options.case_timeout, **more)

    def take(self, fuzzer):
        """Reads a fuzzer's new events into the verdicts and gives them on."""
        events = fuzzer.events()
        for event in events:
            if "case" in event:
                self.verdicts.add(event)
        return events

    def relayed(self, host, port):
        """The host and port to connect to instead, if bytes are to be sliced."""
        return ("127.0.0.1", Relay(self.options.slice, host, port).port) if self.options.slice else (host, port)


def run_server(options, folder):
    server = greet(options.url, options.wait)
    agent = options.agent or re.sub(r"[^\w.+-]+", "-", server or "server-under-test")
    run = Run(options, folder)
    scheme, host, port, rest = address(options.url)
    fuzzers = []
    for number in range(len(run.hands)):
        url = "%s://%s:%d%s" % (scheme, *run.relayed(host, port), rest)
        fuzzers.append(Fuzzer(run.orders(number, url=url, agent=agent), folder, number))
    wait_for_fuzzers(run, fuzzers)
    Program.end_all()
    for fuzzer in fuzzers:
        run.take(fuzzer)
        if fuzzer.last_event and fuzzer.last_event["reason"]:
            run.verdicts.problems.append(fuzzer.last_event["reason"])
        elif not fuzzer.last_event and not run.verdicts.problems:
            run.verdicts.problems.append(fuzzer.died())
    return run.verdicts.finish()


def wait_for_fuzzers(run, fuzzers):
    end = time.monotonic() + run.options.timeout
    while True:
        alive = [fuzzer for fuzzer in fuzzers if fuzzer.poll() is None]
        for fuzzer in fuzzers:
            run.take(fuzzer)
        if not alive:
            return
        if time.monotonic() >= end:
            current = ", ".join(fuzzer.current or "-" for fuzzer in alive)
            run.verdicts.problems.append("stopped after %d s (--timeout) in case %s" % (run.options.timeout, current))
            return
        Program.wait(end)


class ClientJob:
    """A fuzzing server and the client under test that goes through its cases."""

    def __init__(self, run, number):
        self.run, self.options = run, run.options
        self.fuzzer = Fuzzer(run.orders(number), run.folder, number)
        self.output = os.path.join(run.folder, "client%d" % number)
        self.updated = self.seen = self.over = False

    def start_client(self):
        host, port = self.run.relayed(*address(self.listening())[1:3])
        url = "ws://%s:%d" % (host, port)
        argv = [word.replace("{url}", url) for word in self.options.command]
        if argv == self.options.command:
            argv.append(url)
        try:
            self.client = Program(argv, env=dict(os.environ, AUTOBAHN_URL=url), stdout=open(self.output, "w"),
                                  stderr=subprocess.STDOUT)
        except OSError as error:
            raise Unusable("cannot start %s: %s" % (shlex.join(argv), error))
        self.last = time.monotonic()

    def listening(self):
        end = time.monotonic() + FUZZER_START_SECONDS
        while True:
            for event in self.fuzzer.events():
                if "listening" in event:
                    return event["listening"]
            if self.fuzzer.poll() is not None or time.monotonic() > end:
                raise Unusable(self.fuzzer.died())
            Program.wait(end)

    def take(self):
        for event in self.run.take(self.fuzzer):
            self.last, self.seen = time.monotonic(), True
            self.updated = self.updated or "updateReports" in event

    def look(self, end):
        """Reads what is new; once nothing more is to be expected, ends the job."""
        gone = self.client.poll() is not None
        self.take()
        now = time.monotonic()
        if self.fuzzer.poll() is not None:
            self.finish(self.fuzzer.died())
        elif gone:
            self.finish(None)
        elif now >= end:
            self.finish("the client was stopped in case %s: over %d s (--timeout)"
                        % (self.fuzzer.current, self.options.timeout))
        elif now >= self.last + self.patience():
            self.finish("the client was stopped in case %s: nothing happened for %d s"
                        % (self.fuzzer.current, self.patience()))

    def patience(self):
        return self.options.case_timeout + 15 if self.seen else self.options.wait

    def finish(self, problem):
        status = self.client.poll()
        self.client.end()
        if self.fuzzer.poll() is None:
            self.fuzzer.end(grace=60 if self.options.report else 5)
        self.take()
        problems = [problem] if problem else []
        if status:
            problems.append("the client ended with exit status %d" % status)
        if not self.seen:
            problems.append("the client ran no case")
        elif not self.updated and not problems:
            print("note: the client did not request /updateReports")
        output = last_lines(self.output, 15)
        if problems and output:
            problems.append("last output of the client:\n" + output)
        self.run.verdicts.problems += problems
        self.over = True


def run_client(options, folder):
    run = Run(options, folder)
    jobs = [ClientJob(run, number) for number in range(len(run.hands))]
    for job in jobs:
        job.start_client()
    end = time.monotonic() + options.timeout
    while jobs:
        for job in jobs:
            job.look(end)
        jobs = [job for job in jobs if not job.over]
        Program.wait(min([end] + [job.last + job.patience() for job in jobs]) if jobs else 0)
    return run.verdicts.finish()


DESCRIPTION = {"server": "Run the Autobahn test suite against a WebSocket server that echoes.",
               "client": "Run the Autobahn test suite against a WebSocket client that echoes."}
EPILOG = {"server": "example: server --fast ws://127.0.0.1:9001/",
          "client": "example: client --fast ./my-client --echo {url}\n"
                    "The command gets the fuzzing server's URL in place of {url} (or as last argument) and in\n"
                    "$AUTOBAHN_URL, and must use it for /getCaseCount, /runCase?case=N&agent=A (N from 1) and\n"
                    "/updateReports?agent=A, then exit 0."}
STATUS = ("\n\nexit status: 0 all passed; 1 a case FAILED, is UNIMPLEMENTED or closed uncleanly; 2 nothing could be\n"
          "run; 3 the run is incomplete")


def parser(mode):
    parser = argparse.ArgumentParser(prog=mode, formatter_class=argparse.RawDescriptionHelpFormatter,
                                     description=DESCRIPTION[mode], epilog=EPILOG[mode] + STATUS)
    add = parser.add_argument
    add("--cases", action="append", default=[], metavar="LIST", help="only these, e.g. 1,6.4,'7.*' (comma separated)")
    add("--exclude", action="append", default=[], metavar="LIST", help="not these, same form")
    add("--fast", action="store_true", help="leave out 9.* (sizes), 12.* and 13.* (compression)")
    add("--quick", action="store_true", help="leave out 9.* and all but one case of each group of 12.* and 13.*")
    add("--strict", action="store_true", help="count NON-STRICT as failed")
    add("--jobs", type=int, default=1, metavar="N", help="deal the cases out to N fuzzers (default %(default)s)")
    add("--slice", type=int, default=0, metavar="BYTES", help="relay all bytes in writes of this many")
    add("--timeout", type=float, default=3600, metavar="S", help="limit for the whole run (default %(default)s)")
    add("--case-timeout", type=float, default=150, metavar="S", help="limit for one case (default %(default)s)")
    add("--report", metavar="FOLDER", help="write Autobahn's HTML and JSON report there")
    add("--json", metavar="FILE", help="write all results there, in the form of Autobahn's index.json")
    add("-v", "--verbose", action="store_true", help="a line for each case")
    if mode == "server":
        add("--agent", help="name for the report (default: the Server header)")
        add("--wait", type=float, default=10, metavar="S", help="limit for the server to come up (default %(default)s)")
        add("url", help="ws:// or wss:// URL of a server that echoes")
    else:
        add("--wait", type=float, default=60, metavar="S", help="limit for the first case (default %(default)s)")
        add("command", nargs=argparse.REMAINDER, help="the client")
    return parser


def main():
    mode = sys.argv[1]
    arguments = parser(mode)
    options = arguments.parse_args(sys.argv[2:])
    options.mode = mode
    if mode == "client":
        if options.command[:1] == ["--"]:
            options.command.pop(0)
        if not options.command:
            arguments.error("the client's command is missing")

    def end(number, _frame):
        raise SystemExit(128 + number)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, end)
    with tempfile.TemporaryDirectory(prefix="autobahn-run-") as folder:
        try:
            return {"server": run_server, "client": run_client}[mode](options, folder)
        except Unusable as error:
            print("autobahn %s: cannot run: %s" % (mode, error), file=sys.stderr)
            return EXIT_UNUSABLE
        finally:
            Program.end_all()


if __name__ == "__main__":
    sys.exit(main())
