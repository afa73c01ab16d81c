"""A driver that is fine but for one thing.  ill.py WAY: see WAYS.

Its store survives a kill: all of it is written anew for each change."""
import os
import signal
import sys

WAY = sys.argv[1]
GREETING = "powercut-driver 1 name=ill ack=each against=power prefix=yes batch=atomic stays=yes can=batch,sync"
GREETINGS = {
    "noisy": "hello, this is my store\n" + GREETING,
    "newer": GREETING.replace("driver 1", "driver 2"),
    "unsure": GREETING.replace("ack=each", "ack=maybe"),
    "vague": GREETING.replace(" prefix=yes", ""),
    "nameless": GREETING.replace("name=ill", "name=my/store"),
    "boastful": GREETING.replace("can=batch,sync", "can=sync"),
    "clever": GREETING.replace("can=batch,sync", "can=batch,fly"),
    "fickle": GREETING.replace("name=ill", "name=ill%d" % os.getpid()),
    "endless": "powercut-driver 1 " + "x" * 100000,
}
WAYS = set(GREETINGS) | {
    "well", "mute", "loud", "short", "long", "bare", "strips", "text", "nothing", "absent", "twice", "misses",
    "invents", "mixes", "half", "leaves", "falls", "forgets", "lingers", "chatty", "sour", "makes", "buffers",
    "refuses", "breaks", "gives-up", "orphans",
}
assert WAY in WAYS, WAY
asked, said = sys.stdin.buffer, sys.stdout.buffer


def take(length):
    data = asked.read(length + 1)[:-1]
    if WAY == "strips":
        data = data.strip()
    if WAY == "text":
        data = data.decode(errors="replace").encode()
    return data


def change(line, store):
    word, *numbers = line.split()
    if word == b"batch":
        for _ in range(int(numbers[0]) if WAY != "half" else 1):
            change(asked.readline(), store)
        return
    key = take(int(numbers[0]))
    value = take(int(numbers[1])) if word == b"put" else None
    absent = value is None and key not in store
    store[key] = value
    if value is None:
        del store[key]
    return absent


def item(key, value):
    length = len(value) - (WAY == "short") + (WAY == "long")
    return length, b"%s\n%s" % (key, value) + (b"" if WAY == "bare" else b"\n")


def save(store, path):
    with open(path + b".new", "wb") as file:
        file.write(repr(store).encode())
        file.flush()
        os.fsync(file.fileno())
    os.rename(path + b".new", path)


def load(directory):
    path = os.path.join(directory, b"ill")
    if WAY == "makes":
        os.makedirs(directory, exist_ok=True)
    if not os.path.exists(path):
        save({}, path)
    with open(path, "rb") as file:
        store = eval(file.read())
    if store and WAY == "breaks":
        print("assertion failed: the store is as it should be", file=sys.stderr)
        sys.exit(4)
    return path, {} if WAY == "forgets" else store, bool(store)


def scan(store):
    items = list(store.items())
    if WAY == "misses":
        items = items[1:]
    if WAY == "twice":
        items += items[:1]
    if WAY == "invents":
        items += [(b"nobody", b"wrote this")]
    if WAY == "mixes" and len(items) > 1:
        items = [(items[0][0], items[1][1])] + items[1:]
    out = b""
    for key, value in items:
        length, rest = item(key, value)
        out += b"item %d %d\n" % (len(key), length) + rest
    return out + b"ok"


def main():
    print(GREETINGS.get(WAY, "" if WAY == "mute" else GREETING), end="" if WAY == "mute" else "\n", flush=True)
    store, path, old = {}, None, False
    while line := asked.readline():
        word, *numbers = line.split()
        reply = b"ok"
        if word == b"open":
            try:
                path, store, old = load(take(int(numbers[0])))
            except OSError as error:
                reply = b"error " + str(error).encode()
        elif word in (b"put", b"delete", b"batch"):
            absent = change(line, store)
            save(store, path)
            if absent and WAY == "absent":
                reply = b"none"
            if WAY == "loud":
                reply = b"OK"
            if WAY == "refuses":
                reply = b"error no space for this"
            if old and WAY == "gives-up":
                sys.exit(5)
        elif word == b"get":
            key = take(int(numbers[0]))
            length, rest = item(b"", store.get(key, b""))
            reply = b"value %d" % length + rest[:-1] if key in store else b"none"
            if WAY == "falls" and key in store:
                os.kill(os.getpid(), signal.SIGSEGV)
            if WAY == "nothing" and key in store and not store[key]:
                reply = b"none"
        elif word == b"scan":
            reply = scan(store)
        elif word == b"close" and WAY == "orphans":
            if os.fork() == 0:
                os.setsid()
                os.closerange(0, 2)
                os.execvp("sleep", ["sleep", "100"])
        elif word not in (b"sync", b"close"):
            if WAY == "leaves":
                sys.exit(3)
            reply = b"error unknown request"
        said.write(reply + b"\n")
        if WAY != "buffers":
            said.flush()
        if word == b"close" and WAY == "chatty":
            print("goodbye")
    if WAY == "lingers":
        signal.pause()
    if WAY == "sour":
        sys.exit(6)


main()
