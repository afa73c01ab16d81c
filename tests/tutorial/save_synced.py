#!/usr/bin/python3
import os, sys

def save(text):
    with open("state.new", "w") as f:
        f.write(text)
        f.flush()
        os.fsync(f.fileno())
    os.replace("state.new", "state")
    directory = os.open(".", os.O_RDONLY)
    os.fsync(directory)
    os.close(directory)

os.chdir(sys.argv[1])
for version in range(1, 6):
    save(f"version {version}\n" * 100)
    print("saved", version, flush=True)
