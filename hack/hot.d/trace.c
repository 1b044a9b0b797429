/*
 * trace: which functions a program runs, in the order in which it first does.
 *
 *   trace FUNCTIONS OUTPUT PROGRAM [ARGUMENT...]
 *
 * FUNCTIONS has the addresses of functions in the program's own file, one a line, in hexadecimal. Each gets a breakpoint, in
 * this process, in what it executes of the same file, and in their children; the first that is hit is appended to OUTPUT and
 * taken away. Exact, which a sampling profiler is not for a program that runs for milliseconds. x86_64.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#define LARGEST (16UL << 20)
#define BREAKPOINT 0xcc

/* The first byte of each function by its address, and -1 where none begins. */
static short original[LARGEST];
static unsigned char seen[LARGEST];
static unsigned long *functions;
static size_t count;

static _Noreturn void fail(const char *what)
{
	fprintf(stderr, "trace: %s: %s\n", what, strerror(errno));
	exit(125);
}

static void read_functions(const char *path)
{
	FILE *file = fopen(path, "r");
	unsigned long address;

	if (!file)
		fail(path);
	memset(original, 0xff, sizeof(original));
	while (fscanf(file, "%lx", &address) == 1) {
		if (address >= LARGEST)
			continue;
		functions = realloc(functions, (count + 1) * sizeof(*functions));
		if (!functions)
			fail("realloc");
		functions[count++] = address;
	}
	fclose(file);
}

/* Where the process has a file of this name mapped; 0: nowhere. */
static unsigned long base_of(pid_t pid, const char *name)
{
	char path[64], line[4096];
	unsigned long base = 0;

	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	FILE *maps = fopen(path, "r");
	if (!maps)
		return 0;
	while (!base && fgets(line, sizeof(line), maps)) {
		char *slash = strrchr(line, '/');
		size_t length = strlen(name);

		if (slash && !strncmp(slash + 1, name, length) && slash[1 + length] == '\n')
			sscanf(line, "%lx", &base);
	}
	fclose(maps);
	return base;
}

static int memory_of(pid_t pid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	return open(path, O_RDWR | O_CLOEXEC);
}

static void set_breakpoints(pid_t pid, const char *name)
{
	const unsigned char trap = BREAKPOINT;
	unsigned long base = base_of(pid, name);
	int memory = memory_of(pid);

	for (size_t i = 0; base && memory >= 0 && i < count; i++) {
		unsigned char byte;

		if (seen[functions[i]] || pread(memory, &byte, 1, base + functions[i]) != 1)
			continue;
		if (byte != trap)
			original[functions[i]] = byte;
		if (pwrite(memory, &trap, 1, base + functions[i]) != 1)
			fail("write a breakpoint");
	}
	close(memory);
}

/* False: that was no breakpoint of ours. */
static int take_away(pid_t pid, const char *name, FILE *output)
{
	struct user_regs_struct registers;

	if (ptrace(PTRACE_GETREGS, pid, 0, &registers))
		return 0;
	unsigned long base = base_of(pid, name);
	unsigned long offset = registers.rip - 1 - base;
	if (!base || offset >= LARGEST || original[offset] < 0)
		return 0;
	unsigned char byte = original[offset];
	int memory = memory_of(pid);
	if (memory < 0 || pwrite(memory, &byte, 1, base + offset) != 1)
		fail("take a breakpoint away");
	close(memory);
	registers.rip--;
	ptrace(PTRACE_SETREGS, pid, 0, &registers);
	if (!seen[offset]) {
		seen[offset] = 1;
		fprintf(output, "%lx\n", offset);
	}
	return 1;
}

static int trace(pid_t program, const char *name, FILE *output)
{
	int status, result = 128;

	for (;;) {
		pid_t pid = waitpid(-1, &status, __WALL);

		if (pid < 0)
			return result;
		if (WIFEXITED(status) || WIFSIGNALED(status)) {
			if (pid != program)
				continue;
			return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
		}
		int signal = WSTOPSIG(status);
		if (status >> 16 == PTRACE_EVENT_EXEC)
			set_breakpoints(pid, name);
		else if (signal == SIGTRAP && !(status >> 16))
			signal = take_away(pid, name, output) ? 0 : SIGTRAP;
		ptrace(PTRACE_CONT, pid, 0, signal == SIGTRAP || signal == SIGSTOP ? 0 : signal);
	}
}

int main(int argc, char **argv)
{
	int status;

	if (argc < 4)
		return 2;
	read_functions(argv[1]);
	FILE *output = fopen(argv[2], "a");
	if (!output)
		fail(argv[2]);
	const char *slash = strrchr(argv[3], '/');
	pid_t program = fork();
	if (program == 0) {
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		raise(SIGSTOP);
		execv(argv[3], argv + 3);
		fail(argv[3]);
	}
	waitpid(program, &status, 0);
	if (ptrace(PTRACE_SETOPTIONS, program, 0,
		   PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL))
		fail("PTRACE_SETOPTIONS");
	ptrace(PTRACE_CONT, program, 0, 0);
	status = trace(program, slash ? slash + 1 : argv[3], output);
	fclose(output);
	return status;
}
