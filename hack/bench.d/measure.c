/*
 * measure: what hack/bench cannot get out of hyperfine.
 *
 *   measure lifecycle BUNDLE ID PIDFILE RUNTIME [OPTION...]   create, start, wait for the container, delete
 *   measure memory RUNTIME [ARGUMENT...]                      run it and print its peak resident set in KiB
 *
 * Does what an engine does around a runtime and no more: it is the child subreaper, so that the container's first
 * process becomes its child when the runtime's `create` has exited. Small and static, because the peak that the kernel
 * reports for a program counts the memory of whoever executed it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static _Noreturn void fail(const char *what)
{
	fprintf(stderr, "measure: %s: %s\n", what, strerror(errno));
	exit(125);
}

static int wait_for(pid_t pid, struct rusage *usage)
{
	int status;

	if (wait4(pid, &status, 0, usage) != pid)
		fail("wait4");
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static pid_t spawn(char **argv)
{
	pid_t pid;

	errno = posix_spawn(&pid, argv[0], NULL, NULL, argv, environ);
	if (errno)
		fail(argv[0]);
	return pid;
}

/* Runs `RUNTIME OPTION... words...` and insists that it succeeds. */
static void call(char **runtime, int count, char *const *words)
{
	char *argv[64];
	int n = 0;

	while (n < count && n < 48) {
		argv[n] = runtime[n];
		n++;
	}
	while (*words && n < 63)
		argv[n++] = *words++;
	argv[n] = NULL;
	int status = wait_for(spawn(argv), NULL);
	if (status) {
		fprintf(stderr, "measure: %s %s exited with %d\n", argv[0], argv[count], status);
		exit(125);
	}
}

static pid_t read_pid(const char *path)
{
	char text[32] = "";
	int f = open(path, O_RDONLY | O_CLOEXEC);

	if (f < 0 || read(f, text, sizeof(text) - 1) <= 0)
		fail(path);
	close(f);
	return atoi(text);
}

static int lifecycle(char *bundle, char *id, char *pid_file, char **runtime, int count)
{
	if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0))
		fail("PR_SET_CHILD_SUBREAPER");
	call(runtime, count, (char *[]){ "create", "--bundle", bundle, "--pid-file", pid_file, id, NULL });
	call(runtime, count, (char *[]){ "start", id, NULL });
	int status = wait_for(read_pid(pid_file), NULL);
	call(runtime, count, (char *[]){ "delete", id, NULL });
	return status;
}

static int memory(char **argv)
{
	struct rusage usage;
	int status = wait_for(spawn(argv), &usage);

	printf("%ld\n", usage.ru_maxrss);
	return status;
}

int main(int argc, char **argv)
{
	if (argc > 5 && strcmp(argv[1], "lifecycle") == 0)
		return lifecycle(argv[2], argv[3], argv[4], argv + 5, argc - 5);
	if (argc > 2 && strcmp(argv[1], "memory") == 0)
		return memory(argv + 2);
	fputs("usage: measure lifecycle BUNDLE ID PIDFILE RUNTIME [OPTION...] | measure memory RUNTIME [ARGUMENT...]\n", stderr);
	return 125;
}
