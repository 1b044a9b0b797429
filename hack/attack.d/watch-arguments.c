/*
 * watch-arguments WORD SECONDS: looks at the arguments of all processes that it sees, over and over, and says whether one has
 * WORD in them. For hack/attack.d/asked.py: what a payload sees of the runtime that enters its container.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int has_word(const char *pid, const char *word)
{
	char path[64], text[8192];
	ssize_t length;
	int file;

	snprintf(path, sizeof(path), "/proc/%s/cmdline", pid);
	file = open(path, O_RDONLY | O_CLOEXEC);
	if (file < 0)
		return 0;
	length = read(file, text, sizeof(text));
	close(file);
	return length > 0 && memmem(text, (size_t)length, word, strlen(word)) != NULL;
}

int main(int argc, char **argv)
{
	char own[16], word[256];
	time_t end;

	if (argc != 3)
		return 2;
	snprintf(word, sizeof(word), "%s", argv[1]);
	/* Ours has it as well. */
	memset(argv[1], 0, strlen(argv[1]));
	snprintf(own, sizeof(own), "%d", getpid());
	end = time(NULL) + atoi(argv[2]);
	while (time(NULL) < end) {
		DIR *proc = opendir("/proc");
		struct dirent *entry;

		while (proc && (entry = readdir(proc)))
			if (entry->d_name[0] >= '0' && entry->d_name[0] <= '9' && strcmp(entry->d_name, own) && strcmp(entry->d_name, "1") &&
			    has_word(entry->d_name, word)) {
				puts("done-7c1f");
				return 0;
			}
		if (proc)
			closedir(proc);
	}
	return 0;
}
