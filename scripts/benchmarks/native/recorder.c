/* The server of the measurements: it notes when the kernel received each order, and answers.

   Usage: recorder UPSTREAM_PORT         (0: there is nobody behind it)

   It listens on two ports of 127.0.0.1 and names both in its first line, "TCP RELAY". On the first it speaks HTTP/1.1
   itself: every whole request is answered with the same accepted order. What comes in on the second is passed on to
   UPSTREAM_PORT, where TLS is spoken, and what comes back is passed back.

   The time of an order is the kernel's receive time (SO_TIMESTAMPNS, CLOCK_REALTIME) of the bytes that completed it:
   on the first port those that completed the request, on the second the last bytes that came before an answer went back.
   How busy this process is changes nothing about it.

   Commands, one a line on standard input: "reset" forgets all times; "report" prints, on one line, the time of the last
   order of every connection that has had one since, in ns since the epoch, 0 meaning that the kernel gave none.
   Standard input's end ends it. */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define EVENTS 1024
#define BLOCK 65536
#define HEAD 16384

static const char BODY[] = "{\"isSuccess\":true,\"serialNumber\":1,\"trackingNumber\":1}";
static char answer[512];
static size_t answer_bytes;
static int epoll_fd;
static uint16_t upstream_port;
static char block[BLOCK];

enum kind { COMMANDS, LISTENER, RELAY_LISTENER, HTTP, RELAY_CLIENT, RELAY_UPSTREAM };

struct connection {
    enum kind kind;
    int fd;
    int gone;
    struct connection *peer;
    struct connection *next;
    int64_t pending_ns; /* of the newest bytes, in a relay: of no use before something comes back */
    int64_t order_ns;
    int has_order;
    long body_left; /* of the request that is coming in; -1 while its head is */
    size_t head_bytes;
    char head[HEAD + 1];
};

static struct connection *all, *buried;

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static struct connection *watch(int fd, enum kind kind) {
    struct connection *made = calloc(1, sizeof *made);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = made};
    if (made == NULL) fail("memory");
    made->kind = kind;
    made->fd = fd;
    made->body_left = -1;
    made->next = all;
    all = made;
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0) fail("epoll_ctl");
    return made;
}

static void at_once(int fd) {
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on);
}

static uint16_t listen_on_any(enum kind kind) {
    struct sockaddr_in place = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof place;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&place, size) < 0 || listen(fd, 4096) < 0) fail("listen");
    if (getsockname(fd, (struct sockaddr *)&place, &size) < 0) fail("getsockname");
    at_once(fd);
    watch(fd, kind);
    return ntohs(place.sin_port);
}

static void bury(struct connection *dead) {
    if (dead->gone) return;
    dead->gone = 1;
    close(dead->fd);
    if (dead->peer != NULL) bury(dead->peer);
}

static void give(struct connection *to, const char *data, size_t bytes) {
    while (bytes > 0 && !to->gone) {
        ssize_t took = send(to->fd, data, bytes, MSG_NOSIGNAL);
        if (took >= 0) {
            data += took;
            bytes -= (size_t)took;
        } else if (errno == EAGAIN) {
            struct pollfd full = {.fd = to->fd, .events = POLLOUT};
            poll(&full, 1, 1000);
        } else if (errno != EINTR) {
            bury(to);
        }
    }
}

static void let_in(struct connection *listener) {
    for (;;) {
        int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) return;
        at_once(fd);
        if (listener->kind == LISTENER) {
            watch(fd, HTTP);
            continue;
        }
        struct sockaddr_in place = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        int behind = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        place.sin_port = htons(upstream_port);
        if (behind < 0 || connect(behind, (struct sockaddr *)&place, sizeof place) < 0) {
            close(fd);
            if (behind >= 0) close(behind);
            continue;
        }
        int on = 1;
        setsockopt(behind, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        fcntl(behind, F_SETFL, fcntl(behind, F_GETFL) | O_NONBLOCK);
        struct connection *client = watch(fd, RELAY_CLIENT), *upstream = watch(behind, RELAY_UPSTREAM);
        client->peer = upstream;
        upstream->peer = client;
    }
}

/* Bytes and the kernel's time of the last of them; 0 at the end, negative where there is nothing or no connection. */
static ssize_t take(int fd, int64_t *stamp_ns) {
    struct iovec place = {.iov_base = block, .iov_len = BLOCK};
    char control[256];
    struct msghdr message = {
        .msg_iov = &place, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    ssize_t bytes = recvmsg(fd, &message, 0);
    *stamp_ns = 0;
    if (bytes <= 0) return bytes;
    for (struct cmsghdr *each = CMSG_FIRSTHDR(&message); each != NULL; each = CMSG_NXTHDR(&message, each)) {
        if (each->cmsg_level == SOL_SOCKET && each->cmsg_type == SCM_TIMESTAMPNS) {
            struct timespec at;
            memcpy(&at, CMSG_DATA(each), sizeof at);
            *stamp_ns = (int64_t)at.tv_sec * 1000000000 + at.tv_nsec;
        }
    }
    return bytes;
}

static void note(struct connection *of, int64_t stamp_ns) {
    of->order_ns = stamp_ns;
    of->has_order = 1;
}

static long length_of(const char *head) {
    const char *found = strcasestr(head, "\r\ncontent-length:");
    return found == NULL ? 0 : strtol(found + 17, NULL, 10);
}

static void read_requests(struct connection *from, const char *data, size_t bytes, int64_t stamp_ns) {
    while (bytes > 0) {
        if (from->body_left < 0) {
            size_t room = HEAD - from->head_bytes, part = bytes < room ? bytes : room;
            size_t before = from->head_bytes;
            memcpy(from->head + before, data, part);
            from->head_bytes += part;
            from->head[from->head_bytes] = 0;
            char *end = strstr(from->head, "\r\n\r\n");
            if (end == NULL) {
                if (part == room) bury(from);
                return;
            }
            size_t used = (size_t)(end + 4 - from->head) - before;
            end[2] = 0;
            from->body_left = length_of(from->head);
            from->head_bytes = 0;
            data += used;
            bytes -= used;
        }
        long part = from->body_left < (long)bytes ? from->body_left : (long)bytes;
        data += part;
        bytes -= (size_t)part;
        from->body_left -= part;
        if (from->body_left == 0) {
            from->body_left = -1;
            note(from, stamp_ns);
            give(from, answer, answer_bytes);
        }
    }
}

static void serve(struct connection *from) {
    int64_t stamp_ns;
    ssize_t bytes = take(from->fd, &stamp_ns);
    if (bytes < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (bytes <= 0) {
        bury(from);
    } else if (from->kind == HTTP) {
        read_requests(from, block, (size_t)bytes, stamp_ns);
    } else {
        if (from->kind == RELAY_CLIENT) {
            from->pending_ns = stamp_ns;
        } else if (from->peer->pending_ns != 0) {
            note(from->peer, from->peer->pending_ns);
            from->peer->pending_ns = 0;
        }
        give(from->peer, block, (size_t)bytes);
    }
}

static void report(void) {
    for (struct connection *each = all; each != NULL; each = each->next)
        if (each->has_order) printf("%lld ", (long long)each->order_ns);
    printf("\n");
}

static void obey(void) {
    static char line[256];
    static size_t filled;
    ssize_t bytes = read(STDIN_FILENO, line + filled, sizeof line - 1 - filled);
    if (bytes <= 0) exit(0);
    filled += (size_t)bytes;
    line[filled] = 0;
    for (char *end; (end = strchr(line, '\n')) != NULL;) {
        *end = 0;
        if (strcmp(line, "report") == 0) {
            report();
        } else {
            for (struct connection *each = all; each != NULL; each = each->next) each->has_order = 0;
            printf("ok\n");
        }
        fflush(stdout);
        filled -= (size_t)(end + 1 - line);
        memmove(line, end + 1, filled + 1);
    }
}

static void clear_away(void) {
    for (struct connection **link = &all; *link != NULL;) {
        struct connection *each = *link;
        if (each->gone && !each->has_order) {
            *link = each->next;
            each->next = buried;
            buried = each;
        } else {
            link = &each->next;
        }
    }
    while (buried != NULL) {
        struct connection *next = buried->next;
        free(buried);
        buried = next;
    }
}

int main(int count, char **words) {
    struct epoll_event events[EVENTS];
    upstream_port = (uint16_t)(count > 1 ? atoi(words[1]) : 0);
    answer_bytes = (size_t)snprintf(
        answer, sizeof answer,
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s", sizeof BODY - 1, BODY);
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (epoll_fd < 0) fail("epoll_create1");
    uint16_t tcp = listen_on_any(LISTENER), relay = listen_on_any(RELAY_LISTENER);
    watch(STDIN_FILENO, COMMANDS);
    printf("%d %d\n", tcp, relay);
    fflush(stdout);
    for (;;) {
        int ready = epoll_wait(epoll_fd, events, EVENTS, -1), ended = 0;
        for (int number = 0; number < ready; number++) {
            struct connection *from = events[number].data.ptr;
            if (from->gone) continue;
            if (from->kind == COMMANDS) {
                obey();
            } else if (from->kind == LISTENER || from->kind == RELAY_LISTENER) {
                let_in(from);
            } else {
                serve(from);
            }
            ended |= from->gone;
        }
        /* Only here: until now an event could still name one that has ended. */
        if (ended) clear_away();
    }
}
