#!/usr/bin/env python3
"""Make the (Python 2 only) autobahntestsuite 25.10.1 importable on Python 3.

usage: port.py SRC_PACKAGE_DIR DEST_DIR

Reads the installed package and writes DEST_DIR/autobahntestsuite with only the
parts the fuzzing client and server need.  Nothing of the suite's logic is
changed; the idea is to keep Python 2's "a str is a byte string" meaning:

* each source file is re-read as latin-1, so every character of a string
  literal stands for one byte, exactly as in Python 2;
* the fuzzing protocol converts between those strings and real bytes at the
  boundary to the autobahn library (see PROTO below).

Every replacement is counted, so a different upstream version fails loudly.
"""
import os
import re
import shutil
import sys

VERSION = "25.10.1"


def read(path):
    with open(path, "rb") as f:
        return f.read().decode("latin-1").replace("\r\n", "\n")


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        f.write(("# -*- coding: latin-1 -*-\n" + text).encode("latin-1"))


def sub(text, old, new, count=1):
    n = text.count(old)
    if n != count:
        raise SystemExit("port.py: expected %d of %r, found %d" % (count, old, n))
    return text.replace(old, new)


def python3(text):
    text = re.sub(r"^#.*coding[=:].*$", "#", text, count=1, flags=re.M)
    text = re.sub(r"^([ \t]*)print[ \t]*$", r"\1print()", text, flags=re.M)
    text = re.sub(r"^([ \t]*)print[ \t]+(.+?)[ \t]*$", r"\1print(\2)", text, flags=re.M)
    text = re.sub(r"\bnot ([\w.\[\]]+)\.has_key\(([^()]+)\)", r"\2 not in \1", text)
    text = re.sub(r"([\w.\[\]]+)\.has_key\(([^()]+)\)", r"(\2 in \1)", text)
    text = text.replace("xrange(", "range(").replace("unichr(", "chr(")
    text = text.replace("binascii.b2a_hex(", "_py3.b2a_hex(")
    text = text.replace("(object, Case, )", "(Case, )")
    return text


PY3 = '''
import binascii, os

def b(x):
    return x.encode("latin-1") if isinstance(x, str) else x

def s(x):
    return bytes(x).decode("latin-1") if isinstance(x, (bytes, bytearray)) else x

def text(x):
    """Bytes, or a byte-per-character str, to readable text."""
    x = b(x) if not isinstance(x, str) or all(ord(c) < 256 for c in x) else x
    return x if isinstance(x, str) else x.decode("utf-8", "replace")

def b2a_hex(x):
    return binascii.b2a_hex(b(x)).decode("ascii")

def hexlog(data, maxlen=64):
    data = b(data)
    return b2a_hex(data[:maxlen]) + (" ..." if len(data) > maxlen - 4 else "")

def asciilog(data, maxlen=64, replace=False):
    data = b(data)
    try:
        d = data[:maxlen] + b" ..." if len(data) > maxlen - 4 else data
        return d.decode("utf8", "replace" if replace else "strict")
    except UnicodeDecodeError:
        return "0x" + hexlog(data, maxlen)

class Utf8Validator:
    def __init__(self):
        from autobahn.websocket.utf8validator import Utf8Validator as V
        self.v = V()

    def reset(self):
        self.v.reset()

    def validate(self, x):
        return self.v.validate(b(x))

class pkg_resources:
    @staticmethod
    def resource_filename(package, name):
        return os.path.join(os.path.dirname(os.path.abspath(__file__)), name)
'''

# Mixed into the suite's FuzzingProtocol: byte-per-character str <-> bytes.
PROTO = '''
   def sendFrame(self, opcode, payload = b"", fin = True, rsv = 0, mask = None, payload_len = None, chopsize = None, sync = False):
      payload = _py3.b(payload)
      if payload_len is not None:
         if not payload:
            raise Exception("cannot repeat an empty payload")
         payload = (payload * (payload_len // len(payload) + 1))[:payload_len]
      WebSocketProtocol.sendFrame(self, opcode, payload, fin, rsv, _py3.b(mask), None, chopsize, sync)

   def sendMessage(self, payload, isBinary = False, fragmentSize = None, sync = False, doNotCompress = False):
      WebSocketProtocol.sendMessage(self, _py3.b(payload), isBinary, fragmentSize, sync, doNotCompress)

   def sendMessageFrameData(self, payload, sync = False):
      return WebSocketProtocol.sendMessageFrameData(self, _py3.b(payload), sync)

   def sendCloseFrame(self, code = None, reasonUtf8 = None, isReply = False):
      WebSocketProtocol.sendCloseFrame(self, code, _py3.b(reasonUtf8), isReply)

'''


def port_case(name, text):
    text = python3(text)
    text = re.sub(r"^from case import Case$", "from .case import Case", text, flags=re.M)
    text = re.sub(r"^from (case\d\w*) import", r"from .\1 import", text, flags=re.M)
    if "_py3.b2a_hex(" in text:
        text = re.sub(r"^import binascii$", "import binascii\nfrom .. import _py3", text, count=1, flags=re.M)
    if name == "__init__.py":
        # never part of Cases, and needs a zope API that Python 3 lacks
        text = sub(text, "from .case9_9_1 import *\n", "")
    elif name == "case.py":
        # pickles differ for equal values when object identity differs
        text = sub(text, "return pickle.dumps(obj1) == pickle.dumps(obj2)", "return obj1 == obj2")
    elif name == "case6_x_x.py":
        text = sub(text, "from autobahn.websocket.utf8validator import", "from .._py3 import")
    elif name == "case10_1_1.py":
        text = sub(text, "len(self.payload) / self.p", "len(self.payload) // self.p")
    elif name == "case12_x_x.py":
        text = sub(text, "import copy, os, pkg_resources, hashlib, binascii\n",
                   "import copy, os, hashlib, binascii\nfrom .._py3 import pkg_resources\nfrom .. import _py3\n")
        text = sub(text, "   m = hashlib.sha1()\n   m.update(msg)\n   received_hash",
                   "   msg = _py3.b(msg)\n   m = hashlib.sha1()\n   m.update(msg)\n   received_hash")
    return text


def port_fuzzing(text):
    text = python3(text)
    text = sub(text, "import os, json, binascii, time, textwrap, pkg_resources\n",
               "import os, json, binascii, time, textwrap\nfrom . import _py3\nfrom ._py3 import pkg_resources\n")
    text = sub(text, "from case import Case,", "from .case import Case,")
    text = sub(text, "from caseset import", "from .caseset import")
    text = sub(text, "from report import", "from .report import")
    a, b = text.index("def binLogData("), text.index("class FuzzingProtocol:")
    text = text[:a] + "binLogData = _py3.hexlog\nasciiLogData = _py3.asciilog\n\n\n" + text[b:]
    text = sub(text, "   MAX_WIRE_LOG_DATA = 256\n", "   MAX_WIRE_LOG_DATA = 256\n" + PROTO)
    text = sub(text, "''.join(payload)", "b''.join(payload)")
    # bytes handed back by the library
    text = sub(text, "self.runCase.onMessage(msg, binary)", "self.runCase.onMessage(_py3.s(msg), binary)")
    text = sub(text, "self.runCase.onPong(payload)", "self.runCase.onPong(_py3.s(payload))")
    text = sub(text, '"Pong received: " + payload', '"Pong received: " + _py3.s(payload)')
    for key in ("http_request_data", "http_response_data"):
        text = sub(text, "self.%s if hasattr" % key, "_py3.text(self.%s) if hasattr" % key)
    for key in ("localCloseReason", "remoteCloseReason"):
        text = sub(text, '"%s": self.%s,' % (key, key),
                   '"%s": None if self.%s is None else _py3.text(self.%s),' % (key, key, key))
    for key in ("DESCRIPTION", "EXPECTATION"):
        text = sub(text, '": self.Case.%s,' % key, '": _py3.text(self.Case.%s),' % key)
        text = sub(text, "%% CCase.%s)" % key, "%% _py3.text(CCase.%s))" % key)
    # HTML / JSON writers
    text = sub(text, "report_filename), 'w')", "report_filename), 'w', encoding = 'utf-8')", 4)
    text = sub(text, ').encode("utf-8"))', "))")
    text = sub(text, "ll.encode('utf8')", "ll")
    return text


def main():
    src, dest = sys.argv[1:3]
    ver = read(os.path.join(src, "_version.py"))
    if '"%s"' % VERSION not in ver:
        raise SystemExit("port.py: need autobahntestsuite %s" % VERSION)
    out = os.path.join(dest, "autobahntestsuite")
    shutil.rmtree(out, ignore_errors=True)
    write(os.path.join(out, "__init__.py"), '__version__ = version = "%s"\n' % VERSION)
    write(os.path.join(out, "_py3.py"), PY3)
    write(os.path.join(out, "caseset.py"),
          re.sub(r"replace\('\.', '\\\.'\)", r"replace('.', '\\\\.')", python3(read(os.path.join(src, "caseset.py")))))
    rep = read(os.path.join(src, "report.py"))
    rep = rep[:rep.index("REPORT_DIR_PERMISSIONS")].replace("import jinja2\n", "").replace('"HtmlReport"', "")
    write(os.path.join(out, "report.py"), python3(rep))
    write(os.path.join(out, "fuzzing.py"), port_fuzzing(read(os.path.join(src, "fuzzing.py"))))
    for n in sorted(os.listdir(os.path.join(src, "case"))):
        if n.endswith(".py") and n != "case9_9_1.py":
            write(os.path.join(out, "case", n), port_case(n, read(os.path.join(src, "case", n))))
    shutil.copytree(os.path.join(src, "testdata"), os.path.join(out, "testdata"))


if __name__ == "__main__":
    main()
