/* A disk that can be slow, full, or lose what was never synced: loaded before the store's own libc.

   $LIVESERVER_TEST_DISK is a folder. Of the store's logs (*.incr.aof) alone:
     hold    while this file is there, a sync waits (20 s at most), and says so by making `held`
     full    while this file is there, a write answers ENOSPC
     synced  a line "SIZE PATH" for every sync that has ended: the bytes the file had when it began */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { POLL_US = 1000, POLLS_MAX = 20000 };

static const char *in_folder(char *path, const char *name) {
    snprintf(path, PATH_MAX, "%s/%s", getenv("LIVESERVER_TEST_DISK"), name);
    return path;
}

static int is_there(const char *name) {
    char path[PATH_MAX];
    return access(in_folder(path, name), F_OK) == 0;
}

/* The size of the log behind fd, and its path; -1 if it is no log. */
static long long log_size(int fd, char *path) {
    struct stat facts;
    char link[64];
    if (fstat(fd, &facts) != 0 || !S_ISREG(facts.st_mode)) return -1;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    if (length < 0) return -1;
    path[length] = 0;
    return strstr(path, ".incr.aof") ? (long long)facts.st_size : -1;
}

static int synced(int fd, const char *name) {
    char path[PATH_MAX], own[PATH_MAX], line[PATH_MAX + 32];
    int (*really)(int) = dlsym(RTLD_NEXT, name);
    long long size = log_size(fd, path);
    if (size < 0) return really(fd);
    if (is_there("hold")) close(open(in_folder(own, "held"), O_CREAT | O_WRONLY, 0600));
    for (int polls = 0; is_there("hold") && polls < POLLS_MAX; polls++) usleep(POLL_US);
    int result = really(fd);
    if (result == 0) {
        int log = open(in_folder(own, "synced"), O_CREAT | O_APPEND | O_WRONLY, 0600);
        int length = snprintf(line, sizeof line, "%lld %s\n", size, path);
        if (syscall(SYS_write, log, line, (size_t)length) != length) abort();
        close(log);
    }
    return result;
}

int fdatasync(int fd) { return synced(fd, "fdatasync"); }
int fsync(int fd) { return synced(fd, "fsync"); }

ssize_t write(int fd, const void *bytes, size_t count) {
    char path[PATH_MAX];
    if (log_size(fd, path) >= 0 && is_there("full")) {
        errno = ENOSPC;
        return -1;
    }
    return syscall(SYS_write, fd, bytes, count);
}
