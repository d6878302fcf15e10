"""Counts of what the suite said about a peer, and the lines that tell of it."""
import json
import time

PASS = ("OK", "NON-STRICT", "INFORMATIONAL")
CLEAN = ("OK", "INFORMATIONAL")
BEHAVIOURS = ("OK", "NON-STRICT", "INFORMATIONAL", "UNIMPLEMENTED", "FAILED")
EXIT_FAILED, EXIT_INCOMPLETE = 1, 3


class Verdicts:
    def __init__(self, cases, suite, options):
        self.cases, self.suite, self.options = cases, suite, options
        self.got = {}
        self.agents = set()
        self.problems = []
        self.begun = time.monotonic()
        if options.verbose:
            print("autobahn %s: %d cases" % (options.mode, len(cases)), flush=True)

    def add(self, result):
        self.got[result["case"]] = result
        self.agents.add(result["agent"])
        if self.options.verbose:
            print("%-8s %-13s close %-13s %6d ms" % (result["case"], result["behavior"], result["behaviorClose"],
                                                     result["duration"]), flush=True)

    def bad(self, result):
        return result["behavior"] not in PASS or result["behaviorClose"] not in CLEAN or (
            self.options.strict and result["behavior"] == "NON-STRICT")

    def finish(self):
        """Prints all that is not OK and the counts, writes the file of --json, gives the exit status."""
        missing = [case for case in self.cases if case not in self.got]
        self.print_notes()
        if missing:
            shown = missing if len(missing) < 40 else missing[:20] + ["...", missing[-1]]
            print("NOT RUN (%d): %s" % (len(missing), " ".join(shown)))
        for problem in self.problems:
            print("ERROR " + problem)
        print(self.counts(len(missing)))
        if self.options.json:
            self.write_json()
        if missing or self.problems:
            return EXIT_INCOMPLETE
        return EXIT_FAILED if any(map(self.bad, self.got.values())) else 0

    def print_notes(self):
        """A line for each case that is not OK; those of a group that lack the same extension share one."""
        groups = {}
        for case in self.cases:
            result = self.got.get(case)
            if result and (self.bad(result) or result["behavior"] != "OK"):
                shared = result["behavior"] == "UNIMPLEMENTED"
                groups.setdefault(case.rsplit(".", 1)[0] if shared else case, []).append(result)
        for group, results in groups.items():
            if len(results) == 1:
                print(self.line(results[0]))
            else:
                first, last = results[0]["case"], results[-1]["case"]
                print("FAIL %s.* UNIMPLEMENTED (%d cases, %s to %s): %s => extension not negotiated"
                      % (group, len(results), first, last, self.suite[first][0]))

    def line(self, result):
        if result["behavior"] == "UNIMPLEMENTED":
            why = "extension not negotiated"
        elif result["behaviorClose"] not in CLEAN:
            behaviour = result["result"] if result["behavior"] not in PASS else ""
            unclean = "(%s)" % result["wasNotCleanReason"] if result["wasNotCleanReason"] else ""
            why = " ".join(filter(None, [behaviour, result["resultClose"], unclean]))
        else:
            why = result["result"]
        close = "" if result["behaviorClose"] in CLEAN else " close:%s" % result["behaviorClose"]
        return "%s %s %s%s: %s => %s" % ("FAIL" if self.bad(result) else "note", result["case"],
                                         result["behavior"], close, self.suite[result["case"]][0], why)

    def counts(self, missing):
        results = self.got.values()
        count = {name: sum(result["behavior"] == name for result in results) for name in BEHAVIOURS}
        detail = ", ".join("%d %s" % (number, name) for name, number in count.items() if number)
        unclean = sum(result["behaviorClose"] not in CLEAN for result in results)
        failed = sum(map(self.bad, results))
        return "autobahn %s %s: %d passed, %d failed%s (%s%s) in %.1f s" % (
            self.options.mode, "/".join(sorted(map(str, self.agents))) or "-", len(results) - failed, failed,
            ", %d not run" % missing if missing else "", detail or "nothing ran",
            ", %d unclean close" % unclean if unclean else "", time.monotonic() - self.begun)

    def write_json(self):
        index = {}
        for case in filter(self.got.__contains__, self.cases):
            result = dict(self.got[case])
            index.setdefault(str(result.pop("agent")), {})[result.pop("case")] = result
        with open(self.options.json, "w") as file:
            json.dump(index, file, indent=1, sort_keys=True)
