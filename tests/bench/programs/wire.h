/* What the downstream server and the load client share: growing buffers, and JSON read in place.
 *
 * JSON is never copied into a tree: a Span is a piece of the bytes that came, and get() finds a member's
 * value by skipping over the others. That is a few hundred nanoseconds for a call, and correct for any valid
 * JSON.
 */
#ifndef WIRE_H
#define WIRE_H
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#define MODERN "2026-07-28"
#define HANDSHAKE "2025-11-25"
#define RESERVED "io.modelcontextprotocol/"

/* ---------- buffers that grow ---------- */
typedef struct {
    char *p;
    size_t n, cap;
} Buf;

static inline void bneed(Buf *b, size_t more) {
    if (b->n + more > b->cap) {
        b->cap = (b->n + more) * 2 + 256;
        b->p = realloc(b->p, b->cap);
        if (!b->p) {
            abort();
        }
    }
}

static inline void bput(Buf *b, const void *s, size_t n) {
    if (n) {
        bneed(b, n);
        memcpy(b->p + b->n, s, n);
        b->n += n;
    }
}

static inline void bstr(Buf *b, const char *s) {
    bput(b, s, strlen(s));
}

/* Formatted text of at most 2 KiB. */
__attribute__((format(printf, 2, 3))) static inline void bfmt(Buf *b, const char *format, ...) {
    char text[2048];
    va_list a;
    va_start(a, format);
    int n = vsnprintf(text, sizeof text, format, a);
    va_end(a);
    bput(b, text, n < (int)sizeof text ? n : (int)sizeof text - 1);
}

/* Forgets the first bytes. */
static inline void bdrop(Buf *b, size_t n) {
    if (n) {
        memmove(b->p, b->p + n, b->n - n);
        b->n -= n;
    }
}

/* Seconds, of a clock that only goes forward. */
static inline double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Whether a header's name is this one. */
static inline int is_header(const char *p, size_t n, const char *name) {
    return strlen(name) == n && !strncasecmp(p, name, n);
}

/* ---------- JSON, read in place ---------- */
typedef struct {
    const char *s, *e; /* first byte, and one past the last; s is NULL where there is nothing */
} Span;

static inline const char *skip_space(const char *p, const char *e) {
    while (p < e && (*p == ' ' || *p == '\n' || *p == '\t' || *p == '\r')) {
        p++;
    }
    return p;
}

/* p is at the opening quote; returns what follows the closing one, or NULL. */
static inline const char *skip_string(const char *p, const char *e) {
    p++;
    while (p < e) {
        const char *q = memchr(p, '"', (size_t)(e - p));
        if (!q) {
            return NULL;
        }
        int backslashes = 0;
        for (const char *r = q - 1; r >= p && *r == '\\'; r--) {
            backslashes++;
        }
        p = q + 1;
        if (!(backslashes & 1)) {
            return p;
        }
    }
    return NULL;
}

static inline const char *skip_value(const char *p, const char *e) {
    p = skip_space(p, e);
    if (p >= e) {
        return NULL;
    }
    if (*p == '"') {
        return skip_string(p, e);
    }
    if (*p == '{' || *p == '[') {
        int depth = 0;
        while (p < e) {
            if (*p == '"') {
                p = skip_string(p, e);
                if (!p) {
                    return NULL;
                }
                continue;
            }
            if (*p == '{' || *p == '[') {
                depth++;
            } else if ((*p == '}' || *p == ']') && !--depth) {
                return p + 1;
            }
            p++;
        }
        return NULL;
    }
    const char *q = p;
    while (p < e && !memchr(",}] \n\r\t", *p, 7)) {
        p++;
    }
    return p > q ? p : NULL;
}

/* The value of an object's member. */
static inline Span get(Span object, const char *key) {
    Span none = {NULL, NULL};
    if (!object.s) {
        return none;
    }
    const char *p = skip_space(object.s, object.e), *e = object.e;
    size_t length = strlen(key);
    if (p >= e || *p != '{') {
        return none;
    }
    p++;
    for (;;) {
        p = skip_space(p, e);
        if (p >= e || *p != '"') {
            return none;
        }
        const char *name = p + 1;
        p = skip_string(p, e);
        if (!p) {
            return none;
        }
        size_t n = (size_t)(p - 1 - name);
        p = skip_space(p, e);
        if (p >= e || *p != ':') {
            return none;
        }
        p = skip_space(p + 1, e);
        const char *value = p;
        p = skip_value(p, e);
        if (!p) {
            return none;
        }
        if (n == length && !memcmp(name, key, n)) {
            Span found = {value, p};
            return found;
        }
        p = skip_space(p, e);
        if (p >= e || *p != ',') {
            return none;
        }
        p++;
    }
}

/* Whether a value's bytes are these. */
static inline int is_bytes(Span v, const char *s) {
    return v.s && (size_t)(v.e - v.s) == strlen(s) && !memcmp(v.s, s, (size_t)(v.e - v.s));
}

/* Whether a value is this string (which needs no escapes). */
static inline int is_string(Span v, const char *s) {
    size_t n = strlen(s);
    return v.s && (size_t)(v.e - v.s) == n + 2 && *v.s == '"' && !memcmp(v.s + 1, s, n);
}

static inline long to_long(Span v, long otherwise) {
    return v.s && (*v.s == '-' || (*v.s >= '0' && *v.s <= '9')) ? strtol(v.s, NULL, 10) : otherwise;
}
#endif
