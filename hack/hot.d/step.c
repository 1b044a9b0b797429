/*
 * step: which functions a program runs, in the order in which it first does.
 *
 *   step OUTPUT PROGRAM [ARGUMENT...]
 *
 * Executes the program one instruction at a time, its children too, and appends each address in the program's own file that
 * is executed for the first time to OUTPUT: offsets from where the file is mapped, one per line, in hexadecimal. Slow (some
 * ten microseconds for each instruction) and exact, which a sampling profiler is not for a program that runs for milliseconds.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#define LARGEST (16UL << 20)
#define MOST 64

static unsigned char seen[LARGEST];

/* Where each process has the program mapped; 0: not known yet, 1: it runs something else. */
static struct {
	pid_t pid;
	unsigned long base;
} processes[MOST];

static _Noreturn void fail(const char *what)
{
	fprintf(stderr, "step: %s: %s\n", what, strerror(errno));
	exit(125);
}

static unsigned long *base_of(pid_t pid)
{
	int i;

	for (i = 0; i < MOST; i++)
		if (processes[i].pid == pid)
			return &processes[i].base;
	for (i = 0; i < MOST; i++)
		if (!processes[i].pid) {
			processes[i].pid = pid;
			processes[i].base = 0;
			return &processes[i].base;
		}
	fail("too many processes");
}

static void forget(pid_t pid)
{
	for (int i = 0; i < MOST; i++)
		if (processes[i].pid == pid)
			processes[i].pid = 0;
}

/* The lowest address at which a file of this name is mapped; 1: nowhere. */
static unsigned long find_base(pid_t pid, const char *name)
{
	char path[64], line[4096];
	unsigned long base = 1;

	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	FILE *maps = fopen(path, "r");
	if (!maps)
		return 0;
	while (base == 1 && fgets(line, sizeof(line), maps)) {
		char *slash = strrchr(line, '/');
		size_t length = strlen(name);

		if (slash && !strncmp(slash + 1, name, length) && slash[1 + length] == '\n')
			sscanf(line, "%lx", &base);
	}
	fclose(maps);
	return base;
}

static void note(pid_t pid, const char *name, int new_program, FILE *output)
{
	struct user_regs_struct registers;
	unsigned long *base = base_of(pid);

	if (new_program)
		*base = 0;
	if (ptrace(PTRACE_GETREGS, pid, 0, &registers))
		return;
	if (!*base)
		*base = find_base(pid, name);
	unsigned long offset = registers.rip - *base;
	if (*base > 1 && registers.rip >= *base && offset < LARGEST && !seen[offset]) {
		seen[offset] = 1;
		fprintf(output, "%lx\n", offset);
	}
}

int main(int argc, char **argv)
{
	int status;

	if (argc < 3)
		return 2;
	FILE *output = fopen(argv[1], "a");
	if (!output)
		fail(argv[1]);
	const char *slash = strrchr(argv[2], '/');
	pid_t program = fork();
	if (program == 0) {
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		raise(SIGSTOP);
		execv(argv[2], argv + 2);
		fail(argv[2]);
	}
	waitpid(program, &status, 0);
	if (ptrace(PTRACE_SETOPTIONS, program, 0,
		   PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL))
		fail("PTRACE_SETOPTIONS");
	ptrace(PTRACE_SINGLESTEP, program, 0, 0);
	for (;;) {
		pid_t pid = waitpid(-1, &status, __WALL);

		if (pid < 0)
			break;
		if (WIFEXITED(status) || WIFSIGNALED(status)) {
			forget(pid);
			if (pid == program)
				break;
			continue;
		}
		int signal = WSTOPSIG(status);
		note(pid, slash ? slash + 1 : argv[2], status >> 16 == PTRACE_EVENT_EXEC, output);
		ptrace(PTRACE_SINGLESTEP, pid, 0, signal == SIGTRAP || signal == SIGSTOP ? 0 : signal);
	}
	fclose(output);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}
