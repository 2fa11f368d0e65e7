/* SPDX-License-Identifier: ISC */
/* Gives every file that is named, or stands in a folder that is named, to a fuzz target once. Ends with 0 if the target let it. */
#include <dirent.h>
#include <stdio.h>
#include <sys/stat.h>

#include "tests/fuzz/fuzz.h"

#define MOST (1 << 20)

static unsigned files;

static int replay(const char *path)
{
	static uint8_t data[MOST];
	FILE *f = fopen(path, "rb");
	uint8_t *copy;
	size_t n;

	if (f == NULL) {
		perror(path);
		return 1;
	}
	n = fread(data, 1, sizeof(data), f);
	(void)fclose(f);
	/* told before: if the target ends the program, the last line says which file it was */
	(void)fprintf(stderr, "replaying %s\n", path);
	copy = fuzz_copy(data, n);
	(void)LLVMFuzzerTestOneInput(copy, n);
	free(copy);
	files++;
	return 0;
}

static int replay_folder(const char *folder)
{
	DIR *d = opendir(folder);
	struct dirent *e;
	int bad = 0;

	if (d == NULL) {
		perror(folder);
		return 1;
	}
	while ((e = readdir(d)) != NULL) {
		char path[4096];

		if (e->d_name[0] == '.')
			continue;
		(void)snprintf(path, sizeof(path), "%s/%s", folder, e->d_name);
		bad |= replay(path);
	}
	(void)closedir(d);
	return bad;
}

int main(int argc, char **argv)
{
	int bad = 0;

	for (int i = 1; i < argc; i++) {
		struct stat st;

		bad |= stat(argv[i], &st) == 0 && S_ISDIR(st.st_mode) ? replay_folder(argv[i]) : replay(argv[i]);
	}
	printf("%u\n", files);
	return bad != 0 || files == 0;
}
