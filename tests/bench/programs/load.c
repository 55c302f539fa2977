/* A load client that is never the bottleneck, and believes nothing: each answer is checked.
 *
 *   load --url http://127.0.0.1:PORT/PATH [--sessions each|shared|sse] [-H 'Name: value']... OPTIONS
 *   load OPTIONS -- COMMAND ARGUMENT...       (over stdio; [--stderr FILE])
 *   OPTIONS: [--callers N] [--calls N] [--seconds S] [--warmup N] [--timeout S] [--size BYTES]
 *            [--era handshake|modern] [--method NAME] [--tool NAME] [--params JSON] [--now]
 *            [--capabilities JSON] [--progress-token] [--reports N] [--split] [--listen]
 *
 * Each caller sends its next call when the answer to the last one is there. Over HTTP a caller has a
 * connection of its own, and in the handshake era a session of its own (shared: one for all; sse: the
 * HTTP+SSE transport of 2024-11-05, a stream for each). Over stdio all callers share the pipe.
 *
 * What an ordinary client does beside that: it declares capabilities, sends a progress token with every call
 * (that of the call), sends head and body of a request in two segments, and listens: each session over HTTP
 * has a stream open for what the server may say by itself.
 *
 * {T} in the params (and in the name, which a modern client repeats in a header) becomes a token that no
 * other call has. A good answer has the id of the call, a result that is no error, that token, and with
 * --size exactly the padding that makes its text that long. With
 * --reports as many reports of progress come before it, in order. All else is counted by its kind: lost (the
 * answer came before the last report), late (a report after its answer), stray (one out of order, or of no
 * call).
 *
 * It prints "READY {...}" when it is connected and warmed up, waits for a line (unless --now), and prints
 * "RESULT {...}". Then it keeps its connections until standard input closes, so that memory can be measured.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "wire.h"

#define INITIALIZED "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}"

/* ---------- options ---------- */
static struct {
    char host[64], path[1024];
    int port, callers, modern, shared, sse, at_once, has_progress_token, split, listens, reports;
    long calls, warmup, size;
    double timeout, seconds;
    const char *params, *method, *tool, *capabilities, *errors;
    Buf headers;
    char **command;
} options = {.host = "127.0.0.1",
             .path = "/mcp",
             .callers = 1,
             .calls = 1000000000,
             .timeout = 30,
             .params = "{\"name\":\"echo\",\"arguments\":{\"text\":\"{T}\"}}",
             .method = "tools/call",
             .tool = "echo",
             .capabilities = "{}",
             .errors = "/dev/null"};

/* ---------- the tally ---------- */
enum fault {
    STATUS,
    ERROR,
    IS_ERROR,
    WRONG_ID,
    WRONG_TOKEN,
    WRONG_SIZE,
    TIMEOUT,
    CLOSED,
    JUNK,
    CONNECT,
    LOST,
    LATE,
    STRAY,
    FAULTS
};
static const char *FAULT_NAMES[] = {"http_status", "jsonrpc_error", "is_error", "wrong_id", "wrong_token",
                                    "wrong_size",  "timeout",       "closed",   "junk",     "connect",
                                    "lost",        "late",          "stray"};
static struct {
    long faults[FAULTS], good, reports, reconnected, retried, left_open;
    char samples[3][400];
    int sample_count;
    double *latencies;
    long latency_count, latency_room;
} tally;

static void count_fault(enum fault kind, const char *p, size_t n) {
    tally.faults[kind]++;
    if (tally.sample_count < 3) {
        snprintf(tally.samples[tally.sample_count++], 400, "%s: %.*s", FAULT_NAMES[kind],
                 (int)(n > 330 ? 330 : n), n ? p : "");
    }
}

static void count_good(double latency) {
    if (tally.latency_count == tally.latency_room) {
        tally.latency_room = tally.latency_room * 2 + 1024;
        tally.latencies = realloc(tally.latencies, (size_t)tally.latency_room * sizeof *tally.latencies);
    }
    tally.latencies[tally.latency_count++] = latency;
    tally.good++;
}

/* ---------- calls: what is sent, and what must come back ---------- */
static struct {
    long issued, done, last, next_id;
    double stop_at;
} run = {.next_id = 1};
static unsigned token_base;
static Buf parts, message; /* the params, cut where {T} stands; the body of the next call */
static Buf initialize;
static size_t cuts[16];
static int cut_count;

static int write_token(char *out, long id) {
    return sprintf(out, "t%08x-%ld-", token_base, id);
}

/* What a modern client says of itself in the _meta of every request. */
static void write_envelope(Buf *out) {
    bstr(out, "\"" RESERVED "protocolVersion\":\"" MODERN "\",\"" RESERVED
              "clientInfo\":{\"name\":\"load\",\"version\":\"1\"},\"" RESERVED "clientCapabilities\":");
    bstr(out, options.capabilities);
}

/* The handshake, as a string. */
static void write_initialize(void) {
    bstr(
        &initialize,
        "{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"initialize\",\"params\":{\"protocolVersion\":\"" HANDSHAKE
        "\",\"capabilities\":");
    bstr(&initialize, options.capabilities);
    bstr(&initialize, ",\"clientInfo\":{\"name\":\"load\",\"version\":\"1\"}}}");
    bput(&initialize, "", 1);
}

static void cut_params(void) {
    Buf whole = {0};
    const char *p = options.params;
    if (options.modern || options.has_progress_token) {
        p = strchr(p, '{') + 1;
        bstr(&whole, "{\"_meta\":{");
        if (options.modern) {
            write_envelope(&whole);
        }
        if (options.has_progress_token) {
            bstr(&whole, options.modern ? ",\"progressToken\":\"{T}\"" : "\"progressToken\":\"{T}\"");
        }
        bstr(&whole, "},");
    }
    bput(&whole, p, strlen(p) + 1);
    p = whole.p;
    for (const char *q; (q = strstr(p, "{T}")) && cut_count < 16; p = q + 3) {
        bput(&parts, p, (size_t)(q - p));
        cuts[cut_count++] = parts.n;
    }
    bstr(&parts, p);
    free(whole.p);
}

static void write_call(long id) {
    char token[64];
    int n = write_token(token, id);
    size_t at = 0;
    message.n = 0;
    bfmt(&message, "{\"jsonrpc\":\"2.0\",\"id\":%ld,\"method\":\"%s\",\"params\":", id, options.method);
    for (int i = 0; i < cut_count; at = cuts[i++]) {
        bput(&message, parts.p + at, cuts[i] - at);
        bput(&message, token, (size_t)n);
    }
    bput(&message, parts.p + at, parts.n - at);
    bput(&message, "}", 1);
}

/* Whether another call may be sent; it is counted. */
static int take_turn(void) {
    if (run.issued >= run.last || (run.stop_at && now() > run.stop_at)) {
        return 0;
    }
    run.issued++;
    return 1;
}

static void begin_run(long calls, double seconds) {
    run.issued = run.done = 0;
    run.last = calls;
    run.stop_at = seconds > 0 ? now() + seconds : 0;
}

/* What is wrong with the answer to the call of this id (0: the handshake); FAULTS means nothing is. */
static enum fault judge(const char *p, size_t n, long id) {
    Span body = {p, p + n}, found = get(body, "id"), result = get(body, "result");
    char text[64];
    sprintf(text, "%ld", id);
    if (!found.s) {
        return JUNK;
    }
    if (!is_bytes(found, text)) {
        return WRONG_ID;
    }
    if (!result.s) {
        return get(body, "error").s ? ERROR : JUNK;
    }
    if (id == 0) {
        return FAULTS;
    }
    if (is_bytes(get(result, "isError"), "true")) {
        return IS_ERROR;
    }
    long length = write_token(text, id);
    const char *token = memmem(result.s, (size_t)(result.e - result.s), text, (size_t)length),
               *q = token + length;
    if (!token) {
        return WRONG_TOKEN;
    }
    while (q < result.e && *q == 'x') {
        q++;
    }
    return options.size && q - token != (options.size > length ? options.size : length) ? WRONG_SIZE : FAULTS;
}

/* ---------- reports of progress ---------- */
static int is_report(Span event) {
    return is_string(get(event, "method"), "notifications/progress");
}

/* The id of the call that a report is of: it is in the token; -1: it is no token of this run. */
static long find_reported(Span event) {
    Span token = get(get(event, "params"), "progressToken");
    char text[64] = "";
    unsigned base;
    long id;
    if (!token.s || token.e - token.s >= (long)sizeof text) {
        return -1;
    }
    memcpy(text, token.s, (size_t)(token.e - token.s));
    return sscanf(text, "\"t%08x-%ld-\"", &base, &id) == 2 && base == token_base ? id : -1;
}

/* Counts a report; `heard`: how many of the same call came before it, or NULL if that is none of the open
 * ones. */
static void count_report(Span event, int *heard, int is_answered) {
    size_t n = (size_t)(event.e - event.s);
    if (heard && !is_answered && to_long(get(get(event, "params"), "progress"), -1) == *heard + 1) {
        ++*heard;
        tally.reports++;
    } else {
        count_fault(is_answered ? LATE : STRAY, event.s, n);
    }
}

/* An answer is no good if it has overtaken a report. */
static enum fault judge_reports(enum fault kind, int heard) {
    return kind == FAULTS && heard < options.reports ? LOST : kind;
}

/* ---------- HTTP ---------- */
typedef struct Connection {
    int fd;
    Buf in, out;
    size_t written, head_end;
    /* the response that is being read */
    int has_head, status, chunked, sse, closes;
    long length;
    Buf body, data;       /* data: of the event that is being read */
    size_t line, scanned; /* where the body's next line begins, and how far it was searched for its end */
    int data_taken;
    /* the call that is under way */
    int busy, judged, posted, tries, reused, heard;
    long id;
    double began;
    char session[256], version[16], path[512];
    struct Connection *caller; /* of a stream of HTTP+SSE: whose it is */
    struct Connection *stream; /* of a caller over HTTP+SSE: where its answers come */
} Connection;
static Connection *callers;
static int loop = -1;

static void watch(Connection *c, int operation, uint32_t events) {
    struct epoll_event event = {events, {.ptr = c}};
    epoll_ctl(loop, operation, c->fd, &event);
}

static int dial(Connection *c) {
    if (c->fd >= 0) {
        close(c->fd);
    }
    int on = 1;
    c->reused = 0;
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)options.port)};
    inet_pton(AF_INET, options.host, &address.sin_addr);
    if (connect(c->fd, (void *)&address, sizeof address)) {
        close(c->fd);
        c->fd = -1;
        return 0;
    }
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
    if (loop >= 0) {
        watch(c, EPOLL_CTL_ADD, EPOLLIN);
    }
    return 1;
}

static void hang_up(Connection *c) {
    close(c->fd);
    c->fd = -1;
}

static void redial(Connection *c) {
    tally.reconnected++;
    dial(c);
}

static void write_request(Connection *c, const char *verb, const char *method, const char *tool,
                          const char *body, size_t n) {
    Buf *out = &c->out;
    out->n = c->written = 0;
    bfmt(out, "%s %s HTTP/1.1\r\nHost: %s:%d\r\nContent-Type: application/json\r\n", verb,
         c->path[0] ? c->path : options.path, options.host, options.port);
    bstr(out, "Accept: application/json, text/event-stream\r\n");
    if (options.modern) {
        bfmt(out, "MCP-Protocol-Version: " MODERN "\r\nMcp-Method: %s\r\n", method);
        if (tool && *tool) {
            bfmt(out, "Mcp-Name: %s\r\n", tool);
        }
    }
    if (c->session[0]) {
        bfmt(out, "Mcp-Session-Id: %s\r\n", c->session);
    }
    if (c->version[0]) {
        bfmt(out, "MCP-Protocol-Version: %s\r\n", c->version);
    }
    bput(out, options.headers.p, options.headers.n);
    bfmt(out, "Content-Length: %zu\r\n\r\n", n);
    c->head_end = options.split ? out->n : 0;
    bput(out, body, n);
    c->has_head = c->status = c->chunked = c->sse = c->closes = c->judged = c->posted = c->data_taken = 0;
    c->length = -1;
    c->line = c->scanned = c->in.n = c->body.n = c->data.n = 0;
}

/* Sends what can be sent: 1 all, 0 not all, -1 the connection is gone. */
static int push(Connection *c) {
    while (c->written < c->out.n) {
        size_t end = c->written < c->head_end ? c->head_end : c->out.n;
        ssize_t k = write(c->fd, c->out.p + c->written, end - c->written);
        if (k < 0) {
            return errno == EAGAIN ? 0 : -1;
        }
        c->written += (size_t)k;
    }
    return 1;
}

/* Reads what is there: more than 0 something, 0 the connection is closed, -1 nothing yet. */
static ssize_t pull(Connection *c) {
    bneed(&c->in, 65536);
    ssize_t k = read(c->fd, c->in.p + c->in.n, c->in.cap - c->in.n);
    if (k > 0) {
        c->in.n += (size_t)k;
        return k;
    }
    return k < 0 && errno == EAGAIN ? -1 : 0;
}

static void read_head(Connection *c, const char *end) {
    const char *p = c->in.p;
    c->status = end - p > 12 ? atoi(p + 9) : 0;
    for (p = memchr(p, '\n', (size_t)(end - p)) + 1; p < end;) {
        const char *stop = memchr(p, '\r', (size_t)(end - p)), *colon = memchr(p, ':', (size_t)(stop - p));
        if (colon) {
            size_t n = (size_t)(colon - p);
            const char *value = skip_space(colon + 1, stop);
            if (is_header(p, n, "content-length")) {
                c->length = atol(value);
            } else if (is_header(p, n, "transfer-encoding")) {
                c->chunked = 1;
            } else if (is_header(p, n, "content-type")) {
                c->sse = !strncasecmp(value, "text/event-stream", 17);
            } else if (is_header(p, n, "connection")) {
                c->closes = !strncasecmp(value, "close", 5);
            } else if (is_header(p, n, "mcp-session-id") && !c->session[0]) {
                snprintf(c->session, sizeof c->session, "%.*s", (int)(stop - value), value);
            }
        }
        p = stop + 2;
    }
}

/* Moves what has come in to the body: 1 the response is complete, 0 more must come, -1 it is no HTTP. */
static int take_in(Connection *c, int closed) {
    while (!c->has_head) {
        const char *blank = c->in.n ? memmem(c->in.p, c->in.n, "\r\n\r\n", 4) : NULL;
        if (!blank) {
            return closed ? -1 : 0;
        }
        read_head(c, blank + 2);
        c->has_head = c->status != 100;
        bdrop(&c->in, (size_t)(blank + 4 - c->in.p));
    }
    if (c->status == 204 || (c->status == 202 && c->length < 0 && !c->chunked)) {
        return 1;
    }
    if (!c->chunked) {
        bput(&c->body, c->in.p, c->in.n);
        c->in.n = 0;
        c->closes |= closed;
        if (c->length < 0 || (long)c->body.n >= c->length) {
            return c->length >= 0 || closed;
        }
        return closed ? -1 : 0;
    }
    size_t at = 0;
    for (;;) {
        const char *p = c->in.p + at, *line = c->in.n > at ? memmem(p, c->in.n - at, "\r\n", 2) : NULL;
        long size = line ? strtol(p, NULL, 16) : 0;
        if (!line || c->in.p + c->in.n - line - 2 < size + 2) {
            bdrop(&c->in, at);
            return closed ? -1 : 0;
        }
        bput(&c->body, line + 2, (size_t)size);
        at = (size_t)(line + 2 + size + 2 - c->in.p);
        if (!size) {
            bdrop(&c->in, at);
            return 1;
        }
    }
}

/* Puts the data of the body's next event into c->data: 1 there is one. */
static int next_event(Connection *c, int complete) {
    if (c->data_taken) {
        c->data.n = 0;
        c->data_taken = 0;
    }
    for (;;) {
        char *end =
            c->body.n > c->scanned ? memchr(c->body.p + c->scanned, '\n', c->body.n - c->scanned) : NULL;
        if (!end) {
            c->scanned = c->body.n;
            return c->data_taken = complete && c->data.n;
        }
        const char *p = c->body.p + c->line;
        size_t n = (size_t)(end - p);
        n -= n && p[n - 1] == '\r';
        c->line = c->scanned = (size_t)(end + 1 - c->body.p);
        if (n >= 5 && !memcmp(p, "data:", 5)) {
            size_t skip = 5 + (n > 5 && p[5] == ' ');
            bput(&c->data, "\n", c->data.n > 0);
            bput(&c->data, p + skip, n - skip);
        } else if (!n && c->data.n) {
            return c->data_taken = 1;
        }
    }
}

/* A notification or a request of the server has come with a call's answer, or in its place. */
static void on_event(Connection *c, Span event) {
    if (is_report(event)) {
        int is_own = c->busy && find_reported(event) == c->id;
        count_report(event, is_own ? &c->heard : NULL, is_own && c->judged);
    }
}

/* Looks for the answer in what has come: 0 it is not there yet, 1 it is and *kind says what is wrong with it.
 */
static int find_answer(Connection *c, int complete, enum fault *kind) {
    if (!c->sse) {
        *kind = complete ? judge(c->body.p, c->body.n, c->id) : FAULTS;
        return complete;
    }
    while (next_event(c, complete)) {
        Span event = {c->data.p, c->data.p + c->data.n};
        if (!get(event, "method").s) {
            *kind = judge(c->data.p, c->data.n, c->id);
            return 1;
        }
        on_event(c, event);
    }
    *kind = JUNK;
    return complete;
}

static int wait_for(int fd, short events, double until) {
    struct pollfd p = {fd, events, 0};
    double left = until - now();
    return left > 0 && poll(&p, 1, (int)(left * 1000) + 1) > 0;
}

static int no(enum fault kind, const char *p, size_t n) {
    count_fault(kind, p, n);
    return 0;
}

/* Sends one request of the setting up and waits for the response; with an id also for the answer in it. */
static int exchange(Connection *c, const char *verb, const char *method, const char *body, long id) {
    double until = now() + options.timeout;
    enum fault kind = FAULTS;
    c->id = id;
    for (int tries = 0; tries < 2; tries++) {
        if (c->fd < 0 && !dial(c)) {
            return no(CONNECT, "", 0);
        }
        write_request(c, verb, method, NULL, body, strlen(body));
        int sent;
        while (!(sent = push(c)) && wait_for(c->fd, POLLOUT, until)) {
        }
        int done = 0, found = id < 0;
        while (sent == 1 && !done) {
            /* a server may leave the stream open after the answer: it is not waited for longer than a second
             */
            if (!wait_for(c->fd, POLLIN, id >= 0 && found && now() + 1 < until ? now() + 1 : until)) {
                hang_up(c);
                tally.left_open += found;
                return found && id >= 0 ? 1 : no(TIMEOUT, c->body.p, c->body.n);
            }
            ssize_t k = pull(c);
            if (k < 0) {
                continue;
            }
            if (k == 0 && !c->has_head && !c->in.n) {
                break; /* a connection that was kept alive was closed: try again */
            }
            done = take_in(c, k == 0);
            if (done < 0) {
                return no(JUNK, c->in.p, c->in.n);
            }
            if (!found && c->has_head && find_answer(c, done, &kind)) {
                found = 1;
                if (kind != FAULTS) {
                    return no(c->status == 200 ? kind : STATUS, c->body.p, c->body.n);
                }
            }
        }
        if (done) {
            if (c->closes) {
                hang_up(c);
            }
            return c->status / 100 == 2 ? found : no(STATUS, c->body.p, c->body.n);
        }
        hang_up(c);
    }
    return no(CLOSED, method, strlen(method));
}

/* ---------- HTTP+SSE of 2024-11-05: the stream on which a caller's answers come ---------- */
static int read_stream(Connection *s) {
    ssize_t k = pull(s);
    if (k == 0 || (k > 0 && take_in(s, 0) < 0)) {
        return 0;
    }
    bdrop(&s->body, s->line);
    s->scanned -= s->line;
    s->line = 0;
    return 1;
}

/* Waits for the next event on a stream. */
static int wait_event(Connection *s, double until) {
    while (!next_event(s, 0)) {
        if (!wait_for(s->fd, POLLIN, until) || !read_stream(s)) {
            return no(CLOSED, "stream", 6);
        }
    }
    return 1;
}

static int open_stream(Connection *c) {
    Connection *s = c->stream = calloc(1, sizeof *s);
    double until = now() + options.timeout;
    s->fd = -1;
    s->caller = c;
    if (!dial(s)) {
        return no(CONNECT, "stream", 6);
    }
    write_request(s, "GET", "", NULL, "", 0);
    if (push(s) != 1 || !wait_event(s, until)) {
        return 0;
    }
    const char *endpoint = s->data.p, *end = s->data.p + s->data.n; /* the first event says where to post */
    if (s->data.n > 7 && !memcmp(endpoint, "http://", 7)) {
        const char *slash = memchr(endpoint + 7, '/', s->data.n - 7);
        endpoint = slash ? slash : endpoint;
    }
    snprintf(c->path, sizeof c->path, "%.*s", (int)(end - endpoint), endpoint);
    if (!exchange(c, "POST", "initialize", initialize.p, -1)) {
        return 0;
    }
    do {
        if (!wait_event(s, until)) {
            return 0;
        }
    } while (judge(s->data.p, s->data.n, 0) != FAULTS);
    return exchange(c, "POST", "notifications/initialized", INITIALIZED, -1);
}

/* ---------- callers over HTTP ---------- */
/* Opens the stream for what the server says by itself; what comes there stays unread. */
static int listen_to(Connection *c) {
    Connection s = {.fd = -1};
    memcpy(s.session, c->session, sizeof s.session);
    memcpy(s.version, c->version, sizeof s.version);
    if (!dial(&s)) {
        return no(CONNECT, "stream", 6);
    }
    write_request(&s, "GET", "", NULL, "", 0);
    int is_open = push(&s) == 1 && wait_for(s.fd, POLLIN, now() + options.timeout) && pull(&s) > 0;
    int is_stream = is_open && s.in.n > 12 && !memcmp(s.in.p + 9, "200", 3);
    return is_stream ? 1 : no(STATUS, s.in.p, s.in.n);
}

static int open_session(Connection *c) {
    if (options.sse) {
        return open_stream(c);
    }
    if (!exchange(c, "POST", "initialize", initialize.p, 0)) {
        return 0;
    }
    Buf *body = c->sse ? &c->data : &c->body;
    Span version = get(get((Span){body->p, body->p + body->n}, "result"), "protocolVersion");
    if (version.s && version.e - version.s > 2) {
        snprintf(c->version, sizeof c->version, "%.*s", (int)(version.e - version.s) - 2, version.s + 1);
    }
    return exchange(c, "POST", "notifications/initialized", INITIALIZED, -1) &&
           (!options.listens || listen_to(c));
}

/* Opens all connections and sessions; fills in how long each session took. */
static int open_callers(double *session_times, int *session_count) {
    callers = calloc((size_t)options.callers, sizeof *callers);
    for (int i = 0; i < options.callers; i++) {
        Connection *c = &callers[i];
        double began = now();
        c->fd = -1;
        if (options.shared && i) {
            memcpy(c->session, callers[0].session, sizeof c->session);
            memcpy(c->version, callers[0].version, sizeof c->version);
        } else if (!options.modern) {
            if (!open_session(c)) {
                return 0;
            }
            session_times[(*session_count)++] = now() - began;
        }
        if (c->fd < 0 && !dial(c)) {
            return no(CONNECT, "", 0);
        }
    }
    loop = epoll_create1(0);
    for (int i = 0; i < options.callers; i++) {
        watch(&callers[i], EPOLL_CTL_ADD, EPOLLIN);
        if (callers[i].stream) {
            watch(callers[i].stream, EPOLL_CTL_ADD, EPOLLIN);
        }
    }
    return 1;
}

/* Says farewell, so that no session lives on and counts in the next measurement. */
static void close_sessions(void) {
    loop = -1;
    options.timeout = 2;
    for (int i = 0; i < options.callers && !options.sse; i++) {
        if (callers[i].session[0] && !(options.shared && i) && !exchange(&callers[i], "DELETE", "", "", -1)) {
            return;
        }
    }
}

/* The name that a modern client repeats in a header. */
static const char *name_call(long id) {
    static char name[512];
    const char *cut = strstr(options.tool, "{T}");
    char token[64];
    if (!cut) {
        return options.tool;
    }
    write_token(token, id);
    snprintf(name, sizeof name, "%.*s%s%s", (int)(cut - options.tool), options.tool, token, cut + 3);
    return name;
}

static void begin_call(Connection *c) {
    c->busy = take_turn();
    if (!c->busy) {
        return;
    }
    if (c->fd < 0 && !dial(c)) {
        count_fault(CONNECT, "", 0);
        run.done++;
        c->busy = 0;
        return;
    }
    c->id = run.next_id++;
    write_call(c->id);
    write_request(c, "POST", options.method, name_call(c->id), message.p, message.n);
    c->tries = c->heard = 0;
    c->began = now();
    if (push(c) == 0) {
        watch(c, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
    }
}

static void end_call(Connection *c) {
    run.done++;
    c->busy = 0;
    c->reused = 1;
    begin_call(c);
}

static void fail_call(Connection *c, enum fault kind, const char *p, size_t n) {
    count_fault(kind, p, n);
    redial(c);
    end_call(c);
}

static void record(Connection *c, enum fault kind, const char *p, size_t n) {
    c->judged = 1;
    kind = judge_reports(kind, c->heard);
    if (kind == FAULTS) {
        count_good(now() - c->began);
    } else {
        count_fault(kind, p, n);
    }
}

/* Something has come on a stream of HTTP+SSE. */
static void on_stream(Connection *s) {
    int open = read_stream(s);
    Connection *c = s->caller;
    while (next_event(s, 0)) {
        Span event = {s->data.p, s->data.p + s->data.n};
        if (get(event, "method").s) {
            on_event(c, event);
            continue;
        }
        if (!c->busy || c->judged) {
            count_fault(WRONG_ID, s->data.p, s->data.n);
            continue;
        }
        record(c, judge(s->data.p, s->data.n, c->id), s->data.p, s->data.n);
        if (c->posted) {
            end_call(c);
        }
    }
    if (!open) {
        epoll_ctl(loop, EPOLL_CTL_DEL, s->fd, NULL);
        count_fault(CLOSED, "stream", 6);
        run.done += c->busy;
        c->busy = 0;
    }
}

/* A response is complete whose answer comes on a stream, or has come. */
static void on_posted(Connection *c) {
    if (c->closes) {
        redial(c);
    }
    if (c->status / 100 != 2) {
        count_fault(STATUS, c->body.p, c->body.n);
        end_call(c);
    } else if (c->judged) {
        end_call(c);
    } else {
        c->posted = 1;
    }
}

/* Something has come on a caller's connection. */
static void on_response(Connection *c) {
    ssize_t k = pull(c);
    if (k < 0) {
        return;
    }
    if (!c->busy) {
        c->in.n = 0;
        if (k == 0) {
            redial(c);
        }
        return;
    }
    if (k == 0 && !c->has_head && !c->in.n && c->reused && !c->tries) {
        redial(c); /* it was closed while it lay idle, which is nobody's fault */
        tally.retried++;
        c->tries = 1;
        c->written = 0;
        push(c);
        return;
    }
    int done = take_in(c, k == 0);
    if (done < 0) {
        if (c->judged) {
            redial(c);
            end_call(c);
        } else {
            fail_call(c, k == 0 ? CLOSED : JUNK, c->body.p, c->body.n);
        }
        return;
    }
    if (options.sse) {
        if (done) {
            on_posted(c);
        }
        return;
    }
    enum fault kind;
    if (c->has_head && !c->judged) {
        if (c->status != 200) {
            if (done) {
                record(c, STATUS, c->body.p, c->body.n);
            }
        } else if (find_answer(c, done, &kind)) {
            record(c, kind, c->sse ? c->data.p : c->body.p, c->sse ? c->data.n : c->body.n);
        }
    }
    while (c->judged && c->sse && next_event(c, done)) {
        on_event(c, (Span){c->data.p, c->data.p + c->data.n});
    }
    if (done) {
        if (c->closes) {
            redial(c);
        }
        end_call(c);
    }
}

static void look_at_clock(double time) {
    for (int i = 0; i < options.callers; i++) {
        Connection *c = &callers[i];
        if (c->busy && c->judged && !options.sse && time - c->began > 2) {
            tally.left_open++; /* the answer came, but the response does not end */
            redial(c);
            end_call(c);
        } else if (c->busy && time - c->began > options.timeout) {
            fail_call(c, TIMEOUT, c->body.p, c->body.n);
        }
    }
}

static void run_http(void) {
    struct epoll_event events[512];
    double looked = now();
    for (int i = 0; i < options.callers; i++) {
        begin_call(&callers[i]);
    }
    while (run.done < run.issued) {
        int n = epoll_wait(loop, events, 512, 100);
        for (int i = 0; i < n; i++) {
            Connection *c = events[i].data.ptr;
            if (c->caller) {
                on_stream(c);
                continue;
            }
            if (events[i].events & EPOLLOUT && push(c) == 1) {
                watch(c, EPOLL_CTL_MOD, EPOLLIN);
            }
            if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
                on_response(c);
            }
        }
        if (now() - looked > 0.25) {
            look_at_clock(looked = now());
        }
    }
}

/* ---------- callers over stdio ---------- */
static struct {
    pid_t pid;
    int in, out; /* the pipes to it and from it */
    Buf reading, writing;
    size_t written, scanned;
} child;
static struct {
    double began; /* 0: it is answered */
    int heard;
} *sent; /* each call, by its id */
static long sent_room, awaited;
static Buf received;

static void write_line(const char *p, size_t n) {
    bput(&child.writing, p, n);
    bput(&child.writing, "\n", 1);
}

/* A server may ping; all else that it asks is refused. */
static void answer_request(Span method, Span id) {
    Buf line = {0};
    bstr(&line, "{\"jsonrpc\":\"2.0\",\"id\":");
    bput(&line, id.s, (size_t)(id.e - id.s));
    bstr(&line, is_string(method, "ping") ? ",\"result\":{}}"
                                          : ",\"error\":{\"code\":-32601,\"message\":\"Method not found\"}}");
    write_line(line.p, line.n);
    free(line.p);
}

static void on_notification(Span event) {
    if (is_report(event)) {
        long id = find_reported(event);
        int is_known = id > 0 && id < sent_room;
        count_report(event, is_known ? &sent[id].heard : NULL, is_known && !sent[id].began);
    }
}

/* Writes and reads until a line makes `on_line` return other than 0, which is returned; 0: it is time; -1:
 * the end. */
static int pump(double until, int (*on_line)(const char *, size_t)) {
    Buf *in = &child.reading, *out = &child.writing;
    for (;;) {
        size_t start = 0;
        int stop = 0;
        char *end;
        while (!stop && in->n > child.scanned &&
               (end = memchr(in->p + child.scanned, '\n', in->n - child.scanned))) {
            const char *line = in->p + start;
            size_t n = (size_t)(end - line);
            Span method = get((Span){line, end}, "method"), id = get((Span){line, end}, "id");
            if (method.s && id.s) {
                answer_request(method, id);
            } else if (method.s) {
                on_notification((Span){line, end});
            } else if (n > 1) {
                stop = on_line(line, n);
            }
            start = child.scanned = (size_t)(end + 1 - in->p);
        }
        bdrop(in, start);
        child.scanned = stop ? 0 : in->n;
        if (stop) {
            return stop;
        }
        if (child.written < out->n) {
            ssize_t k = write(child.in, out->p + child.written, out->n - child.written);
            if (k < 0 && errno != EAGAIN) {
                return -1;
            }
            child.written += k > 0 ? (size_t)k : 0;
            if (child.written == out->n) {
                child.written = out->n = 0;
            }
        }
        double left = until - now();
        if (left <= 0) {
            return 0;
        }
        struct pollfd ends[2] = {{child.out, POLLIN, 0}, {child.in, child.written < out->n ? POLLOUT : 0, 0}};
        poll(ends, 2, (int)(left * 1000) + 1);
        if (ends[0].revents) {
            bneed(in, 1 << 17);
            ssize_t k = read(child.out, in->p + in->n, in->cap - in->n);
            if (k == 0) {
                return -1;
            }
            in->n += k > 0 ? (size_t)k : 0;
        }
    }
}

static int is_awaited(const char *p, size_t n) {
    char text[32];
    sprintf(text, "%ld", awaited);
    if (!is_bytes(get((Span){p, p + n}, "id"), text)) {
        return 0;
    }
    received.n = 0;
    bput(&received, p, n);
    return 1;
}

static int ask_child(const char *line, long id) {
    awaited = id;
    write_line(line, strlen(line));
    return pump(now() + 180, is_awaited) == 1;
}

static void start_child(void) {
    int in[2], out[2];
    if (pipe(in) || pipe(out)) {
        exit(1);
    }
    child.pid = fork();
    if (!child.pid) {
        int errors = open(options.errors, O_WRONLY | O_CREAT | O_APPEND, 0644);
        dup2(in[0], 0);
        dup2(out[1], 1);
        dup2(errors >= 0 ? errors : 2, 2);
        close(in[0]);
        close(in[1]);
        close(out[0]);
        close(out[1]);
        execvp(options.command[0], options.command);
        perror("load");
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    child.in = in[1];
    child.out = out[0];
    fcntl(child.in, F_SETFL, O_NONBLOCK);
    fcntl(child.out, F_SETFL, O_NONBLOCK);
    fcntl(child.in, F_SETPIPE_SZ, 1 << 20);
    fcntl(child.out, F_SETPIPE_SZ, 1 << 20);
}

/* Shakes hands, if that is the era, and waits until the server answers tools/list. */
static int greet_child(void) {
    Buf line = {0};
    if (!options.modern) {
        if (!ask_child(initialize.p, 0)) {
            return no(CLOSED, "initialize", 10);
        }
        write_line(INITIALIZED, strlen(INITIALIZED));
    }
    for (long id = 2000000001; id < 2000000200; id++) {
        line.n = 0;
        bfmt(&line, "{\"jsonrpc\":\"2.0\",\"id\":%ld,\"method\":\"tools/list\",\"params\":{", id);
        if (options.modern) {
            bstr(&line, "\"_meta\":{");
            write_envelope(&line);
            bstr(&line, "}");
        }
        bput(&line, "}}", 3);
        if (!ask_child(line.p, id)) {
            return no(CLOSED, "tools/list", 10);
        }
        if (get((Span){received.p, received.p + received.n}, "result").s) {
            return 1;
        }
        usleep(50000);
    }
    return no(ERROR, received.p, received.n);
}

static void write_next(void) {
    long id = run.next_id++;
    if (id >= sent_room) {
        long room = id * 2 + 1024;
        sent = realloc(sent, (size_t)room * sizeof *sent);
        memset(sent + sent_room, 0, (size_t)(room - sent_room) * sizeof *sent);
        sent_room = room;
    }
    write_call(id);
    sent[id].began = now();
    write_line(message.p, message.n);
}

static int on_answer(const char *p, size_t n) {
    Span id_text = get((Span){p, p + n}, "id");
    long id = to_long(id_text, -1);
    if (id < 1 || id >= sent_room || !sent[id].began) {
        /* whose answer this should have been is not known; that call will be counted as timed out, too */
        count_fault(id_text.s ? WRONG_ID : JUNK, p, n);
        return 0;
    }
    enum fault kind = judge_reports(judge(p, n, id), sent[id].heard);
    if (kind == FAULTS) {
        count_good(now() - sent[id].began);
    } else {
        count_fault(kind, p, n);
    }
    sent[id].began = 0;
    run.done++;
    if (take_turn()) {
        write_next();
    }
    return run.done >= run.issued;
}

static void run_stdio(void) {
    for (int i = 0; i < options.callers && take_turn(); i++) {
        write_next();
    }
    for (;;) {
        long before = run.done;
        int r = pump(now() + options.timeout, on_answer);
        if (r == 1) {
            return;
        }
        if (r < 0 || run.done == before) {
            enum fault kind = r < 0 ? CLOSED : TIMEOUT;
            count_fault(kind, "", 0);
            tally.faults[kind] += run.issued - run.done - 1;
            return;
        }
    }
}

static void stop_child(void) {
    close(child.in);
    for (int i = 0; i < 200; i++) {
        if (waitpid(child.pid, NULL, WNOHANG)) {
            return;
        }
        if (i == 150) {
            kill(child.pid, SIGTERM);
        }
        usleep(20000);
    }
    kill(child.pid, SIGKILL);
}

/* ---------- what is said ---------- */
static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double percentile(double share) {
    long i = (long)(share * (double)tally.latency_count);
    return tally.latency_count ? tally.latencies[i < tally.latency_count ? i : tally.latency_count - 1] * 1e3
                               : 0;
}

static void print_text(const char *s) {
    putchar('"');
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;
        if (c == '"' || c == '\\') {
            printf("\\%c", c);
        } else if (c < 32 || c > 126) {
            printf("\\u%04x", c);
        } else {
            putchar(c);
        }
    }
    putchar('"');
}

static long faults_so_far(void) {
    long sum = 0;
    for (int i = 0; i < FAULTS; i++) {
        sum += tally.faults[i];
    }
    return sum;
}

static void print_result(double seconds) {
    double sum = 0;
    const char *comma = "";
    qsort(tally.latencies, (size_t)tally.latency_count, sizeof *tally.latencies, by_size);
    for (long i = 0; i < tally.latency_count; i++) {
        sum += tally.latencies[i];
    }
    printf("RESULT {\"calls\":%ld,\"good\":%ld,\"faults\":%ld,\"seconds\":%.4f,\"per_second\":%.1f,",
           run.issued, tally.good, faults_so_far(), seconds, (double)tally.good / seconds);
    printf("\"p50_ms\":%.4f,\"p95_ms\":%.4f,\"p99_ms\":%.4f,\"max_ms\":%.4f,\"mean_ms\":%.4f,",
           percentile(.5), percentile(.95), percentile(.99), percentile(1),
           tally.latency_count ? sum / (double)tally.latency_count * 1e3 : 0);
    printf("\"reports\":%ld,\"reconnected\":%ld,\"retried\":%ld,\"left_open\":%ld,\"kinds\":{", tally.reports,
           tally.reconnected, tally.retried, tally.left_open);
    for (int i = 0; i < FAULTS; i++) {
        if (tally.faults[i]) {
            printf("%s\"%s\":%ld", comma, FAULT_NAMES[i], tally.faults[i]);
            comma = ",";
        }
    }
    printf("},\"samples\":[");
    for (int i = 0; i < tally.sample_count; i++) {
        printf("%s", i ? "," : "");
        print_text(tally.samples[i]);
    }
    printf("]}\n");
    fflush(stdout);
}

static int give_up(void) {
    printf("FAILED ");
    print_text(tally.sample_count ? tally.samples[0] : "no session");
    printf("\n");
    if (child.pid) {
        kill(child.pid, SIGKILL);
    }
    return 1;
}

static void set_url(const char *url) {
    const char *start = strncmp(url, "http://", 7) ? url : url + 7;
    const char *colon = strchr(start, ':'), *slash = strchr(start, '/');
    if (!colon) {
        fprintf(stderr, "load: the URL names no port\n");
        exit(2);
    }
    snprintf(options.host, sizeof options.host, "%.*s", (int)(colon - start), start);
    options.port = atoi(colon + 1);
    snprintf(options.path, sizeof options.path, "%s", slash ? slash : "/");
}

static void read_options(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        const char *option = argv[i], *value = i + 1 < argc ? argv[i + 1] : "";
        if (!strcmp(option, "--")) {
            options.command = argv + i + 1;
            return;
        }
        i += strcmp(option, "--now") && strcmp(option, "--progress-token") && strcmp(option, "--split") &&
             strcmp(option, "--listen");
        if (!strcmp(option, "--now")) {
            options.at_once = 1;
        } else if (!strcmp(option, "--progress-token")) {
            options.has_progress_token = 1;
        } else if (!strcmp(option, "--split")) {
            options.split = 1;
        } else if (!strcmp(option, "--listen")) {
            options.listens = 1;
        } else if (!strcmp(option, "--url")) {
            set_url(value);
        } else if (!strcmp(option, "--callers")) {
            options.callers = atoi(value);
        } else if (!strcmp(option, "--calls")) {
            options.calls = atol(value);
        } else if (!strcmp(option, "--seconds")) {
            options.seconds = atof(value);
        } else if (!strcmp(option, "--warmup")) {
            options.warmup = atol(value);
        } else if (!strcmp(option, "--timeout")) {
            options.timeout = atof(value);
        } else if (!strcmp(option, "--size")) {
            options.size = atol(value);
        } else if (!strcmp(option, "--reports")) {
            options.reports = atoi(value);
        } else if (!strcmp(option, "--capabilities")) {
            options.capabilities = value;
        } else if (!strcmp(option, "--method")) {
            options.method = value;
        } else if (!strcmp(option, "--params")) {
            options.params = value;
        } else if (!strcmp(option, "--tool")) {
            options.tool = value;
        } else if (!strcmp(option, "--stderr")) {
            options.errors = value;
        } else if (!strcmp(option, "--era")) {
            options.modern = !strcmp(value, "modern");
        } else if (!strcmp(option, "--sessions")) {
            options.shared = !strcmp(value, "shared");
            options.sse = !strcmp(value, "sse");
        } else if (!strcmp(option, "-H")) {
            bstr(&options.headers, value);
            bstr(&options.headers, "\r\n");
        } else {
            fprintf(stderr, "load: unknown option %s\n", option);
            exit(2);
        }
    }
}

int main(int argc, char **argv) {
    char line[64];
    signal(SIGPIPE, SIG_IGN);
    read_options(argc, argv);
    token_base = (unsigned)(now() * 1e6) ^ (unsigned)getpid();
    write_initialize();
    cut_params();
    double *session_times = calloc((size_t)options.callers, sizeof *session_times), start = now();
    int session_count = 0;
    if (options.command) {
        start_child();
        if (!greet_child()) {
            return give_up();
        }
    } else if (!open_callers(session_times, &session_count)) {
        return give_up();
    }
    void (*run_calls)(void) = options.command ? run_stdio : run_http;
    double ready = now() - start;
    if (options.warmup) {
        begin_run(options.warmup, 0);
        run_calls();
    }
    qsort(session_times, (size_t)session_count, sizeof *session_times, by_size);
    printf("READY {\"pid\":%d,\"ready_s\":%.4f,\"session_p50_ms\":%.3f,\"warmup_faults\":%ld}\n", child.pid,
           ready, session_count ? session_times[session_count / 2] * 1e3 : 0, faults_so_far());
    fflush(stdout);
    if (!options.at_once && !fgets(line, sizeof line, stdin)) {
        return 0;
    }
    tally.sample_count = faults_so_far() ? tally.sample_count : 0;
    memset(tally.faults, 0, sizeof tally.faults);
    tally.good = tally.reports = tally.latency_count = 0;
    tally.reconnected = tally.retried = tally.left_open = 0;
    begin_run(options.calls, options.seconds);
    start = now();
    run_calls();
    print_result(now() - start);
    while (!options.at_once && fgets(line, sizeof line, stdin)) {
    }
    if (child.pid) {
        stop_child();
    } else {
        close_sessions();
    }
    return faults_so_far() > 0;
}
