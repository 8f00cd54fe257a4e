/* One frame to a crowd.
 *
 * `slots` has a place per viewer, and `fds` a descriptor per slot: negative where there is none to write to.
 * From place `at` on, until `end`, each descriptor is handed the whole frame, without waiting. Where the
 * kernel did not take all of it, or there is no descriptor, the place is odd: `odd` gets two numbers, the
 * place and how many bytes were taken (0 after any error), and the caller does what is left to do there.
 *
 * Returns the place it came to. It stops early where `odd` is full (`odd_max` places), or once `seconds` are
 * over: the clock is looked at after every `per_look` places, so that many are always done.
 *
 * The caller sees to it that neither table changes meanwhile, and that each slot is inside `fds`.
 */
#define _GNU_SOURCE
#include <stddef.h>
#include <sys/socket.h>
#include <time.h>

#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0 /* where there is none; Python ignores the signal anyway */
#endif

static double now_s(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

long send_frame(const int *fds, const int *slots, long at, long end, const char *frame, size_t size,
                double seconds, long per_look, long *odd, long odd_max, long *odd_count) {
    double until_s = now_s() + seconds;
    long place = at, count = 0;
    while (place < end && count < odd_max) {
        int fd = fds[slots[place]];
        ssize_t taken = fd < 0 ? -1 : send(fd, frame, size, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (taken != (ssize_t)size) {
            odd[2 * count] = place;
            odd[2 * count + 1] = taken < 0 ? 0 : (long)taken;
            count++;
        }
        place++;
        if ((place - at) % per_look == 0 && now_s() >= until_s) break;
    }
    *odd_count = count;
    return place;
}
