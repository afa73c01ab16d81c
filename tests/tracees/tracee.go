// A tracee in Go: without a C library, and with threads of its own making.
//
//	tracee serial|parallel DIRECTORY
//
// As those in C it prints the lines that its recording should have, but without
// the names of the system calls, which are for the Go library to choose.
package main

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
)

var (
	lock  sync.Mutex
	lines strings.Builder
)

func expect(format string, args ...any) {
	lock.Lock()
	defer lock.Unlock()
	fmt.Fprintf(&lines, format+"\n", args...)
}

func need(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(99)
	}
}

func create(name string) *os.File {
	f, err := os.Create(name)
	need(err)
	expect("creat %s", name)
	return f
}

func contents() {
	f := create("f")
	_, err := f.WriteString("hello ")
	need(err)
	expect("write f 0 \"hello \"")
	_, err = f.WriteString("world")
	need(err)
	expect("write f 6 \"world\"")
	_, err = f.WriteAt([]byte("HELLO"), 0)
	need(err)
	expect("write f 0 \"HELLO\"")
	need(f.Truncate(8))
	expect("truncate f 8")
	need(f.Sync())
	expect("fsync f")
	need(syscall.Fdatasync(int(f.Fd())))
	expect("fdatasync f")
	_, err = f.Seek(0, io.SeekStart)
	need(err)
	g := create("g")
	_, err = io.Copy(g, f) // copy_file_range, where there is one
	need(err)
	expect("write g 0 \"HELLO wo\"")
	need(g.Close())
	a, err := os.OpenFile("g", os.O_WRONLY|os.O_APPEND|os.O_SYNC, 0)
	need(err)
	expect("open g")
	_, err = a.WriteString("!")
	need(err)
	expect("write g 8 \"!\" fsync")
	need(os.WriteFile("f", []byte("new"), 0o666))
	expect("open f\ntruncate f 0\nwrite f 0 \"new\"")
	need(os.Truncate("f", 1))
	expect("truncate f 1")
}

func names() {
	need(os.MkdirAll("d/e", 0o777))
	expect("mkdir d\nmkdir d/e")
	need(os.Rename("f", "d/e/f"))
	expect("rename f -> d/e/f")
	need(os.Rename("g", "d/e/f"))
	expect("rename g -> d/e/f")
	need(os.Link("d/e/f", "h"))
	expect("link h to d/e/f")
	need(os.Symlink("nowhere", "s"))
	expect("symlink s -> nowhere")
	need(os.Remove("s"))
	expect("unlink s")
	dir, err := os.Open("d")
	need(err)
	need(dir.Sync())
	expect("fsync d")
	need(os.Remove("d/e/f"))
	expect("unlink d/e/f")
	need(os.Remove("d/e"))
	expect("rmdir d/e")
	_, err = os.OpenFile("no/f", os.O_CREATE|os.O_WRONLY, 0o666)
	if err == nil {
		os.Exit(99)
	}
}

// Each goroutine has a thread; what they write together is in one file.
func parallel() {
	var group sync.WaitGroup
	shared, err := os.OpenFile("shared", os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o666)
	need(err)
	expect("creat shared")
	for i := 0; i < 8; i++ {
		group.Add(1)
		go func(i int) {
			defer group.Done()
			runtime.LockOSThread()
			for k := 0; k < 10; k++ {
				old, name := fmt.Sprintf("t%d.%d", i, k), fmt.Sprintf("f%d.%d", i, k)
				f := create(old)
				_, err := f.WriteString(name)
				need(err)
				expect("write %s 0 \"%s\"", old, name)
				need(f.Sync())
				expect("fsync %s", old)
				need(f.Close())
				need(os.Rename(old, name))
				expect("rename %s -> %s", old, name)
				at := int64(100*i + 10*k)
				_, err = shared.WriteAt([]byte(name), at)
				need(err)
				expect("write shared %d \"%s\"", at, name)
			}
		}(i)
	}
	group.Wait()
}

func main() {
	need(os.Chdir(os.Args[2]))
	if os.Args[1] == "serial" {
		contents()
		names()
	} else {
		parallel()
	}
	fmt.Print(lines.String())
}
