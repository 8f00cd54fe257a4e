/* A crowd that listens: it opens WebSockets, then reads, counts and throws away.
 *
 *     sink HOST PORT SOURCE SECONDS SAMPLE_EVERY RECORDS
 *
 * SOURCE is the address of ours to connect from (another 127.0.0.x has ports of its own). RECORDS is a file:
 * per socket a little-endian u32 and so many bytes of upgrade request, a u32 and so many bytes to send after
 * the answer (whole masked frames), and a u32: how many frames it must have heard to count as ready. When
 * the records are used up they start again.
 *
 * Each line on its input is answered with a line of JSON:
 *     open N    N more sockets; answered when each is ready or has failed
 *     count     bytes, frames (of messages: no pings) and sockets lost, since the start
 *     latency   over all stamps seen since it was last asked, in microseconds
 * A stamp is "~" and 16 digits, CLOCK_MONOTONIC in microseconds when it was sent, plain in a payload. They
 * are looked for on every SAMPLE_EVERYth socket (0: on none). One that a read cuts in two is passed over.
 *
 * Pings are answered. It ends when its input does, or after SECONDS.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define SOCKETS_MAX (1 << 16)
#define UNDER_WAY_MAX 64
#define STAMP_DIGITS 16
#define SAMPLES_MAX (1 << 22)
#define EVENTS_MAX 512
#define READ_BYTES_MAX (1 << 16)

enum phase { CONNECTING, UPGRADING, JOINING, READY, GONE };

struct sock {
    int fd;
    enum phase phase;
    const uint8_t *then; /* what it says after the upgrade */
    uint32_t then_bytes, wanted, frames;
    char head_tail[4], status[12]; /* of the answer: its last and its first bytes */
    uint32_t head_bytes;
    uint8_t frame_head[10];
    int frame_head_bytes;
    uint64_t left; /* of the frame's payload */
};

static struct sock socks[SOCKETS_MAX];
static int socks_count, opened, under_way, wanted_open, asked_open, epoll;
static uint64_t bytes, frames, lost;
static uint32_t samples[SAMPLES_MAX];
static size_t samples_count;
static int sample_every;
static struct sockaddr_in there, here;
static const uint8_t *records, *record;
static size_t records_bytes;

static uint64_t now_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void watch(struct sock *sock, uint32_t events, int how) {
    struct epoll_event event = {.events = events, .data.ptr = sock};
    epoll_ctl(epoll, how, sock->fd, &event);
}

static const uint8_t *take(uint32_t *length) {
    if (record + 4 > records + records_bytes) exit(3);
    memcpy(length, record, 4);
    const uint8_t *at = record + 4;
    if (*length > (size_t)(records + records_bytes - at)) exit(3);
    record = at + *length;
    return at;
}

static void end(struct sock *sock) {
    if (sock->phase == READY)
        lost++;
    else
        under_way--;
    sock->phase = GONE;
    close(sock->fd);
}

static void become_ready(struct sock *sock) {
    sock->phase = READY;
    under_way--;
    opened++;
}

static void begin_one(void) {
    struct sock *sock = &socks[socks_count++];
    uint32_t request_bytes;
    int on = 1;
    if (record == records + records_bytes) record = records;
    const uint8_t *request = take(&request_bytes);
    sock->then = take(&sock->then_bytes);
    memcpy(&sock->wanted, record, 4);
    record += 4;
    under_way++;
    sock->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (sock->fd < 0) {
        sock->phase = GONE, under_way--;
        return;
    }
    setsockopt(sock->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    setsockopt(sock->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (bind(sock->fd, (struct sockaddr *)&here, sizeof here) ||
        connect(sock->fd, (struct sockaddr *)&there, sizeof there) || /* on loopback it doesn't wait long */
        send(sock->fd, request, request_bytes, MSG_NOSIGNAL) != (ssize_t)request_bytes) {
        end(sock);
        return;
    }
    fcntl(sock->fd, F_SETFL, O_NONBLOCK);
    sock->phase = UPGRADING;
    watch(sock, EPOLLIN, EPOLL_CTL_ADD);
}

/* How many of these bytes were the rest of the answer's head. */
static size_t upgrade(struct sock *sock, const uint8_t *in, size_t length) {
    for (size_t i = 0; i < length; i++) {
        if (sock->head_bytes < sizeof sock->status) sock->status[sock->head_bytes] = (char)in[i];
        sock->head_bytes++;
        memmove(sock->head_tail, sock->head_tail + 1, 3);
        sock->head_tail[3] = (char)in[i];
        if (memcmp(sock->head_tail, "\r\n\r\n", 4) != 0) continue;
        if (memcmp(sock->status, "HTTP/1.1 101", 12) != 0 ||
            send(sock->fd, sock->then, sock->then_bytes, MSG_NOSIGNAL) != (ssize_t)sock->then_bytes) {
            end(sock);
            return length;
        }
        sock->phase = JOINING;
        if (sock->wanted == 0) become_ready(sock);
        return i + 1;
    }
    return length;
}

static int head_length(const struct sock *sock) {
    if (sock->frame_head_bytes < 2) return 2;
    int size = sock->frame_head[1] & 0x7F;
    return size == 126 ? 4 : size == 127 ? 10 : 2;
}

static void begin_frame(struct sock *sock) {
    static const uint8_t pong[] = {0x8A, 0x80, 0, 0, 0, 0};
    int opcode = sock->frame_head[0] & 0x0F, from = 2, to = sock->frame_head_bytes;
    sock->left = to == 2 ? sock->frame_head[1] & 0x7F : 0;
    for (int i = from; i < to; i++) sock->left = sock->left << 8 | sock->frame_head[i];
    sock->frame_head_bytes = 0;
    if (opcode <= 2) {
        frames++;
        if (++sock->frames == sock->wanted && sock->phase == JOINING) become_ready(sock);
    } else if (opcode == 9) {
        if (send(sock->fd, pong, sizeof pong, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) return; /* its end will tell */
    }
}

static void count_frames(struct sock *sock, const uint8_t *in, size_t length) {
    while (length > 0) {
        size_t some = sock->left < length ? (size_t)sock->left : length;
        in += some, length -= some, sock->left -= some;
        while (length > 0 && sock->left == 0) {
            sock->frame_head[sock->frame_head_bytes++] = *in++, length--;
            if (sock->frame_head_bytes == head_length(sock)) {
                begin_frame(sock);
                break;
            }
        }
    }
}

static void find_stamps(const uint8_t *in, size_t length) {
    uint64_t now = now_us();
    const uint8_t *stop = in + length, *at = in;
    while ((at = memchr(at, '~', (size_t)(stop - at))) != NULL && stop - at > STAMP_DIGITS) {
        uint64_t stamp = 0;
        int digits = 0;
        while (digits < STAMP_DIGITS && at[1 + digits] >= '0' && at[1 + digits] <= '9')
            stamp = stamp * 10 + (uint64_t)(at[1 + digits++] - '0');
        at++;
        if (digits == STAMP_DIGITS && stamp <= now && samples_count < SAMPLES_MAX)
            samples[samples_count++] = (uint32_t)(now - stamp);
    }
}

static void read_socket(struct sock *sock) {
    static uint8_t in[READ_BYTES_MAX];
    ssize_t got = read(sock->fd, in, sizeof in);
    if (got <= 0) {
        if (got == 0 || errno != EAGAIN) end(sock);
        return;
    }
    bytes += (uint64_t)got;
    size_t done = sock->phase == UPGRADING ? upgrade(sock, in, (size_t)got) : 0;
    if (sock->phase == GONE) return;
    if (sample_every && (sock - socks) % sample_every == 0) find_stamps(in + done, (size_t)got - done);
    count_frames(sock, in + done, (size_t)got - done);
}

static int by_size(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static void say_latency(void) {
    size_t n = samples_count;
    qsort(samples, n, sizeof samples[0], by_size);
    printf("{\"samples\": %zu, \"p50_us\": %u, \"p99_us\": %u, \"max_us\": %u}\n", n, n ? samples[n / 2] : 0,
           n ? samples[n * 99 / 100] : 0, n ? samples[n - 1] : 0);
    samples_count = 0;
}

/* 0 when the input has ended. */
static int obey(void) {
    static char line[256];
    static size_t length;
    char *stop;
    ssize_t got = read(0, line + length, sizeof line - 1 - length);
    if (got <= 0) return 0;
    length += (size_t)got;
    line[length] = 0;
    while ((stop = strchr(line, '\n')) != NULL) {
        int number;
        if (sscanf(line, "open %d", &number) == 1 && number >= 0 && number <= SOCKETS_MAX - socks_count)
            wanted_open = asked_open = number;
        else if (strncmp(line, "count\n", 6) == 0)
            printf("{\"bytes\": %lu, \"frames\": %lu, \"lost\": %lu}\n", bytes, frames, lost);
        else if (strncmp(line, "latency\n", 8) == 0)
            say_latency();
        else
            return fputs("sink: not understood\n", stderr), 0;
        length -= (size_t)(stop + 1 - line);
        memmove(line, stop + 1, length + 1);
    }
    fflush(stdout);
    return 1;
}

static void open_some(void) {
    while (wanted_open > 0 && under_way < UNDER_WAY_MAX) wanted_open--, begin_one();
    if (asked_open > 0 && wanted_open == 0 && under_way == 0) {
        printf("{\"open\": %d, \"failed\": %d}\n", opened, socks_count - opened);
        fflush(stdout);
        asked_open = 0;
    }
}

static void load(const char *path) {
    struct stat stat;
    int fd = open(path, O_RDONLY);
    if (fd < 0 || fstat(fd, &stat) || stat.st_size == 0) perror("sink: no records"), exit(1);
    records_bytes = (size_t)stat.st_size;
    records = mmap(NULL, records_bytes, PROT_READ, MAP_PRIVATE, fd, 0);
    if (records == MAP_FAILED) exit(1);
    record = records + records_bytes;
}

int main(int argc, char **argv) {
    if (argc != 7) return fputs("sink HOST PORT SOURCE SECONDS SAMPLE_EVERY RECORDS\n", stderr), 2;
    alarm((unsigned)atoi(argv[4])); /* whatever happens */
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    there.sin_family = here.sin_family = AF_INET;
    there.sin_port = htons((uint16_t)atoi(argv[2]));
    if (!inet_aton(argv[1], &there.sin_addr) || !inet_aton(argv[3], &here.sin_addr)) return 2;
    sample_every = atoi(argv[5]);
    load(argv[6]);
    epoll = epoll_create1(0);
    struct epoll_event events[EVENTS_MAX], event = {.events = EPOLLIN, .data.ptr = NULL};
    epoll_ctl(epoll, EPOLL_CTL_ADD, 0, &event);
    for (int more = 1; more;) {
        int count = epoll_wait(epoll, events, EVENTS_MAX, -1);
        for (int i = 0; i < count; i++) {
            if (events[i].data.ptr == NULL)
                more = obey();
            else
                read_socket(events[i].data.ptr);
        }
        open_some();
    }
    return 0;
}
