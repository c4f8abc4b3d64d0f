/* The floor under everything: a send loop in C.

   Usage: sender PORT CONNECTIONS BYTES_FILE

   Connects to 127.0.0.1 so many times, sends the file's bytes on each and awaits an answer, so that every connection has
   carried something; then it prints "ready". Commands, one a line on standard input:

   "fire NS"  wait, spinning, for that instant of the monotonic clock, send the bytes once on each connection, await the
              answers and print "done";
   "pump MS"  for so long, send on each connection again as soon as its answer has come; print how many were answered
              and the processor time that took, in ns.

   An answer is whatever comes back in one piece. Standard input's end ends it. */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define EVENTS 1024
#define BLOCK 65536

static char request[BLOCK], block[BLOCK];
static size_t request_bytes;
static int *connections;
static int count;

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static int64_t read_ns(clockid_t clock) {
    struct timespec at;
    clock_gettime(clock, &at);
    return (int64_t)at.tv_sec * 1000000000 + at.tv_nsec;
}

static int64_t now_ns(void) { return read_ns(CLOCK_MONOTONIC); }

static void send_on(int fd) {
    if (send(fd, request, request_bytes, MSG_NOSIGNAL) != (ssize_t)request_bytes) fail("send");
}

static void await_answers(void) {
    for (int number = 0; number < count; number++)
        if (recv(connections[number], block, sizeof block, 0) <= 0) fail("recv");
}

static void fire(int64_t at_ns) {
    while (now_ns() < at_ns) {
    }
    for (int number = 0; number < count; number++) send_on(connections[number]);
    await_answers();
    printf("done\n");
}

static void pump(long ms) {
    struct epoll_event events[EVENTS];
    int epoll_fd = epoll_create1(EPOLL_CLOEXEC), flying = count;
    int64_t until_ns = now_ns() + (int64_t)ms * 1000000, answered = 0, worked_ns = read_ns(CLOCK_PROCESS_CPUTIME_ID);
    for (int number = 0; number < count; number++) {
        struct epoll_event event = {.events = EPOLLIN, .data.fd = connections[number]};
        epoll_ctl(epoll_fd, EPOLL_CTL_ADD, connections[number], &event);
        send_on(connections[number]);
    }
    while (flying > 0) {
        int ready = epoll_wait(epoll_fd, events, EVENTS, -1), going_on = now_ns() < until_ns;
        for (int number = 0; number < ready; number++) {
            if (recv(events[number].data.fd, block, sizeof block, 0) <= 0) fail("recv");
            answered += going_on;
            if (going_on)
                send_on(events[number].data.fd);
            else
                flying--;
        }
    }
    close(epoll_fd);
    worked_ns = read_ns(CLOCK_PROCESS_CPUTIME_ID) - worked_ns;
    printf("%lld %lld\n", (long long)answered, (long long)worked_ns);
}

int main(int words, char **word) {
    char line[256];
    if (words != 4) return 2;
    FILE *file = fopen(word[3], "rb");
    if (file == NULL) fail(word[3]);
    request_bytes = fread(request, 1, sizeof request, file);
    fclose(file);
    count = atoi(word[2]);
    connections = calloc((size_t)count, sizeof *connections);
    if (connections == NULL) fail("memory");
    for (int number = 0; number < count; number++) {
        struct sockaddr_in place = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        place.sin_port = htons((uint16_t)atoi(word[1]));
        if (fd < 0 || connect(fd, (struct sockaddr *)&place, sizeof place) < 0) fail("connect");
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        connections[number] = fd;
        send_on(fd);
    }
    await_answers();
    printf("ready\n");
    fflush(stdout);
    while (fgets(line, sizeof line, stdin) != NULL) {
        long long value = 0;
        if (sscanf(line, "fire %lld", &value) == 1) fire(value);
        else if (sscanf(line, "pump %lld", &value) == 1) pump((long)value);
        fflush(stdout);
    }
    return 0;
}
