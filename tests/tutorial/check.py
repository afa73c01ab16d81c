#!/usr/bin/python3
import os, sys

os.chdir(sys.argv[1])
acked = int(sys.argv[2])
lines = open("state").readlines() if os.path.exists("state") else []
if acked and not lines:
    sys.exit(f"LOST: there is no state, {acked} were saved")
if lines and (len(lines) != 100 or len(set(lines)) != 1):
    sys.exit(f"CORRUPT: {len(lines)} lines, the first is {lines[0][:12]!r}")
if acked and int(lines[0].split()[1]) < acked:
    sys.exit(f"LOST: version {lines[0].split()[1]}, {acked} were saved")
