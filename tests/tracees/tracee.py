"""A tracee in Python:  tracee.py serial|parallel DIRECTORY

As those in C it prints the lines that its recording should have, but without
the names of the system calls, which are for Python's library to choose.
"""

import os
import shutil
import subprocess
import sys
import threading

lines = []


def expect(*new):
    lines.extend(new)


def contents():
    with open("f", "wb") as f:  # buffered: the bytes go together
        f.write(b"hello ")
        f.write(b"world")
        f.flush()
        os.fsync(f.fileno())
    expect("creat f", 'write f 0 "hello world"', "fsync f")
    fd = os.open("f", os.O_RDWR)
    os.pwrite(fd, b"HELLO", 0)
    os.lseek(fd, 0, os.SEEK_END)
    os.writev(fd, [b"a", b"bc"])
    os.fdatasync(fd)
    os.ftruncate(fd, 12)
    os.posix_fallocate(fd, 0, 100)
    expect("open f", 'write f 0 "HELLO"', 'write f 11 "abc"', "fdatasync f", "truncate f 12",
           "fallocate f 0 100")
    os.truncate("f", 5)
    expect("truncate f 5")
    shutil.copyfile("f", "g")
    expect("creat g", 'write g 0 "HELLO"')
    with open("g", "a") as f:
        f.write("!")
    expect("open g", 'write g 5 "!"')
    with open("g", "w") as f:
        f.write("new")
    expect("open g", "truncate g 0", 'write g 0 "new"')
    os.close(fd)


def names():
    os.makedirs("d/e")
    os.rename("f", "d/e/f")
    os.replace("g", "d/e/f")
    expect("mkdir d", "mkdir d/e", "rename f -> d/e/f", "rename g -> d/e/f")
    os.link("d/e/f", "h")
    os.symlink("nowhere", "s")
    os.unlink("s")
    expect("link h to d/e/f", "symlink s -> nowhere", "unlink s")
    d = os.open("d", os.O_RDONLY | os.O_DIRECTORY)
    os.mkdir("x", dir_fd=d)
    os.rename("e", "y", src_dir_fd=d, dst_dir_fd=d)
    os.fsync(d)
    expect("mkdir d/x", "rename d/e -> d/y", "fsync d")
    shutil.rmtree("d/y")
    os.rmdir("d/x")
    expect("unlink d/y/f", "rmdir d/y", "rmdir d/x")


def children():
    subprocess.run(["sh", "-c", "echo x > sub"], check=True)
    expect("creat sub", 'write sub 0 "x\\x0a"')
    pid = os.fork()
    if pid == 0:
        os.remove("sub")
        os._exit(0)
    os.waitpid(pid, 0)
    expect("unlink sub")
    os.sync()
    expect("sync")


def fill(i):
    for k in range(10):
        old, name = f"t{i}.{k}", f"f{i}.{k}"
        with open(old, "wb", buffering=0) as f:
            f.write(name.encode())
            os.fsync(f.fileno())
        os.rename(old, name)
        expect(f"creat {old}", f'write {old} 0 "{name}"', f"fsync {old}",
               f"rename {old} -> {name}")


def parallel():
    threads = [threading.Thread(target=fill, args=(i,)) for i in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()


os.chdir(sys.argv[2])
if sys.argv[1] == "serial":
    contents()
    names()
    children()
else:
    parallel()
print("\n".join(lines))
