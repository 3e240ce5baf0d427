/* Stands between a program and the disk: counts what changes files, and strikes at the N-th call.
 *
 * Loaded with LD_PRELOAD. Counted, under the given folders only: write and its kin, fsync and
 * fdatasync, open that may create or truncate, rename, link, unlink, mkdir, rmdir, ftruncate.
 *
 * Kinds: kill (SIGKILL in place of the call), tear (half of a write, or the call itself, then
 * SIGKILL), eio, enospc (that call fails), full (that one and every later call that needs space
 * fails), short (every write from there on takes half), jump (the wall clock goes back 20 years).
 *
 * With a trace folder, every call that succeeded is a line in `trace`, and the bytes of a file at
 * its N-th call, an fsync, are kept as `N`. fsync itself is answered, not done: no page cache is
 * lost by a kill, and what a power cut would lose is worked out from the trace.
 *
 * Armed by the environment (SHIM_FOLDERS with ':' between, SHIM_AT, SHIM_KIND, SHIM_TRACE), or in
 * a process that was forked from one that has it loaded, by calling shim_arm.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { GO, FAIL, TEAR };
enum { NEEDS_SPACE = 1, WRITES = 2 };
#define MOST_FOLDERS 8
#define YEARS_20 (20L * 365 * 24 * 3600)

static char folders[MOST_FOLDERS][PATH_MAX];
static int folder_count;
static long at, count;
static char kind[16];
static char trace_folder[PATH_MAX - 32];
static int trace_file = -1;
static long jumped_s;
static pthread_mutex_t turns = PTHREAD_MUTEX_INITIALIZER;

void shim_arm(const char *watched, long strike_at, const char *strike_kind, const char *trace) {
    folder_count = 0;
    count = 0;
    jumped_s = 0;
    while (*watched && folder_count < MOST_FOLDERS) {
        size_t length = strcspn(watched, ":");
        snprintf(folders[folder_count++], PATH_MAX, "%.*s", (int)length, watched);
        watched += length + (watched[length] == ':');
    }
    at = strike_at;
    snprintf(kind, sizeof kind, "%s", strike_kind);
    snprintf(trace_folder, sizeof trace_folder, "%s", trace);
    if (*trace) {
        char path[PATH_MAX];
        snprintf(path, sizeof path, "%s/trace", trace_folder);
        trace_file = syscall(SYS_openat, AT_FDCWD, path,
                             O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    }
}

long shim_count(void) { return count; }

__attribute__((constructor)) static void armed_by_environment(void) {
    const char *watched = getenv("SHIM_FOLDERS"), *strike = getenv("SHIM_AT");
    const char *what = getenv("SHIM_KIND"), *trace = getenv("SHIM_TRACE");
    if (watched != NULL)
        shim_arm(watched, strike ? atol(strike) : 0, what ? what : "", trace ? trace : "");
}

static int is_watched(const char *path) {
    for (int i = 0; i < folder_count; i++) {
        size_t length = strlen(folders[i]);
        if (!strncmp(path, folders[i], length) && (path[length] == '/' || !path[length])) return 1;
    }
    return 0;
}

static int path_of(int descriptor, char *path) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = syscall(SYS_readlinkat, AT_FDCWD, link, path, PATH_MAX - 1);
    path[length < 0 ? 0 : length] = 0;
    return length > 0;
}

static int watched_file(int descriptor, char *path) {
    int before = errno;
    int found = folder_count && path_of(descriptor, path) && is_watched(path);
    errno = before;
    return found;
}

static int watched_name(int folder, const char *name, char *path) {
    if (!folder_count || name == NULL) return 0;
    if (name[0] == '/') {
        snprintf(path, PATH_MAX, "%s", name);
        return is_watched(path);
    }
    int before = errno;
    if (folder == AT_FDCWD) {
        if (syscall(SYS_getcwd, path, PATH_MAX) < 0) path[0] = 0;
    } else {
        path_of(folder, path);
    }
    errno = before;
    size_t length = strlen(path);
    snprintf(path + length, PATH_MAX - length, "/%s", name);
    return is_watched(path);
}

static void die(void) {
    syscall(SYS_kill, getpid(), SIGKILL);
    for (;;) pause();
}

/* Whose turn it is: go on, fail with errno, or do it by half and die. */
static int turn(int traits, long *number) {
    pthread_mutex_lock(&turns);
    long now = *number = ++count;
    pthread_mutex_unlock(&turns);
    if (!at || now < at) return GO;
    if (!strcmp(kind, "full") && (traits & NEEDS_SPACE)) {
        errno = ENOSPC;
        return FAIL;
    }
    if (now > at) return GO;
    if (!strcmp(kind, "kill")) die();
    if (!strcmp(kind, "tear")) return TEAR;
    if (!strcmp(kind, "jump")) jumped_s = -YEARS_20;
    if (!strcmp(kind, "eio") || !strcmp(kind, "enospc")) {
        errno = !strcmp(kind, "eio") ? EIO : ENOSPC;
        return FAIL;
    }
    return GO;
}

static size_t taken(size_t size, long number) {
    return at && number >= at && size > 1 && !strcmp(kind, "short") ? size / 2 : size;
}

static void note(long number, const char *what, const char *path, const char *other) {
    if (trace_file < 0) return;
    char line[2 * PATH_MAX + 64];
    int length = snprintf(line, sizeof line, "%ld\t%s\t%s\t%s\n", number, what, path, other);
    if (syscall(SYS_write, trace_file, line, length) != length) abort();
}

static void keep_bytes(long number, int descriptor) {
    if (trace_file < 0) return;
    char path[PATH_MAX], part[65536];
    snprintf(path, sizeof path, "/proc/self/fd/%d", descriptor);
    int from = syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
    snprintf(path, sizeof path, "%s/%ld", trace_folder, number);
    int into = syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    if (from < 0 || into < 0) abort();
    long size;
    while ((size = syscall(SYS_read, from, part, sizeof part)) > 0)
        if (syscall(SYS_write, into, part, size) != size) abort();
    syscall(SYS_close, from);
    syscall(SYS_close, into);
}

/* Writing. */

#define WRITING(descriptor, size, half, whole)                                                 \
    char path[PATH_MAX];                                                                       \
    long number = 0;                                                                           \
    if (watched_file(descriptor, path)) {                                                      \
        int what = turn(NEEDS_SPACE | WRITES, &number);                                        \
        if (what == FAIL) return -1;                                                           \
        if (what == TEAR) {                                                                    \
            half;                                                                              \
            die();                                                                             \
        }                                                                                      \
        size = taken(size, number);                                                            \
    }                                                                                          \
    ssize_t done = whole;                                                                      \
    if (number && done >= 0) note(number, "write", path, "");                                  \
    return done

ssize_t write(int descriptor, const void *data, size_t size) {
    WRITING(descriptor, size, syscall(SYS_write, descriptor, data, size / 2),
            syscall(SYS_write, descriptor, data, size));
}

ssize_t pwrite(int descriptor, const void *data, size_t size, off_t offset) {
    WRITING(descriptor, size, syscall(SYS_pwrite64, descriptor, data, size / 2, offset),
            syscall(SYS_pwrite64, descriptor, data, size, offset));
}

ssize_t pwrite64(int descriptor, const void *data, size_t size, off64_t offset) {
    return pwrite(descriptor, data, size, offset);
}

ssize_t writev(int descriptor, const struct iovec *parts, int parts_count) {
    size_t size = parts_count;
    WRITING(descriptor, size, syscall(SYS_writev, descriptor, parts, size / 2),
            syscall(SYS_writev, descriptor, parts, size));
}

ssize_t sendfile(int descriptor, int from, off_t *offset, size_t size) {
    WRITING(descriptor, size, syscall(SYS_sendfile, descriptor, from, offset, size / 2),
            syscall(SYS_sendfile, descriptor, from, offset, size));
}

ssize_t sendfile64(int descriptor, int from, off64_t *offset, size_t size) {
    return sendfile(descriptor, from, offset, size);
}

ssize_t copy_file_range(int from, off64_t *from_offset, int descriptor, off64_t *offset,
                        size_t size, unsigned flags) {
    WRITING(descriptor, size,
            syscall(SYS_copy_file_range, from, from_offset, descriptor, offset, size / 2, flags),
            syscall(SYS_copy_file_range, from, from_offset, descriptor, offset, size, flags));
}

/* Names. */

#define STRIKE(traits, call)                                                                   \
    do {                                                                                       \
        int what = turn(traits, &number);                                                      \
        if (what == FAIL) return -1;                                                           \
        if (what == TEAR) {                                                                    \
            call;                                                                              \
            die();                                                                             \
        }                                                                                      \
    } while (0)

static int opened(int folder, const char *name, int flags, mode_t mode) {
    char path[PATH_MAX];
    long number = 0;
    int there = 1;
    if ((flags & (O_CREAT | O_TRUNC)) && (flags & O_TMPFILE) != O_TMPFILE &&
        watched_name(folder, name, path)) {
        int before = errno;
        struct stat status;
        there = !syscall(SYS_newfstatat, folder, name, &status, AT_SYMLINK_NOFOLLOW);
        errno = before;
        STRIKE(NEEDS_SPACE, syscall(SYS_openat, folder, name, flags, mode));
    }
    int descriptor = syscall(SYS_openat, folder, name, flags, mode);
    if (number && descriptor >= 0) {
        if (!there) note(number, "create", path, "");
        else if (flags & O_TRUNC) note(number, "empty", path, "");
    }
    return descriptor;
}

#define MODE_GIVEN                                                                             \
    mode_t mode = 0;                                                                           \
    if (flags & (O_CREAT | O_TMPFILE)) {                                                       \
        va_list rest;                                                                          \
        va_start(rest, flags);                                                                 \
        mode = va_arg(rest, mode_t);                                                           \
        va_end(rest);                                                                          \
    }

int open(const char *name, int flags, ...) {
    MODE_GIVEN;
    return opened(AT_FDCWD, name, flags, mode);
}

int open64(const char *name, int flags, ...) {
    MODE_GIVEN;
    return opened(AT_FDCWD, name, flags | O_LARGEFILE, mode);
}

int openat(int folder, const char *name, int flags, ...) {
    MODE_GIVEN;
    return opened(folder, name, flags, mode);
}

int openat64(int folder, const char *name, int flags, ...) {
    MODE_GIVEN;
    return opened(folder, name, flags | O_LARGEFILE, mode);
}

int creat(const char *name, mode_t mode) {
    return opened(AT_FDCWD, name, O_WRONLY | O_CREAT | O_TRUNC, mode);
}

int creat64(const char *name, mode_t mode) { return creat(name, mode); }

/* The C library opens without calling open(): make the file first, through ours. */
static int made_for_stream(const char *name, const char *mode) {
    char path[PATH_MAX];
    if ((mode[0] != 'w' && mode[0] != 'a') || !watched_name(AT_FDCWD, name, path)) return 0;
    int flags = O_WRONLY | O_CREAT | O_CLOEXEC | (mode[0] == 'w' ? O_TRUNC : 0);
    int descriptor = opened(AT_FDCWD, name, flags, 0666);
    if (descriptor >= 0) syscall(SYS_close, descriptor);
    return descriptor < 0 ? -1 : 0;
}

FILE *fopen(const char *name, const char *mode) {
    static FILE *(*real)(const char *, const char *);
    if (real == NULL) real = (FILE * (*)(const char *, const char *)) dlsym(RTLD_NEXT, "fopen");
    return made_for_stream(name, mode) < 0 ? NULL : real(name, mode);
}

FILE *fopen64(const char *name, const char *mode) {
    static FILE *(*real)(const char *, const char *);
    if (real == NULL) real = (FILE * (*)(const char *, const char *)) dlsym(RTLD_NEXT, "fopen64");
    return made_for_stream(name, mode) < 0 ? NULL : real(name, mode);
}

static int renamed(int from, const char *name, int into, const char *other, unsigned flags) {
    char path[PATH_MAX], target[PATH_MAX];
    long number = 0;
    int watched = watched_name(into, other, target);
    if (watched_name(from, name, path) || watched)
        STRIKE(NEEDS_SPACE, syscall(SYS_renameat2, from, name, into, other, flags));
    int failed = syscall(SYS_renameat2, from, name, into, other, flags);
    if (number && !failed) note(number, flags & 2 ? "exchange" : "rename", path, target);
    return failed;
}

int rename(const char *name, const char *other) {
    return renamed(AT_FDCWD, name, AT_FDCWD, other, 0);
}

int renameat(int from, const char *name, int into, const char *other) {
    return renamed(from, name, into, other, 0);
}

int renameat2(int from, const char *name, int into, const char *other, unsigned flags) {
    return renamed(from, name, into, other, flags);
}

int linkat(int from, const char *name, int into, const char *other, int flags) {
    char path[PATH_MAX], target[PATH_MAX];
    long number = 0;
    int watched = watched_name(into, other, target);
    if (watched_name(from, name, path) || watched)
        STRIKE(NEEDS_SPACE, syscall(SYS_linkat, from, name, into, other, flags));
    int failed = syscall(SYS_linkat, from, name, into, other, flags);
    if (number && !failed) note(number, "link", path, target);
    return failed;
}

int link(const char *name, const char *other) {
    return linkat(AT_FDCWD, name, AT_FDCWD, other, 0);
}

int mkdirat(int folder, const char *name, mode_t mode) {
    char path[PATH_MAX];
    long number = 0;
    if (watched_name(folder, name, path))
        STRIKE(NEEDS_SPACE, syscall(SYS_mkdirat, folder, name, mode));
    int failed = syscall(SYS_mkdirat, folder, name, mode);
    if (number && !failed) note(number, "mkdir", path, "");
    return failed;
}

int mkdir(const char *name, mode_t mode) { return mkdirat(AT_FDCWD, name, mode); }

int unlinkat(int folder, const char *name, int flags) {
    char path[PATH_MAX];
    long number = 0;
    if (watched_name(folder, name, path)) STRIKE(0, syscall(SYS_unlinkat, folder, name, flags));
    int failed = syscall(SYS_unlinkat, folder, name, flags);
    if (number && !failed) note(number, "remove", path, "");
    return failed;
}

int unlink(const char *name) { return unlinkat(AT_FDCWD, name, 0); }

int rmdir(const char *name) { return unlinkat(AT_FDCWD, name, AT_REMOVEDIR); }

int ftruncate(int descriptor, off_t size) {
    char path[PATH_MAX];
    long number = 0;
    if (watched_file(descriptor, path)) STRIKE(0, syscall(SYS_ftruncate, descriptor, size));
    int failed = syscall(SYS_ftruncate, descriptor, size);
    if (number && !failed) note(number, "empty", path, "");
    return failed;
}

int ftruncate64(int descriptor, off64_t size) { return ftruncate(descriptor, size); }

/* Bringing to the disk. */

static int synced(int descriptor) {
    char path[PATH_MAX];
    long number = 0;
    if (!watched_file(descriptor, path)) return syscall(SYS_fsync, descriptor);
    STRIKE(NEEDS_SPACE, (void)0);
    struct stat status;
    if (fstat(descriptor, &status)) return -1;
    if (S_ISREG(status.st_mode)) keep_bytes(number, descriptor);
    note(number, S_ISREG(status.st_mode) ? "fsync" : "fsync-folder", path, "");
    return 0;
}

int fsync(int descriptor) { return synced(descriptor); }

int fdatasync(int descriptor) { return synced(descriptor); }

/* The wall clock. */

int clock_gettime(clockid_t clock, struct timespec *now) {
    static int (*real)(clockid_t, struct timespec *);
    if (real == NULL) real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int failed = real(clock, now);
    if (!failed && clock == CLOCK_REALTIME) now->tv_sec += jumped_s;
    return failed;
}

time_t time(time_t *result) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (result != NULL) *result = now.tv_sec;
    return now.tv_sec;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec found;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &found);
    now->tv_sec = found.tv_sec;
    now->tv_usec = found.tv_nsec / 1000;
    return 0;
}
