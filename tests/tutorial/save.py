#!/usr/bin/python3
import os, sys

def save(text):
    with open("state.new", "w") as f:
        f.write(text)
    os.replace("state.new", "state")

os.chdir(sys.argv[1])
for version in range(1, 6):
    save(f"version {version}\n" * 100)
    print("saved", version, flush=True)
