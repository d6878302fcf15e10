"""A token by `PyJWT`, signed with a secret. Usage: SECRET. Tells it as a JSON line on stdout."""

import json
import sys
import time

import jwt

claims = {"sub": "ann", "exp": time.time() + 3600, "nbf": int(time.time()), "channels": ["/chat/{room}"]}
token = jwt.encode(claims, sys.argv[1], algorithm="HS256", headers={"kid": "one"})
print(json.dumps({"event": "token", "good": token}), flush=True)
