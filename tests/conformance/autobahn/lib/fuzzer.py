"""One fuzzing client or server of the Autobahn suite: a process with a Twisted reactor.

Started by drive.py with its orders as JSON in the first argument. Writes what happens as lines of JSON
to the pipe that the orders number: a case begins, a case ended with these verdicts, it listens, it is done.
The judgement of a case is the suite's own and is not touched; a case that hangs is ended as failed.
"""
import json
import os
import signal
import socket
import sys
import threading

from autobahntestsuite import fuzzing
from twisted.internet import reactor
from twisted.python import log

NEVER_OPENED_LIMIT = 3
REFUSED_LIMIT = 10


def end_with_the_parent():
    """Waits for the end of standard input, which is a pipe from the parent."""
    sys.stdin.buffer.read()
    os._exit(9)


class Fuzzer:
    def __init__(self, orders):
        self.orders = orders
        self.out = open(orders["out"], "w")

    def emit(self, **event):
        self.out.write(json.dumps(event) + "\n")
        self.out.flush()

    def run(self):
        log.startLoggingWithObserver(
            lambda e: e.get("isError") and print(log.textFromEventDict(e), flush=True), setStdout=False)
        threading.Thread(target=end_with_the_parent, daemon=True).start()
        orders = self.orders
        spec = {"cases": orders["cases"], "exclude-cases": [], "outdir": orders["report"] or "unused"}
        if orders["mode"] == "server":
            spec["servers"] = [{"url": orders["url"], "agent": orders["agent"]}]
            client_factory(self)(spec)
        else:
            self.listen(spec)
        reactor.run(installSignalHandlers=False)

    def listen(self, spec):
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        listener.listen(128)
        listener.setblocking(False)
        spec["url"] = url = "ws://127.0.0.1:%d" % listener.getsockname()[1]
        factory = server_factory(self)(spec)
        if self.orders["relayed"]:
            factory.externalPort = None  # the Host header names the relay's port
        reactor.adoptStreamPort(listener.fileno(), socket.AF_INET, factory)
        listener.close()

        def finish():
            factory.createReports(final=True)
            self.emit(end=True, reason=None)
            reactor.stop()
        reactor.callWhenRunning(
            lambda: signal.signal(signal.SIGTERM, lambda *_: reactor.callFromThread(finish)))
        reactor.callWhenRunning(lambda: self.emit(listening=url))


def results(fuzzer):
    """Mixed into a factory: tells each result at once instead of in a report at the end."""
    class Results:
        def logCase(self, result):
            if fuzzer.orders["report"]:
                super().logCase(result)
            keys = ("agent", "behavior", "behaviorClose", "remoteCloseCode", "duration", "result", "resultClose",
                    "wasNotCleanReason")
            fuzzer.emit(case=result["id"], httpResponse=result["httpResponse"][:200],
                        **{key: result[key] for key in keys})

        def createReports(self, final=False):
            if final and fuzzer.orders["report"]:
                super().createReports()
            elif not final:
                fuzzer.emit(updateReports=True)
    return Results


def guard(fuzzer):
    """Mixed into a protocol: a case that does not end, or raises, ends as a failed case."""
    limit = fuzzer.orders["case_timeout"]

    class Guard:
        watchdog = None
        expired = False

        def watch(self):
            self.watchdog = reactor.callLater(limit, self.expire)

        def expire(self):
            self.watchdog = None
            self.expired = True
            self.transport.abortConnection()

        def connectionLost(self, reason):
            if self.watchdog:
                self.watchdog.cancel()
                self.watchdog = None
            case = self.runCase
            if self.expired and case:
                judge = case.onConnectionLost

                def lost(failedByMe):
                    judge(failedByMe)
                    case.behavior = "FAILED"
                    case.result = "The case was still running after %d s (--case-timeout)." % limit
                case.onConnectionLost = lost
            try:
                super().connectionLost(reason)
            except Exception as error:
                log.err(error)
                if case:
                    fuzzer.emit(case=self.factory.CaseSet.caseClasstoId(self.Case), agent=self.caseAgent,
                                behavior="FAILED", behaviorClose="FAILED", remoteCloseCode=None, duration=0,
                                result="the suite raised %r" % error, resultClose="", wasNotCleanReason=None,
                                httpResponse="")
    return Guard


def client_factory(fuzzer):
    class ClientProtocol(guard(fuzzer), fuzzing.FuzzingClientProtocol):
        def connectionMade(self):
            fuzzer.emit(start=self.factory.currentCaseId)
            self.watch()
            super().connectionMade()

    class ClientFactory(results(fuzzer), fuzzing.FuzzingClientFactory):
        never_opened = 0
        refused = 0
        last = None

        def buildProtocol(self, _address):
            protocol = ClientProtocol()
            protocol.factory = self
            protocol.caseAgent, protocol.case = self.agent, self.currentCaseIndex
            protocol.Case = fuzzing.Cases[self.currentCaseIndex - 1]
            protocol.runCase = protocol.Case(protocol)
            self.last = protocol
            return protocol

        def done(self, reason=None):
            self.createReports(final=True)
            fuzzer.emit(end=True, reason=reason)
            reactor.stop()

        def clientConnectionLost(self, connector, _reason):
            self.refused = 0
            self.never_opened = 0 if self.last.connectionWasOpen else self.never_opened + 1
            if self.never_opened >= NEVER_OPENED_LIMIT:
                self.done("%d cases in a row ended before the opening handshake was complete; gave up after case %s"
                          % (self.never_opened, self.currentCaseId))
            elif self.nextCase():
                connector.connect()
            else:
                self.done()

        def clientConnectionFailed(self, connector, reason):
            self.refused += 1
            if self.refused > REFUSED_LIMIT:
                return self.done("cannot connect any more at case %s: %s"
                                 % (self.currentCaseId, reason.getErrorMessage()))
            reactor.callLater(0.3, connector.connect)
    return ClientFactory


def server_factory(fuzzer):
    class ServerProtocol(guard(fuzzer), fuzzing.FuzzingServerProtocol):
        def onConnect(self, request):
            answer = super().onConnect(request)
            if self.runCase:
                fuzzer.emit(start=self.factory.CaseSet.caseClasstoId(self.Case))
                self.watch()
            return answer

    class ServerFactory(results(fuzzer), fuzzing.FuzzingServerFactory):
        protocol = ServerProtocol
    return ServerFactory


if __name__ == "__main__":
    Fuzzer(json.loads(sys.argv[1])).run()
