// A tracee in JavaScript, for Node.js:  tracee.js serial|parallel DIRECTORY
//
// As those in C it prints the lines that its recording should have, but without
// the names of the system calls, which are for libuv to choose: serial ones are
// made by the first thread, parallel ones by the threads of its pool.
"use strict";
const fs = require("fs");
const { Worker, isMainThread, workerData } = require("worker_threads");

const lines = [];
const expect = (...added) => lines.push(...added);

function serial() {
	let fd = fs.openSync("f", "w+");
	fs.writeSync(fd, "hello ");
	fs.writeSync(fd, "world");
	fs.writeSync(fd, "HELLO", 0);
	expect("creat f", 'write f 0 "hello "', 'write f 6 "world"', 'write f 0 "HELLO"');
	fs.writevSync(fd, [Buffer.from("a"), Buffer.from("bc")], 11);
	fs.ftruncateSync(fd, 12);
	fs.fsyncSync(fd);
	fs.fdatasyncSync(fd);
	fs.closeSync(fd);
	expect('write f 11 "abc"', "truncate f 12", "fsync f", "fdatasync f");
	fs.writeFileSync("g", "one");
	fs.appendFileSync("g", "two");
	fs.writeFileSync("g", "three");
	expect("creat g", 'write g 0 "one"', "open g", 'write g 3 "two"', "open g",
		"truncate g 0", 'write g 0 "three"');
	fs.mkdirSync("d/e", { recursive: true });
	fs.renameSync("f", "d/e/f");
	fs.renameSync("g", "d/e/f");
	fs.linkSync("d/e/f", "h");
	fs.symlinkSync("nowhere", "s");
	fs.unlinkSync("s");
	expect("mkdir d", "mkdir d/e", "rename f -> d/e/f", "rename g -> d/e/f",
		"link h to d/e/f", "symlink s -> nowhere", "unlink s");
	fs.fsyncSync(fs.openSync("d", "r"));
	fs.unlinkSync("d/e/f");
	fs.rmdirSync("d/e");
	expect("fsync d", "unlink d/e/f", "rmdir d/e");
}

async function fill(i) {
	for (let k = 0; k < 10; k++) {
		const old = `t${i}.${k}`, name = `f${i}.${k}`;
		const file = await fs.promises.open(old, "w");
		await file.write(name);
		await file.sync();
		await file.close();
		await fs.promises.rename(old, name);
		expect(`creat ${old}`, `write ${old} 0 "${name}"`, `fsync ${old}`,
			`rename ${old} -> ${name}`);
	}
}

// Half of them in a worker, which has a loop of its own.
async function parallel(first) {
	await Promise.all([0, 1, 2, 3].map((i) => fill(first + i)));
	process.stdout.write(lines.join("\n") + "\n");
}

if (!isMainThread) {
	parallel(workerData);
} else {
	process.chdir(process.argv[3]);
	if (process.argv[2] === "serial") {
		serial();
		console.log(lines.join("\n"));
	} else {
		new Worker(__filename, { workerData: 4 });
		parallel(0);
	}
}
