"""Which cases of the suite a run takes, in the suite's order, and how they are dealt out to jobs."""
import fnmatch
import re

from autobahntestsuite import _py3
from autobahntestsuite.case import CaseBasename, CaseCategories, Cases, CaseSetname, CaseSubCategories
from autobahntestsuite.caseset import CaseSet

LIMITS = "9"
COMPRESSION = "12,13"
# Of each group of compression cases the one with 1,000 messages of 4 KiB.
QUICK_COMPRESSION = "12.*.5,13.*.5"
BYTES_A_SECOND = 2e7
DESCRIPTION_CHARACTERS = 240


class Unknown(Exception):
    """A pattern that no case matches."""


def suite():
    """Of every case: id -> (one line of what it is about, rough seconds it takes)."""
    ids = CaseSet(CaseSetname, CaseBasename, Cases, CaseCategories, CaseSubCategories)
    of_id = {ids.caseClasstoId(case): case for case in Cases}
    return {i: (description(of_id[i]), seconds(of_id[i])) for i in sorted(of_id, key=ids.caseIdtoIdTuple)}


def description(case):
    text = _py3.text(case.DESCRIPTION).split("<br><br>")[0]
    text = " ".join(re.sub(r"<[^>]*>", "", text).split())
    return text if len(text) <= DESCRIPTION_CHARACTERS else text[:DESCRIPTION_CHARACTERS].rsplit(" ", 1)[0] + " ..."


def seconds(case):
    """Compression cases send 1,000 messages of LEN bytes; all others are short."""
    return 0.2 + getattr(case, "LEN", 0) * 1000 / BYTES_A_SECOND


def matching(ids, patterns):
    """Ids that a pattern of the comma-separated list names, whole or up to a dot."""
    found = set()
    for pattern in filter(None, re.split(r"[,\s]+", patterns)):
        hits = {i for i in ids if fnmatch.fnmatchcase(i, pattern) or i.startswith(pattern.rstrip(".") + ".")}
        if not hits:
            raise Unknown("no case matches %r" % pattern)
        found |= hits
    return found


def chosen(all_ids, only, without, fast, quick):
    keep = matching(all_ids, ",".join(only)) if only else set(all_ids)
    keep -= matching(all_ids, ",".join(without)) if without else set()
    if fast or quick:
        keep -= matching(all_ids, LIMITS)
    if fast:
        keep -= matching(all_ids, COMPRESSION)
    if quick:
        keep -= matching(all_ids, COMPRESSION) - matching(all_ids, QUICK_COMPRESSION)
    if not keep:
        raise Unknown("no case is left to run")
    return [i for i in all_ids if i in keep]


def dealt(ids, cost, jobs):
    """The cases in `jobs` hands of about the same length, each in the order of the suite."""
    hands = [[] for _ in range(max(1, min(jobs, len(ids))))]
    load = [0.0] * len(hands)
    for i in sorted(ids, key=cost, reverse=True):
        least = load.index(min(load))
        hands[least].append(i)
        load[least] += cost(i)
    order = {i: place for place, i in enumerate(ids)}
    return [sorted(hand, key=order.get) for hand in hands]
