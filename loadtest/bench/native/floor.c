/* The floor under every server: one frame built once, and a plain loop of send() over all sockets.
 *
 *     floor SECONDS
 *
 * It listens on a free port of 127.0.0.1 and says {"port": N}. Each line on its input is the text of one
 * frame, sent at once to every socket that is open; what a socket says is read and thrown away. It ends when
 * its input does, or after SECONDS, and then says what it did and what CPU that took (microseconds).
 *
 * A socket that can't take a whole frame at once is closed and counted: a floor has no queues.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "handshake.h"

#define FDS_MAX (1 << 16)
#define HEAD_BYTES_MAX 8192
#define LINE_BYTES_MAX (1 << 20)
#define FRAME_HEAD_MAX 10
#define EVENTS_MAX 512

struct head {
    size_t length;
    char text[HEAD_BYTES_MAX + 1];
};

static struct head *heads[FDS_MAX]; /* of those whose upgrade isn't there yet */
static int open_fds[FDS_MAX], place_of[FDS_MAX], open_count;
static unsigned long long sent, failed;
static char line[FRAME_HEAD_MAX + LINE_BYTES_MAX]; /* room for the frame's head before it */
static size_t line_length;

static void end(int fd) {
    if (heads[fd] != NULL) {
        free(heads[fd]);
        heads[fd] = NULL;
    } else {
        int last = open_fds[--open_count];
        open_fds[place_of[fd]] = last;
        place_of[last] = place_of[fd];
    }
    close(fd);
}

static void broadcast(char *text, size_t length) {
    char *frame = text;
    if (length < 126) {
        *--frame = (char)length;
    } else if (length < 1 << 16) {
        *--frame = (char)length, *--frame = (char)(length >> 8), *--frame = 126;
    } else {
        for (int i = 0; i < 8; i++) *--frame = (char)((unsigned long long)length >> (8 * i));
        *--frame = 127;
    }
    *--frame = (char)0x81;
    size_t bytes = length + (size_t)(text - frame);
    for (int i = open_count - 1; i >= 0; i--) { /* backwards: ending one moves the last into its place */
        if (send(open_fds[i], frame, bytes, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)bytes)
            sent++;
        else
            failed++, end(open_fds[i]);
    }
}

/* 0 when the input has ended. */
static int read_lines(void) {
    char *text = line + FRAME_HEAD_MAX, *stop;
    ssize_t got = read(0, text + line_length, LINE_BYTES_MAX - line_length);
    if (got <= 0) return 0;
    line_length += (size_t)got;
    while ((stop = memchr(text, '\n', line_length)) != NULL) {
        size_t length = (size_t)(stop - text);
        broadcast(text, length); /* it may overwrite what stands before the text: that has been sent */
        line_length -= length + 1;
        memmove(text, stop + 1, line_length);
    }
    return line_length < LINE_BYTES_MAX;
}

static void read_socket(int fd) {
    static char away[1 << 16];
    struct head *head = heads[fd];
    if (head == NULL) {
        ssize_t some = read(fd, away, sizeof away);
        if (some == 0 || (some < 0 && errno != EAGAIN)) end(fd);
        return;
    }
    ssize_t got = read(fd, head->text + head->length, HEAD_BYTES_MAX - head->length);
    if (got <= 0) {
        end(fd);
        return;
    }
    head->length += (size_t)got;
    head->text[head->length] = 0;
    if (strstr(head->text, "\r\n\r\n") == NULL) {
        if (head->length == HEAD_BYTES_MAX) end(fd);
        return;
    }
    char answer[ANSWER_BYTES_MAX];
    size_t length = answer_upgrade(head->text, answer);
    if (length == 0 || send(fd, answer, length, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)length) {
        end(fd);
        return;
    }
    free(head);
    heads[fd] = NULL;
    place_of[fd] = open_count;
    open_fds[open_count++] = fd;
}

static void admit(int epoll, int listener) {
    int on = 1, fd;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        if (fd >= FDS_MAX || (heads[fd] = calloc(1, sizeof(struct head))) == NULL) {
            close(fd);
            continue;
        }
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
        epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
    }
}

static int listen_anywhere(void) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (listener < 0 || bind(listener, (struct sockaddr *)&at, size) || listen(listener, 4096) ||
        getsockname(listener, (struct sockaddr *)&at, &size)) {
        perror("floor: can't listen");
        exit(1);
    }
    printf("{\"port\": %d}\n", ntohs(at.sin_port));
    fflush(stdout);
    return listener;
}

int main(int argc, char **argv) {
    if (argc != 2) return fputs("floor SECONDS\n", stderr), 2;
    alarm((unsigned)atoi(argv[1])); /* whatever happens */
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    int listener = listen_anywhere(), epoll = epoll_create1(0), more = 1;
    struct epoll_event events[EVENTS_MAX], event = {.events = EPOLLIN, .data.fd = listener};
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
    event.data.fd = 0;
    epoll_ctl(epoll, EPOLL_CTL_ADD, 0, &event);
    while (more) {
        int count = epoll_wait(epoll, events, EVENTS_MAX, -1);
        int lines = 0;
        for (int i = 0; i < count; i++) {
            int fd = events[i].data.fd;
            if (fd == 0)
                lines = 1; /* last: it may end sockets that are still to be looked at */
            else if (fd == listener)
                admit(epoll, listener);
            else
                read_socket(fd);
        }
        if (lines) more = read_lines();
    }
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    printf("{\"sent\": %llu, \"failed\": %llu, \"user_us\": %lld, \"system_us\": %lld}\n", sent, failed,
           used.ru_utime.tv_sec * 1000000LL + used.ru_utime.tv_usec,
           used.ru_stime.tv_sec * 1000000LL + used.ru_stime.tv_usec);
    return 0;
}
