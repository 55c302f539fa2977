/* An MCP server that is never the bottleneck: it answers a call in a few microseconds.
 *
 *   downstream --http PORT | --stdio
 *              [--tools N] [--name NAME] [--era both|handshake|modern] [--page N] [--delay MS] [--sse]
 *              [--logging] [--content] [--authorization VALUE] [--start-delay MS] [--fault KIND]
 *
 * It speaks both eras of the protocol:
 *   handshake (up to 2025-11-25)  initialize, notifications, ping, tools/list, tools/call; over HTTP with
 * sessions modern (2026-07-28)           server/discover, tools/list, tools/call; nothing is kept between
 * requests
 *
 * All tools do the same: they return arguments.text, padded with x to arguments.size bytes, after
 * arguments.delay_ms milliseconds. The first is "echo"; the others have names and descriptions as real ones
 * have, made from their number. Before the answer come arguments.reports reports of progress, if the call has
 * a token for them; over HTTP both then come in a stream of events, as with --sse all answers do, in chunks.
 * With arguments.image the result has an image of 8 KiB besides, and arguments.data as structured content.
 *
 * --logging declares logging. --content declares a prompt "say" (arguments.text), resources at
 * bench://say/{text} and completions; each says the text that it is asked for. With --authorization a request
 * over HTTP must have that header, or gets 401.
 *
 * --fault makes every tenth answer to a call wrong, so that a load client can be tried on it:
 * id, token, size, is_error, error, junk, status, closed or silence; late (a report comes after the answer),
 * lost (one is missing) or stray (one has another call's token).
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

#include "wire.h"

/* ---------- options ---------- */
static long tool_count = 10, page_size = 0, default_delay = 0;
static int speaks_handshake = 1, speaks_modern = 1, answers_by_sse = 0, has_logging = 0, has_content = 0;
static const char *server_name = "downstream", *fault = "", *authorization = "";

/* ---------- tools: their definitions are written once, at the start ---------- */
static Buf definitions;
static size_t *starts; /* where each definition begins; one more for the end */

static const char *VERBS[] = {"create", "list",   "get",     "update",  "delete",  "search",
                              "export", "import", "archive", "restore", "approve", "reject",
                              "assign", "merge",  "sync",    "validate"};
static const char *NOUNS[] = {
    "invoice",        "customer",       "ticket",         "pull request", "branch",    "calendar event",
    "email",          "contact",        "document",       "spreadsheet",  "dashboard", "alert",
    "deployment",     "container",      "database table", "user account", "payment",   "subscription",
    "shipment",       "warehouse item", "blog post",      "image",        "video",     "playlist",
    "weather report", "map route",      "translation",    "survey",       "webhook",   "secret",
    "certificate",    "backup"};
static const char *PLACES[] = {"in the workspace",          "for the given project", "by identifier",
                               "across all regions",        "with optional filters", "from the archive",
                               "using the default account", "in batch mode",         "for a single tenant",
                               "within a date range"};
static const char SCHEMA[] =
    "\"inputSchema\":{\"type\":\"object\",\"properties\":{"
    "\"text\":{\"type\":\"string\",\"description\":\"Text to echo back\"},"
    "\"size\":{\"type\":\"integer\",\"description\":\"Pad the answer to this many bytes\",\"minimum\":0},"
    "\"delay_ms\":{\"type\":\"integer\",\"description\":\"Wait this long before answering\",\"minimum\":0}},"
    "\"required\":[\"text\"]}}";

/* The name of a tool: "echo", "list_invoice_1", "get_invoice_2", ... */
static void name_of(long i, char *out, size_t n) {
    if (i == 0) {
        snprintf(out, n, "echo");
        return;
    }
    int at = snprintf(out, n, "%s_", VERBS[i % 16]);
    for (const char *c = NOUNS[(i / 16) % 32]; *c; c++) {
        out[at++] = *c == ' ' ? '_' : *c;
    }
    snprintf(out + at, n - (size_t)at, "_%ld", i);
}

static void write_definitions(void) {
    starts = malloc(sizeof *starts * (size_t)(tool_count + 1));
    for (long i = 0; i < tool_count; i++) {
        char name[96];
        name_of(i, name, sizeof name);
        starts[i] = definitions.n;
        bfmt(&definitions, "{\"name\":\"%s\",\"description\":\"", name);
        if (i == 0) {
            bstr(&definitions, "Echo the given text back, optionally padded to a size and delayed.");
        } else {
            const char *verb = VERBS[i % 16], *noun = NOUNS[(i / 16) % 32];
            bfmt(&definitions,
                 "%c%s %s %s %s. Returns the affected %s as text; fails if the caller lacks access ",
                 verb[0] - 32, verb + 1, i % 3 ? "one" : "every", noun, PLACES[(i / 7) % 10], noun);
            bfmt(&definitions, "(variant %ld of %s).", i, server_name);
        }
        bstr(&definitions, "\",");
        bstr(&definitions, SCHEMA);
    }
    starts[tool_count] = definitions.n;
}

/* Whether there is a tool of this name: the number at its end says which one it would be. */
static int is_tool(Span v) {
    if (!v.s || *v.s != '"') {
        return 0;
    }
    if (is_string(v, "echo")) {
        return 1;
    }
    const char *p = v.e - 2;
    while (p > v.s && *p >= '0' && *p <= '9') {
        p--;
    }
    long i = strtol(p + 1, NULL, 10);
    if (i <= 0 || i >= tool_count) {
        return 0;
    }
    char name[96];
    name_of(i, name, sizeof name);
    return is_string(v, name);
}

/* ---------- what was asked: written to $DOWNSTREAM_COUNTS at SIGUSR1 ---------- */
static struct {
    long connections, requests, initialize, notifications, list, call, discover, other;
} counts;

static void write_counts(int signal_number) {
    (void)signal_number;
    const char *path = getenv("DOWNSTREAM_COUNTS");
    int fd = path ? open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644) : -1;
    if (fd >= 0) {
        dprintf(fd,
                "{\"connections\":%ld,\"requests\":%ld,\"initialize\":%ld,\"notifications\":%ld,\"tools/"
                "list\":%ld,"
                "\"tools/call\":%ld,\"server/discover\":%ld,\"other\":%ld}",
                counts.connections, counts.requests, counts.initialize, counts.notifications, counts.list,
                counts.call, counts.discover, counts.other);
        close(fd);
    }
}

/* ---------- JSON-RPC ---------- */
static Buf reports;      /* what is told before the answer that is being made: lines */
static Buf late_reports; /* and after it, which is wrong */

typedef struct {
    int status; /* of the HTTP response */
    long delay; /* milliseconds until it is sent */
    int opens_session, hangs_up;
} Reply;

static void begin(Buf *out, Span id) {
    bstr(out, "{\"jsonrpc\":\"2.0\",\"id\":");
    bput(out, id.s, (size_t)(id.e - id.s));
}

static Reply refuse(Buf *out, Span id, int status, int code, const char *message) {
    begin(out, id);
    bfmt(out, ",\"error\":{\"code\":%d,\"message\":\"%s\"}}", code, message);
    return (Reply){.status = status};
}

static Reply refuse_version(Buf *out, Span id, Span requested) {
    begin(out, id);
    bfmt(out,
         ",\"error\":{\"code\":-32022,\"message\":\"Unsupported protocol "
         "version\",\"data\":{\"supported\":[%s%s%s]",
         speaks_modern ? "\"" MODERN "\"" : "", speaks_modern && speaks_handshake ? "," : "",
         speaks_handshake ? "\"" HANDSHAKE "\"" : "");
    bstr(out, ",\"requested\":");
    if (requested.s) {
        bput(out, requested.s, (size_t)(requested.e - requested.s));
    } else {
        bstr(out, "\"\"");
    }
    bstr(out, "}}}");
    return (Reply){.status = 400};
}

static void write_report(Buf *out, Span token, long i, long n) {
    bstr(out, "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{\"progressToken\":");
    bput(out, token.s, (size_t)(token.e - token.s));
    bfmt(out, ",\"progress\":%ld,\"total\":%ld}}\n", i, n);
}

static void report(Span arguments, Span token, int bad) {
    static const char stray[] = "\"another-call\"";
    long n = token.s ? to_long(get(arguments, "reports"), 0) : 0;
    for (long i = 1; i <= n; i++) {
        int last_is_bad = bad && i == n;
        if (last_is_bad && !strcmp(fault, "lost")) {
            continue;
        }
        int is_stray = last_is_bad && !strcmp(fault, "stray");
        write_report(last_is_bad && !strcmp(fault, "late") ? &late_reports : &reports,
                     is_stray ? (Span){stray, stray + sizeof stray - 1} : token, i, n);
    }
}

/* An image, and the data of the call as structured content. */
static void write_image(Buf *out, Span arguments) {
    static char image[8193];
    for (int i = 0; !image[8191] && i < 8192; i++) {
        image[i] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"[i * 7919u % 64];
    }
    Span data = get(arguments, "data");
    bstr(out, ",{\"type\":\"image\",\"mimeType\":\"image/png\",\"data\":\"");
    bstr(out, image);
    bstr(out, "\"}],\"structuredContent\":");
    bput(out, data.s ? data.s : "{}", data.s ? (size_t)(data.e - data.s) : 2);
}

static Reply call_tool(Buf *out, Span id, Span params, const char *kind) {
    Span arguments = get(params, "arguments"), text = get(arguments, "text");
    if (!is_tool(get(params, "name"))) {
        return refuse(out, id, 200, -32602, "Unknown tool");
    }
    int bad = *fault && counts.call % 10 == 0;
    report(arguments, get(get(params, "_meta"), "progressToken"), bad);
    Reply reply = {.status = 200, .delay = to_long(get(arguments, "delay_ms"), default_delay)};
    if (bad && !strcmp(fault, "error")) {
        return refuse(out, id, 200, -32603, "Out of order");
    }
    if (bad && !strcmp(fault, "status")) {
        return (Reply){.status = 500};
    }
    if (bad && !strcmp(fault, "closed")) {
        return (Reply){.status = 200, .hangs_up = 1};
    }
    if (bad && !strcmp(fault, "silence")) {
        return (Reply){.status = 200, .delay = 3600000};
    }
    if (bad && !strcmp(fault, "junk")) {
        bstr(out, "{\"jsonrpc\":\"2.0\",");
        return reply;
    }
    if (bad && !strcmp(fault, "id")) {
        bstr(out, "{\"jsonrpc\":\"2.0\",\"id\":4711000");
    } else {
        begin(out, id);
    }
    bfmt(out, ",\"result\":{%s\"content\":[{\"type\":\"text\",\"text\":\"", kind);
    if (!text.s || *text.s != '"') {
        bstr(out, "missing text\"}],\"isError\":true}}");
        return reply;
    }
    size_t said = (size_t)(text.e - text.s) - 2, size = (size_t)to_long(get(arguments, "size"), 0);
    if (bad && !strcmp(fault, "token")) {
        bstr(out, "another call's");
    } else {
        bput(out, text.s + 1, said);
    }
    if (size > said) {
        size_t padding = size - said - (bad && !strcmp(fault, "size"));
        bneed(out, padding);
        memset(out->p + out->n, 'x', padding);
        out->n += padding;
    }
    bstr(out, "\"}");
    if (to_long(get(arguments, "image"), 0)) {
        write_image(out, arguments);
    } else {
        bstr(out, "]");
    }
    bfmt(out, ",\"isError\":%s}}", bad && !strcmp(fault, "is_error") ? "true" : "false");
    return reply;
}

static Reply list_tools(Buf *out, Span id, Span params, int modern) {
    Span cursor = get(params, "cursor");
    long from = cursor.s && *cursor.s == '"' ? strtol(cursor.s + 1, NULL, 10) : 0;
    if (from < 0 || from > tool_count) {
        return refuse(out, id, 200, -32602, "Bad cursor");
    }
    long to = page_size && from + page_size < tool_count ? from + page_size : tool_count;
    begin(out, id);
    bfmt(out, ",\"result\":{%s\"tools\":[",
         modern ? "\"resultType\":\"complete\",\"ttlMs\":300000,\"cacheScope\":\"public\"," : "");
    for (long i = from; i < to; i++) {
        bput(out, ",", i > from);
        bput(out, definitions.p + starts[i], starts[i + 1] - starts[i]);
    }
    bstr(out, "]");
    if (to < tool_count) {
        bfmt(out, ",\"nextCursor\":\"%ld\"", to);
    }
    bstr(out, "}}");
    return (Reply){.status = 200};
}

/* ---------- prompts, resources, completions: all say the text that they are asked for ---------- */
#define CACHED "\"ttlMs\":300000,\"cacheScope\":\"public\","
#define LIST(name, entries) "\"" name "\":[" entries "]}}"

static void begin_result(Buf *out, Span id, int modern, int is_cached) {
    begin(out, id);
    bfmt(out, ",\"result\":{%s%s", modern ? "\"resultType\":\"complete\"," : "",
         modern && is_cached ? CACHED : "");
}

/* Writes a JSON string as it came; an empty one if there is none. */
static void write_string(Buf *out, Span text) {
    int is_there = text.s && *text.s == '"';
    bput(out, is_there ? text.s : "\"\"", is_there ? (size_t)(text.e - text.s) : 2);
}

/* Answers what has to do with prompts, resources and completions: 1 it was that. */
static int answer_content(Buf *out, Span id, Span method, Span params, int modern) {
    if (is_string(method, "prompts/list")) {
        begin_result(out, id, modern, 1);
        bstr(out,
             LIST("prompts", "{\"name\":\"say\",\"description\":\"Say a text.\",\"arguments\":[{\"name\":"
                             "\"text\",\"required\":true}]}"));
    } else if (is_string(method, "prompts/get")) {
        begin_result(out, id, modern, 0);
        bstr(out, "\"messages\":[{\"role\":\"user\",\"content\":{\"type\":\"text\",\"text\":");
        write_string(out, get(get(params, "arguments"), "text"));
        bstr(out, "}}]}}");
    } else if (is_string(method, "resources/list")) {
        begin_result(out, id, modern, 1);
        bfmt(out, LIST("resources", "{\"uri\":\"bench://%s\",\"name\":\"say\"}"), server_name);
    } else if (is_string(method, "resources/templates/list")) {
        begin_result(out, id, modern, 1);
        bfmt(out, LIST("resourceTemplates", "{\"uriTemplate\":\"bench://%s/{text}\",\"name\":\"say\"}"),
             server_name);
    } else if (is_string(method, "resources/read")) {
        begin_result(out, id, modern, 1);
        bstr(out, "\"contents\":[{\"mimeType\":\"text/plain\",\"uri\":");
        write_string(out, get(params, "uri"));
        bstr(out, ",\"text\":");
        write_string(out, get(params, "uri"));
        bstr(out, "}]}}");
    } else if (is_string(method, "completion/complete")) {
        begin_result(out, id, modern, 0);
        bstr(out, "\"completion\":{\"values\":[");
        write_string(out, get(get(params, "argument"), "value"));
        bstr(out, "],\"total\":1,\"hasMore\":false}}}");
    } else {
        return 0;
    }
    return 1;
}

static void write_capabilities(Buf *out) {
    bfmt(out, "\"capabilities\":{\"tools\":{}%s%s},", has_logging ? ",\"logging\":{}" : "",
         has_content ? ",\"prompts\":{},\"resources\":{},\"completions\":{}" : "");
}

static Reply initialize(Buf *out, Span id, Span params) {
    static const char *known[] = {HANDSHAKE, "2025-06-18", "2025-03-26", "2024-11-05"};
    const char *agreed = known[0];
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (is_string(get(params, "protocolVersion"), known[i])) {
            agreed = known[i];
        }
    }
    begin(out, id);
    bfmt(out, ",\"result\":{\"protocolVersion\":\"%s\",", agreed);
    write_capabilities(out);
    bfmt(out, "\"serverInfo\":{\"name\":\"%s\",\"version\":\"1\"}}}", server_name);
    return (Reply){.status = 200, .opens_session = 1};
}

static Reply discover(Buf *out, Span id) {
    begin(out, id);
    bfmt(out, ",\"result\":{\"resultType\":\"complete\",\"supportedVersions\":[\"" MODERN "\"%s],",
         speaks_handshake ? ",\"" HANDSHAKE "\"" : "");
    write_capabilities(out);
    bfmt(out, "\"serverInfo\":{\"name\":\"%s\",\"version\":\"1\"},", server_name);
    bfmt(out, "\"_meta\":{\"" RESERVED "serverInfo\":{\"name\":\"%s\",\"version\":\"1\"}},", server_name);
    bstr(out, "\"ttlMs\":3600000,\"cacheScope\":\"public\"}}");
    return (Reply){.status = 200};
}

/* Writes the answer to one message, if it is a request; modern_header: the HTTP request said that it is
 * modern. */
static Reply answer(const char *body, size_t n, int modern_header, Buf *out) {
    Span message = {body, body + n};
    Span method = get(message, "method"), id = get(message, "id"), params = get(message, "params");
    Span version = get(get(params, "_meta"), RESERVED "protocolVersion");
    int modern = version.s || modern_header;
    if (!method.s || !id.s) { /* a notification, a response to nothing, or no JSON-RPC */
        counts.notifications += method.s != NULL;
        return (Reply){.status = method.s || id.s ? 202 : 400};
    }
    if (modern && !speaks_modern) {
        return is_string(method, "server/discover") ? refuse(out, id, 200, -32601, "Method not found")
                                                    : refuse_version(out, id, version);
    }
    if (modern ? !is_string(version, MODERN) : !speaks_handshake) {
        return refuse_version(out, id, version);
    }
    if (is_string(method, "tools/call")) {
        counts.call++;
        return call_tool(out, id, params, modern ? "\"resultType\":\"complete\"," : "");
    }
    if (is_string(method, "tools/list")) {
        counts.list++;
        return list_tools(out, id, params, modern);
    }
    if (!modern && is_string(method, "initialize")) {
        counts.initialize++;
        return initialize(out, id, params);
    }
    if (modern && is_string(method, "server/discover")) {
        counts.discover++;
        return discover(out, id);
    }
    counts.other++;
    if (has_content && answer_content(out, id, method, params, modern)) {
        return (Reply){.status = 200};
    }
    if (is_string(method, "ping") || (has_logging && is_string(method, "logging/setLevel"))) {
        begin(out, id);
        bstr(out, ",\"result\":{}}");
        return (Reply){.status = 200};
    }
    return refuse(out, id, modern ? 404 : 200, -32601, "Method not found");
}

/* ---------- answers that wait, the next one first ---------- */
typedef struct Later {
    double at;
    int fd;          /* of the connection, and */
    uint64_t number; /* which one that was: file descriptors are used again */
    Buf bytes;
    struct Later *next;
} Later;
static Later *later;

static Later *postpone(long milliseconds, Buf *bytes) {
    Later *l = calloc(1, sizeof *l), **p = &later;
    l->at = now() + (double)milliseconds / 1e3;
    l->bytes = *bytes;
    *bytes = (Buf){0};
    while (*p && (*p)->at <= l->at) {
        p = &(*p)->next;
    }
    l->next = *p;
    return *p = l;
}

/* Milliseconds that may be slept: until the next answer is due, or for ever. */
static int time_left(void) {
    double left = later ? later->at - now() : 0;
    return !later ? -1 : left <= 0 ? 0 : (int)(left * 1000) + 1;
}

/* The first answer that is due, taken out of the list. */
static Later *take_due(void) {
    Later *l = later && later->at <= now() ? later : NULL;
    if (l) {
        later = l->next;
    }
    return l;
}

static void forget(Later *l) {
    free(l->bytes.p);
    free(l);
}

/* ---------- stdio ---------- */
static void write_all(const char *p, size_t n) {
    while (n) {
        ssize_t k = write(1, p, n);
        if (k < 0 && errno != EINTR) {
            exit(0);
        }
        if (k > 0) {
            p += k;
            n -= (size_t)k;
        }
    }
}

/* Answers all whole lines; answers to lines that came together leave together. */
static void answer_lines(Buf *in, size_t scanned, Buf *out) {
    size_t start = 0;
    char *end;
    out->n = 0;
    while ((end = memchr(in->p + scanned, '\n', in->n - scanned))) {
        size_t length = (size_t)(end - in->p) - start;
        Buf one = {0};
        reports.n = late_reports.n = 0;
        Reply reply = answer(in->p + start, length, 0, &one);
        if (reply.hangs_up) {
            exit(0);
        }
        bput(out, reports.p, reports.n);
        if (one.n) {
            bput(&one, "\n", 1);
            bput(&one, late_reports.p, late_reports.n);
            if (reply.delay > 0) {
                postpone(reply.delay, &one);
            } else {
                bput(out, one.p, one.n);
            }
        }
        free(one.p);
        start = scanned = (size_t)(end - in->p) + 1;
    }
    bdrop(in, start);
    write_all(out->p, out->n);
}

static int serve_stdio(void) {
    Buf in = {0}, out = {0};
    for (;;) {
        struct pollfd readable = {0, POLLIN, 0};
        poll(&readable, 1, time_left());
        for (Later *l; (l = take_due()); forget(l)) {
            write_all(l->bytes.p, l->bytes.n);
        }
        if (readable.revents) {
            bneed(&in, 1 << 16);
            ssize_t k = read(0, in.p + in.n, in.cap - in.n);
            if (k <= 0) {
                return 0;
            }
            in.n += (size_t)k;
            answer_lines(&in, in.n - (size_t)k, &out);
        }
    }
}

/* ---------- HTTP/1.1, one thread, keep-alive and pipelining ---------- */
typedef struct {
    int fd, closes, waits; /* closes: after what is written; waits: for an answer that is delayed */
    uint64_t number;
    Buf in, out;
    size_t written;
} Connection;
static Connection *connections[65536];
static int loop;
static uint64_t last_number;
static unsigned boot; /* tells this server's sessions from those of one that listened here before */
static unsigned last_session;

static void end_connection(Connection *c) {
    close(c->fd);
    connections[c->fd] = NULL;
    free(c->in.p);
    free(c->out.p);
    free(c);
}

static void watch(Connection *c, int operation, uint32_t events) {
    struct epoll_event event = {events, {.fd = c->fd}};
    epoll_ctl(loop, operation, c->fd, &event);
}

/* Writes what can be written: 0 all, 1 not all, -1 the connection is gone. */
static int flush(Connection *c) {
    while (c->written < c->out.n) {
        ssize_t k = write(c->fd, c->out.p + c->written, c->out.n - c->written);
        if (k < 0 && errno == EAGAIN) {
            watch(c, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
            return 1;
        }
        if (k < 0) {
            end_connection(c);
            return -1;
        }
        c->written += (size_t)k;
    }
    c->out.n = c->written = 0;
    if (c->closes) {
        end_connection(c);
        return -1;
    }
    return 0;
}

typedef struct {
    int post, delete, closes, modern, chunked;
    long length;
    Span session, authorization;
} Head;

static Head read_head(const char *p, const char *end) {
    Head head = {.post = !strncmp(p, "POST ", 5), .delete = !strncmp(p, "DELETE ", 7)};
    for (p = memchr(p, '\n', (size_t)(end - p)) + 1; p < end;) {
        const char *stop = memchr(p, '\r', (size_t)(end - p)), *colon = memchr(p, ':', (size_t)(stop - p));
        if (colon) {
            size_t n = (size_t)(colon - p);
            const char *value = skip_space(colon + 1, stop);
            if (is_header(p, n, "content-length")) {
                head.length = strtol(value, NULL, 10);
            } else if (is_header(p, n, "transfer-encoding")) {
                head.chunked = stop - value >= 7 && !strncasecmp(stop - 7, "chunked", 7);
            } else if (is_header(p, n, "connection")) {
                head.closes = stop - value == 5 && !strncasecmp(value, "close", 5);
            } else if (is_header(p, n, "mcp-session-id")) {
                head.session = (Span){value, stop};
            } else if (is_header(p, n, "authorization")) {
                head.authorization = (Span){value, stop};
            } else if (is_header(p, n, "mcp-protocol-version")) {
                head.modern = stop - value == 10 && !memcmp(value, MODERN, 10);
            }
        }
        p = stop + 2;
    }
    return head;
}

/* Puts the chunks of a body together; returns what follows it, or NULL as long as some is missing. */
static const char *unchunk(const char *p, const char *end, Buf *body) {
    for (;;) {
        const char *line = memmem(p, (size_t)(end - p), "\r\n", 2);
        if (!line) {
            return NULL;
        }
        long size = strtol(p, NULL, 16);
        p = line + 2;
        if (end - p < size + 2) {
            return NULL;
        }
        bput(body, p, (size_t)size);
        p += size + 2;
        if (!size) {
            return p;
        }
    }
}

static int is_session(Span s) {
    unsigned of_boot, number;
    char text[64] = "";
    if (!s.s || s.e - s.s >= (long)sizeof text) {
        return 0;
    }
    memcpy(text, s.s, (size_t)(s.e - s.s));
    return sscanf(text, "s-%x-%u", &of_boot, &number) == 2 && of_boot == boot && number <= last_session;
}

static Reply answer_post(Head *head, const char *body, size_t n, Buf *out) {
    Span message = {body, body + n};
    int modern = head->modern || get(get(get(message, "params"), "_meta"), RESERVED "protocolVersion").s;
    if (*authorization && !is_bytes(head->authorization, authorization)) {
        return (Reply){.status = 401};
    }
    if (!modern && !is_string(get(message, "method"), "initialize") && !is_session(head->session)) {
        bstr(out,
             "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32000,\"message\":\"No such session\"}}");
        return (Reply){.status = head->session.s ? 404 : 400};
    }
    return answer(body, n, head->modern, out);
}

static const char *phrase(int status) {
    return status == 200   ? "OK"
           : status == 202 ? "Accepted"
           : status == 400 ? "Bad Request"
           : status == 401 ? "Unauthorized"
           : status == 404 ? "Not Found"
           : status == 405 ? "Method Not Allowed"
                           : "Internal Server Error";
}

/* Writes messages, one in a line, as events, each in a chunk of its own. */
static void write_events(Buf *out, const char *p, size_t n) {
    static const char before[] = "event: message\r\ndata: ", after[] = "\r\n\r\n";
    for (const char *end; n; n -= (size_t)(end + 1 - p), p = end + 1) {
        end = memchr(p, '\n', n);
        size_t length = (size_t)(end - p);
        bfmt(out, "%zx\r\n%s", length + strlen(before) + strlen(after), before);
        bput(out, p, length);
        bfmt(out, "%s\r\n", after);
    }
}

static void write_response(Buf *out, Reply reply, Buf *body, int closes) {
    int sse = (answers_by_sse || reports.n || late_reports.n) && reply.status == 200 && body->n;
    bfmt(out, "HTTP/1.1 %d %s\r\n", reply.status, phrase(reply.status));
    if (reply.opens_session) {
        bfmt(out, "Mcp-Session-Id: s-%x-%u\r\n", boot, ++last_session);
    }
    if (body->n) {
        bfmt(out, "Content-Type: %s\r\n", sse ? "text/event-stream" : "application/json");
    }
    if (reply.status == 405) {
        bstr(out, "Allow: POST, DELETE\r\n");
    }
    bstr(out, closes ? "Connection: close\r\n" : "");
    if (!sse) {
        bfmt(out, "Content-Length: %zu\r\n\r\n", body->n);
        bput(out, body->p, body->n);
        return;
    }
    bstr(out, "Cache-Control: no-cache\r\nTransfer-Encoding: chunked\r\n\r\n");
    bput(body, "\n", 1);
    write_events(out, reports.p, reports.n);
    write_events(out, body->p, body->n);
    write_events(out, late_reports.p, late_reports.n);
    bstr(out, "0\r\n\r\n");
}

/* Answers one request from position *at: 1 done, 0 it is not all there. */
static int answer_request(Connection *c, size_t *at) {
    const char *start = c->in.p + *at, *end = c->in.p + c->in.n;
    const char *blank = memmem(start, (size_t)(end - start), "\r\n\r\n", 4);
    if (!blank) {
        return 0;
    }
    Head head = read_head(start, blank + 2);
    const char *body = blank + 4, *after = body + head.length;
    Buf whole = {0}, out = {0}, response = {0};
    size_t n = (size_t)head.length;
    if (head.chunked) {
        after = unchunk(body, end, &whole);
        body = whole.p;
        n = whole.n;
    }
    if (!after || after > end) {
        free(whole.p);
        return 0;
    }
    counts.requests++;
    reports.n = late_reports.n = 0;
    const char *path = memchr(start, ' ', (size_t)(blank - start));
    Reply reply = {.status = 200};
    if (!path || strncmp(path + 1, "/mcp", 4)) {
        reply.status = 404;
    } else if (head.post) {
        reply = answer_post(&head, body, n, &out);
    } else if (!head.delete) {
        reply.status = 405;
    }
    c->closes = head.closes || reply.hangs_up;
    *at = (size_t)(after - c->in.p);
    if (!reply.hangs_up) {
        write_response(reply.delay > 0 ? &response : &c->out, reply, &out, head.closes);
    }
    if (reply.delay > 0) {
        Later *l = postpone(reply.delay, &response);
        l->fd = c->fd;
        l->number = c->number;
        c->waits = 1;
    }
    free(whole.p);
    free(out.p);
    return 1;
}

/* Answers what has come in, in order: a request whose answer waits holds up those behind it. */
static void answer_requests(Connection *c) {
    size_t at = 0;
    while (!c->waits && !c->closes && at < c->in.n && answer_request(c, &at)) {
    }
    bdrop(&c->in, at);
    if (!c->waits && (c->out.n || c->closes)) {
        flush(c);
    }
}

static void accept_all(int listener) {
    int fd, on = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        if (fd >= (int)(sizeof connections / sizeof *connections)) {
            close(fd);
            continue;
        }
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        Connection *c = connections[fd] = calloc(1, sizeof *c);
        c->fd = fd;
        c->number = ++last_number;
        counts.connections++;
        watch(c, EPOLL_CTL_ADD, EPOLLIN);
    }
}

static void serve_connection(Connection *c, uint32_t events) {
    if (events & EPOLLOUT) {
        if (flush(c)) {
            return;
        }
        watch(c, EPOLL_CTL_MOD, EPOLLIN);
    }
    bneed(&c->in, 1 << 14);
    ssize_t k = read(c->fd, c->in.p + c->in.n, c->in.cap - c->in.n);
    if (k == 0 || (k < 0 && errno != EAGAIN)) {
        end_connection(c);
        return;
    }
    c->in.n += k > 0 ? (size_t)k : 0;
    answer_requests(c);
}

static int serve_http(int port) {
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), on = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (bind(listener, (void *)&address, sizeof address) || listen(listener, 4096)) {
        perror("downstream");
        return 1;
    }
    boot = (unsigned)(now() * 1e6) & 0xffffff;
    loop = epoll_create1(0);
    struct epoll_event event = {EPOLLIN, {.fd = listener}}, events[256];
    epoll_ctl(loop, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        int n = epoll_wait(loop, events, 256, time_left());
        for (Later *l; (l = take_due()); forget(l)) {
            Connection *c = connections[l->fd];
            if (c && c->number == l->number) {
                bput(&c->out, l->bytes.p, l->bytes.n);
                c->waits = 0;
                if (flush(c) >= 0) {
                    answer_requests(c);
                }
            }
        }
        for (int i = 0; i < n; i++) {
            if (events[i].data.fd == listener) {
                accept_all(listener);
            } else if (connections[events[i].data.fd]) {
                serve_connection(connections[events[i].data.fd], events[i].events);
            }
        }
    }
}

int main(int argc, char **argv) {
    int port = 0, stdio = 0;
    long start_delay = 0;
    signal(SIGPIPE, SIG_IGN);
    signal(SIGUSR1, write_counts);
    for (int i = 1; i < argc; i++) {
        const char *option = argv[i], *value = i + 1 < argc ? argv[i + 1] : "";
        i += strcmp(option, "--stdio") && strcmp(option, "--sse") && strcmp(option, "--logging") &&
             strcmp(option, "--content");
        if (!strcmp(option, "--stdio")) {
            stdio = 1;
        } else if (!strcmp(option, "--sse")) {
            answers_by_sse = 1;
        } else if (!strcmp(option, "--logging")) {
            has_logging = 1;
        } else if (!strcmp(option, "--content")) {
            has_content = 1;
        } else if (!strcmp(option, "--authorization")) {
            authorization = value;
        } else if (!strcmp(option, "--http")) {
            port = atoi(value);
        } else if (!strcmp(option, "--tools")) {
            tool_count = atol(value);
        } else if (!strcmp(option, "--name")) {
            server_name = value;
        } else if (!strcmp(option, "--page")) {
            page_size = atol(value);
        } else if (!strcmp(option, "--delay")) {
            default_delay = atol(value);
        } else if (!strcmp(option, "--start-delay")) {
            start_delay = atol(value);
        } else if (!strcmp(option, "--fault")) {
            fault = value;
        } else if (!strcmp(option, "--era")) {
            speaks_handshake = strcmp(value, "modern") != 0;
            speaks_modern = strcmp(value, "handshake") != 0;
        } else {
            fprintf(stderr, "downstream: unknown option %s\n", option);
            return 2;
        }
    }
    if (tool_count < 1 || (!port && !stdio)) {
        fprintf(stderr, "downstream: --http PORT or --stdio, and at least one tool\n");
        return 2;
    }
    usleep((useconds_t)start_delay * 1000);
    write_definitions();
    return stdio ? serve_stdio() : serve_http(port);
}
