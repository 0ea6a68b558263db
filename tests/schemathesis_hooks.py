"""What no schema can say: see tests/schemathesis.toml."""

import hashlib
import os
import re
import urllib.request

import schemathesis

EMULATOR = os.environ["AWS_ENDPOINT_URL"]
CSV = b"email,name\nimported@example.com,Ada\nimported@example.com,Ada\nnobody,Eve\n"
KEY = "Idempotency-Key"
used = set()


def start_an_import():
    """One with a row that is created, one that is skipped and one that fails."""
    address = f"{EMULATOR}/{os.environ['MUSTER_UPLOADS_BUCKET']}/uploads/schemathesis.csv"
    urllib.request.urlopen(urllib.request.Request(address, CSV, method="PUT")).close()


start_an_import()


def newest_token():
    """The token of the newest mail whose link nobody has followed here."""
    with urllib.request.urlopen(EMULATOR + "/_ministack/ses/messages") as answer:
        tokens = re.findall(r"token=([\w.-]+)", answer.read().decode())
    unused = (token for token in reversed(tokens) if token not in used)
    token = next(unused, tokens[-1] if tokens else "")
    used.add(token)
    return token


def has_letters(name):
    """A pattern would need `\\p{L}`, and schemathesis knows only a few alphabets."""
    return not isinstance(name, str) or any(map(str.isalnum, name))


@schemathesis.hook
def before_call(context, case, kwargs):
    if not case.meta.generation.mode.is_positive:
        return
    if isinstance(case.body, dict) and not has_letters(case.body.get("name")):
        case.body["name"] = "Ada"
    request = hashlib.sha256(repr((case.query, case.body)).encode())
    # A key belongs to one request: with another body it is refused, and rightly so.
    if KEY in case.headers:
        case.headers[KEY] = request.hexdigest()
    # Nobody guesses a token: every other request gets one that was sent.
    for values in (case.query, case.body):
        if isinstance(values, dict) and "token" in values and request.digest()[0] % 2:
            values["token"] = newest_token()
