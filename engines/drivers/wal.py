#!/usr/bin/env python3
"""A store in one file, as logs are usually taught; a driver for powercut (docs/driver.md).

    wal.py            buffer, flush, os.fsync: what is acknowledged is on disk, one should think
    wal.py --sound    and the one thing that is usually forgotten

"wal" is records: a line "LENGTH CRC", then LENGTH bytes, which are a request as it was heard.
What is behind the first damaged record was never acknowledged: opening cuts it off."""
import io
import os
import sys
import zlib

SOUND = "--sound" in sys.argv[1:]


def read_bytes(stream, length):
    data = stream.read(length + 1)
    if len(data) != length + 1 or data[-1:] != b"\n":
        raise ValueError("a key or value is not as long as announced")
    return data[:-1]


def read_change(stream, line):
    """The rest of a put, delete or batch whose first line is given: all of its bytes."""
    word, *numbers = line.split()
    if word == b"batch":
        return line + b"".join(read_change(stream, stream.readline()) for _ in range(int(numbers[0])))
    return line + b"".join(read_bytes(stream, int(n)) + b"\n" for n in numbers)


class Store:
    def __init__(self, directory):
        self.directory, self.path = directory, os.path.join(directory, b"wal")
        self.contents = {}
        self.log = open(self.path, "ab+")
        self.log.seek(0)
        end = 0
        while change := self.read_record():
            self.apply(change)
            end = self.log.tell()
        self.log.truncate(end)
        os.fsync(self.log.fileno())  # what can be read need not be on disk yet
        self.sync_directory()

    def sync_directory(self):
        if SOUND:  # or a file that was synced may be there without its name
            directory = os.open(self.directory, os.O_RDONLY)
            os.fsync(directory)
            os.close(directory)

    def read_record(self):
        try:
            length, crc = self.log.readline().split()
            change = self.log.read(int(length))
            return change if zlib.crc32(change) == int(crc, 16) else None
        except ValueError:
            return None

    def write_record(self, log, change):
        log.write(b"%d %08x\n%s" % (len(change), zlib.crc32(change), change))

    def apply(self, change):
        stream = io.BytesIO(change)
        while line := stream.readline():
            word, *numbers = line.split()
            if word == b"put":
                key, value = (read_bytes(stream, int(n)) for n in numbers)
                self.contents[key] = value
            elif word == b"delete":
                self.contents.pop(read_bytes(stream, int(numbers[0])), None)

    def change(self, change):
        self.write_record(self.log, change)
        self.log.flush()
        os.fsync(self.log.fileno())
        self.apply(change)

    def maintain(self):
        """A new log without what was overwritten, in the old one's place."""
        with open(self.path + b".new", "wb") as new:
            for key, value in self.contents.items():
                self.write_record(new, b"put %d %d\n%s\n%s\n" % (len(key), len(value), key, value))
            new.flush()
            os.fsync(new.fileno())
        os.rename(self.path + b".new", self.path)
        self.sync_directory()
        self.log = open(self.path, "ab")


def answer(store, requests, line):
    word, *numbers = line.split()
    if word in (b"put", b"delete", b"batch"):
        store.change(read_change(requests, line))
    elif word == b"get":
        value = store.contents.get(read_bytes(requests, int(numbers[0])))
        return b"none\n" if value is None else b"value %d\n%s\n" % (len(value), value)
    elif word == b"scan":
        items = store.contents.items()
        return b"".join(b"item %d %d\n%s\n%s\n" % (len(k), len(v), k, v) for k, v in items) + b"ok\n"
    elif word == b"maintain":
        store.maintain()
    elif word != b"close":
        return b"error unknown request\n"
    return b"ok\n"


def main():
    requests, replies = sys.stdin.buffer, sys.stdout.buffer
    replies.write(b"powercut-driver 1 name=%s ack=each against=power prefix=yes batch=durable stays=yes "
                  b"can=batch,maintain\n" % (b"py-sound" if SOUND else b"py-textbook"))
    replies.flush()
    store = None
    while line := requests.readline():
        try:
            if line.startswith(b"open "):
                store = Store(read_bytes(requests, int(line.split()[1])))
                replies.write(b"ok\n")
            else:
                replies.write(answer(store, requests, line))
        except OSError as error:
            replies.write(b"error %s\n" % str(error).encode())
        replies.flush()


main()
